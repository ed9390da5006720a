//! Reading the configuration file itself: whole, or only what a command to a running server needs of it.
//!
//! Owns the bound on its size. What the text means is for [`bothways_config`] to say.

use std::path::Path;

use bothways_config::{Config, ConfigError, ControlAccess};
use bothways_state::files;

/// Reads the configuration `file` and checks it. Files that it names are not looked at.
///
/// # Errors
/// It cannot be read, or says something that cannot be.
pub fn load_config(file: &Path) -> Result<Config, ConfigError> {
    bothways_config::parse(file, &text(file)?)
}

/// Reads `[control]` and `[limits]` of the configuration `file`. The rest of it may be wrong.
///
/// # Errors
/// The file cannot be read, one of the two tables is wrong, or there is no `[control]`.
pub fn load_control(file: &Path) -> Result<ControlAccess, ConfigError> {
    bothways_config::read_control(file, &text(file)?)
}

fn text(file: &Path) -> Result<String, ConfigError> {
    files::read_text(file, FILE_BYTES_MAX).map_err(|fault| ConfigError::unreadable(file, &fault))
}

/// Room for tens of thousands of distributions.
const FILE_BYTES_MAX: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;

    #[test]
    fn a_configuration_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent.toml");
        let message = load_config(&absent).unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("{}: cannot read the configuration", absent.display())),
            "{message}"
        );
        let binary = folder.path().join("binary.toml");
        fs::write(&binary, [0xff, 0xfe]).unwrap();
        assert!(
            load_config(&binary)
                .unwrap_err()
                .to_string()
                .contains("cannot read the configuration")
        );
        assert!(load_config(folder.path()).is_err());
        assert!(
            load_config(Path::new("/dev/zero"))
                .unwrap_err()
                .to_string()
                .contains("a character device, not a regular file")
        );
    }
}
