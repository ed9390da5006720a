//! Measurements that tell what limited a run, beside the server's own speed.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::counts::Operations;
use super::machine::{GeneratorUse, ThreadUse};
use super::merged::Merged;
use crate::failure::{ConnectError, Failure};
use crate::load::stalls::Stalled;
use crate::plan::Plan;

/// Measurements that the decision rests on.
#[derive(Debug, Default, Clone)]
pub struct Facts {
    /// Each load thread's use of its core in the window.
    pub threads: Vec<ThreadUse>,
    /// Over which the threads' time was measured.
    pub window_s: f64,
    /// Operations that ended in the window.
    pub operations: u64,
    /// Operations of an open loop that started over a millisecond late although a connection was free, and
    /// how late most of them were.
    pub late_by_generator: Late,
    /// The same where every connection was busy.
    pub late_for_connection: Late,
    /// Resources of which there were too few then: connections, or a scenario's clients.
    pub connections: String,
    /// Connection attempts that failed here: EADDRNOTAVAIL, and EMFILE or ENFILE.
    pub no_port: u64,
    /// Connection attempts that failed for want of a file descriptor: EMFILE or ENFILE.
    pub no_descriptor: u64,
    /// Overflows of the machine's listening sockets; 0 where the server runs elsewhere.
    pub listen_overflows: u64,
    /// Stalls of the generator's threads.
    pub stalled: Stalled,
    /// Closes by the server that clients waited for.
    pub closes: Closes,
    /// Streams that an h2 connection was to have at the same time, and that the server allows.
    pub streams: Option<(u64, u64)>,
}

/// Connections that the server was to close after their only response.
#[derive(Debug, Default, Clone, Copy)]
pub struct Closes {
    /// All of them.
    pub count: u64,
    /// Closed over ten milliseconds after the response.
    pub slow: u64,
    /// Open for longer than a second.
    pub never: u64,
}

impl Closes {
    fn of(merged: &Merged) -> Self {
        Closes {
            count: merged.close.len() + merged.never_closed,
            slow: merged.close.count_between(SLOW_CLOSE_NS, u64::MAX),
            never: merged.never_closed,
        }
    }
}

impl Facts {
    /// Gathers the facts of a window of length `window`.
    pub fn of(
        plan: &Plan,
        operations: &Operations,
        generator: &GeneratorUse,
        window: Duration,
        merged: &Merged,
        listen_overflows: u64,
    ) -> Self {
        let failed = |error: ConnectError| {
            let failure = Failure::Connect(error);
            let parts = [&merged.window, &merged.warm_up];
            parts.iter().filter_map(|part| part.failures.get(&failure)).sum()
        };
        Facts {
            threads: generator.threads.clone(),
            window_s: window.as_secs_f64(),
            operations: operations.total,
            late_by_generator: Late::of(&merged.late_by_generator),
            late_for_connection: Late::of(&merged.late_for_connection),
            connections: connections_of(plan),
            no_port: failed(ConnectError::NoLocalPort),
            no_descriptor: failed(ConnectError::NoDescriptor),
            listen_overflows,
            stalled: merged.stalled,
            closes: Closes::of(merged),
            streams: merged
                .streams_allowed
                .map(|allowed| (plan.streams() as u64, allowed as u64)),
        }
    }
}

/// Operations that started after they were due.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
pub struct Late {
    /// Number of those that started over a millisecond late.
    pub over_1ms: u64,
    /// Median delay in microseconds of all that were late, however little.
    pub p50_us: f64,
    /// 99th percentile of the same delays, in microseconds.
    pub p99_us: f64,
    /// The longest delay, in microseconds.
    pub max_us: f64,
}

impl Late {
    /// Reads the figures from a histogram of delays in nanoseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let micros = |nanos: u64| nanos.min(histogram.max()) as f64 / 1e3;
        Late {
            over_1ms: histogram.count_between(1_000_000, u64::MAX),
            p50_us: micros(histogram.value_at_quantile(0.5)),
            p99_us: micros(histogram.value_at_quantile(0.99)),
            max_us: micros(histogram.max()),
        }
    }
}

fn connections_of(plan: &Plan) -> String {
    match (&plan.scenario, plan.streams()) {
        (Some(_), _) => format!("{} clients", plan.clients),
        (None, 1) => format!("{} connections", plan.connections),
        (None, streams) => format!("{} connections of {streams} streams", plan.connections),
    }
}

const SLOW_CLOSE_NS: u64 = 10_000_000;
