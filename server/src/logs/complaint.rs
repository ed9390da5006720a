//! The loss of records, told without flooding: at once, then at most every ten seconds with the number so
//! far, and once more when it has ended.

use std::time::{Duration, Instant};

use super::throttle::Throttle;

#[derive(Debug)]
pub(super) struct Complaint {
    throttle: Throttle,
    /// True if the last word was a complaint.
    outstanding: bool,
}

impl Complaint {
    /// Adds to the records that were lost; the number to complain about now, if it is time.
    pub(super) fn add(&mut self, lost: u64, now: Instant) -> Option<u64> {
        let due = self.throttle.note_all(lost, now);
        self.outstanding |= due.is_some();
        due
    }

    /// Ends a complaint, once for each. Yields the number of lost records that no complaint told of.
    pub(super) fn settle(&mut self) -> Option<u64> {
        std::mem::take(&mut self.outstanding).then(|| self.throttle.take_untold())
    }
}

impl Default for Complaint {
    fn default() -> Self {
        Self {
            throttle: Throttle::every(INTERVAL),
            outstanding: false,
        }
    }
}

const INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_loss_is_told_at_once_and_the_next_ten_seconds_in_one_sum() {
        let (mut complaint, start) = (Complaint::default(), Instant::now());
        let after = |s| start + Duration::from_secs(s);
        assert_eq!(complaint.add(1, start), Some(1));
        assert_eq!(complaint.add(2, after(3)), None);
        assert_eq!(complaint.add(4, after(9)), None);
        assert_eq!(complaint.add(8, after(10)), Some(14));
    }

    #[test]
    fn recovery_is_told_once_for_each_complaint() {
        let (mut complaint, start) = (Complaint::default(), Instant::now());
        assert_eq!(complaint.settle(), None);
        complaint.add(1, start);
        complaint.add(2, start);
        assert_eq!(complaint.settle(), Some(2));
        assert_eq!(complaint.settle(), None);
        complaint.add(4, start);
        assert_eq!(complaint.settle(), None);
    }
}
