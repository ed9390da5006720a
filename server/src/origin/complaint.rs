//! Says that origins fail, without flooding: at once, then at most every five seconds with the number left out.

use std::time::{Duration, Instant};

/// Record of what was told, and when.
#[derive(Debug, Default)]
pub struct Complaint {
    said_at: Option<Instant>,
    /// Failures since then that were not told.
    untold: u64,
}

impl Complaint {
    /// Notes a failure. If it is to be told: how many before it were not.
    pub fn note(&mut self, now: Instant) -> Option<u64> {
        if self.is_silent(now) {
            self.untold += 1;
            return None;
        }
        self.said_at = Some(now);
        Some(std::mem::take(&mut self.untold))
    }

    /// How many failures were never told, once it is time to say so: no later failure may come that would.
    pub(super) fn remainder(&mut self, now: Instant) -> Option<u64> {
        if self.untold == 0 || self.is_silent(now) {
            return None;
        }
        self.said_at = Some(now);
        Some(std::mem::take(&mut self.untold))
    }

    fn is_silent(&self, now: Instant) -> bool {
        self.said_at
            .is_some_and(|said_at| now.saturating_duration_since(said_at) < INTERVAL)
    }
}

const INTERVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_told_at_once_and_one_each_five_seconds_after_it() {
        let (mut complaint, start) = (Complaint::default(), Instant::now());
        let after = |s| start + Duration::from_secs(s);
        assert_eq!(complaint.note(start), Some(0));
        assert_eq!(complaint.note(after(1)), None);
        assert_eq!(complaint.note(after(4)), None);
        assert_eq!(complaint.note(after(5)), Some(2));
        assert_eq!(complaint.note(after(6)), None);
    }

    #[test]
    fn what_was_left_out_at_the_end_is_told_once() {
        let (mut complaint, start) = (Complaint::default(), Instant::now());
        let after = |s| start + Duration::from_secs(s);
        assert_eq!(complaint.remainder(start), None);
        complaint.note(start);
        assert_eq!(complaint.remainder(after(9)), None);
        complaint.note(after(1));
        assert_eq!(complaint.remainder(after(4)), None);
        assert_eq!(complaint.remainder(after(5)), Some(1));
        assert_eq!(complaint.remainder(after(20)), None);
    }
}
