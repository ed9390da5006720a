//! Places where lines end up: standard output, or what a path leads to. Lines are appended, and nothing is
//! ever truncated. `line_writer` keeps lines whole.
//!
//! A path may lead to a regular file, or to a FIFO, a terminal or a device: none of them is waited for when
//! it is opened. A FIFO that nobody reads is opened as soon as somebody does; until then records are dropped
//! and counted.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{error, fmt};

use bothways_state::files;

use super::line_writer::{Appended, LineWriter, count_lines};

/// Place for records, as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    Stdout,
    /// Created with mode 0640 if it is missing; its folder must exist.
    File(PathBuf),
}

impl Sink {
    /// Opened at start, so that a path that cannot be written is a configuration error and not a silent loss.
    pub fn open(self) -> Result<OpenSink, SinkError> {
        let output = match &self {
            Self::Stdout => io::stdout().as_fd().try_clone_to_owned().map(File::from),
            Self::File(path) => files::open_log(path, FILE_MODE),
        };
        let lines = match output {
            Ok(output) => Some(lines_on(output)),
            Err(error) if self.is_unread_fifo(&error) => {
                tracing::warn!(
                    sink = %self,
                    "nobody reads this FIFO: connection records are lost until somebody does"
                );
                None
            }
            Err(source) => return Err(SinkError { sink: self, source }),
        };
        Ok(OpenSink {
            failed: lines.is_none(),
            sink: self,
            lines,
        })
    }

    /// open(2): ENXIO, which a socket and a device without driver yield as well.
    fn is_unread_fifo(&self, error: &io::Error) -> bool {
        let Self::File(path) = self else { return false };
        error.raw_os_error() == Some(libc::ENXIO)
            && fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// A sink that could not be opened; the caller knows the configuration file's name and puts it in front.
#[derive(Debug)]
pub struct SinkError {
    pub sink: Sink,
    pub source: io::Error,
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sink, source } = self;
        write!(f, "logs.connection.sink: cannot append to {sink}: {source}; ")?;
        match source.kind() {
            io::ErrorKind::NotFound => f.write_str("create its folder first"),
            _ => f.write_str("choose a file that the server may write"),
        }
    }
}

impl error::Error for SinkError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Change that opening a path again has made.
pub(super) enum Reopened {
    /// It leads to what is open, or the sink has none.
    Unchanged,
    /// Number of records given up: one if a half-written line stays behind in the old file.
    Anew { given_up: u64 },
}

/// A sink that takes lines.
#[derive(Debug)]
pub struct OpenSink {
    sink: Sink,
    /// None of a FIFO that nobody has read yet.
    lines: Option<LineWriter<File>>,
    /// True if the last write failed; the next one begins by opening the file anew.
    failed: bool,
}

impl OpenSink {
    /// Appends whole lines, each a record.
    pub(super) fn append(&mut self, lines: &[u8]) -> Appended {
        // A path that cannot be opened leaves the old file, which may take bytes again.
        let reopened = match self.failed {
            true => self.reopen(),
            false => Ok(Reopened::Unchanged),
        };
        let Some(writer) = &mut self.lines else {
            return Appended {
                written: 0,
                dropped: count_lines(lines),
                error: reopened.err(),
            };
        };
        let mut appended = writer.append(lines);
        appended.dropped += match reopened {
            Ok(Reopened::Anew { given_up }) => given_up,
            Ok(Reopened::Unchanged) | Err(_) => 0,
        };
        self.failed = appended.error.is_some();
        appended
    }

    /// Opens the path again, so that a file renamed by rotation is let go. Without success the old file stays
    /// in use.
    pub(super) fn reopen(&mut self) -> io::Result<Reopened> {
        let Sink::File(path) = &self.sink else {
            return Ok(Reopened::Unchanged);
        };
        if self
            .lines
            .as_ref()
            .is_some_and(|lines| is_at(lines.output(), path))
        {
            return Ok(Reopened::Unchanged);
        }
        let fresh = lines_on(files::open_log(path, FILE_MODE)?);
        let given_up = self.lines.replace(fresh).map_or(0, |mut old| old.give_up());
        Ok(Reopened::Anew { given_up })
    }

    pub(super) fn has_torn_line(&self) -> bool {
        self.lines.as_ref().is_some_and(LineWriter::has_torn_line)
    }

    /// Gives up a half-written line, if there is one: the number of records lost by that.
    pub(super) fn give_up(&mut self) -> u64 {
        self.lines.as_mut().map_or(0, LineWriter::give_up)
    }
}

impl fmt::Display for OpenSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sink.fmt(f)
    }
}

fn lines_on(output: File) -> LineWriter<File> {
    LineWriter::new(output, PATIENCE)
}

/// True if the path still leads to the file that is open.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => open.dev() == there.dev() && open.ino() == there.ino(),
        _ => false,
    }
}

/// Readable to the log's group; narrowed further by the umask.
const FILE_MODE: u32 = 0o640;
/// Time for a pipe's reader to make room. Records wait in the queue meanwhile. Commands to the shipper wait,
/// too.
const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;
