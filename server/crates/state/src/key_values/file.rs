//! The import file on disk: reading it, and replacing it so that a crash at any moment leaves the old one or
//! the new one.
//!
//! The new contents are written beside the file, flushed, and renamed over it; then the folder is flushed.
//! The name of that neighbour is always the same and a lock on it keeps out other processes; a lock ends with
//! its process, so that what a crash leaves behind is neither in the way nor ever read, and the next write
//! takes it over. Links are followed first: the file that they lead to is replaced. Access rights are kept;
//! access control lists are not. Blocks, so no core may call it.

use std::fmt;
use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::map::sha256;
use crate::files;

/// Digest of the contents of a file, by which the file is known again.
pub(super) type FileDigest = [u8; 32];

/// A file as it was read.
pub(super) struct Contents {
    pub bytes: Vec<u8>,
    pub digest: FileDigest,
    pub modified: SystemTime,
}

/// Reads `path`; one byte more than `bytes_max` is read of a file that has more.
pub(super) fn read(path: &Path, bytes_max: usize) -> io::Result<Contents> {
    let enough = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let (bytes, metadata) = files::read_beginning(path, enough)?;
    Ok(Contents {
        digest: sha256(&bytes),
        modified: metadata.modified()?,
        bytes,
    })
}

/// Puts `text` in the place of the file `path`, which must still be what `known` is the digest of. Done when
/// it is durable.
pub(super) fn replace(
    path: &Path,
    known: &FileDigest,
    bytes_max: usize,
    text: &[u8],
) -> Result<(), ReplaceError> {
    let fault = |doing: &'static str| move |error| ReplaceError::Io { doing, error };
    let target = fs::canonicalize(path).map_err(fault("find it"))?;
    let folder = target.parent().unwrap_or(Path::new("/"));
    let folder = files::open_folder(folder).map_err(fault("open its folder"))?;
    let draft = Draft::lock(&target)?;
    // Under the lock, so that no other process changes it after this look.
    let contents = read(&target, bytes_max).map_err(fault("read it"))?;
    if contents.digest != *known {
        return Err(ReplaceError::Changed);
    }
    draft
        .fill(text, &target)
        .map_err(fault("write the file beside it"))?;
    draft.rename_to(&target).map_err(fault("replace it"))?;
    folder.sync_all().map_err(fault("flush its folder"))
}

/// A file that was not replaced, or perhaps not durably.
#[derive(Debug)]
pub(super) enum ReplaceError {
    /// The file is another than it was.
    Changed,
    /// Another process is writing it.
    Busy,
    Io {
        doing: &'static str,
        error: io::Error,
    },
}

impl fmt::Display for ReplaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => f.write_str("it has been changed on disk since the server read it"),
            Self::Busy => f.write_str("another process is writing it"),
            Self::Io { doing, error } => write!(f, "cannot {doing}: {error}"),
        }
    }
}

/// The neighbour that becomes the file, locked.
struct Draft {
    file: File,
    path: PathBuf,
}

impl Draft {
    fn lock(target: &Path) -> Result<Self, ReplaceError> {
        let fault = |error| ReplaceError::Io {
            doing: "open the file beside it",
            error,
        };
        let path = draft_path(target);
        // Not truncated before it is ours.
        let file = files::open_draft(&path, 0o600).map_err(fault)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ReplaceError::Busy),
            Err(TryLockError::Error(error)) => return Err(fault(error)),
        }
        // Whoever had the lock before may have renamed what we hold open.
        let held = file.metadata().map_err(fault)?;
        match fs::symlink_metadata(&path) {
            Ok(named) if (named.dev(), named.ino()) == (held.dev(), held.ino()) => Ok(Self { file, path }),
            _ => Err(ReplaceError::Busy),
        }
    }

    /// Nobody gets to see the text who could not see that of `target`.
    fn fill(&self, text: &[u8], target: &Path) -> io::Result<()> {
        let fill = || {
            let old = fs::metadata(target)?;
            self.file.set_len(0)?;
            self.file.set_permissions(Permissions::from_mode(0o600))?;
            (&self.file).write_all(text)?;
            let mode = old.mode() & 0o7777;
            let mode = if self.take_owner_of(&old) {
                mode
            } else {
                mode & !0o070
            };
            self.file.set_permissions(Permissions::from_mode(mode))?;
            self.file.sync_all()
        };
        fill().inspect_err(|_| self.give_up())
    }

    /// Gives the draft to the owner of `old`. True if the group is right: where the process may not give
    /// files away, the group's rights would be another group's.
    fn take_owner_of(&self, old: &fs::Metadata) -> bool {
        let is_whole = fchown(&self.file, Some(old.uid()), Some(old.gid())).is_ok();
        is_whole || fchown(&self.file, None, Some(old.gid())).is_ok()
    }

    fn rename_to(&self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target).inspect_err(|_| self.give_up())
    }

    /// Removes the draft, so that a full disk has its room back.
    fn give_up(&self) {
        let _it_would_do_no_harm = fs::remove_file(&self.path);
    }
}

fn draft_path(target: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".bothways-draft");
    target.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const MAX: usize = 100;

    fn folder_with(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.json");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_with_its_mode_and_nothing_is_left_beside_it() {
        let (folder, path) = folder_with("old");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        replace(&path, &sha256(b"old"), MAX, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(names(folder.path()), ["store.json"]);
    }

    #[test]
    fn a_file_that_was_changed_or_is_gone_stays_as_it_is() {
        let (_folder, path) = folder_with("by hand");
        let refused = replace(&path, &sha256(b"old"), MAX, b"new");
        assert!(matches!(refused, Err(ReplaceError::Changed)), "{refused:?}");
        assert_eq!(fs::read(&path).unwrap(), b"by hand");
        fs::write(&path, "old".repeat(MAX)).unwrap();
        assert!(matches!(
            replace(&path, &sha256(b"old"), MAX, b"new"),
            Err(ReplaceError::Changed)
        ));
        fs::remove_file(&path).unwrap();
        assert!(matches!(
            replace(&path, &sha256(b"old"), MAX, b"new"),
            Err(ReplaceError::Io { .. })
        ));
        assert!(!path.exists());
    }

    #[test]
    fn a_link_stays_a_link_and_what_it_leads_to_is_replaced() {
        let (folder, path) = folder_with("old");
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("link.json");
        symlink(&path, &link).unwrap();
        replace(&link, &sha256(b"old"), MAX, b"new").unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), path);
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(
            (names(folder.path()), names(elsewhere.path())),
            (vec!["store.json".to_owned()], vec!["link.json".to_owned()])
        );
    }

    #[test]
    fn what_a_crash_left_behind_is_not_in_the_way() {
        let (folder, path) = folder_with("old");
        fs::write(draft_path(&path), "half of something longer").unwrap();
        replace(&path, &sha256(b"old"), MAX, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["store.json"]);
    }

    #[test]
    fn two_processes_never_write_at_once() {
        let (_folder, path) = folder_with("old");
        let other = Draft::lock(&path).unwrap();
        let refused = replace(&path, &sha256(b"old"), MAX, b"new");
        assert!(matches!(refused, Err(ReplaceError::Busy)), "{refused:?}");
        drop(other);
        replace(&path, &sha256(b"old"), MAX, b"new").unwrap();
    }

    #[test]
    fn a_neighbour_that_cannot_be_written_leaves_the_file_alone() {
        let (_folder, path) = folder_with("old");
        symlink("/dev/null", draft_path(&path)).unwrap();
        let refused = replace(&path, &sha256(b"old"), MAX, b"new");
        assert!(matches!(refused, Err(ReplaceError::Io { .. })), "{refused:?}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path(), MAX).is_err());
        assert!(read(&folder.path().join("absent"), MAX).is_err());
    }
}
