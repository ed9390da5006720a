//! The clock of a run: times are offsets from its start, the same for all threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The times of a run, the same for all threads.
#[derive(Debug)]
pub struct Clock {
    /// Start of the run: the zero of all offsets.
    pub epoch: Instant,
    /// Offset from the epoch at which measuring begins.
    pub window_start: Duration,
    /// Nanoseconds from the epoch at which no more operations start and measuring ends.
    window_end: AtomicU64,
}

impl Clock {
    /// A clock whose zero is `epoch`. `duration` is the length of the window, `None` where the end is open.
    pub fn new(epoch: Instant, warm_up: Duration, duration: Option<Duration>) -> Self {
        let end = duration.map_or(u64::MAX, |duration| nanos(warm_up + duration));
        Clock {
            epoch,
            window_start: warm_up,
            window_end: AtomicU64::new(end),
        }
    }

    /// The time at `instant`; zero before the epoch.
    pub fn at(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.epoch)
    }

    /// The time now.
    pub fn now(&self) -> Duration {
        self.at(Instant::now())
    }

    /// The end of the window: the planned one, or an earlier one by [`Clock::stop`].
    pub fn window_end(&self) -> Duration {
        Duration::from_nanos(self.window_end.load(Ordering::Relaxed))
    }

    /// The planned end of the run, where a time was set for it.
    pub fn planned_end(&self) -> Option<Duration> {
        let end = self.window_end.load(Ordering::Relaxed);
        (end < u64::MAX).then(|| Duration::from_nanos(end))
    }

    /// Ends the run at `now` unless it ends earlier.
    pub fn stop(&self, now: Duration) {
        self.window_end.fetch_min(nanos(now), Ordering::Relaxed);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
