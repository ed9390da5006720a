//! When operations of an open loop are due.
//!
//! Arrival `k` of the whole run is due `k / rate` after its start, whatever happened to earlier ones. Thread `t` of `n`
//! serves the arrivals `t, t + n, t + 2n, …`. Pure: time is an argument, an offset from the start of the run.

use std::time::Duration;

/// The fixed times at which one thread's operations are due.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Operations per second of all threads together, in thousandths.
    rate_milli: u64,
    first: u64,
    stride: u64,
}

impl Schedule {
    /// `rate` in operations per second, above zero; `thread` below `threads`.
    pub fn new(rate: f64, thread: usize, threads: usize) -> Self {
        Schedule {
            rate_milli: ((rate * 1e3).round() as u64).max(1),
            first: thread as u64,
            stride: threads.max(1) as u64,
        }
    }

    /// When this thread's `n`th operation is due.
    pub fn at(&self, n: u64) -> Duration {
        let k = u128::from(self.first) + u128::from(n) * u128::from(self.stride);
        let nanos = k * NANOS_TIMES_MILLI / u128::from(self.rate_milli);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many of this thread's operations are due at `now` or before.
    pub fn due(&self, now: Duration) -> u64 {
        // at(k) <= now  <=>  k < (now + 1 ns) * rate
        let limit = ((now.as_nanos() + 1) * u128::from(self.rate_milli)).div_ceil(NANOS_TIMES_MILLI);
        let count = limit
            .saturating_sub(u128::from(self.first))
            .div_ceil(u128::from(self.stride));
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}

/// The queue of arrivals that no connection has taken yet; it has no limit, and nothing is ever dropped from it.
#[derive(Debug)]
pub struct Arrivals {
    schedule: Schedule,
    taken: u64,
}

impl Arrivals {
    pub fn new(schedule: Schedule) -> Self {
        Arrivals { schedule, taken: 0 }
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

const NANOS_TIMES_MILLI: u128 = 1_000_000_000 * 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn arrivals_are_evenly_spaced_without_drift() {
        let schedule = Schedule::new(3.0, 0, 1);
        assert_eq!(schedule.at(0), Duration::ZERO);
        assert_eq!(schedule.at(1), Duration::from_nanos(333_333_333));
        assert_eq!(schedule.at(3_000_000), Duration::from_secs(1_000_000));
    }

    #[test]
    fn threads_share_the_schedule_without_overlap() {
        let whole = Schedule::new(1000.0, 0, 1);
        for thread in 0..3 {
            let part = Schedule::new(1000.0, thread, 3);
            for n in 0..100 {
                assert_eq!(part.at(n), whole.at(thread as u64 + 3 * n));
            }
        }
    }

    #[test]
    fn due_counts_exactly_the_arrivals_up_to_now() {
        for rate in [0.5, 3.0, 999.9, 123_456.7] {
            for (thread, threads) in [(0, 1), (1, 3), (2, 3)] {
                let schedule = Schedule::new(rate, thread, threads);
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
        let mut arrivals = Arrivals::new(Schedule::new(1000.0, 0, 1));
        assert_eq!(arrivals.take(Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(arrivals.take(MS / 2), None);
        assert_eq!(arrivals.next_after(MS / 2), MS);
        assert_eq!(arrivals.backlog(MS / 2), 0);
    }

    /// One connection, 1,000 operations a second, each served in 100 µs, but the server stalls once for 100 ms.
    /// A generator with coordinated omission would record one slow operation; we must record about a hundred.
    #[test]
    fn a_stalled_server_is_seen_by_every_operation_that_was_due_during_the_stall() {
        let mut arrivals = Arrivals::new(Schedule::new(1000.0, 0, 1));
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
        let mut arrivals = Arrivals::new(Schedule::new(1000.0, 0, 1));
        let mut now = Duration::ZERO;
        for _ in 0..100 {
            arrivals.take(now).expect("always due");
            now += 2 * MS;
        }
        assert_eq!(arrivals.backlog(now), 101);
        assert_eq!(arrivals.oldest_wait(now), 100 * MS);
    }
}
