//! Counts of one connected socket, shared by both of its directions and by those above.
//!
//! Plain cells: a socket and all that use it are on one core.

use std::cell::Cell;

/// Bytes that a socket has moved in both directions, and how far those above have read.
#[derive(Default)]
pub struct DuplexStats {
    pub bytes_in: Cell<u64>,
    pub bytes_out: Cell<u64>,
    /// Set by those above while the peer may still be sending what nobody will read: a close should linger
    /// then.
    pub linger: Cell<bool>,
    /// `bytes_in` when those above had read something to its end, a request say. What comes after that begins
    /// a next one.
    pub settled_in: Cell<u64>,
}

impl DuplexStats {
    /// Notes that all bytes so far belong to what has been read to its end.
    pub fn settle(&self) {
        self.settled_in.set(self.bytes_in.get());
    }

    /// Bytes of something that has begun and not been read to its end.
    pub fn unsettled(&self) -> u64 {
        self.bytes_in.get().saturating_sub(self.settled_in.get())
    }
}
