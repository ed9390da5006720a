//! Messages of functions for the operator: `console.log`, and errors of functions. One console for each core.
//!
//! Clients decide how often functions run. So a core tells a fixed number of lines a second, and then how
//! many it has left out. Text of a function goes out quoted and escaped: it cannot forge a line of the log.

use std::time::{Duration, Instant};

use super::throttle::Throttle;

/// The operator's log, as far as functions may fill it.
#[derive(Debug)]
pub struct Console {
    lines: Throttle,
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

    /// Tells how many lines were left out, once it is time: no later line may come that would.
    pub fn tell_untold(&mut self, now: Instant) {
        if let Some(untold) = self.lines.remainder(now) {
            tell_left_out(untold);
        }
    }

    /// Takes one line of this second, if one is left. Lines that were left out before it are told first.
    fn has_room(&mut self, now: Instant) -> bool {
        let Some(untold) = self.lines.note(now) else {
            return false;
        };
        if untold > 0 {
            tell_left_out(untold);
        }
        true
    }
}

impl Default for Console {
    fn default() -> Self {
        Self {
            lines: Throttle::new(LINES_PER_SECOND, Duration::from_secs(1)),
        }
    }
}

fn tell_left_out(untold: u64) {
    tracing::warn!(
        target: TARGET,
        untold,
        "functions had more to say than {LINES_PER_SECOND} lines a second on this core"
    );
}

const TARGET: &str = "function";
const LINES_PER_SECOND: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_lines_and_what_was_left_out_at_its_end_is_told_once() {
        let (mut console, start) = (Console::default(), Instant::now());
        let told = (0..103).filter(|_| console.has_room(start)).count();
        assert_eq!(told, 100);
        console.tell_untold(start);
        let second = Duration::from_secs(1);
        assert_eq!(
            console.lines.clone().remainder(start + second),
            Some(3),
            "the second is not over"
        );
        console.tell_untold(start + second);
        assert_eq!(console.lines.take_untold(), 0);
    }
}
