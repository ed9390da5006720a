//! The course of the run: what the threads and the looks at the server saw, interval by interval.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::latency::Latency;
use crate::cpu::ServerGlance;
use crate::load::timeline::{self as load, Timeline as Recorded};

/// Warm-up and window; the sums over the intervals that begin at zero or later are the window's totals.
#[derive(Debug, Serialize)]
pub struct Timeline {
    /// Length of an interval; the first of the warm-up and the last may be shorter.
    pub interval_s: f64,
    /// Intervals in the order of time, without gaps.
    pub intervals: Vec<Interval>,
}

/// Figures of one interval, all threads together.
#[derive(Debug, Serialize, Deserialize)]
pub struct Interval {
    /// Seconds from the start of the window; below zero in the warm-up.
    pub start_s: f64,
    /// Length in seconds.
    pub length_s: f64,
    /// Operations that ended in it as expected.
    pub ok: u64,
    /// Operations that ended in it otherwise.
    pub failed: u64,
    /// Operations that ended in it by a full handshake in place of a resumed one.
    pub not_resumed: u64,
    /// Bytes received, TLS included.
    pub received_bytes: u64,
    /// Bytes sent, TLS included.
    pub sent_bytes: u64,
    /// Latency of those that ended as expected; `None`: none did.
    pub latency_us: Option<Percentiles>,
    /// TCP connections that were open at its end.
    pub connections_open: u64,
    /// Open loop: operations that were due and not started at its end.
    pub backlog: u64,
    /// 100: all of the generator's threads had a core all the time.
    pub generator_busy_percent: Option<f64>,
    /// Percentage of one core: 200 is two cores all the time.
    pub server_busy_percent: Option<f64>,
    /// Resident memory of the server's processes at the last look before its end.
    pub server_resident_bytes: Option<u64>,
}

/// Microseconds, to one part in a hundred.
#[derive(Debug, Serialize, Deserialize)]
pub struct Percentiles {
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p99: Option<f64>,
    #[serde(rename = "p99.9")]
    pub p99_9: Option<f64>,
    pub max: f64,
}

impl Timeline {
    /// `end_s`: when the window ended, in seconds from its start.
    pub fn of(recorded: &Recorded, end_s: f64, server: &ServerCourse) -> Self {
        Timeline {
            interval_s: recorded.width().as_secs_f64(),
            intervals: recorded
                .intervals()
                .map(|(start, end, interval)| Interval::of(start, end.min(end_s), interval, server))
                .collect(),
        }
    }
}

impl Interval {
    fn of(start_s: f64, end_s: f64, seen: &load::Interval, server: &ServerCourse) -> Self {
        Interval {
            start_s: to_micros(start_s),
            length_s: to_micros((end_s - start_s).max(0.0)),
            ok: seen.ok,
            failed: seen.failed,
            not_resumed: seen.not_resumed,
            received_bytes: seen.received,
            sent_bytes: seen.sent,
            latency_us: Latency::of(&seen.latency).map(Percentiles::of),
            connections_open: seen.open,
            backlog: seen.backlog,
            generator_busy_percent: seen.busy_percent(),
            server_busy_percent: server.busy_percent(start_s, end_s),
            server_resident_bytes: server.resident_bytes(end_s),
        }
    }
}

impl Percentiles {
    fn of(latency: Latency) -> Self {
        Percentiles {
            p50: latency.p50,
            p90: latency.p90,
            p99: latency.p99,
            p99_9: latency.p99_9,
            max: latency.max,
        }
    }
}

/// The server's CPU time and memory at some times, in seconds from the start of the window.
pub struct ServerCourse(Vec<Look>);

struct Look {
    at_s: f64,
    cpu_s: f64,
    resident_bytes: u64,
}

impl ServerCourse {
    /// Puts the looks, taken from `epoch` on, on the time scale of the window that begins at `window_start`.
    pub fn of(glances: &[ServerGlance], window_start: Instant, epoch: Instant) -> Self {
        let warm_up = window_start.saturating_duration_since(epoch).as_secs_f64();
        let look = |glance: &ServerGlance| Look {
            at_s: glance.taken_at.saturating_duration_since(epoch).as_secs_f64() - warm_up,
            cpu_s: glance.cpu.as_secs_f64(),
            resident_bytes: glance.resident_bytes,
        };
        ServerCourse(glances.iter().map(look).collect())
    }

    /// Between looks its CPU time is taken to have grown evenly; outside of them nothing is known.
    fn busy_percent(&self, start_s: f64, end_s: f64) -> Option<f64> {
        let (first, last) = (self.0.first()?, self.0.last()?);
        let (start, end) = (start_s.max(first.at_s), end_s.min(last.at_s));
        let known = end - start;
        (known > 0.5 * (end_s - start_s) && known > 0.0)
            .then(|| 100.0 * (self.cpu_at(end) - self.cpu_at(start)).max(0.0) / known)
    }

    fn cpu_at(&self, at_s: f64) -> f64 {
        let after = self.0.partition_point(|look| look.at_s < at_s);
        match (
            after.checked_sub(1).and_then(|index| self.0.get(index)),
            self.0.get(after),
        ) {
            (Some(before), Some(after)) => {
                let share = (at_s - before.at_s) / (after.at_s - before.at_s).max(1e-9);
                before.cpu_s + share * (after.cpu_s - before.cpu_s)
            }
            (Some(one), None) | (None, Some(one)) => one.cpu_s,
            (None, None) => 0.0,
        }
    }

    /// At the last look before.
    fn resident_bytes(&self, at_s: f64) -> Option<u64> {
        let after = self.0.partition_point(|look| look.at_s <= at_s);
        self.0.get(after.checked_sub(1)?).map(|look| look.resident_bytes)
    }
}

/// Whole microseconds: the floating point's rounding is nobody's concern.
fn to_micros(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(looks: &[(f64, f64)]) -> ServerCourse {
        let look = |&(at_s, cpu_s): &(f64, f64)| Look {
            at_s,
            cpu_s,
            resident_bytes: (at_s * 10.0) as u64,
        };
        ServerCourse(looks.iter().map(look).collect())
    }

    #[test]
    fn the_servers_share_is_interpolated_between_looks() {
        let course = course(&[(0.0, 1.0), (1.1, 2.1), (2.0, 2.1)]);
        assert!((course.busy_percent(0.0, 1.0).unwrap() - 100.0).abs() < 1e-6);
        assert!((course.busy_percent(1.0, 2.0).unwrap() - 10.0).abs() < 1e-6);
        assert_eq!(course.resident_bytes(1.5), Some(11));
    }

    #[test]
    fn before_and_after_the_looks_nothing_is_said() {
        let looks = course(&[(0.0, 1.0), (1.0, 2.0)]);
        assert_eq!(looks.busy_percent(5.0, 6.0), None);
        assert_eq!(looks.busy_percent(-3.0, -2.0), None);
        assert_eq!(looks.resident_bytes(-1.0), None);
        assert_eq!(course(&[]).busy_percent(0.0, 1.0), None);
        assert_eq!(course(&[(0.5, 1.0)]).busy_percent(0.0, 1.0), None);
    }
}
