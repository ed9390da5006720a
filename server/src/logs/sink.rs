//! Where lines end up: standard output or a file, appended to and never truncated.
//!
//! A write that fails in the middle of a line leaves half of it behind. The other half is kept and goes first when the
//! sink takes bytes again, so that a full disk costs whole records and the file stays one JSON object a line. Taking the
//! half back by truncation would make programs that follow the file read it again from its start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::{error, fmt};

/// Where records are to go.
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
            Self::File(path) => open_for_append(path),
        };
        match output {
            Ok(output) => Ok(OpenSink {
                sink: self,
                lines: LineWriter::new(output),
                failed: false,
            }),
            Err(source) => Err(SinkError { sink: self, source }),
        }
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

/// A sink that takes lines.
#[derive(Debug)]
pub struct OpenSink {
    sink: Sink,
    lines: LineWriter<File>,
    /// Whether the last write failed; the next one begins by opening the file anew.
    failed: bool,
}

impl OpenSink {
    /// Appends whole lines, each a record.
    pub(super) fn append(&mut self, lines: &[u8]) -> Appended {
        // A path that cannot be opened leaves the old file, which may take bytes again.
        let given_up = match self.failed {
            true => self.reopen().unwrap_or(0),
            false => 0,
        };
        let mut appended = self.lines.append(lines);
        appended.dropped += given_up;
        self.failed = appended.error.is_some();
        appended
    }

    /// Opens the path again, so that a file renamed by rotation is let go. Yields the records given up by that: one if a
    /// half-written line stays behind in the old file. Without success the old file stays in use.
    pub(super) fn reopen(&mut self) -> io::Result<u64> {
        let Sink::File(path) = &self.sink else {
            return Ok(0);
        };
        if is_at(&self.lines.output, path) {
            return Ok(0);
        }
        let fresh = LineWriter::new(open_for_append(path)?);
        Ok(std::mem::replace(&mut self.lines, fresh).give_up())
    }

    pub(super) fn has_torn_line(&self) -> bool {
        !self.lines.rest.is_empty()
    }

    /// Gives up a half-written line, if there is one: the number of records lost by that.
    pub(super) fn give_up(&mut self) -> u64 {
        self.lines.give_up()
    }
}

impl fmt::Display for OpenSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sink.fmt(f)
    }
}

/// What became of the records of one append, and of the half-written one before it.
#[derive(Debug, Default)]
pub(super) struct Appended {
    pub written: u64,
    pub dropped: u64,
    pub error: Option<io::Error>,
}

/// Keeps lines whole on an output that can fail between any two bytes.
#[derive(Debug)]
struct LineWriter<W> {
    output: W,
    /// The rest of a line whose beginning is in the output. Its record is not counted yet.
    rest: Vec<u8>,
}

impl<W: Write> LineWriter<W> {
    fn new(output: W) -> Self {
        Self {
            output,
            rest: Vec::new(),
        }
    }

    fn append(&mut self, lines: &[u8]) -> Appended {
        debug_assert!(lines.last().is_none_or(|byte| *byte == b'\n'), "whole lines");
        let (done, error) = write_counting(&mut self.output, &self.rest);
        let finished = u64::from(!self.rest.is_empty() && error.is_none());
        self.rest.drain(..done);
        if error.is_some() {
            return Appended {
                written: 0,
                dropped: count_lines(lines),
                error,
            };
        }
        let (done, error) = write_counting(&mut self.output, lines);
        let (inside, outside) = lines.split_at(done);
        let torn = inside.last().is_some_and(|byte| *byte != b'\n');
        if torn {
            self.rest
                .extend(outside.split_inclusive(|byte| *byte == b'\n').take(1).flatten());
        }
        Appended {
            written: finished + count_lines(inside),
            dropped: count_lines(outside) - u64::from(torn),
            error,
        }
    }

    fn give_up(&mut self) -> u64 {
        let lost = u64::from(!self.rest.is_empty());
        self.rest.clear();
        lost
    }
}

/// Writes as much as the output takes: how much that was, and why not all.
fn write_counting(output: &mut impl Write, bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut rest = bytes;
    loop {
        if rest.is_empty() {
            return (bytes.len(), None);
        }
        let error = match output.write(rest) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(n) => {
                rest = rest.get(n..).unwrap_or_default();
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => error,
        };
        return (bytes.len() - rest.len(), Some(error));
    }
}

fn open_for_append(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(FILE_MODE)
        .open(path)?;
    if ends_within_a_line(path) {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Whether a server that was killed while it wrote left half a line. A file that cannot be read is taken to be whole.
fn ends_within_a_line(path: &Path) -> bool {
    let last_byte = || {
        if !fs::metadata(path)?.is_file() {
            return Ok(b'\n');
        }
        let mut file = File::open(path)?;
        if file.seek(SeekFrom::End(0))? == 0 {
            return Ok(b'\n');
        }
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        io::Result::Ok(u8::from_ne_bytes(last))
    };
    last_byte().is_ok_and(|byte| byte != b'\n')
}

/// Whether the path still leads to the file that is open.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => open.dev() == there.dev() && open.ino() == there.ino(),
        _ => false,
    }
}

fn count_lines(lines: &[u8]) -> u64 {
    lines.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

/// Readable to the log's group; narrowed further by the umask.
const FILE_MODE: u32 = 0o640;

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;
