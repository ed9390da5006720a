//! Says that records are being lost, without flooding: at once, then at most every ten seconds with the number so far.

use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub struct Complaint {
    said_at: Option<Instant>,
    /// Lost since the last word about it.
    unsaid: u64,
    /// Whether the last word was a complaint.
    outstanding: bool,
}

impl Complaint {
    /// Adds to what was lost; the number to complain about now, if it is time.
    pub fn add(&mut self, lost: u64, now: Instant) -> Option<u64> {
        self.unsaid += lost;
        let due = self
            .said_at
            .is_none_or(|said_at| now.saturating_duration_since(said_at) >= INTERVAL);
        due.then(|| {
            self.said_at = Some(now);
            self.outstanding = true;
            std::mem::take(&mut self.unsaid)
        })
    }

    /// Whether to say that things are well again: once after each complaint. Yields what was lost without a word.
    pub fn settle(&mut self) -> Option<u64> {
        std::mem::take(&mut self.outstanding).then(|| std::mem::take(&mut self.unsaid))
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
