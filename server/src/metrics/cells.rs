//! The cells that counts are kept in: single-writer for cores, shared for the process.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::labels::Label;

/// A count with one writer: `add` is a plain load and store. Two threads that add to it lose counts, nothing
/// worse.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, n: u64) {
        self.0.store(self.get().wrapping_add(n), Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A level with one writer.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    pub fn increment(&self) {
        self.0.store(self.get().saturating_add(1), Relaxed);
    }

    pub fn decrement(&self) {
        debug_assert!(self.get() > 0, "decremented more often than incremented");
        self.0.store(self.get().saturating_sub(1), Relaxed);
    }

    #[cfg(test)]
    pub fn set(&self, level: u64) {
        self.0.store(level, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A count that any thread may change.
#[derive(Debug, Default)]
pub struct SharedCounter(AtomicU64);

impl SharedCounter {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A level that any thread may set.
#[derive(Debug, Default)]
pub struct SharedGauge(AtomicU64);

impl SharedGauge {
    pub fn set(&self, level: u64) {
        self.0.store(level, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A cell for each value of a label.
pub struct Family<L: Label, C: Default = Counter> {
    cells: L::Cells<C>,
}

impl<L: Label, C: Default> Family<L, C> {
    pub fn of(&self, label: L) -> &C {
        &self.cells[label.index()]
    }
}

impl<L: Label, C: Default> Default for Family<L, C> {
    fn default() -> Self {
        Self { cells: L::cells() }
    }
}

impl<L: Label, C: Default + fmt::Debug> fmt::Debug for Family<L, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = L::ALL.iter().map(|label| (label.text(), self.of(*label)));
        f.debug_map().entries(cells).finish()
    }
}

/// Durations in fixed buckets, with one writer.
#[derive(Debug, Default)]
pub struct Histogram<S: Scale = HandshakeScale> {
    /// Counts by upper bound, not cumulated; the last is for what exceeds every bound.
    buckets: [Counter; BUCKETS],
    sum_ns: Counter,
    scale: PhantomData<S>,
}

/// Inclusive upper bounds of buckets, ascending, with their label in seconds.
pub trait Scale {
    const BOUNDS: [(Duration, &'static str); BUCKETS - 1];
}

impl<S: Scale> Histogram<S> {
    pub fn record(&self, duration: Duration) {
        let bucket = S::BOUNDS.partition_point(|(bound, _)| *bound < duration);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.add(1);
        }
        self.sum_ns
            .add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Counts by bucket, smallest first; not cumulated.
    pub(super) fn buckets(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(Counter::get)
    }

    pub(super) fn sum_ns(&self) -> u64 {
        self.sum_ns.get()
    }
}

/// The last bucket has no bound.
pub(super) const BUCKETS: usize = 17;

/// Steps of 1, 2.5 and 5, from what a resumed handshake takes on loopback to the whole default time limit.
#[derive(Debug, Default)]
pub struct HandshakeScale;

/// The same, from what the smallest function takes to the longest time that one may be given.
#[derive(Debug, Default)]
pub struct FunctionScale;

impl Scale for HandshakeScale {
    const BOUNDS: [(Duration, &'static str); BUCKETS - 1] = [
        (Duration::from_micros(100), "0.0001"),
        (Duration::from_micros(250), "0.00025"),
        (Duration::from_micros(500), "0.0005"),
        (Duration::from_millis(1), "0.001"),
        (Duration::from_micros(2_500), "0.0025"),
        (Duration::from_millis(5), "0.005"),
        (Duration::from_millis(10), "0.01"),
        (Duration::from_millis(25), "0.025"),
        (Duration::from_millis(50), "0.05"),
        (Duration::from_millis(100), "0.1"),
        (Duration::from_millis(250), "0.25"),
        (Duration::from_millis(500), "0.5"),
        (Duration::from_secs(1), "1"),
        (Duration::from_millis(2_500), "2.5"),
        (Duration::from_secs(5), "5"),
        (Duration::from_secs(10), "10"),
    ];
}

impl Scale for FunctionScale {
    const BOUNDS: [(Duration, &'static str); BUCKETS - 1] = [
        (Duration::from_micros(1), "0.000001"),
        (Duration::from_nanos(2_500), "0.0000025"),
        (Duration::from_micros(5), "0.000005"),
        (Duration::from_micros(10), "0.00001"),
        (Duration::from_micros(25), "0.000025"),
        (Duration::from_micros(50), "0.00005"),
        (Duration::from_micros(100), "0.0001"),
        (Duration::from_micros(250), "0.00025"),
        (Duration::from_micros(500), "0.0005"),
        (Duration::from_millis(1), "0.001"),
        (Duration::from_micros(2_500), "0.0025"),
        (Duration::from_millis(5), "0.005"),
        (Duration::from_millis(10), "0.01"),
        (Duration::from_millis(25), "0.025"),
        (Duration::from_millis(100), "0.1"),
        (Duration::from_secs(1), "1"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::HandshakeKind;

    #[test]
    fn each_value_of_a_label_has_its_own_cell() {
        let family: Family<HandshakeKind> = Family::default();
        family.of(HandshakeKind::Resumed).add(3);
        assert_eq!(family.of(HandshakeKind::Resumed).get(), 3);
        assert_eq!(family.of(HandshakeKind::Full).get(), 0);
    }

    #[test]
    fn a_duration_on_a_bound_falls_into_that_bucket_and_one_above_into_the_next() {
        let histogram: Histogram = Histogram::default();
        histogram.record(Duration::from_micros(100));
        histogram.record(Duration::from_nanos(100_001));
        histogram.record(Duration::from_secs(11));
        let counts: Vec<u64> = histogram.buckets().collect();
        assert_eq!(counts.first(), Some(&1));
        assert_eq!(counts.get(1), Some(&1));
        assert_eq!(counts.last(), Some(&1));
        assert_eq!(histogram.sum_ns(), 11_000_200_001);
    }

    #[test]
    fn bounds_ascend_and_their_labels_say_what_they_are() {
        for bounds in [HandshakeScale::BOUNDS, FunctionScale::BOUNDS] {
            assert!(bounds.is_sorted_by(|a, b| a.0 < b.0));
            for (bound, label) in bounds {
                assert_eq!(label.parse::<f64>().ok(), Some(bound.as_secs_f64()));
            }
        }
    }
}
