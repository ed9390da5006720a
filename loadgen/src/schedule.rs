//! When operations of an open loop are due.
//!
//! The rate may change from phase to phase and evenly within one: arrival `k` of the whole run is due as soon as the
//! rate's integral over time has reached `k`, whatever happened to earlier ones. With a constant rate that is `k / rate`
//! after the start. Thread `t` of `n` serves the arrivals `t, t + n, t + 2n, …`. Pure: time is an argument, an offset
//! from the start of the run.

use std::time::Duration;

use crate::plan::phase::{Pace, Phase, Ramp};

/// The fixed times at which one thread's operations are due.
#[derive(Clone, Debug)]
pub struct Schedule {
    segments: Vec<Segment>,
    first: u64,
    stride: u64,
}

/// A phase with a rate above zero. Seconds and operations.
#[derive(Clone, Copy, Debug)]
struct Segment {
    start: f64,
    length: f64,
    rate: Ramp,
    /// The integral at the start.
    before: f64,
}

impl Schedule {
    /// `thread` below `threads`.
    pub fn new(phases: &[Phase], thread: usize, threads: usize) -> Self {
        let mut before = 0.0;
        let mut segments = Vec::new();
        for phase in phases {
            let Pace::Open { rate, .. } = phase.pace else {
                continue;
            };
            let segment = Segment {
                start: phase.start.as_secs_f64(),
                length: if phase.end == Duration::MAX {
                    f64::INFINITY
                } else {
                    phase.length().as_secs_f64()
                },
                rate,
                before,
            };
            before += segment.operations();
            segments.push(segment);
        }
        segments.retain(|segment| segment.rate.max() > 0.0);
        Schedule {
            segments,
            first: thread as u64,
            stride: threads.max(1) as u64,
        }
    }

    /// When this thread's `n`th operation is due; [`Duration::MAX`] when there are not so many.
    pub fn at(&self, n: u64) -> Duration {
        let arrival = (self.first as f64) + (n as f64) * (self.stride as f64);
        let segment = self
            .segments
            .iter()
            .find(|segment| arrival < segment.before + segment.operations() - ROUNDING);
        segment.map_or(Duration::MAX, |segment| segment.at(arrival))
    }

    /// How many of this thread's operations are due at `now` or before.
    pub fn due(&self, now: Duration) -> u64 {
        let reached = self.integral(now.as_secs_f64());
        let mut count = ((reached - self.first as f64) / self.stride as f64).max(0.0) as u64;
        // `at` decides; the integral is only near it, by the rounding of its arithmetic.
        while self.at(count) <= now {
            count += 1;
        }
        while count > 0 && self.at(count - 1) > now {
            count -= 1;
        }
        count
    }

    fn integral(&self, now: f64) -> f64 {
        let begun = self.segments.iter().rev().find(|segment| segment.start <= now);
        begun.map_or(0.0, |segment| {
            segment.before + segment.operations_until(now - segment.start)
        })
    }
}

impl Segment {
    fn operations(&self) -> f64 {
        self.operations_until(self.length)
    }

    /// Within the first `seconds` of it.
    fn operations_until(&self, seconds: f64) -> f64 {
        let seconds = seconds.min(self.length);
        if seconds.is_infinite() {
            return f64::INFINITY;
        }
        self.rate.from * seconds + self.slope() * seconds * seconds / 2.0
    }

    fn slope(&self) -> f64 {
        if self.length.is_infinite() {
            0.0
        } else {
            (self.rate.to - self.rate.from) / self.length
        }
    }

    /// Where the integral reaches `arrival`: the root of a parabola, in the form that loses no digits when it is flat.
    fn at(&self, arrival: f64) -> Duration {
        let missing = (arrival - self.before).max(0.0);
        let from = self.rate.from;
        let root = (from * from + 2.0 * self.slope() * missing).max(0.0).sqrt();
        let after = if missing == 0.0 {
            0.0
        } else {
            2.0 * missing / (from + root)
        };
        nanoseconds(self.start + after.min(self.length))
    }
}

/// Whole nanoseconds, down.
fn nanoseconds(seconds: f64) -> Duration {
    Duration::from_nanos((seconds * 1e9 + ROUNDING) as u64)
}

/// The queue of arrivals that no connection has taken yet. It has no limit, and nothing is dropped from it while its open
/// loop lasts.
#[derive(Debug)]
pub struct Arrivals {
    schedule: Schedule,
    taken: u64,
    /// Begins anew with each open loop.
    since: Duration,
}

impl Arrivals {
    pub fn new(schedule: Schedule) -> Self {
        Arrivals {
            schedule,
            taken: 0,
            since: Duration::ZERO,
        }
    }

    /// Leaves out what was due before `since` and never taken: the open loop that it belonged to has ended.
    pub fn begin(&mut self, since: Duration) {
        if since > self.since {
            self.since = since;
            let earlier = self.schedule.due(since.saturating_sub(Duration::from_nanos(1)));
            self.taken = self.taken.max(earlier);
        }
    }

    /// Takes the oldest arrival that is due; its scheduled time is where its latency starts.
    pub fn take(&mut self, now: Duration) -> Option<Duration> {
        let scheduled = self.schedule.at(self.taken);
        if scheduled > now {
            return None;
        }
        self.taken += 1;
        Some(scheduled)
    }

    /// The first arrival after `now`.
    pub fn next_after(&self, now: Duration) -> Duration {
        self.schedule.at(self.schedule.due(now).max(self.taken))
    }

    /// How many arrivals are due and not taken.
    pub fn backlog(&self, now: Duration) -> u64 {
        self.schedule.due(now).saturating_sub(self.taken)
    }

    /// How long the oldest arrival in the backlog has been waiting.
    pub fn oldest_wait(&self, now: Duration) -> Duration {
        now.saturating_sub(self.schedule.at(self.taken))
    }
}

/// Of the arithmetic: far less than an operation, and than a nanosecond.
const ROUNDING: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::phase::tests::{closed, open, phases};

    const MS: Duration = Duration::from_millis(1);
    const S: Duration = Duration::from_secs(1);

    fn constant(rate: f64, thread: usize, threads: usize) -> Schedule {
        let mut phases = phases(&[(1.0, open(rate, rate))]);
        phases[0].end = Duration::MAX;
        Schedule::new(&phases, thread, threads)
    }

    fn all(schedule: &Schedule) -> Vec<Duration> {
        (0..)
            .map(|n| schedule.at(n))
            .take_while(|at| *at < Duration::MAX)
            .collect()
    }

    #[test]
    fn a_ramp_starts_as_many_operations_as_its_integral_says() {
        for (phases, expected) in [
            (phases(&[(10.0, open(0.0, 100.0))]), 500),
            (phases(&[(10.0, open(100.0, 0.0))]), 500),
            (phases(&[(2.0, open(10.0, 30.0)), (1.0, open(30.0, 30.0))]), 70),
            (
                phases(&[
                    (1.0, open(7.0, 7.0)),
                    (5.0, closed(1.0, 1.0)),
                    (1.0, open(3.0, 3.0)),
                ]),
                10,
            ),
            (phases(&[(1.0, open(0.0, 0.0)), (1.0, open(5.0, 5.0))]), 5),
        ] {
            let end = phases.last().unwrap().end;
            for threads in 1..4 {
                let parts: Vec<Schedule> = (0..threads)
                    .map(|thread| Schedule::new(&phases, thread, threads))
                    .collect();
                let count: usize = parts.iter().map(|part| all(part).len()).sum();
                assert_eq!(count, expected, "{phases:?} on {threads} threads");
                let due: u64 = parts.iter().map(|part| part.due(end)).sum();
                assert_eq!(due, expected as u64);
            }
        }
    }

    #[test]
    fn a_rising_rate_brings_operations_closer_together() {
        // 0 to 8 per second over 4 s: the integral is t², so arrival k is due at the root of k.
        let schedule = Schedule::new(&phases(&[(4.0, open(0.0, 8.0))]), 0, 1);
        let times = all(&schedule);
        assert_eq!(times.len(), 16);
        for (k, at) in times.iter().enumerate() {
            let expected = (k as f64).sqrt();
            assert!((at.as_secs_f64() - expected).abs() < 1e-8, "{k} at {at:?}");
        }
    }

    #[test]
    fn a_spike_is_as_high_as_it_says_and_the_phase_after_it_is_not() {
        let schedule = Schedule::new(
            &phases(&[
                (1.0, open(10.0, 10.0)),
                (0.5, open(1000.0, 1000.0)),
                (1.0, open(10.0, 10.0)),
            ]),
            0,
            1,
        );
        let within = |from: Duration, to: Duration| {
            let times = all(&schedule);
            times.iter().filter(|&&at| from <= at && at < to).count()
        };
        assert_eq!(within(Duration::ZERO, S), 10);
        assert_eq!(within(S, S * 3 / 2), 500);
        assert_eq!(within(S * 3 / 2, S * 5 / 2), 10);
    }

    #[test]
    fn what_an_open_loop_left_over_is_none_of_the_next_ones() {
        let mut arrivals = Arrivals::new(Schedule::new(
            &phases(&[
                (1.0, open(10.0, 10.0)),
                (1.0, closed(1.0, 1.0)),
                (1.0, open(10.0, 10.0)),
            ]),
            0,
            1,
        ));
        assert_eq!(arrivals.take(S / 2), Some(Duration::ZERO));
        arrivals.begin(2 * S);
        assert_eq!(arrivals.backlog(2 * S), 1);
        assert_eq!(arrivals.take(2 * S), Some(2 * S));
    }

    #[test]
    fn arrivals_are_evenly_spaced_without_drift() {
        let schedule = constant(3.0, 0, 1);
        assert_eq!(schedule.at(0), Duration::ZERO);
        assert_eq!(schedule.at(1), Duration::from_nanos(333_333_333));
        assert_eq!(schedule.at(3_000_000), Duration::from_secs(1_000_000));
    }

    #[test]
    fn threads_share_the_schedule_without_overlap() {
        let whole = constant(1000.0, 0, 1);
        for thread in 0..3 {
            let part = constant(1000.0, thread, 3);
            for n in 0..100 {
                assert_eq!(part.at(n), whole.at(thread as u64 + 3 * n));
            }
        }
    }

    #[test]
    fn due_counts_exactly_the_arrivals_up_to_now() {
        for rate in [0.5, 3.0, 999.9, 123_456.7] {
            for (thread, threads) in [(0, 1), (1, 3), (2, 3)] {
                let schedule = constant(rate, thread, threads);
                for n in 0..200 {
                    let at = schedule.at(n);
                    assert_eq!(schedule.due(at), n + 1, "rate {rate} thread {thread}/{threads}");
                    if let Some(before) = at.checked_sub(Duration::from_nanos(1)) {
                        assert_eq!(schedule.due(before), n);
                    }
                }
            }
        }
    }

    #[test]
    fn an_idle_generator_waits_for_the_next_arrival_only() {
        let mut arrivals = Arrivals::new(constant(1000.0, 0, 1));
        assert_eq!(arrivals.take(Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(arrivals.take(MS / 2), None);
        assert_eq!(arrivals.next_after(MS / 2), MS);
        assert_eq!(arrivals.backlog(MS / 2), 0);
    }

    /// One connection, 1,000 operations a second, each served in 100 µs, but the server stalls once for 100 ms.
    /// A generator with coordinated omission would record one slow operation; we must record about a hundred.
    #[test]
    fn a_stalled_server_is_seen_by_every_operation_that_was_due_during_the_stall() {
        let mut arrivals = Arrivals::new(constant(1000.0, 0, 1));
        let mut now = Duration::ZERO;
        let mut latencies = Vec::new();
        while latencies.len() < 1000 {
            let Some(scheduled) = arrivals.take(now) else {
                now = arrivals.next_after(now);
                continue;
            };
            let service = if latencies.len() == 500 { 100 * MS } else { MS / 10 };
            now += service;
            latencies.push(now - scheduled);
        }
        let slow = latencies.iter().filter(|&&l| l > 10 * MS).count();
        assert!((99..=102).contains(&slow), "{slow} operations saw the stall");
        assert_eq!(latencies.iter().max(), Some(&(100 * MS)));
        assert_eq!(latencies[501], Duration::from_micros(99_100));
        assert_eq!(latencies[999], MS / 10, "the backlog was worked off");
        assert_eq!(arrivals.backlog(now), 0);
    }

    #[test]
    fn the_backlog_of_an_overloaded_server_grows_and_is_reported() {
        let mut arrivals = Arrivals::new(constant(1000.0, 0, 1));
        let mut now = Duration::ZERO;
        for _ in 0..100 {
            arrivals.take(now).expect("always due");
            now += 2 * MS;
        }
        assert_eq!(arrivals.backlog(now), 101);
        assert_eq!(arrivals.oldest_wait(now), 100 * MS);
    }
}
