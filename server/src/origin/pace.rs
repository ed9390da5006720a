//! Pace of a body between us and a viewer, for the one clock that judges all bodies of a core.
//!
//! A body costs no timer and never asks for the time: it notes whom it waits for and how much has moved; the
//! tick looks at that. Only the viewer is judged here; the origin has `origin_read_timeout`.

use std::cell::Cell;
use std::time::Duration;

/// Pace of one body, in one direction.
#[derive(Debug, Default)]
pub struct Pace {
    waits_for_viewer: Cell<bool>,
    /// Something was noted since the turn began.
    is_noted: Cell<bool>,
    moved: Cell<u64>,
    /// `moved` when it was last judged.
    judged: Cell<u64>,
    /// Time that the viewer was waited for, less what it has earned back by moving bytes.
    debt: Cell<Duration>,
}

impl Pace {
    /// Notes that from now on the viewer is waited for: to send, or to read.
    pub fn viewer_is_waited_for(&self) {
        self.waits_for_viewer.set(true);
        self.is_noted.set(true);
    }

    /// Notes that from now on somebody else is waited for, or nobody.
    pub fn rests(&self) {
        self.waits_for_viewer.set(false);
        self.is_noted.set(true);
    }

    pub fn move_bytes(&self, count: usize) {
        self.moved.set(self.moved.get().wrapping_add(count as u64));
    }

    pub(super) fn waits_for_viewer(&self) -> bool {
        self.waits_for_viewer.get()
    }

    /// Bytes moved so far.
    pub fn moved(&self) -> u64 {
        self.moved.get()
    }

    /// Starts anew, for another body.
    pub fn reset(&self) {
        self.waits_for_viewer.set(false);
        self.judged.set(self.moved.get());
        self.debt.set(Duration::ZERO);
    }

    /// Starts a turn of one of several bodies that share this value to note down what they do.
    pub fn begin_turn(&self) {
        self.reset();
        self.is_noted.set(false);
    }

    /// Takes over what one body has noted in `turn`, if it was asked at all.
    pub fn take_turn(&self, turn: &Self) {
        if turn.is_noted.get() {
            self.waits_for_viewer.set(turn.waits_for_viewer());
        }
        let moved = turn.moved.get().wrapping_sub(turn.judged.get());
        self.moved.set(self.moved.get().wrapping_add(moved));
    }

    /// Judges what has happened for `elapsed`. True: the viewer was waited for `patience` longer than its
    /// bytes have earned, at `bytes_per_s_min`; 0: any byte earns everything.
    pub fn is_overdue(&self, elapsed: Duration, patience: Duration, bytes_per_s_min: u64) -> bool {
        let moved = self
            .moved
            .get()
            .wrapping_sub(self.judged.replace(self.moved.get()));
        let earned = match moved {
            0 => Duration::ZERO,
            _ if bytes_per_s_min == 0 => Duration::MAX,
            moved => Duration::from_millis(moved.saturating_mul(1_000) / bytes_per_s_min),
        };
        let waited = if self.waits_for_viewer() {
            elapsed
        } else {
            Duration::ZERO
        };
        self.debt.set((self.debt.get() + waited).saturating_sub(earned));
        self.waits_for_viewer() && self.debt.get() >= patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PATIENCE: Duration = Duration::from_secs(8);

    /// Number of seconds of `turn` that go by until the viewer is too slow, of a hundred.
    fn overdue_after(bytes_per_s_min: u64, mut turn: impl FnMut(u32, &Pace)) -> Option<u32> {
        let pace = Pace::default();
        (1..=100).find(|second| {
            turn(*second, &pace);
            pace.is_overdue(SECOND, PATIENCE, bytes_per_s_min)
        })
    }

    #[test]
    fn a_viewer_that_moves_nothing_is_too_slow_after_the_time_that_it_has() {
        assert_eq!(overdue_after(240, |_, pace| pace.viewer_is_waited_for()), Some(8));
    }

    #[test]
    fn an_octet_now_and_then_buys_no_time_but_where_there_is_no_least_rate() {
        let octet = |second: u32, pace: &Pace| {
            pace.viewer_is_waited_for();
            pace.move_bytes(usize::from(second.is_multiple_of(3)));
        };
        assert_eq!(overdue_after(240, octet), Some(9));
        assert_eq!(overdue_after(0, octet), None);
    }

    #[test]
    fn the_least_rate_is_enough_also_in_bursts() {
        let steady = |_: u32, pace: &Pace| {
            pace.viewer_is_waited_for();
            pace.move_bytes(240);
        };
        let bursts = |second: u32, pace: &Pace| {
            pace.viewer_is_waited_for();
            pace.move_bytes(if second.is_multiple_of(7) { 7 * 240 } else { 0 });
        };
        assert_eq!(overdue_after(240, steady), None);
        assert_eq!(overdue_after(240, bursts), None);
    }

    #[test]
    fn waiting_for_the_origin_costs_the_viewer_nothing() {
        let pace = Pace::default();
        assert!(!pace.is_overdue(100 * SECOND, PATIENCE, 240));
        pace.viewer_is_waited_for();
        assert!(!pace.is_overdue(7 * SECOND, PATIENCE, 240));
        pace.rests();
        assert!(!pace.is_overdue(100 * SECOND, PATIENCE, 240));
        pace.viewer_is_waited_for();
        assert!(pace.is_overdue(SECOND, PATIENCE, 240));
        pace.reset();
        assert!(!pace.is_overdue(7 * SECOND, PATIENCE, 240));
    }
}
