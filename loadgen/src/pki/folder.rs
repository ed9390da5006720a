//! A new folder and its files. What is secret is readable by its owner only, from the moment that it exists.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::plan::UsageError;

/// The folder that `loadgen pki` fills.
pub struct Folder(PathBuf);

/// A file that grows.
pub struct Draft {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Folder {
    /// Refuses a folder with something in it, and never replaces a file.
    pub fn make(path: &Path) -> Result<Self, UsageError> {
        let occupied = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(complain(path, &error)),
        };
        if occupied {
            return Err(UsageError(format!(
                "--out {}: the folder is not empty; give another, or empty it",
                path.display()
            )));
        }
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o755);
        builder.create(path).map_err(|error| complain(path, &error))?;
        Ok(Folder(path.to_owned()))
    }

    /// Writes a file that everybody may read (mode 0644).
    pub fn write(&self, name: &str, text: &str) -> Result<(), UsageError> {
        self.file(name, 0o644)?.all(text)
    }

    /// Writes a file that only its owner may read (mode 0600).
    pub fn write_secret(&self, name: &str, text: &str) -> Result<(), UsageError> {
        self.secret(name)?.all(text)
    }

    /// Begins a file that only its owner may read (mode 0600); it fails if there is one of the name.
    pub fn secret(&self, name: &str) -> Result<Draft, UsageError> {
        self.file(name, 0o600)
    }

    fn file(&self, name: &str, mode: u32) -> Result<Draft, UsageError> {
        let path = self.0.join(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path);
        match file {
            Ok(file) => Ok(Draft {
                path,
                file: BufWriter::new(file),
            }),
            Err(error) => Err(complain(&path, &error)),
        }
    }
}

impl Draft {
    /// Adds text; the error names the file.
    pub fn append(&mut self, text: &str) -> Result<(), UsageError> {
        self.file
            .write_all(text.as_bytes())
            .map_err(|error| complain(&self.path, &error))
    }

    /// Writes out what is still buffered. A draft that is dropped instead may lose errors.
    pub fn finish(mut self) -> Result<(), UsageError> {
        self.file.flush().map_err(|error| complain(&self.path, &error))
    }

    fn all(mut self, text: &str) -> Result<(), UsageError> {
        self.append(text)?;
        self.finish()
    }
}

fn complain(path: &Path, error: &io::Error) -> UsageError {
    UsageError(format!("--out: {}: {error}", path.display()))
}
