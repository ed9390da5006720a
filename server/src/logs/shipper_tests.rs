#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::logs::{ConnectionId, Sink};
use crate::metrics::ConnectionStatus;

const LIMIT: Duration = Duration::from_secs(30);

/// A shipper that writes `connection.log` in a folder of its own.
struct Bench {
    folder: TempDir,
    sender: RecordSender,
    shipper: Shipper,
    counters: Arc<ProcessCounters>,
}

impl Bench {
    fn new() -> Self {
        Self::on(|_| {})
    }

    /// `prepare` is given the log's path before it is opened.
    fn on(prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("connection.log");
        prepare(&path);
        let (sender, shipper, counters) = start(path, 65_536);
        Self {
            folder,
            sender,
            shipper,
            counters,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn send(&self, timestamps: std::ops::Range<u64>) {
        timestamps.for_each(|at| self.sender.send(record(at)));
    }
}

fn start(path: PathBuf, records_max: usize) -> (RecordSender, Shipper, Arc<ProcessCounters>) {
    let counters = Arc::<ProcessCounters>::default();
    let sink = Sink::File(path).open().unwrap();
    let (sender, shipper) = Shipper::start(sink, records_max, Arc::clone(&counters)).unwrap();
    (sender, shipper, counters)
}

fn record(at: u64) -> Box<ConnectionRecord> {
    Box::new(ConnectionRecord::new(
        at,
        ConnectionId::from_bytes([0; 40]),
        ConnectionStatus::Success,
        ([127, 0, 0, 1], 1).into(),
        [127, 0, 0, 1].into(),
    ))
}

/// The `eventTimestamp` of each line.
fn timestamps(path: &Path) -> Vec<u64> {
    let text = fs::read_to_string(path).unwrap();
    let value = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
    text.lines()
        .map(|line| value(line).get("eventTimestamp").unwrap().as_u64().unwrap())
        .collect()
}

fn lost(counters: &ProcessCounters) -> u64 {
    counters.records_dropped.of(DropReason::SinkError).get()
}

#[test]
fn stopping_writes_everything_that_was_sent_in_order() {
    let bench = Bench::new();
    bench.send(0..5_000);
    let path = bench.path("connection.log");
    bench.shipper.stop(LIMIT).unwrap();
    assert_eq!(timestamps(&path), (0..5_000).collect::<Vec<_>>());
    assert_eq!(bench.counters.records_written.get(), 5_000);
    assert_eq!(lost(&bench.counters), 0);
}

#[test]
fn records_are_written_without_any_command() {
    let bench = Bench::new();
    bench.send(0..1);
    let given_up = Instant::now() + LIMIT;
    while bench.counters.records_written.get() == 0 && Instant::now() < given_up {
        thread::yield_now();
    }
    assert_eq!(timestamps(&bench.path("connection.log")), [0]);
}

#[test]
fn a_renamed_file_keeps_what_came_before_and_a_new_one_takes_what_comes_after() {
    let bench = Bench::new();
    let (path, rotated) = (bench.path("connection.log"), bench.path("connection.log.1"));
    bench.send(0..3);
    assert!(bench.shipper.remote().flush(LIMIT));
    fs::rename(&path, &rotated).unwrap();
    bench.send(3..5);
    bench.shipper.reopen();
    assert!(bench.shipper.remote().flush(LIMIT));
    bench.send(5..7);
    bench.shipper.stop(LIMIT).unwrap();
    assert_eq!(timestamps(&rotated), [0, 1, 2, 3, 4]);
    assert_eq!(timestamps(&path), [5, 6]);
}

#[test]
fn a_sink_error_is_counted_and_what_comes_after_it_is_written() {
    let bench = Bench::on(|path| symlink("/dev/full", path).unwrap());
    let path = bench.path("connection.log");
    bench.send(0..3);
    assert!(bench.shipper.remote().flush(LIMIT));
    assert_eq!(lost(&bench.counters), 3);
    assert_eq!(bench.counters.records_written.get(), 0);

    fs::remove_file(&path).unwrap();
    bench.send(3..5);
    assert!(bench.shipper.remote().flush(LIMIT));
    assert_eq!(lost(&bench.counters), 3);
    assert_eq!(bench.counters.records_written.get(), 2);
    assert_eq!(timestamps(&path), [3, 4]);
}

#[test]
fn a_sink_that_blocks_holds_up_neither_the_sender_nor_the_end() {
    const PIPE_BYTES: usize = 65_536;
    let (mut reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&[b'\n'; PIPE_BYTES]).unwrap(); // full: the first record blocks
    let path = PathBuf::from(format!("/proc/self/fd/{}", writer.as_raw_fd()));
    let (sender, shipper, counters) = start(path, 16);
    let dropped = || counters.records_dropped.of(DropReason::QueueFull).get();
    (0..50_000).for_each(|at| sender.send(record(at)));
    assert!(dropped() > 0);
    let stopped = shipper.stop(Duration::from_millis(20));
    assert!(matches!(stopped, Err(StopError::TimedOut { .. })), "{stopped:?}");

    // The thread goes on as soon as somebody reads, and then ends and closes its end.
    drop((sender, writer));
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let written = (text.lines().count() - PIPE_BYTES) as u64;
    assert_eq!(written + dropped(), 50_000);
}

#[test]
fn a_shipper_that_is_dropped_still_writes_what_was_sent() {
    let bench = Bench::new();
    bench.send(0..10);
    let path = bench.path("connection.log");
    let Shipper { commands, thread, .. } = bench.shipper;
    drop(commands);
    thread.join().unwrap();
    assert_eq!(timestamps(&path).len(), 10);
}
