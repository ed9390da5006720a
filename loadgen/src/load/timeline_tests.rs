//! Intervals: where operations fall, how they get longer, how threads are added.

use super::*;

const MS: Duration = Duration::from_millis(1);

fn told(received: u64) -> Gauges {
    Gauges {
        received,
        open: received / 100,
        ..Gauges::default()
    }
}

/// Counts an operation each 10 ms up to `end_ms`, and a byte with each.
fn filled(mut timeline: Timeline, end_ms: u32) -> Timeline {
    for at in (0..end_ms).step_by(10) {
        let now = at * MS;
        if timeline.is_due(now) {
            timeline.advance(now, told(u64::from(at / 10)));
        }
        timeline.count(Ended::AsExpected, at * MS);
    }
    timeline.end(end_ms * MS, told(u64::from(end_ms / 10)));
    timeline
}

fn shape(timeline: &Timeline) -> Vec<(i64, u64, u64)> {
    let rows = timeline.intervals();
    rows.map(|(start, _, interval)| ((start * 1e3).round() as i64, interval.ok, interval.received))
        .collect()
}

#[test]
fn operations_and_bytes_fall_into_the_interval_in_which_they_ended() {
    let timeline = filled(Timeline::new(200 * MS, Some(1000 * MS)), 1000);
    let expected: Vec<_> = (0..10).map(|index| (-200 + 100 * index, 10, 10)).collect();
    assert_eq!(shape(&timeline), expected);
    assert_eq!(timeline.intervals().last().unwrap().1, 0.8);
}

#[test]
fn a_warm_up_of_any_length_leaves_the_window_its_own_intervals() {
    let timeline = filled(Timeline::new(250 * MS, Some(700 * MS)), 700);
    let starts: Vec<_> = shape(&timeline)
        .into_iter()
        .map(|(start, ok, _)| (start, ok))
        .collect();
    assert_eq!(starts[..3], [(-250, 5), (-200, 10), (-100, 10)]);
    let window: u64 = starts
        .iter()
        .filter(|(start, _)| *start >= 0)
        .map(|(_, ok)| ok)
        .sum();
    assert_eq!(window, 45);
}

#[test]
fn a_run_of_unknown_length_gets_coarser_and_loses_nothing() {
    for (warm_up, count) in [(0, 16), (130, 16), (300, 5)] {
        let timeline = filled(Timeline::with(warm_up * MS, 100 * MS, count), 12_340);
        let rows = shape(&timeline);
        assert!(timeline.width() >= 1000 * MS && rows.len() <= count, "{rows:?}");
        assert_eq!(rows.iter().map(|row| row.1).sum::<u64>(), 1234);
        assert_eq!(rows.iter().map(|row| row.2).sum::<u64>(), 1234);
        let in_warm_up: u64 = rows.iter().filter(|row| row.0 < 0).map(|row| row.1).sum();
        assert_eq!(in_warm_up, u64::from(warm_up.div_ceil(10)));
        assert!(
            rows.iter().any(|row| row.0 == 0),
            "the window begins with an interval"
        );
        let latencies: u64 = timeline
            .intervals()
            .map(|(_, _, interval)| interval.latency.len())
            .sum();
        assert_eq!(latencies, 1234);
    }
}

#[test]
fn threads_that_ended_at_different_times_and_widths_are_added() {
    let mut all = filled(Timeline::with(100 * MS, 100 * MS, 600), 3_000);
    all.add(filled(Timeline::with(100 * MS, 100 * MS, 20), 5_000));
    assert_eq!(all.width(), 1000 * MS);
    let rows = shape(&all);
    assert_eq!(rows[..2], [(-100, 20, 20), (0, 200, 200)]);
    assert_eq!(rows.iter().map(|row| row.1).sum::<u64>(), 800);
}

#[test]
fn what_comes_after_the_last_operation_belongs_to_the_last_interval() {
    let mut timeline = Timeline::new(Duration::ZERO, None);
    timeline.count(Ended::Failed, MS);
    timeline.advance(350 * MS, told(7));
    timeline.end(120 * MS, told(9));
    assert_eq!(shape(&timeline), [(0, 0, 7), (100, 0, 2)]);
    let interval = timeline.intervals().next().unwrap().2;
    assert_eq!((interval.failed, interval.latency.len()), (1, 0));
}

#[test]
fn intervals_in_which_nothing_happened_are_there_and_empty() {
    let mut timeline = Timeline::new(Duration::ZERO, Some(500 * MS));
    timeline.advance(420 * MS, told(300));
    timeline.end(500 * MS, told(300));
    assert_eq!(
        shape(&timeline),
        [(0, 0, 300), (100, 0, 0), (200, 0, 0), (300, 0, 0), (400, 0, 0)]
    );
    assert!(timeline.intervals().all(|(_, _, interval)| interval.open == 3));
    let mut nothing = Timeline::new(Duration::ZERO, None);
    nothing.end(Duration::ZERO, told(0));
    assert_eq!(shape(&nothing), [(0, 0, 0)]);
}

#[test]
fn a_run_has_a_bounded_number_of_intervals_of_round_width() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    for (end, width_ms) in [
        (None, 100),
        (seconds(1), 100),
        (seconds(30), 100),
        (seconds(31), 1_000),
        (seconds(599), 1_000),
        (seconds(1_000), 2_000),
        (seconds(86_400), 240_000),
    ] {
        assert_eq!(width_for(end), Duration::from_millis(width_ms), "{end:?}");
    }
    assert!(WIDTHS_MS.windows(2).all(|pair| pair[1] % pair[0] == 0));
}

#[test]
fn intervals_with_few_operations_are_made_longer_as_long_as_enough_are_left() {
    let mut sparse = filled(Timeline::new(100 * MS, Some(12_100 * MS)), 12_100);
    sparse.coarsen_to_fit();
    assert_eq!(
        sparse.width(),
        200 * MS,
        "twelve intervals of a second would be too few"
    );
    let mut sparse = filled(Timeline::new(Duration::ZERO, Some(25_000 * MS)), 25_000);
    sparse.coarsen_to_fit();
    assert_eq!(sparse.width(), 1000 * MS);
}
