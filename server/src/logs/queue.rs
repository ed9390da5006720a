//! The way off the cores: one bounded queue, into which sending never blocks.
//!
//! The shipper looks by itself every 100 ms, so that a core pays no system call for a record. It is woken
//! early only when a whole batch waits.

use std::sync::Arc;
use std::thread::Thread;

use crossbeam_channel::{Receiver, Sender, TrySendError};

use super::record::ConnectionRecord;
use crate::metrics::{DropReason, ProcessCounters, RecordDrops};

/// A core's end of the queue.
#[derive(Clone, Debug)]
pub struct RecordSender {
    records: Sender<Box<ConnectionRecord>>,
    counters: Arc<ProcessCounters>,
    shipper: Thread,
    /// Number of waiting records that are worth waking the shipper for.
    wake_at: usize,
}

impl RecordSender {
    /// Queues the record, or drops and counts it.
    pub fn send(&self, record: Box<ConnectionRecord>) {
        match self.records.try_send(record) {
            Ok(()) if self.records.len() >= self.wake_at => self.shipper.unpark(),
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.count_drop(DropReason::QueueFull),
            Err(TrySendError::Disconnected(_)) => self.count_drop(DropReason::SinkError),
        }
    }

    /// Counts records that will never be sent, because what would have sent them is gone.
    pub fn count_lost(&self, records: u64) {
        self.drops().of(DropReason::SinkError).add(records);
    }

    fn count_drop(&self, reason: DropReason) {
        self.drops().of(reason).add(1);
    }

    fn drops(&self) -> &RecordDrops {
        &self.counters.records.unshipped
    }
}

/// The two ends before the shipper's thread exists.
pub(super) struct Queue {
    records: Sender<Box<ConnectionRecord>>,
    wake_at: usize,
}

impl Queue {
    /// A queue for so many records, at least one.
    pub(super) fn new(records_max: usize) -> (Self, Receiver<Box<ConnectionRecord>>) {
        let records_max = records_max.max(1);
        let (records, waiting) = crossbeam_channel::bounded(records_max);
        let wake_at = BATCH_RECORDS_MAX.min(records_max.div_ceil(2));
        (Self { records, wake_at }, waiting)
    }

    pub(super) fn sender(self, shipper: Thread, counters: Arc<ProcessCounters>) -> RecordSender {
        RecordSender {
            records: self.records,
            counters,
            shipper,
            wake_at: self.wake_at,
        }
    }
}

/// Records that the shipper takes off the queue at a time.
pub(super) const BATCH_RECORDS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::ConnectionId;
    use crate::metrics::ConnectionStatus;

    fn record() -> Box<ConnectionRecord> {
        Box::new(ConnectionRecord::new(
            0,
            ConnectionId::from_bytes([0; 40]),
            ConnectionStatus::Success,
            ([127, 0, 0, 1], 1).into(),
            [127, 0, 0, 1].into(),
        ))
    }

    fn queue(
        records_max: usize,
    ) -> (
        RecordSender,
        Receiver<Box<ConnectionRecord>>,
        Arc<ProcessCounters>,
    ) {
        let counters = Arc::<ProcessCounters>::default();
        let (queue, waiting) = Queue::new(records_max);
        let sender = queue.sender(std::thread::current(), Arc::clone(&counters));
        (sender, waiting, counters)
    }

    #[test]
    fn a_record_that_finds_the_queue_full_is_dropped_and_counted() {
        let (sender, waiting, counters) = queue(2);
        (0..5).for_each(|_| sender.send(record()));
        assert_eq!(waiting.len(), 2);
        assert_eq!(counters.records.dropped(DropReason::QueueFull), 3);
        assert_eq!(counters.records.dropped(DropReason::SinkError), 0);
    }

    #[test]
    fn a_record_that_nobody_will_write_is_counted_too() {
        let (sender, waiting, counters) = queue(2);
        drop(waiting);
        sender.send(record());
        assert_eq!(counters.records.dropped(DropReason::SinkError), 1);
    }

    #[test]
    fn a_queue_of_none_still_holds_one() {
        let (sender, waiting, _) = queue(0);
        sender.send(record());
        assert_eq!(waiting.len(), 1);
    }

    #[test]
    fn records_can_be_sent_from_any_core() {
        fn assert_send<T: Send + 'static>() {}
        assert_send::<RecordSender>();
        assert_send::<Box<ConnectionRecord>>();
    }
}
