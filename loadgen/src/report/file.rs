//! Report files: written beside their place and then put there, so that a file of the name is always a whole
//! report.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A path that can be written to; tried before the run, so that one that cannot does not cost it.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    /// Pipes and devices cannot be replaced: they are written to as they are.
    replaced: bool,
}

impl Place {
    /// Checks that a file can be written at `path`, without changing one that is there.
    pub fn try_out(path: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()); // a link stays one
        let replaced = fs::metadata(&path).map_or(true, |about| about.is_file());
        let place = Place { path, replaced };
        if fs::metadata(&place.path).is_ok_and(|about| about.is_dir()) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if replaced {
            place.create_beside()?;
            fs::remove_file(place.beside())?;
        }
        Ok(place)
    }

    /// Writes the file as a whole: readers see the old one or the new one. A pipe or a device is written to
    /// as it is.
    pub fn write(&self, contents: &[u8]) -> io::Result<()> {
        if !self.replaced {
            return OpenOptions::new()
                .write(true)
                .open(&self.path)?
                .write_all(contents);
        }
        let written = self.create_beside().and_then(|mut file| {
            file.write_all(contents)?;
            fs::rename(self.beside(), &self.path)
        });
        if written.is_err() {
            let _ = fs::remove_file(self.beside()); // the error that is told is the first
        }
        written
    }

    fn create_beside(&self) -> io::Result<fs::File> {
        fs::File::create(self.beside())
    }

    fn beside(&self) -> PathBuf {
        let name = self
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        self.path
            .with_file_name(format!(".{name}.{}.partial", std::process::id()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        fs::write(&path, "earlier").unwrap();
        let place = Place::try_out(&path).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "earlier",
            "until the run is over"
        );
        place.write(b"later").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "later");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_a_link_and_a_device_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("latest"), folder.path().join("run-1"));
        fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        Place::try_out(&link).unwrap().write(b"report").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap(), "report");
        Place::try_out(Path::new("/dev/null"))
            .unwrap()
            .write(b"report")
            .unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_told_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Place::try_out(&folder.path().join("absent/report.json")).is_err());
        assert!(Place::try_out(folder.path()).is_err());
    }
}
