//! Lines on an output that can fail between any two bytes, and that others may cut.
//!
//! A write that fails in the middle of a line leaves half of it behind. The other half is kept and goes first
//! when the output takes bytes again, so that a full disk costs whole lines. Where the file has been cut or
//! written to by somebody else meanwhile (logrotate's `copytruncate`, `> log`), the other half would stand
//! before a good line: it is given up, and writing begins at the start of a line. Taking the first half back
//! by truncation would make programs that follow the file read it again from its start.
//!
//! Invariant: each line is counted once, as written or as dropped.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::time::{Duration, Instant};

use bothways_state::files;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Output that lines are written to.
pub(super) trait Output: Write {
    /// The bytes in the regular file behind it; none of anything else.
    fn length(&self) -> Option<u64>;

    /// The last byte of that file, if there is one that can be read.
    fn last_byte(&self) -> Option<u8>;

    /// Waits until it may take bytes again; false when it does not in that time.
    fn await_room(&self, limit: Duration) -> bool;
}

/// Result for the lines of one append, and for the half-written line before them.
#[derive(Debug, Default)]
pub(super) struct Appended {
    pub written: u64,
    pub dropped: u64,
    pub error: Option<io::Error>,
}

/// Keeps lines whole.
#[derive(Debug)]
pub(super) struct LineWriter<W> {
    output: W,
    /// Length of the file when we had last written, if it is one.
    length: Option<u64>,
    first: First,
    patience: Duration,
}

/// Octets that have to go out before the next line.
#[derive(Debug, PartialEq, Eq)]
enum First {
    Nothing,
    /// The end of a line that belongs to nobody.
    LineEnd,
    /// The rest of a line whose beginning is in the output. It is not counted yet.
    Rest(Vec<u8>),
}

impl<W: Output> LineWriter<W> {
    /// `patience`: how long one append waits where `output` has no room and does not itself wait.
    pub(super) fn new(output: W, patience: Duration) -> Self {
        Self {
            output,
            length: None,
            first: First::Nothing,
            patience,
        }
    }

    pub(super) fn output(&self) -> &W {
        &self.output
    }

    /// Appends whole lines.
    pub(super) fn append(&mut self, lines: &[u8]) -> Appended {
        debug_assert!(lines.last().is_none_or(|byte| *byte == b'\n'), "whole lines");
        let deadline = Instant::now() + self.patience;
        let mut appended = Appended {
            dropped: self.find_the_line_start(),
            ..Appended::default()
        };
        let (finished, error) = self.write_first(deadline);
        appended.written = finished;
        appended.error = error;
        if appended.error.is_none() {
            self.write_lines(lines, deadline, &mut appended);
        } else {
            appended.dropped += count_lines(lines);
        }
        if self.reader_has_gone(appended.error.as_ref()) {
            appended.dropped += self.give_up();
            self.first = First::LineEnd;
        }
        appended
    }

    pub(super) fn has_torn_line(&self) -> bool {
        matches!(self.first, First::Rest(_))
    }

    /// Gives up a half-written line, if there is one: the number of lines lost by that.
    pub(super) fn give_up(&mut self) -> u64 {
        let lost = u64::from(self.has_torn_line());
        if lost > 0 {
            self.first = First::LineEnd;
        }
        lost
    }

    /// Looks whether the file is as we left it. Yields the lines lost because it is not.
    fn find_the_line_start(&mut self) -> u64 {
        let length = self.output.length();
        let left = std::mem::replace(&mut self.length, length);
        if length == left {
            return 0;
        }
        let is_torn = self.first != First::Nothing;
        let lost = self.give_up();
        let was_cut = length < left && left.is_some();
        let within_a_line = match self.output.last_byte() {
            Some(byte) => byte != b'\n',
            // Nothing is known of a file that cannot be read.
            None => length != Some(0) && (is_torn || was_cut),
        };
        self.first = match within_a_line {
            true => First::LineEnd,
            false => First::Nothing,
        };
        lost
    }

    fn write_first(&mut self, deadline: Instant) -> (u64, Option<io::Error>) {
        match std::mem::replace(&mut self.first, First::Nothing) {
            First::Nothing => (0, None),
            First::LineEnd => {
                let (done, error) = self.write(b"\n", deadline);
                if done == 0 {
                    self.first = First::LineEnd;
                }
                (0, error)
            }
            First::Rest(mut rest) => {
                let (done, error) = self.write(&rest, deadline);
                rest.drain(..done);
                match rest.is_empty() {
                    true => (1, error),
                    false => {
                        self.first = First::Rest(rest);
                        (0, error)
                    }
                }
            }
        }
    }

    fn write_lines(&mut self, lines: &[u8], deadline: Instant, appended: &mut Appended) {
        let (done, error) = self.write(lines, deadline);
        let (inside, outside) = lines.split_at(done);
        let is_torn = inside.last().is_some_and(|byte| *byte != b'\n');
        if is_torn {
            let rest = outside.split_inclusive(|byte| *byte == b'\n').next();
            self.first = First::Rest(rest.unwrap_or_default().to_vec());
        }
        appended.written += count_lines(inside);
        appended.dropped += count_lines(outside) - u64::from(is_torn);
        appended.error = error;
    }

    /// Writes as much as the output takes: how much that was, and why not all.
    fn write(&mut self, bytes: &[u8], deadline: Instant) -> (usize, Option<io::Error>) {
        let mut rest = bytes;
        let error = loop {
            if rest.is_empty() {
                break None;
            }
            match self.output.write(rest) {
                Ok(0) => break Some(io::ErrorKind::WriteZero.into()),
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() || !self.output.await_room(left) {
                        break Some(error);
                    }
                }
                Err(error) => break Some(error),
            }
        };
        let done = bytes.len() - rest.len();
        self.length = self.length.map(|length| length.saturating_add(done as u64));
        (done, error)
    }

    /// The next reader of a pipe has not seen the first half.
    fn reader_has_gone(&self, error: Option<&io::Error>) -> bool {
        self.has_torn_line() && error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl Output for File {
    fn length(&self) -> Option<u64> {
        let metadata = self.metadata().ok()?;
        metadata.is_file().then_some(metadata.len())
    }

    fn last_byte(&self) -> Option<u8> {
        if self.length()? == 0 {
            return None;
        }
        let mut file = files::reopen_to_read(self).ok()?;
        file.seek(SeekFrom::End(-1)).ok()?;
        let mut last = [0];
        file.read_exact(&mut last).ok()?;
        Some(u8::from_ne_bytes(last))
    }

    fn await_room(&self, limit: Duration) -> bool {
        let mut fds = [PollFd::new(self, PollFlags::OUT)];
        let limit = Timespec::try_from(limit).ok();
        // An error or a hang-up is for the next write to say.
        !matches!(poll(&mut fds, limit.as_ref()), Ok(0))
    }
}

pub(super) fn count_lines(lines: &[u8]) -> u64 {
    lines.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

#[cfg(test)]
#[path = "line_writer_tests.rs"]
mod tests;
