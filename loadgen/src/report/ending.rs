//! Work left undone when the window ended, and stretches of it in which nothing was done.
//!
//! Percentiles know only operations that ended. A server that stops answering is therefore seen by the age of
//! what is in flight. Pure decisions over numbers.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::scenario::PhaseReport;
use super::timeline::Interval;

/// Operations in flight at the end of the window that are far older than operations of this run become.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overdue {
    /// Age of the oldest operation in flight.
    pub oldest: Duration,
    /// Older than this is overdue.
    pub limit: Duration,
    /// Nothing explains it but a server that has stopped answering: no operation of the run took half as
    /// long, or none has ended for long.
    pub hangs: bool,
}

/// `took`: how long operations took from their start, in nanoseconds. `silence`: since the last one that
/// ended.
pub fn overdue(oldest: Duration, took: &Histogram<u64>, silence: Duration) -> Option<Overdue> {
    let longest = Duration::from_nanos(took.max());
    let limit = (10 * usual(took)).max(OVERDUE_MIN);
    (oldest > limit).then(|| Overdue {
        oldest,
        limit,
        hangs: oldest > 2 * longest || silence > limit,
    })
}

/// The highest percentile that is more than the maximum under another name; the maximum of very few.
fn usual(took: &Histogram<u64>) -> Duration {
    let quantile = match took.len() {
        1000.. => 0.999,
        100.. => 0.99,
        10.. => 0.9,
        _ => 1.0,
    };
    Duration::from_nanos(took.value_at_quantile(quantile).min(took.max()))
}

/// A stretch of the window, in seconds from its start, in which no operation ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Silence {
    /// Seconds from the start of the window.
    pub start_s: f64,
    /// Length in seconds.
    pub length_s: f64,
}

impl Silence {
    /// It lasts to the end of a window of so many seconds, and longer than the generator's own stalls
    /// explain: then the clients wait for something, for a connection say, that is no operation yet.
    pub fn is_the_end(&self, window_s: f64, stalled_s: f64) -> bool {
        let is_last = self.start_s + self.length_s > window_s - ROUNDING_S;
        is_last && self.length_s > HANG_MIN_S.max(2.0 * stalled_s)
    }
}

/// The longest stretch of the window in which load was asked for and no operation ended, where that is out of
/// proportion: its start and its length in seconds. `median_s` is that of an operation, `warm_up_s` where the
/// window begins in the phases' time.
pub fn silence(
    intervals: &[Interval],
    phases: &[PhaseReport],
    warm_up_s: f64,
    median_s: f64,
) -> Option<Silence> {
    let is_loaded = |interval: &&Interval| {
        let (start, end) = (
            interval.start_s + warm_up_s,
            interval.start_s + interval.length_s + warm_up_s,
        );
        let touching =
            |phase: &&PhaseReport| phase.start_s < end - ROUNDING_S && start + ROUNDING_S < phase.end_s;
        interval.start_s >= 0.0 && phases.iter().filter(touching).all(PhaseReport::is_loaded)
    };
    let loaded: Vec<&Interval> = intervals.iter().filter(is_loaded).collect();
    let ended = |interval: &Interval| interval.ok + interval.failed + interval.not_resumed;
    let seconds: f64 = loaded.iter().map(|interval| interval.length_s).sum();
    let operations: u64 = loaded.iter().map(|interval| ended(interval)).sum();
    let gap = seconds / operations.max(1) as f64;
    let (mut longest, mut current): ((f64, f64), Option<(f64, f64)>) = ((0.0, 0.0), None);
    for interval in loaded {
        current = match (ended(interval), current) {
            (1.., _) => None,
            (0, Some((start, length))) if (start + length - interval.start_s).abs() < ROUNDING_S => {
                Some((start, length + interval.length_s))
            }
            (0, _) => Some((interval.start_s, interval.length_s)),
        };
        longest = current
            .filter(|(_, length)| *length > longest.1)
            .unwrap_or(longest);
    }
    let usual = SILENCE_MIN_S.max(10.0 * gap).max(3.0 * median_s);
    let (start_s, length_s) = longest;
    (operations > 0 && length_s > usual).then_some(Silence { start_s, length_s })
}

const OVERDUE_MIN: Duration = Duration::from_millis(100);
const HANG_MIN_S: f64 = 1.0;
const SILENCE_MIN_S: f64 = 0.3;
/// Times in reports are rounded to microseconds.
const ROUNDING_S: f64 = 1e-5;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn took(times: impl IntoIterator<Item = (u32, u64)>) -> Histogram<u64> {
        let mut histogram = crate::load::histogram::histogram();
        for (ms, count) in times {
            histogram.record_n(u64::from(ms) * 1_000_000, count).unwrap();
        }
        histogram
    }

    #[test]
    fn a_server_that_hangs_is_seen_by_the_age_of_what_is_in_flight() {
        let fast = took([(2, 9000)]);
        let found = overdue(990 * MS, &fast, 990 * MS).unwrap();
        assert!(found.hangs && found.limit == 100 * MS);
        assert!(
            overdue(3000 * MS, &fast, MS).unwrap().hangs,
            "one connection of many"
        );
        let once_slow = took([(2, 9000), (2500, 4)]);
        assert!(
            overdue(3000 * MS, &once_slow, 2900 * MS).unwrap().hangs,
            "none ended for long"
        );
        assert!(
            overdue(900 * MS, &took([]), 900 * MS).unwrap().hangs,
            "nothing ever ended"
        );
    }

    #[test]
    fn a_slow_server_or_a_rare_slow_operation_is_no_hang() {
        assert_eq!(overdue(1400 * MS, &took([(1500, 4)]), 500 * MS), None);
        assert_eq!(overdue(99 * MS, &took([(1, 9000)]), 99 * MS), None);
        assert_eq!(overdue(90 * MS, &took([(1, 990), (100, 10)]), MS), None);
        let rare = took([(2, 99_999), (500, 9)]);
        assert!(!overdue(480 * MS, &rare, MS).unwrap().hangs);
    }

    fn interval(start_s: f64, ok: u64) -> Interval {
        serde_json::from_value(serde_json::json!({
            "start_s": start_s, "length_s": 0.1, "ok": ok, "failed": 0, "not_resumed": 0, "received_bytes": 0,
            "sent_bytes": 0, "latency_us": null, "connections_open": 0, "backlog": 0, "generator_busy_percent": null,
            "server_busy_percent": null, "server_resident_bytes": null,
        }))
        .unwrap()
    }

    fn course(counts: &[u64]) -> Vec<Interval> {
        let intervals = counts.iter().enumerate();
        intervals
            .map(|(index, ok)| interval(index as f64 / 10.0, *ok))
            .collect()
    }

    #[test]
    fn a_silence_that_lasts_to_the_end_is_a_hang_unless_the_generator_stood_still() {
        let silence = |length_s| Silence {
            start_s: 3.0 - length_s,
            length_s,
        };
        assert!(silence(1.5).is_the_end(3.0, 0.1));
        assert!(!silence(1.5).is_the_end(3.0, 0.8));
        assert!(!silence(0.9).is_the_end(3.0, 0.0), "a machine may be busy");
        assert!(!silence(1.5).is_the_end(3.2, 0.0), "operations ended after it");
    }

    #[test]
    fn a_stretch_without_an_operation_is_found() {
        let found = silence(&course(&[90, 80, 0, 0, 0, 0, 85, 90]), &[], 0.0, 0.002).unwrap();
        assert!(
            (found.start_s - 0.2).abs() < 1e-9 && (found.length_s - 0.4).abs() < 1e-9,
            "{found:?}"
        );
        assert_eq!(
            silence(&course(&[90, 80, 0, 85, 0, 90]), &[], 0.0, 0.002),
            None,
            "too short"
        );
        assert_eq!(
            silence(&course(&[1, 0, 0, 0, 0, 1, 0, 0]), &[], 0.0, 0.002),
            None,
            "few operations"
        );
        assert_eq!(
            silence(&course(&[90, 0, 0, 0, 0, 90]), &[], 0.0, 0.4),
            None,
            "long ones, in step"
        );
    }
}
