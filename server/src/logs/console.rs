//! What functions tell the operator: `console.log`, and what went wrong in them. One for each core.
//!
//! Clients decide how often functions run, so a core tells so many lines a second and then how many it has left out. Text of a function
//! goes out quoted and escaped: no line of the log is anything but ours.

use std::time::{Duration, Instant};

/// The operator's log, as far as functions may fill it.
#[derive(Debug, Default)]
pub struct Console {
    /// When the second began in which `told` lines were told.
    since: Option<Instant>,
    told: u32,
    untold: u64,
}

impl Console {
    /// A line of `console.log`.
    pub fn line(&mut self, connection_id: &str, function: &str, line: &str, now: Instant) {
        if self.has_room(now) {
            tracing::info!(target: TARGET, connection_id, function, line, "console.log");
        }
    }

    /// A call that has failed.
    pub fn failed(&mut self, connection_id: &str, function: &str, error: &str, now: Instant) {
        if self.has_room(now) {
            tracing::warn!(target: TARGET, connection_id, function, error, "a function failed");
        }
    }

    /// A line of a viewer function's `console.log`.
    pub fn request_line(&mut self, request_id: &str, function: &str, line: &str, now: Instant) {
        if self.has_room(now) {
            tracing::info!(target: TARGET, request_id, function, line, "console.log");
        }
    }

    /// `cf.logCustomData` of a viewer function, URL-encoded.
    pub fn request_data(&mut self, request_id: &str, function: &str, data: &str, now: Instant) {
        if self.has_room(now) {
            tracing::info!(target: TARGET, request_id, function, data, "cf.logCustomData");
        }
    }

    /// A viewer function's call that has failed.
    pub fn request_failed(&mut self, request_id: &str, function: &str, error: &str, now: Instant) {
        if self.has_room(now) {
            tracing::warn!(target: TARGET, request_id, function, error, "a function failed");
        }
    }

    /// Says how many lines were left out, once it is time to: no later line may come that would.
    pub fn tell_untold(&mut self, now: Instant) {
        if self.untold > 0 && self.is_over(now) {
            // Outside of the macro, which evaluates nothing where nobody listens.
            let untold = std::mem::take(&mut self.untold);
            tracing::warn!(
                target: TARGET,
                untold,
                "functions had more to say than {LINES_PER_SECOND} lines a second on this core"
            );
        }
    }

    fn has_room(&mut self, now: Instant) -> bool {
        self.tell_untold(now);
        if self.is_over(now) {
            self.since = Some(now);
            self.told = 0;
        }
        let has_room = self.told < LINES_PER_SECOND;
        match has_room {
            true => self.told += 1,
            false => self.untold += 1,
        }
        has_room
    }

    fn is_over(&self, now: Instant) -> bool {
        self.since
            .is_none_or(|since| now.saturating_duration_since(since) >= Duration::from_secs(1))
    }
}

const TARGET: &str = "function";
const LINES_PER_SECOND: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_lines_and_the_next_as_many_again() {
        let (mut console, start) = (Console::default(), Instant::now());
        let after = |ms| start + Duration::from_millis(ms);
        let told = |console: &mut Console, at| (0..150).filter(|_| console.has_room(at)).count();
        assert_eq!(told(&mut console, start), 100);
        assert_eq!((told(&mut console, after(999)), console.untold), (0, 200));
        assert_eq!((told(&mut console, after(1_000)), console.untold), (100, 50));
    }

    #[test]
    fn what_was_left_out_at_the_end_is_told_once() {
        let (mut console, start) = (Console::default(), Instant::now());
        (0..103).for_each(|_| console.line("id", "noisy", "line", start));
        console.tell_untold(start);
        assert_eq!(console.untold, 3, "the second is not over");
        console.tell_untold(start + Duration::from_secs(1));
        assert_eq!(console.untold, 0);
    }
}
