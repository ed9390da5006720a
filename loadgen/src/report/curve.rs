//! A histogram as a curve: what share of the operations took no longer than which time.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::merged::Merged;

/// A point of the curve. Points lie closer together towards the end, as in HdrHistogram's own output.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Share of the operations that took no longer, from 0 to 100.
    pub percentile: f64,
    /// Time in microseconds.
    pub us: f64,
    /// Operations that took no longer.
    pub count: u64,
}

/// Five points for each halving of what is left to 100 %, which is the last. Empty for a histogram without
/// values.
fn curve(histogram: &Histogram<u64>) -> Vec<Point> {
    let mut count = 0;
    histogram
        .iter_quantiles(TICKS_PER_HALVING)
        .map(|step| {
            count += step.count_since_last_iteration();
            Point {
                percentile: (1e8 * step.quantile_iterated_to()).round() / 1e6,
                us: step.value_iterated_to().min(histogram.max()) as f64 / 1e3,
                count,
            }
        })
        .collect()
}

/// The distributions that are worth a curve.
#[derive(Debug, Serialize)]
pub struct Curves {
    /// Latencies of operations; in an open loop from the time they were due.
    pub operation: Vec<Point>,
    /// Open loop only: without the time between schedule and start.
    pub from_actual_start: Vec<Point>,
    /// Times of TLS handshakes.
    pub tls_handshake: Vec<Point>,
}

impl Curves {
    /// Curves of the window; `from_actual_start` is empty where the run has no open loop.
    pub fn of(open_loop: bool, merged: &Merged) -> Self {
        Curves {
            operation: curve(&merged.latency),
            from_actual_start: if open_loop {
                curve(&merged.service)
            } else {
                Vec::new()
            },
            tls_handshake: curve(&merged.handshake),
        }
    }
}

const TICKS_PER_HALVING: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_rises_to_the_maximum_and_counts_every_value() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        (1..=10_000).for_each(|value| histogram.record(value * 1000).unwrap());
        let curve = curve(&histogram);
        assert!(
            curve
                .windows(2)
                .all(|pair| pair[0].us <= pair[1].us && pair[0].percentile <= pair[1].percentile)
        );
        let last = curve.last().unwrap();
        assert_eq!((last.percentile, last.count), (100.0, 10_000));
        assert!((last.us / 10_000.0 - 1.0).abs() < 0.001);
        let median = curve.iter().find(|point| point.percentile >= 50.0).unwrap();
        assert!((median.us / 5_000.0 - 1.0).abs() < 0.001, "{median:?}");
        assert!(curve.len() < 200);
    }

    #[test]
    fn no_values_give_no_points() {
        assert!(curve(&Histogram::<u64>::new(3).unwrap()).is_empty());
    }
}
