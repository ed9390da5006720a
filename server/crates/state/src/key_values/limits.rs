//! Limits on the size of a store.

use std::fmt;

/// The bounds of every store, read from a file or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// The import file.
    pub store_bytes_max: usize,
    pub key_bytes_max: usize,
    pub value_bytes_max: usize,
}

impl StoreLimits {
    /// Checks if this can be an entry of a store.
    pub(super) fn check(&self, key: &str, value: &str) -> Result<(), EntryError> {
        match () {
            () if key.is_empty() => Err(EntryError::EmptyKey),
            () if key.len() > self.key_bytes_max => Err(EntryError::KeyTooLong {
                key: shown(key),
                bytes: key.len(),
                bytes_max: self.key_bytes_max,
            }),
            () if value.len() > self.value_bytes_max => Err(EntryError::ValueTooLong {
                key: shown(key),
                bytes: value.len(),
                bytes_max: self.value_bytes_max,
            }),
            () => Ok(()),
        }
    }
}

/// The managed service's quotas.
impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            store_bytes_max: 5_242_880,
            key_bytes_max: 512,
            value_bytes_max: 1_024,
        }
    }
}

/// A key and a value that cannot be in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryError {
    EmptyKey,
    KeyTooLong {
        key: String,
        bytes: usize,
        bytes_max: usize,
    },
    ValueTooLong {
        key: String,
        bytes: usize,
        bytes_max: usize,
    },
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyKey => f.write_str("the key is empty"),
            Self::KeyTooLong {
                key,
                bytes,
                bytes_max,
            } => write!(
                f,
                "the key {key} has {bytes} bytes, more than {bytes_max}; shorten it, or raise \
                 limits.key_bytes"
            ),
            Self::ValueTooLong {
                key,
                bytes,
                bytes_max,
            } => write!(
                f,
                "the value of {key} has {bytes} bytes, more than {bytes_max}; shorten it, or raise \
                 limits.value_bytes"
            ),
        }
    }
}

impl std::error::Error for EntryError {}

/// A key as messages show it: quoted, escaped, not too long.
pub(super) fn shown(key: &str) -> String {
    match key.char_indices().nth(SHOWN_CHARS_MAX) {
        None => format!("{key:?}"),
        Some((end, _)) => format!("{:?}…", key.get(..end).unwrap_or_default()),
    }
}

const SHOWN_CHARS_MAX: usize = 64;
