//! Stalls of this thread's loop: it was stopped by a signal, had no core, or its virtual machine was paused.
//!
//! The loop is known to run each time something here is told the time, at least once in [`TICK`]. A longer
//! pause is a stall: everything that was due meanwhile starts late by the generator's doing, and so does what
//! queues up behind it, until the queue is empty again. That is the *debt*. Pure: times are offsets from the
//! start of the run.

use std::ops::Range;
use std::time::Duration;

/// A record of the stalls of one thread.
#[derive(Debug)]
pub struct Stalls {
    /// Last time at which the loop ran.
    ran: Duration,
    last: Range<Duration>,
    /// The stalls since the queue of arrivals was last empty.
    debt: Duration,
    window_start: Duration,
    seen: Stalled,
}

/// The stalls of the measured window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stalled {
    /// The longest stall of one thread.
    pub longest: Duration,
    /// Sum of the stalls of ten milliseconds and more.
    pub total: Duration,
}

impl Stalls {
    /// No stalls yet. Only the parts of stalls after `window_start` are told.
    pub fn new(window_start: Duration) -> Self {
        Stalls {
            ran: Duration::ZERO,
            last: Duration::ZERO..Duration::ZERO,
            debt: Duration::ZERO,
            window_start,
            seen: Stalled::default(),
        }
    }

    /// The loop runs now.
    pub fn runs(&mut self, now: Duration) {
        let wanted = self.ran + TICK;
        if now > wanted + TICK_SLACK {
            self.note(wanted, now);
        }
        self.ran = self.ran.max(now);
    }

    /// The loop runs now, and should have run at `wanted`.
    pub fn woke(&mut self, wanted: Duration, now: Duration) {
        if now > wanted + LATE {
            self.note(wanted, now);
        }
        self.ran = self.ran.max(now);
    }

    /// Nothing that was due waits any more.
    pub fn settled(&mut self) {
        self.debt = Duration::ZERO;
    }

    /// `true`: an arrival that starts so late does so because of a stall.
    pub fn explain(&self, late: Duration) -> bool {
        !self.debt.is_zero() && late <= self.debt + TICK + LATE
    }

    /// Ends the record, and tells the stalls of the window.
    pub fn conclude(&mut self) -> Stalled {
        self.count_last();
        self.last = Duration::ZERO..Duration::ZERO;
        self.seen
    }

    /// Two looks at the same stall are one: the later often knows better when it began.
    fn note(&mut self, wanted: Duration, now: Duration) {
        if wanted >= self.last.end {
            self.count_last();
            self.debt += now - wanted;
            self.last = wanted..now;
            return;
        }
        let before = self.last.start.saturating_sub(wanted);
        let after = now.saturating_sub(self.last.end);
        self.debt += before + after;
        self.last = self.last.start.min(wanted)..self.last.end.max(now);
    }

    fn count_last(&mut self) {
        let in_window = self
            .last
            .end
            .saturating_sub(self.last.start.max(self.window_start));
        if in_window >= COUNTED {
            self.seen.longest = self.seen.longest.max(in_window);
            self.seen.total += in_window;
        }
    }
}

/// The longest time between two runs of the loop if nothing else makes it run.
pub const TICK: Duration = Duration::from_millis(20);
/// Precision of the runtime's timers.
const TICK_SLACK: Duration = Duration::from_millis(5);
/// Delay from which on a start counts as late (see `limits`).
const LATE: Duration = Duration::from_millis(1);
/// A stall that is worth telling.
const COUNTED: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_loop_that_runs_in_time_has_no_stalls() {
        let mut stalls = Stalls::new(Duration::ZERO);
        for tick in 0..100 {
            stalls.runs(tick * 21 * MS);
            stalls.woke(tick * 21 * MS + MS, tick * 21 * MS + MS + MS / 2);
        }
        assert_eq!(stalls.conclude(), Stalled::default());
        assert!(!stalls.explain(2 * MS));
    }

    #[test]
    fn a_stall_explains_what_was_due_in_it_until_the_queue_is_empty() {
        let mut stalls = Stalls::new(Duration::ZERO);
        stalls.ran = 1500 * MS;
        // A client that became free sees it first, and knows only the tick that was missed.
        stalls.runs(2000 * MS);
        stalls.woke(1501 * MS, 2000 * MS);
        assert!(stalls.explain(499 * MS) && stalls.explain(MS));
        assert!(
            !stalls.explain(600 * MS),
            "longer than the stall: the server's part"
        );
        stalls.settled();
        assert!(!stalls.explain(2 * MS));
        let seen = stalls.conclude();
        assert_eq!((seen.longest, seen.total), (499 * MS, 499 * MS));
    }

    #[test]
    fn only_the_part_within_the_window_is_told() {
        let mut stalls = Stalls::new(1000 * MS);
        stalls.ran = 880 * MS;
        stalls.runs(1300 * MS);
        assert_eq!(stalls.conclude().longest, 300 * MS);
    }
}
