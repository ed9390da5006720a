//! Reading files that a configuration names, with errors that say which key named the file.

use bothways_config::{ConfigError, FileRef, Source};
use bothways_state::files::{self, ReadError};

/// Reads `file`, which may have `bytes_max` bytes.
pub(super) fn read(source: &Source, file: &FileRef, bytes_max: u64) -> Result<Vec<u8>, ConfigError> {
    let path = file.path.display();
    files::read(&file.path, bytes_max).map_err(|error| match error {
        ReadError::TooLarge { .. } => {
            let fault = format!("{path} is larger than {bytes_max} bytes");
            source.error(&file.key, fault, "name a smaller file")
        }
        ReadError::Io(_) | ReadError::NotRegular(_) => {
            let remedy = "name a readable file (relative to the configuration file)";
            source.error(&file.key, format!("cannot read {path}: {error}"), remedy)
        }
    })
}
