//! Histograms of times in nanoseconds; all have the same bounds, so that those of threads can be added.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Nanosecond values up to an hour, three significant digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3).expect("the bounds are valid")
}

/// Adds a time, in nanoseconds; one above [`LATENCY_MAX_NS`] counts as that.
pub fn record<T: hdrhistogram::Counter>(histogram: &mut Histogram<T>, time: Duration) {
    histogram.saturating_record(nanos(time));
}

/// Adds the same time `count` times.
pub fn record_n(histogram: &mut Histogram<u64>, time: Duration, count: u64) {
    histogram.saturating_record_n(nanos(time), count);
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// The longest latency that is told apart: an hour, in nanoseconds.
pub const LATENCY_MAX_NS: u64 = 3_600_000_000_000;
