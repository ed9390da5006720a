//! Tests of the near end of a lane: the test takes the place of the lane's thread.

use super::*;
use crate::logs::record::tests::bare;

/// A lane whose thread is the test.
fn feed(bound_bytes: usize) -> (Feed, Receiver<Entry>) {
    let (entries, inbox) = crossbeam_channel::unbounded();
    let (_used, spare) = crossbeam_channel::bounded(1);
    let feed = Feed {
        format: LogFormat::Json,
        limits: BatchLimits {
            records_max: 3,
            bytes_max: 1 << 20,
        },
        bound_bytes,
        counters: Arc::default(),
        filling: Batch::default(),
        entries,
        spare,
        waiting: Arc::default(),
        thread: thread::spawn(|| {}),
    };
    (feed, inbox)
}

fn dropped(feed: &Feed, reason: DropReason) -> u64 {
    feed.counters.dropped.of(reason).get()
}

#[test]
fn a_full_batch_is_handed_over_at_once_and_a_smaller_one_when_told() {
    let (mut feed, inbox) = feed(usize::MAX);
    (0..4).for_each(|_| feed.take(&bare()));
    assert_eq!(inbox.len(), 1);
    feed.hand_over();
    feed.hand_over();
    let sizes = inbox.try_iter().map(|entry| match entry {
        Entry::Batch(batch) => batch.records,
        Entry::Reopen(_) | Entry::Flush(_) => 0,
    });
    assert_eq!(sizes.collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn a_batch_is_begun_only_below_the_bound_and_finished_beyond_it() {
    let (mut feed, inbox) = feed(1);
    (0..5).for_each(|_| feed.take(&bare()));
    assert_eq!((inbox.len(), feed.waiting.records()), (1, 3));
    assert_eq!(dropped(&feed, DropReason::QueueFull), 2);
    if let Ok(Entry::Batch(batch)) = inbox.try_recv() {
        feed.waiting.remove(&batch);
    }
    assert!(feed.has_room());
}

#[test]
fn a_lane_whose_thread_is_gone_loses_its_records_and_holds_up_nobody() {
    let (mut feed, inbox) = feed(1);
    drop(inbox);
    (0..6).for_each(|_| feed.take(&bare()));
    assert_eq!(dropped(&feed, DropReason::SinkError), 6);
    assert!(feed.has_room());
}

#[test]
fn commands_that_wait_are_bounded_too() {
    let (feed, inbox) = feed(1);
    (0..100).for_each(|_| feed.command(Entry::Reopen(None)));
    assert_eq!(inbox.len(), COMMANDS_MAX);
}
