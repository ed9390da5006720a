//! A note from the lanes to the shipper: one of them may have room again.
//!
//! Neither a channel nor `park` does here. Both wait on the thread's parking place, where each record that a
//! core sends would wake the shipper in vain, by a system call of the core.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Room {
    is_noted: Mutex<bool>,
    changed: Condvar,
}

impl Room {
    /// Leaves a note and wakes the shipper if it waits.
    pub(super) fn note(&self) {
        *self.is_noted.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Waits for a note, but no longer than `limit`, and takes it.
    pub(super) fn wait(&self, limit: Duration) {
        let is_noted = self.is_noted.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(is_noted, limit, |is_noted| !*is_noted);
        let (mut is_noted, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *is_noted = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_kept_for_whoever_waits_later_and_taken_once() {
        let room = Room::default();
        room.note();
        room.wait(Duration::from_secs(3_600));
        assert!(!*room.is_noted.lock().unwrap_or_else(PoisonError::into_inner));
        room.wait(Duration::ZERO);
    }
}
