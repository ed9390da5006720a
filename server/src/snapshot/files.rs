//! Reading files that a configuration names, with errors that say which key named the file.

use bothways_config::{ConfigError, FileRef, Source};
use bothways_state::files::{self, ReadError};

use super::parts::Digest;

/// Bytes of a file, and their digest.
pub(super) struct Contents {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
}

/// Reads `file`, which may have `bytes_max` bytes.
pub(super) fn read(source: &Source, file: &FileRef, bytes_max: u64) -> Result<Contents, ConfigError> {
    let path = file.path.display();
    let bytes = files::read(&file.path, bytes_max).map_err(|error| match error {
        ReadError::TooLarge { .. } => {
            let fault = format!("{path} is larger than {bytes_max} bytes");
            source.error(&file.key, fault, "name a smaller file")
        }
        ReadError::Io(_) | ReadError::NotRegular(_) => {
            let remedy = "name a readable file (relative to the configuration file)";
            source.error(&file.key, format!("cannot read {path}: {error}"), remedy)
        }
    })?;
    Ok(Contents {
        digest: Digest::of_bytes(&bytes),
        bytes,
    })
}

/// Digest of `file` as it is now, read in pieces. `None`: it cannot be read, and [`read`] will tell why.
pub(super) fn digest(file: &FileRef, bytes_max: u64) -> Option<Digest> {
    Digest::of_pieces(|take| files::read_pieces(&file.path, bytes_max, take)).ok()
}
