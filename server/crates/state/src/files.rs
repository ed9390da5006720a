//! The door to files that a configuration or a command names: opened without waiting, looked at, and read up
//! to a bound.
//!
//! A name may lead to anything: a FIFO that nobody writes to, a terminal, a device without end. `open(2)` of
//! a FIFO waits for the other side unless `O_NONBLOCK` is given, so it is always given, and only what was
//! opened is asked whether it is a regular file: a name can lead elsewhere between two looks. Every other
//! module opens files through this one (`scripts/tidy` sees to it).
//!
//! `O_NONBLOCK` does not help against a network file system that hangs: such a call stays in the kernel. So a
//! thread that must not vanish without a word registers a [`Progress`], in which another thread sees what it
//! is reading. Blocks as a disk does: no core may call it.

use std::cell::RefCell;
use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{error, fmt};

/// A file that was not read.
#[derive(Debug)]
pub enum ReadError {
    Io(io::Error),
    /// It leads to this instead.
    NotRegular(&'static str),
    TooLarge {
        bytes_max: u64,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NotRegular(kind) => write!(f, "it is {kind}, not a regular file"),
            Self::TooLarge { bytes_max } => write!(f, "it is larger than {bytes_max} bytes"),
        }
    }
}

impl error::Error for ReadError {}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => error,
            other => Self::new(io::ErrorKind::InvalidInput, other),
        }
    }
}

/// Reads the regular file `path`, of at most `bytes_max` bytes.
///
/// # Errors
/// It cannot be read, is something else, or is larger: then hardly anything of it was read.
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
    let (file, metadata) = open_regular(path)?;
    match metadata.len() > bytes_max {
        true => Err(ReadError::TooLarge { bytes_max }),
        false => read_bounded(&file, bytes_max),
    }
}

/// Calls `take` with the bytes of the regular file `path`, of at most `bytes_max` bytes, one piece after the
/// other. Holds one piece at a time, however large the file is.
///
/// # Errors
/// As [`read`]. `take` may have had a part of the file by then.
pub fn read_pieces(path: &Path, bytes_max: u64, take: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
    let (file, metadata) = open_regular(path)?;
    if metadata.len() > bytes_max {
        return Err(ReadError::TooLarge { bytes_max });
    }
    let mut file = file.take(bytes_max.saturating_add(1));
    let mut piece = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        let length = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        bytes += length as u64;
        take(piece.get(..length).unwrap_or_default());
    }
    match bytes <= bytes_max {
        true => Ok(()),
        false => Err(ReadError::TooLarge { bytes_max }),
    }
}

/// Reads the first `bytes` bytes of the regular file `path`, or all that it has.
pub fn read_beginning(path: &Path, bytes: u64) -> Result<(Vec<u8>, Metadata), ReadError> {
    let (file, metadata) = open_regular(path)?;
    let mut beginning = Vec::new();
    file.take(bytes).read_to_end(&mut beginning)?;
    Ok((beginning, metadata))
}

/// Reads a file as [`read`] does, and expects UTF-8.
pub fn read_text(path: &Path, bytes_max: u64) -> Result<String, ReadError> {
    into_text(read(path, bytes_max)?)
}

/// Reads what a person names on the command line, which may also be a pipe (`<(openssl …)`) or a terminal.
/// Waits as long as they do: for commands that run in the foreground, never for a server.
pub fn read_argument(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
    read_bounded(&File::open(path)?, bytes_max)
}

/// Reads a file as [`read_argument`] does, and expects UTF-8.
pub fn read_argument_text(path: &Path, bytes_max: u64) -> Result<String, ReadError> {
    into_text(read_argument(path, bytes_max)?)
}

/// Opens a folder, to lock it or to flush it.
pub fn open_folder(path: &Path) -> io::Result<File> {
    note(path);
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(libc::O_DIRECTORY | WITHOUT_WAITING);
    options.open(path)
}

/// Opens, or makes with `mode`, the regular file that a new version is drafted in. Somebody's link is not
/// followed. Not truncated: it may be another's.
pub fn open_draft(path: &Path, mode: u32) -> io::Result<File> {
    note(path);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(mode);
    let file = options
        .custom_flags(libc::O_NOFOLLOW | WITHOUT_WAITING)
        .open(path)?;
    regular(file.metadata()?.file_type())?;
    Ok(file)
}

/// Opens, or makes with `mode`, what lines are appended to: a regular file, or a FIFO that somebody reads, a
/// terminal or a character device, on which writes do not wait.
pub fn open_log(path: &Path, mode: u32) -> io::Result<File> {
    note(path);
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(mode);
    let file = options.custom_flags(WITHOUT_WAITING).open(path)?;
    match file.metadata()?.file_type() {
        kind if kind.is_file() || kind.is_fifo() || kind.is_char_device() => Ok(file),
        kind => Err(ReadError::NotRegular(name_of(kind)).into()),
    }
}

/// The file that is open there, opened once more to be read, wherever its name leads by now.
pub fn reopen_to_read(file: &File) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(WITHOUT_WAITING);
    options.open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn open_regular(path: &Path) -> Result<(File, Metadata), ReadError> {
    note(path);
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(WITHOUT_WAITING).open(path)?;
    let metadata = file.metadata()?;
    regular(metadata.file_type())?;
    Ok((file, metadata))
}

fn read_bounded(file: &File, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 <= bytes_max {
        true => Ok(bytes),
        // It has grown since its size was looked at, or has none to look at.
        false => Err(ReadError::TooLarge { bytes_max }),
    }
}

fn into_text(bytes: Vec<u8>) -> Result<String, ReadError> {
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
    String::from_utf8(bytes).map_err(not_text).map_err(ReadError::Io)
}

fn regular(kind: FileType) -> Result<(), ReadError> {
    match kind.is_file() {
        true => Ok(()),
        false => Err(ReadError::NotRegular(name_of(kind))),
    }
}

fn name_of(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() => "a character device",
        kind if kind.is_block_device() => "a block device",
        _ => "something else",
    }
}

/// The file that a thread opened last: shared with whoever watches that thread.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<Option<PathBuf>>>);

impl Progress {
    /// Shows here what this thread opens from now on.
    pub fn show_this_thread(&self) {
        SHOWN.with(|shown| *shown.borrow_mut() = Some(self.clone()));
    }

    /// The file opened last.
    pub fn last_opened(&self) -> Option<PathBuf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn note(path: &Path) {
    SHOWN.with(|shown| {
        if let Some(progress) = &*shown.borrow() {
            *progress.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(path.to_owned());
        }
    });
}

thread_local! {
    static SHOWN: RefCell<Option<Progress>> = const { RefCell::new(None) };
}

/// Piece of a file that is read in pieces. It stays in the cache of a CPU core.
const PIECE_BYTES: usize = 256 * 1024;
/// `O_NOCTTY`: a terminal that is opened does not become that of the process, whose end would then be sent to
/// it.
const WITHOUT_WAITING: i32 = libc::O_NONBLOCK | libc::O_NOCTTY;

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    fn folder_with_fifo() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        (folder, fifo)
    }

    #[test]
    fn what_is_no_regular_file_is_told_by_name_and_never_waited_for() {
        let (folder, fifo) = folder_with_fifo();
        let socket = folder.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        for (path, kind) in [
            (fifo.as_path(), "a FIFO"),
            (&link, "a FIFO"),
            (folder.path(), "a folder"),
            (Path::new("/dev/zero"), "a character device"),
            (Path::new("/dev/ptmx"), "a character device"),
        ] {
            let error = read(path, 100).unwrap_err();
            assert!(
                matches!(error, ReadError::NotRegular(found) if found == kind),
                "{path:?}: {error}"
            );
        }
        // open(2): ENXIO.
        assert!(matches!(read(&socket, 100), Err(ReadError::Io(_))));
    }

    #[test]
    fn a_fifo_is_refused_also_while_somebody_writes_to_it() {
        let (_folder, fifo) = folder_with_fifo();
        let mut options = OpenOptions::new();
        let mut writer = options.read(true).write(true).open(&fifo).unwrap();
        writer.write_all(b"text").unwrap();
        assert!(matches!(read(&fifo, 100), Err(ReadError::NotRegular("a FIFO"))));
        assert!(open_draft(&fifo, 0o600).is_err());
    }

    #[test]
    fn a_file_may_have_just_as_many_bytes_as_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert_eq!(read_text(&path, u64::MAX).unwrap(), "12345");
        let mut pieces = Vec::new();
        read_pieces(&path, 5, &mut |piece| pieces.extend_from_slice(piece)).unwrap();
        assert_eq!(pieces, b"12345");
        let refused = read_pieces(&path, 4, &mut |_| panic!("it is too large"));
        assert!(matches!(refused, Err(ReadError::TooLarge { bytes_max: 4 })));
        let error = read(&path, 4).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 4 bytes");
        // Sparse, so that reading it to the end would take a terabyte.
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        assert!(matches!(read(&path, 4096), Err(ReadError::TooLarge { .. })));
    }

    #[test]
    fn a_log_may_be_a_fifo_that_is_read_and_is_not_waited_for() {
        let (folder, fifo) = folder_with_fifo();
        let nobody_reads = open_log(&fifo, 0o640).unwrap_err();
        assert_eq!(nobody_reads.raw_os_error(), Some(libc::ENXIO));
        let mut options = OpenOptions::new();
        let _reader = options
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&fifo)
            .unwrap();
        let mut log = open_log(&fifo, 0o640).unwrap();
        let full = std::iter::repeat_with(|| log.write(&[b'x'; 4096])).find_map(Result::err);
        assert_eq!(full.unwrap().kind(), io::ErrorKind::WouldBlock);
        open_log(Path::new("/dev/null"), 0o640).unwrap();
        assert!(open_log(folder.path(), 0o640).is_err());
    }

    #[test]
    fn the_file_that_a_thread_reads_can_be_seen_from_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let progress = Progress::default();
        let (shown, absent) = (progress.clone(), path.clone());
        let reading = move || {
            shown.show_this_thread();
            read(&absent, 1).unwrap_err()
        };
        std::thread::spawn(reading).join().unwrap();
        assert_eq!(progress.last_opened(), Some(path));
    }
}
