//! Counts of one second of one thread, for the line that is shown while the run goes on.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::histogram::{LATENCY_MAX_NS, record};

/// Operations that ended within a second of the run.
#[derive(Debug)]
pub struct Second {
    /// Whole seconds since the start of the run.
    pub second: u64,
    /// Operations that ended as expected.
    pub ok: u64,
    /// Operations that ended otherwise.
    pub failed: u64,
    /// Arrivals that were due and not started at its end.
    pub backlog: u64,
    /// Latencies of the operations that ended as expected, in nanoseconds.
    pub latency: Histogram<u32>,
}

impl Second {
    /// Second number `second` of the run, in which nothing has ended.
    pub fn new(second: u64) -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX_NS, 2).expect("the bounds are valid");
        Second {
            second,
            ok: 0,
            failed: 0,
            backlog: 0,
            latency,
        }
    }

    /// Adds the same second of another thread.
    pub fn add(&mut self, other: &Second) {
        self.ok += other.ok;
        self.failed += other.failed;
        self.backlog += other.backlog;
        self.latency
            .add(&other.latency)
            .expect("all histograms have the same bounds");
    }

    /// Counts an operation that ended; its latency only if it ended as expected.
    pub fn count(&mut self, expected: bool, latency: Duration) {
        if expected {
            self.ok += 1;
            record(&mut self.latency, latency);
        } else {
            self.failed += 1;
        }
    }
}
