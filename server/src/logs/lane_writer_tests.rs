#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::logs::Sink;
use crate::metrics::ProcessCounters;

/// A writer on the thread of the test.
struct Bench {
    folder: TempDir,
    entries: Sender<Entry>,
    waiting: Arc<Waiting>,
    spare: Receiver<Vec<u8>>,
    writer: LaneWriter,
}

impl Bench {
    fn new(records_max: usize, bytes_max: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (entries, inbox) = crossbeam_channel::unbounded();
        let (used, spare) = crossbeam_channel::bounded(2);
        let waiting = Arc::<Waiting>::default();
        let writer = LaneWriter {
            inbox,
            limits: BatchLimits {
                records_max,
                bytes_max,
            },
            used,
            waiting: waiting.clone(),
            room: Arc::default(),
            sink: Sink::File(log_in(folder.path())).open().unwrap(),
            counters: ProcessCounters::default().records.lane(),
            complaint: Complaint::default(),
        };
        Self {
            folder,
            entries,
            waiting,
            spare,
            writer,
        }
    }

    /// Sends a batch of one record.
    fn offer(&self, line: &str) {
        let lines = format!("{line}\n").into_bytes();
        let batch = Batch { lines, records: 1 };
        self.waiting.add(&batch);
        self.entries.send(Entry::Batch(batch)).unwrap();
    }

    fn flush(&self) {
        self.entries
            .send(Entry::Flush(crossbeam_channel::bounded(1).0))
            .unwrap();
    }

    /// Ships the batch that comes next.
    fn ship(&mut self) -> Option<Entry> {
        let Ok(Entry::Batch(batch)) = self.writer.inbox.try_recv() else {
            panic!("a batch comes next");
        };
        self.writer.ship(batch)
    }

    fn log(&self) -> String {
        fs::read_to_string(log_in(self.folder.path())).unwrap()
    }
}

fn log_in(folder: &Path) -> PathBuf {
    folder.join("connection.log")
}

#[test]
fn batches_that_wait_are_written_together_up_to_the_next_command() {
    let mut bench = Bench::new(100, 1_000);
    ["a", "b", "c"].into_iter().for_each(|line| bench.offer(line));
    bench.flush();
    bench.offer("d");
    assert!(matches!(bench.ship(), Some(Entry::Flush(_))));
    assert_eq!(bench.log(), "a\nb\nc\n");
    assert_eq!(bench.writer.counters.written.get(), 3);
    assert_eq!((bench.waiting.records(), bench.waiting.bytes()), (1, 2), "d");
    assert_eq!(bench.spare.len(), 2, "as many buffers as are kept");
    assert!(bench.ship().is_none());
    assert_eq!(bench.log(), "a\nb\nc\nd\n");
}

#[test]
fn what_is_written_together_is_bounded_as_a_batch_is() {
    for (records_max, bytes_max) in [(2, 1_000), (100, 3)] {
        let mut bench = Bench::new(records_max, bytes_max);
        ["a", "b", "c"].into_iter().for_each(|line| bench.offer(line));
        assert!(bench.ship().is_none());
        assert_eq!(bench.log(), "a\nb\n");
        assert_eq!(bench.waiting.records(), 1, "c");
    }
}
