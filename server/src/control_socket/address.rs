//! The socket's file: made with mode 0600 from its first moment, in the place of one whose server is dead,
//! removed at the end.
//!
//! It is made under another name and renamed when all is well, so that whoever finds it can use it. A lock on
//! the folder keeps two servers that start at once apart.

use std::fs::{self, File, Metadata, Permissions, TryLockError};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::{error, fmt};

use bothways_state::files;
use socket2::{Domain, SockAddr, Socket, Type};

/// A listening socket and its file.
#[derive(Debug)]
pub(super) struct Claimed {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode: the file is ours for so long as it has them.
    identity: (u64, u64),
}

impl Claimed {
    pub(super) fn claim(path: &Path) -> Result<Self, ClaimError> {
        let fault = |doing: &'static str| move |error| ClaimError::Io { doing, error };
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let folder = files::open_folder(folder).map_err(fault("open its folder"))?;
        match folder.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ClaimError::Starting),
            Err(TryLockError::Error(error)) => return Err(fault("lock its folder")(error)),
        }
        check_free(path)?;
        let draft = draft_path(path);
        let claimed = listen(&draft).and_then(|listener| {
            fs::rename(&draft, path)?;
            let identity = identity(&fs::symlink_metadata(path)?);
            Ok(Self {
                listener,
                path: path.to_owned(),
                identity,
            })
        });
        claimed.map_err(fault("make it"))
    }

    pub(super) fn listener(&self) -> &UnixListener {
        &self.listener
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for Claimed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == self.identity);
        if is_ours {
            let _the_next_server_replaces_it = fs::remove_file(&self.path);
        }
    }
}

/// Reason why the socket cannot be had.
#[derive(Debug)]
pub enum ClaimError {
    /// A server answers there.
    Taken,
    /// Another server starts in the same folder at this moment.
    Starting,
    /// A file that is no socket lies there. It is left alone.
    NoSocket,
    Io {
        doing: &'static str,
        error: io::Error,
    },
}

impl ClaimError {
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Taken => "stop that server first, or name another socket",
            Self::Starting => "try again",
            Self::NoSocket => "move that file away, or name another socket",
            Self::Io { .. } => "name a path in a folder that exists and that the server may write",
        }
    }
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken => f.write_str("another server has this socket"),
            Self::Starting => f.write_str("another server is about to make a socket in this folder"),
            Self::NoSocket => f.write_str("there is a file of this name that is no socket"),
            Self::Io { doing, error } => write!(f, "cannot {doing}: {error}"),
        }
    }
}

impl error::Error for ClaimError {}

/// A name is free if nothing has it, or a socket at which nobody listens.
fn check_free(path: &Path) -> Result<(), ClaimError> {
    let fault = |doing: &'static str| move |error| ClaimError::Io { doing, error };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fault("look at it")(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(ClaimError::NoSocket),
        Ok(_) => {}
    }
    match knock(path) {
        Ok(()) => Err(ClaimError::Taken),
        // Its queue is full.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(ClaimError::Taken),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(fault("see whether a server has it")(error)),
    }
}

fn knock(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

fn listen(draft: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux gives the file the mode that the socket has (less the umask).
    let only_mine = Permissions::from_mode(0o600);
    let file = File::from(OwnedFd::from(socket));
    file.set_permissions(only_mine.clone())?;
    let socket = Socket::from(OwnedFd::from(file));
    socket.bind(&SockAddr::unix(draft)?)?;
    fs::set_permissions(draft, only_mine)?;
    socket.listen(BACKLOG)?;
    Ok(UnixListener::from(OwnedFd::from(socket)))
}

/// Always the same, so that a crash leaves one behind at most; the folder's lock makes it ours.
fn draft_path(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Commands that wait for a thread.
const BACKLOG: i32 = 64;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        (folder, path)
    }

    #[test]
    fn only_the_owner_may_use_it_and_nothing_is_left_at_the_end() {
        let (folder, path) = folder();
        let claimed = Claimed::claim(&path).unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o7777, 0o600);
        UnixStream::connect(&path).unwrap();
        drop(claimed);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_live_socket_is_left_alone_and_a_dead_one_replaced() {
        let (_folder, path) = folder();
        let first = Claimed::claim(&path).unwrap();
        assert!(matches!(Claimed::claim(&path), Err(ClaimError::Taken)));
        UnixStream::connect(&path).unwrap();
        // As a killed process leaves it: nobody listens, the file is there.
        let dead = path.with_file_name("dead.sock");
        fs::rename(&path, &dead).unwrap();
        drop(first);
        let second = Claimed::claim(&dead).unwrap();
        UnixStream::connect(&dead).unwrap();
        drop(second);
        assert!(!dead.exists());
    }

    #[test]
    fn a_socket_that_is_anothers_by_now_is_not_removed() {
        let (_folder, path) = folder();
        let first = Claimed::claim(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let second = Claimed::claim(&path).unwrap();
        drop(first);
        UnixStream::connect(&path).unwrap();
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_socket_is_not_replaced() {
        let (_folder, path) = folder();
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Claimed::claim(&path), Err(ClaimError::NoSocket)));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        let absent = path.with_file_name("absent").join("control.sock");
        assert!(matches!(Claimed::claim(&absent), Err(ClaimError::Io { .. })));
    }

    #[test]
    fn two_servers_that_start_at_once_do_not_meet() {
        let (folder, path) = folder();
        let starting = File::open(folder.path()).unwrap();
        starting.lock().unwrap();
        assert!(matches!(Claimed::claim(&path), Err(ClaimError::Starting)));
        drop(starting);
        Claimed::claim(&path).unwrap();
    }
}
