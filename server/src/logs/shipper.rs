//! Handles of the shipper: to start it, to reopen and flush its lanes, and to end it.
//!
//! The thread itself is in `shipping`. It offers each record to every lane.

use std::sync::Arc;
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};
use std::{error, fmt, io};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::lane::{Feed, Lane};
use super::lane_writer::Waiting;
use super::queue::{Queue, RecordSender};
use super::record::ConnectionRecord;
use super::room::Room;
use super::shipping::{Command, Shipping};
use crate::metrics::ProcessCounters;

/// The control side of the shipper's thread. Dropped without `stop`, it still lets the thread write all and
/// end.
#[derive(Debug)]
pub struct Shipper {
    commands: Sender<Command>,
    queue: Receiver<Box<ConnectionRecord>>,
    /// The same for each lane: records that were encoded and wait.
    lanes: Vec<Arc<Waiting>>,
    thread: JoinHandle<()>,
}

impl Shipper {
    /// Starts the thread and those of its lanes, of which there is at least one. Each core gets a clone of
    /// the sender; `queue_records_max` bounds the records that wait, for all of them.
    pub fn start(
        lanes: Vec<Lane>,
        queue_records_max: usize,
        counters: Arc<ProcessCounters>,
    ) -> io::Result<(RecordSender, Self)> {
        debug_assert!(!lanes.is_empty(), "nothing else takes records off the queue");
        let (queue, records) = Queue::new(queue_records_max);
        let (commands, inbox) = crossbeam_channel::bounded(COMMANDS_MAX);
        let room = Arc::<Room>::default();
        let feeds = lanes.into_iter().map(|lane| lane.start(room.clone()));
        let feeds: Vec<Feed> = feeds.collect::<io::Result<_>>()?;
        let waiting = feeds.iter().map(Feed::waiting).collect();
        let shipping = Shipping {
            records: records.clone(),
            commands: inbox,
            lanes: feeds,
            room,
        };
        let thread = thread::Builder::new()
            .name("bothways-logs".to_owned())
            .spawn(move || shipping.run())?;
        let sender = queue.sender(thread.thread().clone(), counters);
        let shipper = Self {
            commands,
            queue: records,
            lanes: waiting,
            thread,
        };
        Ok((sender, shipper))
    }

    /// Handle for other threads.
    pub fn remote(&self) -> ShipperRemote {
        ShipperRemote {
            commands: self.commands.clone(),
            lanes: self.lanes.len(),
            thread: self.thread.thread().clone(),
        }
    }

    /// Writes everything that waits and ends the thread. To be called when the cores have ended, so that
    /// nothing is sent after it.
    pub fn stop(self, limit: Duration) -> Result<(), StopError> {
        let Self {
            commands,
            queue,
            lanes,
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
                records_waiting: queue.len() + lanes.iter().map(|lane| lane.records()).sum::<usize>(),
            }),
            Err(RecvTimeoutError::Disconnected) => Err(StopError::Panicked),
        }
    }
}

/// Handle by which other threads ask the shipper for something.
#[derive(Clone, Debug)]
pub struct ShipperRemote {
    commands: Sender<Command>,
    /// Number of lanes, each of which answers.
    lanes: usize,
    thread: Thread,
}

impl ShipperRemote {
    /// Asks for the files to be opened anew, after rotation renamed them. Does not wait; where many requests
    /// already wait, one of them serves.
    pub fn reopen_soon(&self) {
        let _one_that_waits_serves = self.commands.try_send(Command::Reopen(None));
        self.thread.unpark();
    }

    /// Opens the files of all lanes anew. A sentence about what became of each.
    ///
    /// # Errors
    /// A file cannot be opened, and what is open stays in use. Or a lane has not answered in time, since its
    /// sink blocks.
    pub fn reopen(&self, limit: Duration) -> Result<String, String> {
        let Some(answers) = self.ask(|answer| Command::Reopen(Some(answer)), limit) else {
            return Err(
                "the log's sink blocks; it is opened anew when the write that goes on has ended".to_owned(),
            );
        };
        let is_done = answers.iter().all(Result::is_ok);
        let sentences: Vec<String> = answers
            .into_iter()
            .map(|said| said.unwrap_or_else(|why| why))
            .collect();
        let told = sentences.join("; ");
        if is_done { Ok(told) } else { Err(told) }
    }

    /// Waits until everything sent so far is written, or counted as lost; `false` if that took longer than
    /// the limit.
    pub fn flush(&self, limit: Duration) -> bool {
        self.ask(Command::Flush, limit).is_some()
    }

    /// Sends a command and waits for the answers of all lanes.
    fn ask<T>(&self, command: impl FnOnce(Sender<T>) -> Command, limit: Duration) -> Option<Vec<T>> {
        let deadline = Instant::now() + limit;
        let (answer, answered) = crossbeam_channel::bounded(self.lanes);
        let sent = self.commands.send_deadline(command(answer), deadline);
        self.thread.unpark();
        sent.ok()?;
        (0..self.lanes)
            .map(|_| answered.recv_deadline(deadline).ok())
            .collect()
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

/// Commands waiting; only SIGHUP, SIGTERM and tests send any.
const COMMANDS_MAX: usize = 8;

#[cfg(test)]
#[path = "shipper_tests.rs"]
mod tests;
