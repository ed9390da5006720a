//! A lane: the way of records to one destination, with a format, a bound, counters and a thread of its own.
//!
//! The shipper's thread owns the near end, a [`Feed`]. It encodes each record into the lane's batch and hands
//! full batches over. The lane's thread (`lane_writer`) owns the far end and the sink, which may block.
//!
//! Invariants: handing over never waits. Encoded bytes that wait are bounded: a batch is begun only below the
//! bound. Each record that a lane is offered is counted once, as written or as dropped. Commands come to the
//! lane's thread behind the records that were offered before them.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bothways_config::LogFormat;
use crossbeam_channel::{Receiver, Sender};

use super::complaint::Complaint;
use super::json;
use super::lane_writer::{Batch, BatchLimits, Entry, LaneWriter, Waiting};
use super::record::ConnectionRecord;
use super::room::Room;
use super::sink::OpenSink;
use crate::metrics::{DropReason, LaneCounters};

/// A lane that has not started.
#[derive(Debug)]
pub struct Lane {
    pub(super) format: LogFormat,
    pub(super) batch: BatchLimits,
    /// Encoded bytes that may wait while the sink takes others.
    pub(super) bound_bytes: usize,
    pub(super) counters: Arc<LaneCounters>,
    pub(super) sink: OpenSink,
}

impl Lane {
    /// A lane with the sizes that suit a file.
    pub fn new(format: LogFormat, sink: OpenSink, counters: Arc<LaneCounters>) -> Self {
        Self {
            format,
            batch: BatchLimits {
                records_max: 1_024,
                bytes_max: 1 << 20,
            },
            bound_bytes: 1 << 20,
            counters,
            sink,
        }
    }

    /// Starts the lane's thread. `room` gets a note whenever that thread takes a batch up.
    pub(super) fn start(self, room: Arc<Room>) -> io::Result<Feed> {
        let (entries, inbox) = crossbeam_channel::unbounded();
        let (used, spare) = crossbeam_channel::bounded(SPARE_BUFFERS_MAX);
        let waiting = Arc::<Waiting>::default();
        let writer = LaneWriter {
            inbox,
            limits: self.batch,
            used,
            waiting: waiting.clone(),
            room,
            sink: self.sink,
            counters: self.counters.clone(),
            complaint: Complaint::default(),
        };
        let thread = thread::Builder::new()
            .name("bothways-lane".to_owned())
            .spawn(move || writer.run())?;
        Ok(Feed {
            format: self.format,
            limits: self.batch,
            bound_bytes: self.bound_bytes.max(1),
            counters: self.counters,
            filling: Batch::default(),
            entries,
            spare,
            waiting,
            thread,
        })
    }
}

/// The near end of a lane that has started. Dropped, it lets the lane's thread write what waits and end.
pub(super) struct Feed {
    format: LogFormat,
    limits: BatchLimits,
    bound_bytes: usize,
    counters: Arc<LaneCounters>,
    /// The batch that takes records now.
    filling: Batch,
    entries: Sender<Entry>,
    /// Empty buffers for the next batches.
    spare: Receiver<Vec<u8>>,
    waiting: Arc<Waiting>,
    thread: JoinHandle<()>,
}

impl Feed {
    /// True if the next record finds a place: in the batch that was begun, or in a new one.
    pub(super) fn has_room(&self) -> bool {
        self.filling.records > 0 || self.waiting.bytes() < self.bound_bytes
    }

    /// Encodes the record into the batch, or drops and counts it.
    pub(super) fn take(&mut self, record: &ConnectionRecord) {
        if !self.has_room() {
            return self.counters.dropped.of(DropReason::QueueFull).add(1);
        }
        encode(self.format, record, &mut self.filling.lines);
        self.filling.records += 1;
        let BatchLimits {
            records_max,
            bytes_max,
        } = self.limits;
        if self.filling.records >= records_max || self.filling.lines.len() >= bytes_max {
            self.hand_over();
        }
    }

    /// Hands the batch over to the lane's thread, if there is something in it.
    pub(super) fn hand_over(&mut self) {
        if self.filling.records == 0 {
            return;
        }
        let lines = self.spare.try_recv().unwrap_or_default();
        let batch = std::mem::replace(&mut self.filling, Batch { lines, records: 0 });
        self.waiting.add(&batch);
        if let Err(refused) = self.entries.send(Entry::Batch(batch)) {
            // The lane's thread has panicked. Its records are lost, those of the other lanes are not.
            self.abandon(refused.into_inner());
        }
    }

    /// Passes a command on, behind the records that were taken before it. Where many commands wait already it
    /// is dropped, and with it its answer.
    pub(super) fn command(&self, command: Entry) {
        if self.waiting.admit_command(COMMANDS_MAX) {
            let _its_thread_has_panicked = self.entries.send(command);
        }
    }

    /// State that both ends share.
    pub(super) fn waiting(&self) -> Arc<Waiting> {
        self.waiting.clone()
    }

    /// Hands over what is left and lets the thread end when it has written all.
    pub(super) fn finish(mut self) -> JoinHandle<()> {
        self.hand_over();
        self.thread
    }

    fn abandon(&self, entry: Entry) {
        if let Entry::Batch(batch) = entry {
            self.waiting.remove(&batch);
            let lost = u64::try_from(batch.records).unwrap_or(u64::MAX);
            self.counters.dropped.of(DropReason::SinkError).add(lost);
        }
    }
}

fn encode(format: LogFormat, record: &ConnectionRecord, lines: &mut Vec<u8>) {
    match format {
        LogFormat::Json => json::encode(ConnectionRecord::FIELDS, record, lines),
    }
}

/// Buffers kept for reuse: one is filled while one is written.
const SPARE_BUFFERS_MAX: usize = 2;
/// Commands that wait for a sink that blocks.
const COMMANDS_MAX: usize = 8;

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
