//! The course of the run over time, as one thread saw it: counts, bytes, latencies and CPU time of equally
//! long intervals.
//!
//! All memory is taken before the run: an operation costs an addition and a histogram's increment, an
//! interval one look at the thread's own CPU time. When the intervals are used up, neighbours are merged, and
//! a longer run has coarser ones. Intervals are counted from the start of the window, so that none lies half
//! in the warm-up; sums over those of the window are the window's totals. Times are offsets from the start of
//! the run.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::cpu::ThreadTime;

/// The intervals of a run, from its start to its end.
#[derive(Debug)]
pub struct Timeline {
    window_start: Duration,
    width: Duration,
    /// Intervals before the window; the first may be shorter than the others.
    before: usize,
    intervals: Vec<Interval>,
    current: usize,
    /// End of the current interval.
    until: Duration,
    /// Values that were told last, from which the next difference is taken.
    told: Gauges,
}

/// An interval of one thread, or of several.
#[derive(Debug, Clone)]
pub struct Interval {
    /// Operations that ended in it as expected.
    pub ok: u64,
    /// Operations that ended in it otherwise.
    pub failed: u64,
    /// Operations that ended in it by a full handshake in place of a resumed one.
    pub not_resumed: u64,
    /// Nanoseconds, of the operations that ended as expected.
    pub latency: Histogram<u32>,
    /// Bytes received, TLS included.
    pub received: u64,
    /// Bytes sent, TLS included.
    pub sent: u64,
    /// The thread's time on a core, and the time over which that was measured; of several threads, the sums.
    pub running: Duration,
    /// Time over which `running` was measured.
    pub measured: Duration,
    /// At the interval's end.
    pub open: u64,
    /// Arrivals due and not started at the interval's end.
    pub backlog: u64,
}

/// The values that a thread tells when an interval ends: the first three only ever grow.
#[derive(Debug, Default, Clone, Copy)]
pub struct Gauges {
    /// Bytes received since the start of the run.
    pub received: u64,
    /// Bytes sent since the start of the run.
    pub sent: u64,
    /// CPU time of the thread; `None` where the kernel does not say.
    pub cpu: Option<ThreadTime>,
    /// TCP connections that are open now.
    pub open: u64,
    /// Arrivals that are due and not started now.
    pub backlog: u64,
}

/// Column in which an operation is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    AsExpected,
    NotResumed,
    Failed,
}

impl Timeline {
    /// `window_end`: when the run ends, where that is known.
    pub fn new(window_start: Duration, window_end: Option<Duration>) -> Self {
        let width = width_for(window_end);
        let before = intervals_in(window_start, width);
        let all = window_end.map_or(INTERVALS_MAX, |end| {
            before + intervals_in(end.saturating_sub(window_start), width)
        });
        Timeline::with(window_start, width, all.min(INTERVALS_MAX))
    }

    /// The run begins: what was told so far is nobody's.
    pub fn begin(&mut self, gauges: Gauges) {
        self.told = gauges;
    }

    /// The timeline of a thread that never ran.
    pub fn empty() -> Self {
        Timeline::with(Duration::ZERO, SHORTEST, 1)
    }

    fn with(window_start: Duration, width: Duration, all: usize) -> Self {
        let before = intervals_in(window_start, width);
        let mut timeline = Timeline {
            window_start,
            width,
            before,
            intervals: vec![Interval::empty(); all.max(1)],
            current: 0,
            until: Duration::ZERO,
            told: Gauges::default(),
        };
        timeline.until = timeline.start_of(1);
        timeline
    }

    /// `true`: the current interval is over, and [`Timeline::advance`] is due.
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

    /// The length of an interval now; it grows as intervals are merged.
    pub fn width(&self) -> Duration {
        self.width
    }

    /// Makes the intervals longer, to the next width.
    fn coarsen(&mut self) {
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

    /// Each interval with its start and end, in seconds from the start of the window; those of the warm-up
    /// are below zero.
    pub fn intervals(&self) -> impl Iterator<Item = (f64, f64, &Interval)> {
        let from_window = |at: Duration| at.as_secs_f64() - self.window_start.as_secs_f64();
        let used = self.intervals.iter().take(self.current + 1).enumerate();
        used.map(move |(index, interval)| {
            let (start, end) = (self.start_of(index), self.start_of(index + 1));
            (from_window(start), from_window(end), interval)
        })
    }

    /// Makes intervals that hold too few operations for a percentile longer, up to a second, as long as
    /// enough are left.
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

/// The width that gives a run of this length between a hundred and six hundred intervals, where it is long
/// enough.
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
/// Number of operations that says something about a 99th percentile.
const OPERATIONS_WANTED: u64 = 300;
const INTERVALS_WANTED: u128 = 20;
const SHORTEST: Duration = Duration::from_millis(100);
const SHORT_RUN: Duration = Duration::from_secs(30);
const WIDTHS_MS: [u64; 9] = [100, 200, 1_000, 2_000, 10_000, 20_000, 60_000, 120_000, 240_000];
/// Two significant digits, and no finer than half a microsecond.
const LATENCY_UNIT_NS: u64 = 1_000;
const LATENCY_MAX_NS: u64 = 3_600_000_000_000;

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;
