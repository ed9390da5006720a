//! The far end of a lane: the thread that writes its batches to its sink, and obeys its commands.
//!
//! A sink that blocks holds up this thread alone. What has come meanwhile is written together: a sink that is
//! waited for is waited for once, however many small batches there are.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use tracing::{info, warn};

use super::complaint::Complaint;
use super::room::Room;
use super::sink::{OpenSink, Reopened};
use crate::metrics::{DropReason, LaneCounters};

/// Sentence about what became of opening a sink anew.
pub(super) type ReopenAnswer = Result<String, String>;

/// Encoded records on their way to the sink.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub lines: Vec<u8>,
    pub records: usize,
}

/// Size at which a batch is handed over. Smaller ones are handed over at the end of the shipper's turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchLimits {
    pub records_max: usize,
    /// Bounds memory where names of clients are long.
    pub bytes_max: usize,
}

/// Message to the lane's thread.
#[derive(Debug)]
pub(super) enum Entry {
    Batch(Batch),
    /// Opens the sink's path anew, after rotation renamed its file.
    Reopen(Option<Sender<ReopenAnswer>>),
    /// Answers when everything before it was written, or counted as lost.
    Flush(Sender<()>),
}

/// Numbers of what waits between the two ends. The near end adds, the far end removes.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    bytes: AtomicUsize,
    records: AtomicUsize,
    commands: AtomicUsize,
}

impl Waiting {
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    pub(super) fn records(&self) -> usize {
        self.records.load(Relaxed)
    }

    pub(super) fn add(&self, batch: &Batch) {
        self.bytes.fetch_add(batch.lines.len(), Relaxed);
        self.records.fetch_add(batch.records, Relaxed);
    }

    pub(super) fn remove(&self, batch: &Batch) {
        self.bytes.fetch_sub(batch.lines.len(), Relaxed);
        self.records.fetch_sub(batch.records, Relaxed);
    }

    /// Counts a command in, unless `max` wait already. Only the near end calls this.
    pub(super) fn admit_command(&self, max: usize) -> bool {
        let has_room = self.commands.load(Relaxed) < max;
        if has_room {
            self.commands.fetch_add(1, Relaxed);
        }
        has_room
    }

    fn remove_command(&self) {
        self.commands.fetch_sub(1, Relaxed);
    }
}

/// State that the lane's thread owns.
pub(super) struct LaneWriter {
    pub inbox: Receiver<Entry>,
    /// Size of what is written together.
    pub limits: BatchLimits,
    /// Takes emptied buffers back to the near end.
    pub used: Sender<Vec<u8>>,
    pub waiting: Arc<Waiting>,
    pub room: Arc<Room>,
    pub sink: OpenSink,
    pub counters: Arc<LaneCounters>,
    pub complaint: Complaint,
}

impl LaneWriter {
    /// Works until the near end is gone and everything that it had handed over is written or lost.
    pub(super) fn run(mut self) {
        let mut next = None;
        while let Some(entry) = next.take().or_else(|| self.inbox.recv().ok()) {
            match entry {
                Entry::Batch(batch) => next = self.ship(batch),
                Entry::Reopen(answer) => {
                    self.waiting.remove_command();
                    let reopened = self.reopen();
                    let _nobody_may_wait = answer.map(|answer| answer.try_send(reopened));
                }
                Entry::Flush(done) => {
                    self.waiting.remove_command();
                    let _ = done.try_send(());
                }
            }
        }
        self.end();
    }

    /// Writes the batch, with those that wait behind it. Gives the command that comes next, if one was found.
    fn ship(&mut self, mut batch: Batch) -> Option<Entry> {
        self.waiting.remove(&batch);
        let next = self.join(&mut batch);
        self.room.note();
        self.write(&batch.lines);
        self.give_back(batch);
        next
    }

    /// Adds batches that wait to this one, until it is full, a command comes or no more wait.
    fn join(&self, batch: &mut Batch) -> Option<Entry> {
        while batch.records < self.limits.records_max && batch.lines.len() < self.limits.bytes_max {
            match self.inbox.try_recv().ok()? {
                Entry::Batch(further) => {
                    self.waiting.remove(&further);
                    batch.lines.extend_from_slice(&further.lines);
                    batch.records += further.records;
                    self.give_back(further);
                }
                command => return Some(command),
            }
        }
        None
    }

    fn give_back(&self, mut written: Batch) {
        written.lines.clear();
        let _there_are_enough = self.used.try_send(written.lines);
    }

    /// Tries once more to finish a half-written line, then gives it up.
    fn end(&mut self) {
        if self.sink.has_torn_line() {
            self.write(&[]);
        }
        let given_up = self.sink.give_up();
        self.count(0, given_up);
    }

    fn write(&mut self, lines: &[u8]) {
        let appended = self.sink.append(lines);
        self.count(appended.written, appended.dropped);
        match appended.error {
            Some(error) => self.complain(appended.dropped, &error),
            None => self.settle(appended.dropped),
        }
    }

    fn reopen(&mut self) -> ReopenAnswer {
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
                warn!(
                    sink = %self.sink,
                    %error,
                    "connection log not reopened; the file that is open stays in use"
                );
                Err(format!(
                    "{}: cannot be opened: {error}; the file that is open stays in use",
                    self.sink
                ))
            }
        }
    }

    fn count(&self, written: u64, dropped: u64) {
        self.counters.written.add(written);
        self.counters.dropped.of(DropReason::SinkError).add(dropped);
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

#[cfg(test)]
#[path = "lane_writer_tests.rs"]
mod tests;
