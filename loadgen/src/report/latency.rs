//! A histogram as a row of percentiles.

use hdrhistogram::{Counter, Histogram};
use serde::{Deserialize, Serialize};

/// The percentiles that a report shows.
pub const PERCENTILES: [(&str, f64); 6] = [
    ("p50", 50.0),
    ("p75", 75.0),
    ("p90", 90.0),
    ("p99", 99.0),
    ("p99.9", 99.9),
    ("p99.99", 99.99),
];

/// Times in microseconds. A percentile is absent when fewer values than needed lie above it to be more than
/// the maximum under another name.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Latency {
    /// Number of values.
    pub count: u64,
    pub mean: f64,
    pub min: f64,
    /// Half of the values are not above it.
    pub p50: Option<f64>,
    pub p75: Option<f64>,
    pub p90: Option<f64>,
    pub p99: Option<f64>,
    #[serde(rename = "p99.9")]
    pub p99_9: Option<f64>,
    #[serde(rename = "p99.99")]
    pub p99_99: Option<f64>,
    pub max: f64,
}

impl Latency {
    /// `None` for a histogram without values.
    pub fn of<T: Counter>(histogram: &Histogram<T>) -> Option<Self> {
        let count = histogram.len();
        let at = |percentile: f64| {
            let above = count as f64 * (100.0 - percentile) / 100.0;
            (above >= 1.0 - ROUNDING || percentile == 50.0)
                .then(|| micros(histogram.value_at_percentile(percentile).min(histogram.max())))
        };
        (count > 0).then(|| Latency {
            count,
            mean: histogram.mean() / 1e3,
            min: micros(histogram.min()),
            p50: at(50.0),
            p75: at(75.0),
            p90: at(90.0),
            p99: at(99.0),
            p99_9: at(99.9),
            p99_99: at(99.99),
            max: micros(histogram.max()),
        })
    }

    /// In the order of [`PERCENTILES`].
    pub fn percentiles(&self) -> [Option<f64>; 6] {
        [self.p50, self.p75, self.p90, self.p99, self.p99_9, self.p99_99]
    }
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

const ROUNDING: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: impl Iterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        for value in values {
            histogram.record(value * 1000).unwrap();
        }
        histogram
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let latency = Latency::of(&histogram(1..=100_000)).unwrap();
        let expected = [50_000.0, 75_000.0, 90_000.0, 99_000.0, 99_900.0, 99_990.0];
        for (value, expected) in latency.percentiles().into_iter().zip(expected) {
            let value = value.unwrap();
            assert!(
                (value / expected - 1.0).abs() < 0.001,
                "{value} should be {expected}"
            );
        }
        assert_eq!(latency.count, 100_000);
        assert!((latency.mean / 50_000.5 - 1.0).abs() < 0.001);
    }

    #[test]
    fn percentiles_that_the_sample_is_too_small_for_are_absent() {
        let latency = Latency::of(&histogram(1..=100)).unwrap();
        assert!(latency.p99.is_some());
        assert_eq!((latency.p99_9, latency.p99_99), (None, None));
        let latency = Latency::of(&histogram(1..=1)).unwrap();
        assert_eq!((latency.p50, latency.p75), (Some(latency.max), None));
    }

    #[test]
    fn no_values_give_no_row() {
        assert_eq!(Latency::of(&histogram(std::iter::empty())), None);
    }
}
