//! Places that the configuration names, each with the key that names it.
//!
//! Owns the difference between a [`Reference`], whose bytes are an input and may come from anywhere, and a
//! [`FileRef`], which the server writes, makes or opens itself and which has to be a file. Opens nothing.

use std::fmt;
use std::path::PathBuf;

use super::key::KeyPath;

/// Bytes that a part of the server is loaded from: where they are, and the key that says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    pub place: Place,
    pub key: KeyPath,
}

/// Place where bytes are kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Path of a file, resolved against the folder of the configuration file.
    File(PathBuf),
}

/// A file that the server writes, makes or replaces, and the key that names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileRef {
    /// Resolved against the folder of the configuration file.
    pub path: PathBuf,
    pub key: KeyPath,
}

impl From<FileRef> for Reference {
    fn from(file: FileRef) -> Self {
        Self {
            place: Place::File(file.path),
            key: file.key,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place::File(path) = &self.place;
        path.display().fmt(f)
    }
}
