//! The operator's messages on their way to standard error: a bounded queue and a thread that writes.
//!
//! Whoever has something to say must neither wait nor fail because of it: standard error may be a pipe that
//! nobody reads, one whose reader has gone, or a file on a full disk. So a message is put into a queue, and
//! this thread alone waits and sees errors. What finds no room, in number or in bytes, is dropped and
//! counted, and so is what cannot be written; how much was lost is told as soon as something can be written
//! again. At the end the queue is flushed for a bounded time.
//!
//! Invariants: a message is one line, whatever it contains; lines are never joined; [`Messages::push`] takes
//! no lock, does not wait and does not panic. Before the thread is started messages wait in the queue.

use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tracing_subscriber::fmt::MakeWriter;

use super::line_writer::{LineWriter, Output};
use super::throttle::Throttle;
use crate::metrics::{DropReason, MessageDrops};

/// The near end of the queue; clones lead into the same one.
#[derive(Clone, Debug)]
pub struct Messages {
    queue: Sender<Entry>,
    waiting: Arc<Waiting>,
}

/// State that both ends of the queue know.
#[derive(Debug, Default)]
struct Waiting {
    bytes: AtomicUsize,
    drops: Arc<MessageDrops>,
}

#[derive(Debug)]
enum Entry {
    Line(Box<[u8]>),
    /// Everything before it was written, or lost.
    Flush(Sender<()>),
}

/// The far end, before its thread runs.
#[derive(Debug)]
pub struct Unwritten {
    queue: Receiver<Entry>,
    waiting: Arc<Waiting>,
}

impl Messages {
    /// A queue that nobody empties yet.
    pub fn new() -> (Self, Unwritten) {
        let (sender, receiver) = bounded(QUEUE_MESSAGES_MAX);
        let waiting = Arc::<Waiting>::default();
        let messages = Self {
            queue: sender,
            waiting: waiting.clone(),
        };
        let unwritten = Unwritten {
            queue: receiver,
            waiting,
        };
        (messages, unwritten)
    }

    /// Counts of lost messages, by reason.
    pub fn drops(&self) -> Arc<MessageDrops> {
        self.waiting.drops.clone()
    }

    /// Queues a message, or drops and counts it.
    pub fn push(&self, message: &[u8]) {
        let line = one_line(message);
        let bytes = line.len();
        let has_room = self.waiting.bytes.fetch_add(bytes, Relaxed).saturating_add(bytes) <= QUEUE_BYTES_MAX;
        if !has_room || self.queue.try_send(Entry::Line(line)).is_err() {
            self.waiting.bytes.fetch_sub(bytes, Relaxed);
            self.waiting.drops.of(DropReason::QueueFull).add(1);
        }
    }

    /// Waits until all that was queued is written or lost; false when that takes longer than `limit`.
    pub fn flush(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let (done, flushed) = bounded(1);
        self.queue.send_deadline(Entry::Flush(done), deadline).is_ok()
            && flushed.recv_deadline(deadline).is_ok()
    }
}

impl<'a> MakeWriter<'a> for Messages {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// Each write is a message: the subscriber hands them over whole.
impl Write for &Messages {
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        self.push(message);
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Unwritten {
    /// Starts the thread that writes to standard error.
    ///
    /// # Errors
    /// There is no standard error, or no thread to be had.
    pub fn write_to_stderr(self) -> io::Result<()> {
        // A descriptor of its own: the lock of the standard library's stderr is nobody's to wait for.
        let stderr = std::fs::File::from(io::stderr().as_fd().try_clone_to_owned()?);
        thread::Builder::new()
            .name("messages".to_owned())
            .spawn(move || self.run(stderr))
            .map(drop)
    }

    fn run<W: Output>(self, output: W) {
        let mut lines = LineWriter::new(output, PATIENCE);
        let mut told = Told::default();
        loop {
            let entry = match told.are_all() {
                true => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => self.queue.recv_timeout(TELL_EVERY),
            };
            match entry {
                Ok(Entry::Line(line)) => {
                    self.waiting.bytes.fetch_sub(line.len(), Relaxed);
                    let appended = lines.append(&line);
                    self.waiting.drops.of(DropReason::SinkError).add(appended.dropped);
                }
                Ok(Entry::Flush(done)) => drop(done.try_send(())),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if let Some(lost) = told.next(self.waiting.drops.total(), Instant::now()) {
                let note = format!("{lost} messages were lost: standard error took none, or too few\n");
                let appended = lines.append(note.as_bytes());
                match appended.written > 0 {
                    true => told.tell(lost),
                    false => drop(appended),
                }
            }
        }
    }
}

/// Progress of telling how many messages were lost.
#[derive(Debug)]
struct Told {
    /// Messages lost since the start.
    lost: u64,
    /// Lost messages that a note has told of.
    told: u64,
    /// Limits the attempts: a note that cannot be written either is tried again later.
    attempts: Throttle,
}

impl Told {
    fn are_all(&self) -> bool {
        self.told == self.lost
    }

    /// Number of lost messages to tell of now, of `lost` in all.
    fn next(&mut self, lost: u64, now: Instant) -> Option<u64> {
        self.lost = lost;
        if self.are_all() {
            return None;
        }
        self.attempts.note(now).map(|_| self.lost - self.told)
    }

    fn tell(&mut self, lost: u64) {
        self.told += lost;
    }
}

impl Default for Told {
    fn default() -> Self {
        Self {
            lost: 0,
            told: 0,
            attempts: Throttle::every(TELL_EVERY),
        }
    }
}

/// The message with its line ends written as `\n`, except the last: no text from outside makes a line of its
/// own, and no message is torn.
fn one_line(message: &[u8]) -> Box<[u8]> {
    let text = message.strip_suffix(b"\n").unwrap_or(message);
    let (text, is_cut) = match text.get(..MESSAGE_BYTES_MAX) {
        Some(beginning) => (beginning, true),
        None => (text, false),
    };
    let mut line = Vec::with_capacity(text.len() + CUT.len() + 1);
    for (number, piece) in text.split(|byte| *byte == b'\n').enumerate() {
        if number > 0 {
            line.extend_from_slice(b"\\n");
        }
        line.extend_from_slice(piece);
    }
    if is_cut {
        line.extend_from_slice(CUT);
    }
    line.push(b'\n');
    line.into_boxed_slice()
}

/// Messages that wait: minutes of a busy server that says too much already.
const QUEUE_MESSAGES_MAX: usize = 8_192;
/// Their bytes.
const QUEUE_BYTES_MAX: usize = 4 << 20;
/// Length of one message, at most. The longest messages are backtraces.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

// However long its messages are, the queue holds more than a few.
const _: () = assert!(16 * MESSAGE_BYTES_MAX <= QUEUE_BYTES_MAX);

const CUT: &[u8] = " … (cut)".as_bytes();
/// Time for a standard error that does not itself block to make room.
const PATIENCE: Duration = Duration::from_secs(3);
const TELL_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
