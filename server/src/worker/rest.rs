//! Rest of an HTTP/1 connection: its state between two requests, when the buffers of HTTP may go.
//!
//! ```text
//!         quiet             still quiet
//! Awake ────────▶   Due   ─────────────▶ Resting
//!   ▲              │                      │
//!   └──────────────┘ at work              │
//!   └─────────────────────────────────────┘ woken
//! ```
//!
//! | state   | quiet | still quiet | at work | woken |
//! |---------|-------|-------------|---------|-------|
//! | Awake   | Due   | –           | –       | –     |
//! | Due     | –     | Resting     | Awake   | –     |
//! | Resting | –     | –           | –       | Awake |
//!
//! The tick finds a connection quiet. The connection's task then looks for itself, since it alone knows what
//! hyper holds: the connection is still quiet, or at work. A resting connection is woken by its peer or by
//! the core. An event in a state where the table has a dash changes nothing. Owns the state alone: the
//! buffers are given back in [`super::http1`].

use std::cell::Cell;

/// Rest of one connection.
#[derive(Default)]
pub(super) struct Rest(Cell<State>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// It keeps the buffers of HTTP.
    #[default]
    Awake,
    /// It keeps them, and should not.
    Due,
    /// It has given them back.
    Resting,
}

#[derive(Clone, Copy)]
enum Event {
    Quiet,
    StillQuiet,
    AtWork,
    Woken,
}

impl Rest {
    /// True where the connection neither rests nor is about to.
    pub(super) fn is_awake(&self) -> bool {
        self.0.get() == State::Awake
    }

    /// True where the connection's task has to look whether it is still quiet.
    pub(super) fn is_due(&self) -> bool {
        self.0.get() == State::Due
    }

    /// Notes that the tick has found the connection quiet.
    pub(super) fn note_quiet(&self) {
        self.note(Event::Quiet);
    }

    /// Notes what the connection's task has found when rest was due.
    pub(super) fn note_look(&self, is_still_quiet: bool) {
        self.note(match is_still_quiet {
            true => Event::StillQuiet,
            false => Event::AtWork,
        });
    }

    /// Notes that a resting connection has something to do.
    pub(super) fn note_woken(&self) {
        self.note(Event::Woken);
    }

    fn note(&self, event: Event) {
        self.0.set(self.0.get().after(event));
    }
}

impl State {
    const fn after(self, event: Event) -> Self {
        match (self, event) {
            (Self::Awake, Event::Quiet) => Self::Due,
            (Self::Due, Event::StillQuiet) => Self::Resting,
            (Self::Due, Event::AtWork) | (Self::Resting, Event::Woken) => Self::Awake,
            (state, _) => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_leads_where_the_table_says() {
        use State::{Awake, Due, Resting};
        let events = [Event::Quiet, Event::StillQuiet, Event::AtWork, Event::Woken];
        for (state, table) in [
            (Awake, [Due, Awake, Awake, Awake]),
            (Due, [Due, Resting, Awake, Due]),
            (Resting, [Resting, Resting, Resting, Awake]),
        ] {
            assert_eq!(events.map(|event| state.after(event)), table, "{state:?}");
        }
    }
}
