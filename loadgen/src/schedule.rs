//! Times at which operations of an open loop are due.
//!
//! The rate may change from phase to phase and evenly within one: arrival `k` of the whole run is due as soon
//! as the rate's integral over time has reached `k`, whatever happened to earlier ones. With a constant rate
//! that is `k / rate` after the start. Thread `t` of `n` serves the arrivals `t, t + n, t + 2n, …`. Pure:
//! time is an argument, an offset from the start of the run.

use std::ops::Range;
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

    /// The time at which this thread's `n`th operation is due; [`Duration::MAX`] when there are not so many.
    pub fn at(&self, n: u64) -> Duration {
        let arrival = (self.first as f64) + (n as f64) * (self.stride as f64);
        let segment = self
            .segments
            .iter()
            .find(|segment| arrival < segment.before + segment.operations() - ROUNDING);
        segment.map_or(Duration::MAX, |segment| segment.at(arrival))
    }

    /// The number of this thread's operations that are due at `now` or before.
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

    /// The number of operations that are due before `end`.
    fn due_before(&self, end: Duration) -> u64 {
        end.checked_sub(Duration::from_nanos(1))
            .map_or(0, |last| self.due(last))
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

    /// The time at which the integral reaches `arrival`: the root of a parabola, in the form that loses no
    /// digits when it is flat.
    fn at(&self, arrival: f64) -> Duration {
        let missing = (arrival - self.before).max(0.0);
        let from = self.rate.from;
        let root = (from * from + 2.0 * self.slope() * missing).max(0.0).sqrt();
        let after = if missing == 0.0 {
            0.0
        } else {
            2.0 * missing / (from + root)
        };
        nanoseconds(self.start + after.min(self.length)).min(self.last_moment())
    }

    /// Rounding must not put an arrival behind its phase, where it would be nobody's.
    fn last_moment(&self) -> Duration {
        let end = Duration::try_from_secs_f64(self.start + self.length).unwrap_or(Duration::MAX);
        end.saturating_sub(Duration::from_nanos(1))
    }
}

/// Whole nanoseconds, down.
fn nanoseconds(seconds: f64) -> Duration {
    Duration::from_nanos((seconds * 1e9 + ROUNDING) as u64)
}

/// The queue of arrivals that no connection has taken yet. It has no limit. What is left in it when its open
/// loop ends is put aside and counted, so that every arrival was either taken or is known as left over.
#[derive(Debug)]
pub struct Arrivals {
    schedule: Schedule,
    taken: u64,
    /// Scheduled time of the last arrival that was taken.
    last_due: Option<Duration>,
    leftovers: Vec<Leftover>,
}

/// Arrivals of one open loop that nobody took, by their numbers, and when that loop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Numbers of the thread's own arrivals, counted from 0.
    pub numbers: Range<u64>,
    /// End of the open loop, as an offset from the start of the run.
    pub until: Duration,
}

impl Leftover {
    /// The number of these arrivals.
    pub fn count(&self) -> u64 {
        self.numbers.end - self.numbers.start
    }
}

impl Arrivals {
    /// A queue of the schedule's arrivals, of which none is taken yet.
    pub fn new(schedule: Schedule) -> Self {
        Arrivals {
            schedule,
            taken: 0,
            last_due: None,
            leftovers: Vec::new(),
        }
    }

    /// The open loop has ended at `end`: what was due before and never taken is left over.
    pub fn expire(&mut self, end: Duration) {
        let due = self.schedule.due_before(end);
        if due > self.taken {
            self.leftovers.push(Leftover {
                numbers: self.taken..due,
                until: end,
            });
            self.taken = due;
        }
    }

    /// Takes the oldest arrival if it was due before `end`; its scheduled time is where its latency starts.
    pub fn take_before(&mut self, end: Duration) -> Option<Duration> {
        let scheduled = self.schedule.at(self.taken);
        if scheduled >= end {
            return None;
        }
        self.taken += 1;
        self.last_due = Some(scheduled);
        Some(scheduled)
    }

    /// The first arrival after `now`.
    pub fn next_after(&self, now: Duration) -> Duration {
        self.schedule.at(self.schedule.due(now).max(self.taken))
    }

    /// The number of arrivals that are due and not taken.
    pub fn backlog(&self, now: Duration) -> u64 {
        self.schedule.due(now).saturating_sub(self.taken)
    }

    /// Until when arrivals were asked for in a run that ended at `end`: a last one may have been taken just
    /// behind it.
    pub fn asked_until(&self, end: Duration) -> Duration {
        let behind_last = self
            .last_due
            .map_or(Duration::ZERO, |due| due + Duration::from_nanos(1));
        end.max(behind_last)
    }

    /// The number of arrivals that were due within `time`, whatever became of them.
    pub fn due_within(&self, time: Range<Duration>) -> u64 {
        let before_start = self.schedule.due_before(time.start);
        self.schedule.due_before(time.end).saturating_sub(before_start)
    }

    /// The wait of the oldest that is left over.
    pub fn longest_wait(&self, left: &Leftover) -> Duration {
        left.until.saturating_sub(self.schedule.at(left.numbers.start))
    }

    /// The arrivals that nobody took, an entry for each open loop that has ended and had some.
    pub fn leftovers(&self) -> &[Leftover] {
        &self.leftovers
    }

    /// The number of arrivals left over that were due within `time`.
    pub fn left_within(&self, time: Range<Duration>) -> u64 {
        let (start, end) = (
            self.schedule.due_before(time.start),
            self.schedule.due_before(time.end),
        );
        let within = |left: &Leftover| {
            let (from, to) = (left.numbers.start.max(start), left.numbers.end.min(end));
            to.saturating_sub(from)
        };
        self.leftovers.iter().map(within).sum()
    }

    /// The waits of the arrivals that are left over, as pairs of a wait and how many had about the same. Of
    /// very many only evenly spaced ones are looked at.
    pub fn waits_of(&self, left: &Leftover) -> impl Iterator<Item = (Duration, u64)> {
        let Range { start, end } = left.numbers.clone();
        let (step, until) = (((end - start) / WAITS_MAX).max(1), left.until);
        let numbers = (start..end).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        numbers.map(move |number| {
            let wait = until.saturating_sub(self.schedule.at(number));
            (wait, step.min(end - number))
        })
    }
}

/// A number of waits that says as much as all of them.
const WAITS_MAX: u64 = 100_000;
/// Error of the arithmetic: far less than an operation, and than a nanosecond.
const ROUNDING: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::phase::tests::{closed, open, phases};

    const NS: Duration = Duration::from_nanos(1);
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
    fn what_an_open_loop_left_over_is_counted_and_none_of_the_next_ones() {
        let mut arrivals = Arrivals::new(Schedule::new(
            &phases(&[
                (1.0, open(10.0, 10.0)),
                (1.0, closed(1.0, 1.0)),
                (1.0, open(10.0, 10.0)),
            ]),
            0,
            1,
        ));
        assert_eq!(arrivals.take_before(S / 2), Some(Duration::ZERO));
        arrivals.expire(S);
        arrivals.expire(S);
        assert_eq!(
            (
                arrivals.left_within(Duration::ZERO..S),
                arrivals.due_within(Duration::ZERO..S)
            ),
            (9, 10)
        );
        let waits: Vec<_> = arrivals.waits_of(&arrivals.leftovers()[0]).collect();
        assert_eq!((waits.len(), waits[0]), (9, (9 * S / 10, 1)));
        assert_eq!(arrivals.backlog(2 * S), 1);
        assert_eq!(arrivals.take_before(2 * S + MS), Some(2 * S));
        assert_eq!(arrivals.left_within(S..3 * S), 0);
    }

    #[test]
    fn no_arrival_lies_behind_the_end_of_its_phase() {
        for rate in [3.0, 7.0, 99.9, 1e6, 1e8] {
            for seconds in [0.1, 0.3, 1.0, 7.7] {
                let phases = phases(&[(seconds, open(rate, rate)), (1.0, closed(0.0, 0.0))]);
                let schedule = Schedule::new(&phases, 0, 1);
                let count = schedule.due_before(phases[0].end);
                assert_eq!(count, schedule.due(10 * S), "{rate}/s for {seconds} s");
                assert!(schedule.at(count - 1) < phases[0].end && schedule.at(count) == Duration::MAX);
            }
        }
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
        assert_eq!(arrivals.take_before(MS / 2), Some(Duration::ZERO));
        assert_eq!(arrivals.take_before(MS), None);
        assert_eq!(arrivals.next_after(MS / 2), MS);
        assert_eq!(arrivals.backlog(MS / 2), 0);
    }

    /// Simulates a single connection with 1,000 operations a second, each served in 100 µs, where the server
    /// stalls once for 100 ms. A generator with coordinated omission would record one slow operation; we must
    /// record about a hundred.
    #[test]
    fn a_stalled_server_is_seen_by_every_operation_that_was_due_during_the_stall() {
        let mut arrivals = Arrivals::new(constant(1000.0, 0, 1));
        let mut now = Duration::ZERO;
        let mut latencies = Vec::new();
        while latencies.len() < 1000 {
            let Some(scheduled) = arrivals.take_before(now + NS) else {
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
            arrivals.take_before(now + NS).expect("always due");
            now += 2 * MS;
        }
        assert_eq!(arrivals.backlog(now), 101);
        arrivals.expire(now);
        assert_eq!(arrivals.longest_wait(&arrivals.leftovers()[0]), 100 * MS);
    }
}
