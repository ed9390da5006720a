//! How the run went over time, as one thread saw it: counts, bytes, latencies and CPU time of equally long intervals.
//!
//! All memory is taken before the run: an operation costs an addition and a histogram's increment, an interval one look
//! at the thread's own CPU time. When the intervals are used up, neighbours are merged, and a longer run has coarser
//! ones. Intervals are counted from the start of the window, so that none lies half in the warm-up; sums over those of
//! the window are the window's totals. Times are offsets from the start of the run.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::cpu::ThreadTime;

#[derive(Debug)]
pub struct Timeline {
    window_start: Duration,
    width: Duration,
    /// Intervals before the window; the first may be shorter than the others.
    before: usize,
    intervals: Vec<Interval>,
    current: usize,
    /// Where the current interval ends.
    until: Duration,
    /// What was last told, from which the next difference is taken.
    told: Gauges,
}

/// One interval of one thread, or of several.
#[derive(Debug, Clone)]
pub struct Interval {
    pub ok: u64,
    pub failed: u64,
    pub not_resumed: u64,
    /// Nanoseconds, of the operations that ended as expected.
    pub latency: Histogram<u32>,
    pub received: u64,
    pub sent: u64,
    /// The thread's time on a core, and the time over which that was measured; of several threads, the sums.
    pub running: Duration,
    pub measured: Duration,
    /// At the interval's end.
    pub open: u64,
    pub backlog: u64,
}

/// The values that a thread tells when an interval ends: the first three only ever grow.
#[derive(Debug, Default, Clone, Copy)]
pub struct Gauges {
    pub received: u64,
    pub sent: u64,
    pub cpu: Option<ThreadTime>,
    pub open: u64,
    pub backlog: u64,
}

/// What an operation counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    AsExpected,
    NotResumed,
    Failed,
}

impl Timeline {
    /// `window_end`: when the run ends, where that is known.
    pub fn new(window_start: Duration, window_end: Option<Duration>, now: Gauges) -> Self {
        let width = width_for(window_end);
        let before = intervals_in(window_start, width);
        let all = window_end.map_or(INTERVALS_MAX, |end| {
            before + intervals_in(end.saturating_sub(window_start), width)
        });
        Timeline::with(window_start, width, all.min(INTERVALS_MAX), now)
    }

    /// Of a thread that never ran.
    pub fn empty() -> Self {
        Timeline::with(Duration::ZERO, SHORTEST, 1, Gauges::default())
    }

    fn with(window_start: Duration, width: Duration, all: usize, now: Gauges) -> Self {
        let before = intervals_in(window_start, width);
        let mut timeline = Timeline {
            window_start,
            width,
            before,
            intervals: vec![Interval::empty(); all.max(1)],
            current: 0,
            until: Duration::ZERO,
            told: now,
        };
        timeline.until = timeline.start_of(1);
        timeline
    }

    /// Whether the current interval is over: then [`Timeline::advance`] is due.
    pub fn is_due(&self, now: Duration) -> bool {
        now >= self.until
    }

    /// Goes on to the interval of `now`; what was told before belongs to the one that ends.
    pub fn advance(&mut self, now: Duration, gauges: Gauges) {
        self.tell(gauges);
        let mut index = self.index(now);
        while index >= self.intervals.len() {
            self.coarsen();
            index = self.index(now);
        }
        for skipped in self.current + 1..=index {
            if let Some(interval) = self.intervals.get_mut(skipped) {
                (interval.open, interval.backlog) = (gauges.open, gauges.backlog);
            }
        }
        self.current = index;
        self.until = self.start_of(index + 1);
    }

    /// An operation has ended now.
    pub fn count(&mut self, ended: Ended, latency: Duration) {
        if let Some(interval) = self.intervals.get_mut(self.current) {
            interval.count(ended, latency);
        }
    }

    /// The window ends at `end`: intervals that begin later are folded into its last.
    pub fn end(&mut self, end: Duration, gauges: Gauges) {
        self.tell(gauges);
        let last = self.index(end.saturating_sub(Duration::from_nanos(1)));
        let rest = self.intervals.split_off(self.intervals.len().min(last + 1));
        if let Some(interval) = self.intervals.last_mut() {
            for late in rest.iter().take((self.current + 1).saturating_sub(last + 1)) {
                interval.append(late);
            }
        }
        self.current = self.intervals.len().saturating_sub(1);
    }

    pub fn width(&self) -> Duration {
        self.width
    }

    /// Makes the intervals longer, to the next width.
    pub fn coarsen(&mut self) {
        let wider = wider(self.width);
        let factor = (wider.as_nanos() / self.width.as_nanos()).max(1) as usize;
        let before = self.before.div_ceil(factor);
        let shift = before * factor - self.before; // the window must still begin with an interval
        for index in 1..self.intervals.len().min(self.current + 1) {
            let target = (index + shift) / factor;
            if let Ok([into, from]) = self.intervals.get_disjoint_mut([target, index]) {
                if (index + shift).is_multiple_of(factor) {
                    std::mem::swap(into, from);
                } else {
                    into.append(from);
                }
                from.clear();
            }
        }
        self.current = (self.current + shift) / factor;
        (self.width, self.before) = (wider, before);
        self.until = self.start_of(self.current + 1);
    }

    /// Adds what another thread saw in the same run.
    pub fn add(&mut self, mut other: Timeline) {
        while self.width < other.width {
            self.coarsen();
        }
        while other.width < self.width {
            other.coarsen();
        }
        other.intervals.truncate(other.current + 1);
        self.intervals.truncate(self.current + 1);
        for (index, from) in other.intervals.into_iter().enumerate() {
            match self.intervals.get_mut(index) {
                Some(into) => into.add(&from),
                None => self.intervals.push(from),
            }
        }
        self.current = self.intervals.len().saturating_sub(1);
    }

    /// Each interval with its start and end, in seconds from the start of the window; those of the warm-up are below zero.
    pub fn intervals(&self) -> impl Iterator<Item = (f64, f64, &Interval)> {
        let from_window = |at: Duration| at.as_secs_f64() - self.window_start.as_secs_f64();
        let used = self.intervals.iter().take(self.current + 1).enumerate();
        used.map(move |(index, interval)| {
            let (start, end) = (self.start_of(index), self.start_of(index + 1));
            (from_window(start), from_window(end), interval)
        })
    }

    /// Makes intervals that hold too few operations for a percentile longer, up to a second, as long as enough are left.
    pub fn coarsen_to_fit(&mut self) {
        while self.width < Duration::from_secs(1) {
            let window = self.intervals.iter().take(self.current + 1).skip(self.before);
            let (count, operations) =
                window.fold((0, 0), |(count, sum), interval| (count + 1, sum + interval.ok));
            let factor = wider(self.width).as_nanos() / self.width.as_nanos();
            if operations >= count * OPERATIONS_WANTED || u128::from(count) < factor * INTERVALS_WANTED {
                return;
            }
            self.coarsen();
        }
    }

    fn tell(&mut self, gauges: Gauges) {
        let told = std::mem::replace(&mut self.told, gauges);
        if let Some(interval) = self.intervals.get_mut(self.current) {
            interval.tell(&told, &gauges);
        }
    }

    fn index(&self, now: Duration) -> usize {
        let width = self.width.as_nanos();
        let index = match now.checked_sub(self.window_start) {
            Some(since) => self.before as u128 + since.as_nanos() / width,
            None => {
                let left = (self.window_start - now).as_nanos();
                (self.before as u128).saturating_sub(left.div_ceil(width))
            }
        };
        usize::try_from(index).unwrap_or(usize::MAX)
    }

    fn start_of(&self, index: usize) -> Duration {
        let width = |count: usize| {
            self.width
                .saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
        };
        match index.checked_sub(self.before) {
            Some(since) => self.window_start + width(since),
            None => self.window_start.saturating_sub(width(self.before - index)),
        }
    }
}

impl Interval {
    fn empty() -> Self {
        let latency =
            Histogram::new_with_bounds(LATENCY_UNIT_NS, LATENCY_MAX_NS, 2).expect("the bounds are valid");
        Interval {
            ok: 0,
            failed: 0,
            not_resumed: 0,
            latency,
            received: 0,
            sent: 0,
            running: Duration::ZERO,
            measured: Duration::ZERO,
            open: 0,
            backlog: 0,
        }
    }

    /// The share of a core that its threads took, in percent: 100 is all of the time of all of them.
    pub fn busy_percent(&self) -> Option<f64> {
        (!self.measured.is_zero()).then(|| 100.0 * self.running.as_secs_f64() / self.measured.as_secs_f64())
    }

    fn count(&mut self, ended: Ended, latency: Duration) {
        match ended {
            Ended::AsExpected => {
                self.ok += 1;
                let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
                self.latency.saturating_record(nanos.max(1));
            }
            Ended::NotResumed => self.not_resumed += 1,
            Ended::Failed => self.failed += 1,
        }
    }

    fn tell(&mut self, before: &Gauges, now: &Gauges) {
        self.received += now.received.saturating_sub(before.received);
        self.sent += now.sent.saturating_sub(before.sent);
        (self.open, self.backlog) = (now.open, now.backlog);
        if let (Some(earlier), Some(later)) = (before.cpu, now.cpu)
            && let Some(wall) = later.since(&earlier)
        {
            self.running += later.running.saturating_sub(earlier.running);
            self.measured += wall;
        }
    }

    /// Joins the interval that follows.
    fn append(&mut self, later: &Interval) {
        self.add(later);
        (self.open, self.backlog) = (later.open, later.backlog);
    }

    /// Joins the same interval of another thread.
    fn add(&mut self, other: &Interval) {
        self.ok += other.ok;
        self.failed += other.failed;
        self.not_resumed += other.not_resumed;
        self.received += other.received;
        self.sent += other.sent;
        self.running += other.running;
        self.measured += other.measured;
        self.open += other.open;
        self.backlog += other.backlog;
        self.latency
            .add(&other.latency)
            .expect("all histograms have the same bounds");
    }

    /// Keeps the histogram's memory.
    fn clear(&mut self) {
        self.latency.reset();
        (self.ok, self.failed, self.not_resumed) = (0, 0, 0);
        (self.received, self.sent, self.open, self.backlog) = (0, 0, 0, 0);
        (self.running, self.measured) = (Duration::ZERO, Duration::ZERO);
    }
}

/// The width that gives a run of this length between a hundred and six hundred intervals, where it is long enough.
pub fn width_for(end: Option<Duration>) -> Duration {
    let mut width = SHORTEST;
    let Some(end) = end else { return width };
    if end > SHORT_RUN {
        width = Duration::from_secs(1);
    }
    while intervals_in(end, width) >= INTERVALS_MAX {
        width = wider(width);
    }
    width
}

/// The next width; each divides the one that follows.
fn wider(width: Duration) -> Duration {
    let millis = width.as_millis();
    WIDTHS_MS
        .iter()
        .find(|&&wider| u128::from(wider) > millis)
        .map_or(width * 2, |&wider| Duration::from_millis(wider))
}

fn intervals_in(time: Duration, width: Duration) -> usize {
    usize::try_from(time.as_nanos().div_ceil(width.as_nanos().max(1))).unwrap_or(usize::MAX)
}

/// About 14 kB each: eight megabytes for each thread at most.
const INTERVALS_MAX: usize = 600;
/// So many operations say something about a 99th percentile.
const OPERATIONS_WANTED: u64 = 300;
const INTERVALS_WANTED: u128 = 20;
const SHORTEST: Duration = Duration::from_millis(100);
const SHORT_RUN: Duration = Duration::from_secs(30);
const WIDTHS_MS: [u64; 9] = [100, 200, 1_000, 2_000, 10_000, 20_000, 60_000, 120_000, 240_000];
/// Two significant digits, and no finer than half a microsecond.
const LATENCY_UNIT_NS: u64 = 1_000;
const LATENCY_MAX_NS: u64 = 3_600_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn told(received: u64) -> Gauges {
        Gauges {
            received,
            open: received / 100,
            ..Gauges::default()
        }
    }

    /// One operation each 10 ms up to `end_ms`, and a byte with each.
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
        let timeline = filled(Timeline::new(200 * MS, Some(1000 * MS), told(0)), 1000);
        let expected: Vec<_> = (0..10).map(|index| (-200 + 100 * index, 10, 10)).collect();
        assert_eq!(shape(&timeline), expected);
        assert_eq!(timeline.intervals().last().unwrap().1, 0.8);
    }

    #[test]
    fn a_warm_up_of_any_length_leaves_the_window_its_own_intervals() {
        let timeline = filled(Timeline::new(250 * MS, Some(700 * MS), told(0)), 700);
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
            let timeline = filled(Timeline::with(warm_up * MS, 100 * MS, count, told(0)), 12_340);
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
        let mut all = filled(Timeline::with(100 * MS, 100 * MS, 600, told(0)), 3_000);
        all.add(filled(Timeline::with(100 * MS, 100 * MS, 20, told(0)), 5_000));
        assert_eq!(all.width(), 1000 * MS);
        let rows = shape(&all);
        assert_eq!(rows[..2], [(-100, 20, 20), (0, 200, 200)]);
        assert_eq!(rows.iter().map(|row| row.1).sum::<u64>(), 800);
    }

    #[test]
    fn what_comes_after_the_last_operation_belongs_to_the_last_interval() {
        let mut timeline = Timeline::new(Duration::ZERO, None, told(0));
        timeline.count(Ended::Failed, MS);
        timeline.advance(350 * MS, told(7));
        timeline.end(120 * MS, told(9));
        assert_eq!(shape(&timeline), [(0, 0, 7), (100, 0, 2)]);
        let interval = timeline.intervals().next().unwrap().2;
        assert_eq!((interval.failed, interval.latency.len()), (1, 0));
    }

    #[test]
    fn intervals_in_which_nothing_happened_are_there_and_empty() {
        let mut timeline = Timeline::new(Duration::ZERO, Some(500 * MS), told(0));
        timeline.advance(420 * MS, told(300));
        timeline.end(500 * MS, told(300));
        assert_eq!(
            shape(&timeline),
            [(0, 0, 300), (100, 0, 0), (200, 0, 0), (300, 0, 0), (400, 0, 0)]
        );
        assert!(timeline.intervals().all(|(_, _, interval)| interval.open == 3));
        let mut nothing = Timeline::new(Duration::ZERO, None, told(0));
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
        let mut sparse = filled(Timeline::new(100 * MS, Some(12_100 * MS), told(0)), 12_100);
        sparse.coarsen_to_fit();
        assert_eq!(
            sparse.width(),
            200 * MS,
            "twelve intervals of a second would be too few"
        );
        let mut sparse = filled(Timeline::new(Duration::ZERO, Some(25_000 * MS), told(0)), 25_000);
        sparse.coarsen_to_fit();
        assert_eq!(sparse.width(), 1000 * MS);
    }
}
