//! Bytes that a configuration refers to, with errors that say which key named them.
//!
//! Owns the way from a [`Reference`] to bytes and to their digest. Everything that a part is loaded from
//! comes through here, but for the import files of key-value stores, which are written too.

use bothways_config::{ConfigError, Place, Reference, Source};
use bothways_state::files::{self, ReadError};

use super::parts::Digest;

/// Bytes that were referred to, and their digest.
pub(super) struct Contents {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
}

/// Reads what `reference` names, which may have `bytes_max` bytes.
pub(super) fn read(source: &Source, reference: &Reference, bytes_max: u64) -> Result<Contents, ConfigError> {
    let bytes = bytes(reference, bytes_max).map_err(|error| match error {
        ReadError::TooLarge { .. } => {
            let fault = format!("{reference} is larger than {bytes_max} bytes");
            source.error(&reference.key, fault, "name a smaller file")
        }
        ReadError::Io(_) | ReadError::NotRegular(_) => {
            let fault = format!("cannot read {reference}: {error}");
            let remedy = "name a readable file (relative to the configuration file)";
            source.error(&reference.key, fault, remedy)
        }
    })?;
    Ok(Contents {
        digest: Digest::of_bytes(&bytes),
        bytes,
    })
}

/// Reads the same, for a caller with words of its own.
pub(super) fn bytes(reference: &Reference, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
    match &reference.place {
        Place::File(path) => files::read(path, bytes_max),
    }
}

/// Digest of what `reference` names as it is now. A file is read for it, in pieces. `None`: it cannot be
/// read, and [`read`] will tell why.
pub(super) fn digest(reference: &Reference, bytes_max: u64) -> Option<Digest> {
    match &reference.place {
        Place::File(path) => Digest::of_pieces(|take| files::read_pieces(path, bytes_max, take)).ok(),
    }
}
