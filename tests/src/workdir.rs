//! A temporary folder that a test writes its files into and that goes away with its owner.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

pub struct Workdir(TempDir);

impl Workdir {
    #[allow(clippy::new_without_default, reason = "making a folder is no default value")]
    pub fn new() -> Self {
        Self(
            tempfile::Builder::new()
                .prefix("bothways-test-")
                .tempdir()
                .expect("a temporary folder"),
        )
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file whole: to a neighbour first and then renamed, so that no reader sees half of it.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        let draft = self.file(&format!("{name}.draft"));
        std::fs::write(&draft, contents).unwrap_or_else(|e| panic!("{}: {e}", draft.display()));
        std::fs::rename(&draft, &path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    }
}
