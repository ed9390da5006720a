//! A limit on how often something is told, so that whoever causes it cannot flood the operator's log.
//!
//! An event is told while its period has lines left; the others are counted, and the next line that is told
//! says how many they were. The throttle writes nothing itself: its owner words the message. Time is an
//! argument. One owner, no lock.

use std::time::{Duration, Instant};

/// Limit of lines in each period. A period begins with its first line.
#[derive(Clone, Debug)]
pub struct Throttle {
    lines_per_period: u32,
    period: Duration,
    /// Start of the last period that had a line.
    began_at: Option<Instant>,
    /// Lines of that period.
    told: u32,
    /// Events since the last line.
    untold: u64,
}

impl Throttle {
    pub const fn new(lines_per_period: u32, period: Duration) -> Self {
        Self {
            lines_per_period,
            period,
            began_at: None,
            told: 0,
            untold: 0,
        }
    }

    /// A limit of one line each `period`.
    pub const fn every(period: Duration) -> Self {
        Self::new(1, period)
    }

    /// Notes one event. Where it is to be told: the number of events before it that were not.
    pub fn note(&mut self, now: Instant) -> Option<u64> {
        self.note_all(1, now).map(|events| events.saturating_sub(1))
    }

    /// Notes events that share one line. Where it is to be told: the number of events that it tells of, those
    /// included that were not told before.
    pub fn note_all(&mut self, events: u64, now: Instant) -> Option<u64> {
        self.untold = self.untold.saturating_add(events);
        if self.is_over(now) {
            self.began_at = Some(now);
            self.told = 0;
        }
        (self.told < self.lines_per_period).then(|| {
            self.told += 1;
            self.take_untold()
        })
    }

    /// Takes the number of events that were not told, once their period is over: no later event may come
    /// that would tell it. The line about them opens no period.
    pub fn remainder(&mut self, now: Instant) -> Option<u64> {
        (self.untold > 0 && self.is_over(now)).then(|| self.take_untold())
    }

    /// Takes the number of events that were not told, whatever the time.
    pub(super) fn take_untold(&mut self) -> u64 {
        std::mem::take(&mut self.untold)
    }

    fn is_over(&self, now: Instant) -> bool {
        self.began_at
            .is_none_or(|began_at| now.saturating_duration_since(began_at) >= self.period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(5);

    #[test]
    fn the_first_event_is_told_at_once_and_one_each_period_after_it() {
        let (mut throttle, start) = (Throttle::every(PERIOD), Instant::now());
        let after = |s| start + Duration::from_secs(s);
        assert_eq!(throttle.note(start), Some(0));
        assert_eq!(throttle.note(after(1)), None);
        assert_eq!(throttle.note(after(4)), None);
        assert_eq!(throttle.note(after(5)), Some(2));
        assert_eq!(throttle.note(after(6)), None);
    }

    #[test]
    fn events_that_share_a_line_are_told_in_one_sum() {
        let (mut throttle, start) = (Throttle::every(2 * PERIOD), Instant::now());
        let after = |s| start + Duration::from_secs(s);
        assert_eq!(throttle.note_all(1, start), Some(1));
        assert_eq!(throttle.note_all(2, after(3)), None);
        assert_eq!(throttle.note_all(4, after(9)), None);
        assert_eq!(throttle.note_all(8, after(10)), Some(14));
    }

    #[test]
    fn a_period_has_so_many_lines_and_the_next_as_many_again() {
        let (mut throttle, start) = (Throttle::new(100, PERIOD), Instant::now());
        let after = |ms| start + Duration::from_millis(ms);
        let told = |throttle: &mut Throttle, at| (0..150).filter(|_| throttle.note(at).is_some()).count();
        assert_eq!(told(&mut throttle, start), 100);
        assert_eq!((told(&mut throttle, after(4_999)), throttle.untold), (0, 200));
        assert_eq!((told(&mut throttle, after(5_000)), throttle.untold), (100, 50));
    }

    #[test]
    fn events_that_no_line_followed_are_told_once_when_their_period_is_over() {
        let (mut throttle, start) = (Throttle::every(PERIOD), Instant::now());
        let after = |s| start + Duration::from_secs(s);
        assert_eq!(throttle.remainder(start), None);
        throttle.note(start);
        assert_eq!(throttle.remainder(after(9)), None);
        throttle.note(after(1));
        assert_eq!(throttle.remainder(after(4)), None);
        assert_eq!(throttle.remainder(after(5)), Some(1));
        assert_eq!(throttle.remainder(after(20)), None);
    }

    #[test]
    fn the_line_about_the_remainder_opens_no_period() {
        let (mut throttle, start) = (Throttle::every(PERIOD), Instant::now());
        throttle.note(start);
        throttle.note(start);
        assert_eq!(throttle.remainder(start + PERIOD), Some(1));
        assert_eq!(throttle.note(start + PERIOD), Some(0));
    }
}
