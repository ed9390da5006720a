//! Complaints to the operator about origins that fail, without flooding: at once, then at most every five
//! seconds with the number left out.
//!
//! Owns the words' common form; whoever has seen the failure says what it was. One for each core.

use std::cell::RefCell;
use std::fmt::Display;
use std::time::{Duration, Instant};

use super::kinds::HttpOrigin;
use crate::logs::Throttle;

/// Failures of a core's origins, as far as they are told.
pub(super) struct Complaints(RefCell<Throttle>);

impl Complaints {
    pub(super) fn new() -> Self {
        Self(RefCell::new(Throttle::every(INTERVAL)))
    }

    /// Notes that `origin` failed, and tells it in the words `failure` if it is time.
    pub(super) fn note(
        &self,
        origin: &HttpOrigin,
        distribution: Option<&str>,
        error: &impl Display,
        failure: &str,
    ) {
        if let Some(untold) = self.0.borrow_mut().note(Instant::now()) {
            tracing::warn!(origin = &*origin.id, distribution, %error, untold, "{failure}");
        }
    }

    /// Tells of failures that were not told one by one, once it is time to: no later failure may come that
    /// would tell of them.
    pub(super) fn tell_remainder(&self, now: Instant) {
        let mut throttle = self.0.borrow_mut();
        if let Some(untold) = throttle.remainder(now) {
            // As any other line, it is followed by silence.
            let _opened = throttle.note_all(0, now);
            tracing::warn!(untold, "further responses of origins failed");
        }
    }
}

const INTERVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_about_further_failures_is_followed_by_silence_too() {
        let (complaints, start) = (Complaints::new(), Instant::now());
        let after = |s| start + Duration::from_secs(s);
        let note = |now| complaints.0.borrow_mut().note(now);
        assert_eq!((note(start), note(after(1))), (Some(0), None));
        complaints.tell_remainder(after(5));
        assert_eq!((note(after(6)), note(after(10))), (None, Some(1)));
    }
}
