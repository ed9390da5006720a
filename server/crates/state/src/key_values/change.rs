//! Changes of a store, and the reasons why one was not made.

use std::fmt;
use std::path::PathBuf;

use super::etag::ETag;
use super::import::{ImportError, parse};
use super::items::Items;
use super::limits::{EntryError, StoreLimits, shown};

/// A write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Put {
        key: Box<str>,
        value: Box<str>,
    },
    /// The key must be there.
    Delete {
        key: Box<str>,
    },
    /// An import file's contents take the place of all that there is.
    Replace {
        import: Vec<u8>,
    },
    /// An import file's entries are put, and others stay.
    Merge {
        import: Vec<u8>,
    },
}

impl Change {
    pub(super) fn apply(self, current: &Items, limits: &StoreLimits) -> Result<Items, WriteError> {
        match self {
            Self::Put { key, value } => {
                limits.check(&key, &value).map_err(WriteError::Entry)?;
                let mut items = current.clone();
                items.insert(key, value);
                Ok(items)
            }
            Self::Delete { key } => {
                let mut items = current.clone();
                let removed = items.remove(&key);
                removed
                    .map(|_| items)
                    .ok_or_else(|| WriteError::no_such_key(&key))
            }
            Self::Replace { import } => parse(&import, limits).map_err(WriteError::Import),
            Self::Merge { import } => {
                let mut items = current.clone();
                items.extend(parse(&import, limits).map_err(WriteError::Import)?);
                Ok(items)
            }
        }
    }
}

/// A write that was not made.
#[derive(Debug)]
pub enum WriteError {
    /// Somebody else was first.
    Conflict {
        current: ETag,
    },
    /// Holds the key as messages show it.
    NoSuchKey(String),
    Entry(EntryError),
    Import(ImportError),
    StoreTooLarge {
        bytes: usize,
        bytes_max: usize,
    },
    /// Somebody edited the file, or another process wrote it.
    ChangedOnDisk(PathBuf),
    /// And what went wrong.
    Disk(PathBuf, String),
    InMemory,
}

impl WriteError {
    pub fn no_such_key(key: &str) -> Self {
        Self::NoSuchKey(shown(key))
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict { current } => {
                write!(
                    f,
                    "the store has changed: its ETag is {current}; look at what it holds now, and try again \
                     with that one"
                )
            }
            Self::NoSuchKey(key) => write!(f, "there is no key {key}; `list` shows those that there are"),
            Self::Entry(error) => error.fmt(f),
            Self::Import(error) => write!(f, "the import cannot be used: {error}"),
            Self::StoreTooLarge { bytes, bytes_max } => write!(
                f,
                "the import file would have {bytes} bytes, more than {bytes_max}; delete keys, or raise \
                 limits.key_value_store_bytes"
            ),
            Self::ChangedOnDisk(path) => write!(
                f,
                "{} has been changed on disk since the server read it; send SIGHUP so that it reads it \
                 again, then try again",
                path.display()
            ),
            Self::Disk(path, fault) => write!(
                f,
                "{}: {fault}; nothing is acknowledged: mend it, send SIGHUP so that the server reads what \
                 is there, and try again",
                path.display()
            ),
            Self::InMemory => f.write_str("the store has no import file"),
        }
    }
}

impl std::error::Error for WriteError {}
