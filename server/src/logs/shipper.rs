//! The thread that takes records off the queue and writes them, in batches.
//!
//! It sleeps until 100 ms have passed, a batch waits or a command comes. A sink that blocks holds up this
//! thread alone: the queue fills and the cores count what they drop. What was sent before a command is
//! written before it is obeyed.

use std::sync::Arc;
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};
use std::{error, fmt, io};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use tracing::{info, warn};

use super::complaint::Complaint;
use super::queue::{BATCH_RECORDS_MAX, Queue};
use super::sink::Reopened;
use super::{ConnectionRecord, OpenSink, RecordSender, json};
use crate::metrics::{DropReason, ProcessCounters};

/// The control side of the shipper's thread. Dropped without `stop`, it still lets the thread write all and
/// end.
#[derive(Debug)]
pub struct Shipper {
    commands: Sender<Command>,
    waiting: Receiver<Box<ConnectionRecord>>,
    thread: JoinHandle<()>,
}

impl Shipper {
    /// Starts the thread. Each core gets a clone of the sender; `queue_records_max` bounds what waits, for
    /// all of them.
    pub fn start(
        sink: OpenSink,
        queue_records_max: usize,
        counters: Arc<ProcessCounters>,
    ) -> io::Result<(RecordSender, Self)> {
        let (queue, waiting) = Queue::new(queue_records_max);
        let (commands, inbox) = crossbeam_channel::bounded(COMMANDS_MAX);
        let shipping = Shipping {
            records: waiting.clone(),
            commands: inbox,
            sink,
            counters: Arc::clone(&counters),
            lines: Vec::new(),
            complaint: Complaint::default(),
        };
        let thread = thread::Builder::new()
            .name("bothways-logs".to_owned())
            .spawn(move || shipping.run())?;
        let sender = queue.sender(thread.thread().clone(), counters);
        let shipper = Self {
            commands,
            waiting,
            thread,
        };
        Ok((sender, shipper))
    }

    /// Handle for other threads.
    pub fn remote(&self) -> ShipperRemote {
        ShipperRemote {
            commands: self.commands.clone(),
            thread: self.thread.thread().clone(),
        }
    }

    /// Asks for the file to be opened anew, after rotation renamed it. Does not wait; where many requests
    /// already wait, one of them serves.
    pub fn reopen(&self) {
        let _ = self.commands.try_send(Command::Reopen(None));
        self.thread.thread().unpark();
    }

    /// Writes everything that waits and ends the thread. To be called when the cores have ended, so that
    /// nothing is sent after it.
    pub fn stop(self, limit: Duration) -> Result<(), StopError> {
        let Self {
            commands,
            waiting,
            thread,
        } = self;
        let (done, stopped) = crossbeam_channel::bounded(1);
        let sent = commands.send_timeout(Command::Stop(done), limit);
        thread.thread().unpark();
        let outcome = match sent {
            Ok(()) => stopped.recv_timeout(limit),
            Err(_) if thread.is_finished() => Err(RecvTimeoutError::Disconnected),
            Err(_) => Err(RecvTimeoutError::Timeout),
        };
        match outcome {
            Ok(()) => thread.join().map_err(|_| StopError::Panicked),
            Err(RecvTimeoutError::Timeout) => Err(StopError::TimedOut {
                records_waiting: waiting.len(),
            }),
            Err(RecvTimeoutError::Disconnected) => Err(StopError::Panicked),
        }
    }
}

/// Handle by which other threads ask the shipper for something.
#[derive(Clone, Debug)]
pub struct ShipperRemote {
    commands: Sender<Command>,
    thread: Thread,
}

impl ShipperRemote {
    /// Opens the file anew. A sentence about what became of it.
    ///
    /// # Errors
    /// It cannot be opened, and what is open stays in use; or the shipper has not answered in time, since the
    /// sink blocks.
    pub fn reopen(&self, limit: Duration) -> Result<String, String> {
        let stuck =
            || "the log's sink blocks; it is opened anew when the write that goes on has ended".to_owned();
        let reopened = self.ask(Command::Reopen, limit, Some);
        reopened.unwrap_or_else(|| Err(stuck()))
    }

    /// Waits until everything sent so far is written, or counted as lost; `false` if that took longer than
    /// the limit.
    pub fn flush(&self, limit: Duration) -> bool {
        self.ask(Command::Flush, limit, |done| done).is_some()
    }

    fn ask<T, D>(
        &self,
        command: impl FnOnce(D) -> Command,
        limit: Duration,
        answer: impl FnOnce(Sender<T>) -> D,
    ) -> Option<T> {
        let deadline = Instant::now() + limit;
        let (done, answered) = crossbeam_channel::bounded(1);
        let sent = self.commands.send_deadline(command(answer(done)), deadline);
        self.thread.unpark();
        sent.ok().and_then(|()| answered.recv_deadline(deadline).ok())
    }
}

/// Records may have been lost at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopError {
    /// The sink blocks; so many records were not written.
    TimedOut { records_waiting: usize },
    /// A bug in the shipper.
    Panicked,
}

impl fmt::Display for StopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut { records_waiting } => write!(
                f,
                "the connection log blocks; {records_waiting} records and the batch being written are lost"
            ),
            Self::Panicked => f.write_str("the log shipper had panicked; its records are lost"),
        }
    }
}

impl error::Error for StopError {}

#[derive(Debug)]
enum Command {
    Reopen(Option<Sender<Result<String, String>>>),
    Flush(Sender<()>),
    Stop(Sender<()>),
}

/// What the thread owns.
struct Shipping {
    records: Receiver<Box<ConnectionRecord>>,
    commands: Receiver<Command>,
    sink: OpenSink,
    counters: Arc<ProcessCounters>,
    /// The batch, reused.
    lines: Vec<u8>,
    complaint: Complaint,
}

impl Shipping {
    fn run(mut self) {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Reopen(done)) => {
                    self.ship_waiting();
                    let reopened = self.reopen();
                    let _nobody_may_wait = done.map(|done| done.try_send(reopened));
                }
                Ok(Command::Flush(done)) => {
                    self.ship_waiting();
                    let _ = done.try_send(());
                }
                Ok(Command::Stop(done)) => {
                    self.ship_all();
                    let _ = done.try_send(());
                    return;
                }
                Err(TryRecvError::Disconnected) => return self.ship_all(),
                Err(TryRecvError::Empty) => {
                    if self.ship_batch() < BATCH_RECORDS_MAX && self.commands.is_empty() {
                        thread::park_timeout(BATCH_INTERVAL);
                    }
                }
            }
        }
    }

    /// Ships what waits now. Bounded, however fast the cores send.
    fn ship_waiting(&mut self) {
        let mut left = self.records.len();
        while left > 0 {
            match self.ship_batch() {
                0 => break,
                shipped => left = left.saturating_sub(shipped),
            }
        }
    }

    fn ship_all(&mut self) {
        while self.ship_batch() > 0 {}
        if self.sink.has_torn_line() {
            self.write_batch();
        }
        let given_up = self.sink.give_up();
        self.count(0, given_up);
    }

    /// Encodes and writes one batch; the number of records in it.
    fn ship_batch(&mut self) -> usize {
        let mut records = 0;
        while records < BATCH_RECORDS_MAX && self.lines.len() < BATCH_BYTES {
            let Ok(record) = self.records.try_recv() else {
                break;
            };
            json::encode(ConnectionRecord::FIELDS, &*record, &mut self.lines);
            records += 1;
        }
        if records > 0 {
            self.write_batch();
        }
        records
    }

    fn write_batch(&mut self) {
        let appended = self.sink.append(&self.lines);
        self.lines.clear();
        self.count(appended.written, appended.dropped);
        match appended.error {
            Some(error) => self.complain(appended.dropped, &error),
            None => self.settle(appended.dropped),
        }
    }

    fn reopen(&mut self) -> Result<String, String> {
        match self.sink.reopen() {
            Ok(Reopened::Unchanged) => Ok(format!(
                "{}: nothing to open anew, it leads to what is open already",
                self.sink
            )),
            Ok(Reopened::Anew { given_up }) => {
                self.count(0, given_up);
                info!(sink = %self.sink, "connection log reopened");
                Ok(format!("{}: reopened", self.sink))
            }
            Err(error) => {
                warn!(sink = %self.sink, %error, "connection log not reopened; the file that is open stays in use");
                Err(format!(
                    "{}: cannot be opened: {error}; the file that is open stays in use",
                    self.sink
                ))
            }
        }
    }

    fn count(&self, written: u64, dropped: u64) {
        self.counters.records_written.add(written);
        self.counters
            .records_dropped
            .of(DropReason::SinkError)
            .add(dropped);
    }

    fn complain(&mut self, dropped: u64, error: &io::Error) {
        if let Some(dropped) = self.complaint.add(dropped, Instant::now()) {
            warn!(sink = %self.sink, %error, dropped, "connection records are being lost");
        }
    }

    /// `given_up`: the half-written record that could not be finished, if there was one.
    fn settle(&mut self, given_up: u64) {
        if let Some(dropped) = self.complaint.settle() {
            let dropped = dropped + given_up;
            info!(sink = %self.sink, dropped, "connection records are written again");
        }
    }
}

/// A record waits at most so long for its batch, while the sink does not block.
const BATCH_INTERVAL: Duration = Duration::from_millis(100);
/// A batch of this size takes no further record; bounds memory where clients' names are long.
const BATCH_BYTES: usize = 1 << 20;
/// Commands waiting; only SIGHUP, SIGTERM and tests send any.
const COMMANDS_MAX: usize = 8;

#[cfg(test)]
#[path = "shipper_tests.rs"]
mod tests;
