#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use bothways_config::LogFormat;
use tempfile::TempDir;

use super::*;
use crate::logs::{ConnectionId, Sink};
use crate::metrics::{ConnectionStatus, DropReason, Label as _, LaneCounters};

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
    let lane = lane(path, &counters);
    let (sender, shipper) = Shipper::start(vec![lane], records_max, Arc::clone(&counters)).unwrap();
    (sender, shipper, counters)
}

fn lane(path: PathBuf, counters: &ProcessCounters) -> Lane {
    let sink = Sink::File(path).open().unwrap();
    Lane::new(LogFormat::Json, sink, counters.records.lane())
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
    counters.records.dropped(DropReason::SinkError)
}

#[test]
fn stopping_writes_everything_that_was_sent_in_order() {
    let bench = Bench::new();
    bench.send(0..5_000);
    let path = bench.path("connection.log");
    bench.shipper.stop(LIMIT).unwrap();
    assert_eq!(timestamps(&path), (0..5_000).collect::<Vec<_>>());
    assert_eq!(bench.counters.records.written(), 5_000);
    assert_eq!(lost(&bench.counters), 0);
}

#[test]
fn records_are_written_without_any_command() {
    let bench = Bench::new();
    bench.send(0..1);
    let given_up = Instant::now() + LIMIT;
    while bench.counters.records.written() == 0 && Instant::now() < given_up {
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
    bench.shipper.remote().reopen_soon();
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
    assert_eq!(bench.counters.records.written(), 0);

    fs::remove_file(&path).unwrap();
    bench.send(3..5);
    assert!(bench.shipper.remote().flush(LIMIT));
    assert_eq!(lost(&bench.counters), 3);
    assert_eq!(bench.counters.records.written(), 2);
    assert_eq!(timestamps(&path), [3, 4]);
}

#[test]
fn a_sink_that_blocks_holds_up_neither_the_sender_nor_the_end() {
    let (mut reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&[b'\n'; PIPE_BYTES]).unwrap(); // full: the first record blocks
    let (sender, shipper, counters) = start(proc_path(&writer), 16);
    let dropped = || counters.records.dropped(DropReason::QueueFull);
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

/// A shipper with two lanes: the first into a pipe that is full and that nobody reads yet, the second into a
/// file.
struct TwoLanes {
    folder: TempDir,
    pipe: io::PipeReader,
    /// Open as long as the first lane may open its path again, which names this descriptor.
    pipe_end: io::PipeWriter,
    sender: RecordSender,
    shipper: Shipper,
    counters: Arc<ProcessCounters>,
    stuck: Arc<LaneCounters>,
    file: Arc<LaneCounters>,
}

impl TwoLanes {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, mut writer) = io::pipe().unwrap();
        writer.write_all(&[b'\n'; PIPE_BYTES]).unwrap();
        let counters = Arc::<ProcessCounters>::default();
        let mut stuck = lane(proc_path(&writer), &counters);
        stuck.bound_bytes = 1; // one batch
        let mut file = lane(folder.path().join("connection.log"), &counters);
        file.bound_bytes = usize::MAX;
        let (for_stuck, for_file) = (stuck.counters.clone(), file.counters.clone());
        let (sender, shipper) = Shipper::start(vec![stuck, file], 65_536, Arc::clone(&counters)).unwrap();
        Self {
            folder,
            pipe,
            pipe_end: writer,
            sender,
            shipper,
            counters,
            stuck: for_stuck,
            file: for_file,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("connection.log")
    }

    /// Sends records until the stuck lane has lost some, and waits until the file has all of them.
    fn send_until_some_are_lost(&self) -> u64 {
        let mut sent = 0;
        while self.stuck.dropped.of(DropReason::QueueFull).get() == 0 {
            self.sender.send(record(sent));
            sent += 1;
            self.await_file(sent);
        }
        sent
    }

    fn await_file(&self, records: u64) {
        let given_up = Instant::now() + LIMIT;
        while self.file.written.get() < records && Instant::now() < given_up {
            self.shipper.thread.thread().unpark();
            thread::yield_now();
        }
        assert_eq!(self.file.written.get(), records);
    }
}

const PIPE_BYTES: usize = 65_536;

fn proc_path(pipe: &io::PipeWriter) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", pipe.as_raw_fd()))
}

#[test]
fn a_lane_that_blocks_loses_records_of_its_own_and_the_other_lane_gets_every_one() {
    let mut lanes = TwoLanes::new();
    let sent = lanes.send_until_some_are_lost();
    assert_eq!(timestamps(&lanes.path()), (0..sent).collect::<Vec<_>>());
    assert_eq!(
        lanes.counters.records.unshipped.of(DropReason::QueueFull).get(),
        0
    );
    assert_eq!(lanes.file.dropped.of(DropReason::QueueFull).get(), 0);

    // Its thread goes on as soon as somebody reads; each record is counted once for each lane.
    let mut text = String::new();
    let TwoLanes {
        shipper,
        sender,
        pipe_end,
        ..
    } = lanes;
    let reader = thread::spawn(move || lanes.pipe.read_to_string(&mut text).map(|_| text));
    drop((sender, pipe_end));
    shipper.stop(LIMIT).unwrap();
    let lines = reader.join().unwrap().unwrap().lines().count();
    assert_eq!(lines - PIPE_BYTES, lanes.stuck.written.get() as usize);
    let lost = DropReason::ALL
        .iter()
        .map(|reason| lanes.stuck.dropped.of(*reason).get());
    assert_eq!(lanes.stuck.written.get() + lost.sum::<u64>(), sent);
    assert_eq!(lanes.counters.records.written(), lanes.stuck.written.get() + sent);
}

#[test]
fn a_lane_that_blocks_holds_up_no_reopening_of_the_other_and_is_told_as_stuck() {
    let lanes = TwoLanes::new();
    let sent = lanes.send_until_some_are_lost();
    fs::rename(lanes.path(), lanes.folder.path().join("rotated")).unwrap();
    let answer = lanes.shipper.remote().reopen(Duration::from_millis(20));
    assert!(answer.unwrap_err().contains("blocks"));
    assert!(!lanes.shipper.remote().flush(Duration::from_millis(20)));
    let given_up = Instant::now() + LIMIT;
    while !lanes.path().exists() && Instant::now() < given_up {
        thread::yield_now();
    }
    lanes.sender.send(record(sent));
    lanes.await_file(sent + 1);
    assert_eq!(timestamps(&lanes.path()), [sent]);
    let stopped = lanes.shipper.stop(Duration::from_millis(20));
    std::mem::forget((lanes.pipe, lanes.pipe_end));
    assert!(
        matches!(stopped, Err(StopError::TimedOut { records_waiting: 1.. })),
        "{stopped:?}"
    );
}

#[test]
fn a_lane_that_fails_costs_the_other_nothing_and_both_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (full, path) = (folder.path().join("full"), folder.path().join("connection.log"));
    symlink("/dev/full", &full).unwrap();
    let counters = Arc::<ProcessCounters>::default();
    let lanes = vec![lane(full, &counters), lane(path.clone(), &counters)];
    let failing = lanes.first().unwrap().counters.clone();
    let (sender, shipper) = Shipper::start(lanes, 64, Arc::clone(&counters)).unwrap();
    (0..3).for_each(|at| sender.send(record(at)));
    assert!(shipper.remote().flush(LIMIT));
    assert_eq!(timestamps(&path), [0, 1, 2]);
    assert_eq!((failing.written.get(), lost(&counters)), (0, 3));
    let answer = shipper.remote().reopen(LIMIT).unwrap();
    assert_eq!(answer.matches("nothing to open anew").count(), 2, "{answer}");
    shipper.stop(LIMIT).unwrap();
    assert_eq!(counters.records.written(), 3);
}
