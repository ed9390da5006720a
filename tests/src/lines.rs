//! The lines that a process writes, read by a thread of their own, and waited for.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// All lines so far; more arrive until the writer closes its end.
#[derive(Clone, Default)]
pub struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    grown: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    /// Starts a thread that reads `source` to its end.
    pub fn read_from(source: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let writer = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
                writer.push(String::from_utf8_lossy(&line).into_owned());
            }
            writer.end();
        });
        lines
    }

    pub fn push(&self, line: String) {
        self.0.state.lock().unwrap().lines.push(line);
        self.0.grown.notify_all();
    }

    pub fn end(&self) {
        self.0.state.lock().unwrap().ended = true;
        self.0.grown.notify_all();
    }

    pub fn count(&self) -> usize {
        self.0.state.lock().unwrap().lines.len()
    }

    pub fn all(&self) -> Vec<String> {
        self.0.state.lock().unwrap().lines.clone()
    }

    /// The first line from number `from` on that `wanted` likes, and its number. None once the writer has
    /// closed its end without one, or the time is over.
    pub fn wait(
        &self,
        from: usize,
        limit: Duration,
        wanted: impl Fn(usize, &str) -> bool,
    ) -> Option<(usize, String)> {
        let until = Instant::now() + limit;
        let mut state = self.0.state.lock().unwrap();
        let mut next = from;
        loop {
            if let Some(found) =
                (next..state.lines.len()).find(|number| wanted(*number, &state.lines[*number]))
            {
                return Some((found, state.lines[found].clone()));
            }
            next = state.lines.len().max(from);
            let left = until.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            state = self.0.grown.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits for the writer to close its end. False where the time is over first.
    pub fn wait_for_end(&self, limit: Duration) -> bool {
        let state = self.0.state.lock().unwrap();
        let (state, _) = self
            .0
            .grown
            .wait_timeout_while(state, limit, |state| !state.ended)
            .unwrap();
        state.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_whenever_it_comes_and_its_absence_is_known_at_the_end() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let lines = Lines::read_from(reader);
        let waiter = lines.clone();
        let waiting = std::thread::spawn(move || waiter.wait(0, crate::PATIENCE, |_, line| line == "second"));
        std::io::Write::write_all(&mut writer, b"first\nsecond\nthird").unwrap();
        assert_eq!(waiting.join().unwrap(), Some((1, "second".to_owned())));
        drop(writer);
        assert_eq!(lines.wait(2, crate::PATIENCE, |_, line| line == "second"), None);
        assert!(lines.wait_for_end(crate::PATIENCE));
        assert_eq!(lines.all(), ["first", "second", "third"]);
    }
}
