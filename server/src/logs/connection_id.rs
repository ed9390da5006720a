//! The name of one connection: 40 random bytes, shown as 56 characters of padded base64url.

use std::fmt;

use aws_lc_rs::rand;
use base64::display::Base64Display;
use base64::engine::general_purpose::URL_SAFE;
use serde::{Serialize, Serializer};

/// Unique for all practical purposes, unguessable, and without meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId([u8; BYTES]);

impl ConnectionId {
    #[cfg(test)]
    pub const fn from_bytes(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Base64Display::new(&self.0, &URL_SAFE).fmt(f)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ConnectionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A core's source of ids. The random generator is asked for a block of them at a time, so that one id is a
/// copy.
pub struct ConnectionIds {
    block: Box<[[u8; BYTES]; BLOCK]>,
    used: usize,
}

impl ConnectionIds {
    pub fn new() -> Self {
        Self {
            block: Box::new([[0; BYTES]; BLOCK]),
            used: BLOCK,
        }
    }

    /// The next id, never given before.
    ///
    /// # Panics
    /// When the system has no randomness to give, which aws-lc itself treats as fatal.
    pub fn next(&mut self) -> ConnectionId {
        loop {
            if let Some(id) = self.block.get(self.used) {
                self.used += 1;
                return ConnectionId(*id);
            }
            rand::fill(self.block.as_flattened_mut()).expect("aws-lc has randomness or aborts");
            self.used = 0;
        }
    }
}

impl Default for ConnectionIds {
    fn default() -> Self {
        Self::new()
    }
}

const BYTES: usize = 40;
/// Ids in a block: 4,000 bytes.
const BLOCK: usize = 100;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_id_is_56_characters_of_padded_base64url() {
        let id = ConnectionId::from_bytes([0xfb; BYTES]).to_string();
        assert_eq!(id.len(), 56);
        assert!(id.starts_with("-_v7-_v7"), "{id}");
        assert!(id.ends_with("-w=="), "{id}");
    }

    #[test]
    fn ids_do_not_repeat_within_or_across_blocks() {
        let mut ids = ConnectionIds::new();
        let distinct: HashSet<ConnectionId> = (0..3 * BLOCK).map(|_| ids.next()).collect();
        assert_eq!(distinct.len(), 3 * BLOCK);
    }

    #[test]
    fn two_cores_do_not_share_ids() {
        assert_ne!(ConnectionIds::new().next(), ConnectionIds::new().next());
    }
}
