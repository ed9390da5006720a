//! The vault: sessions of all cores and distributions, each found once by its ticket.
//!
//! A ticket is only a key: the slab key and a secret, 32 bytes. Any core redeems what any core issued.
//! Redeeming takes the session out (single use, RFC 8446 §8.1). Owns the sessions, the form of a ticket and
//! the bounds. Does not own whether a session may still be resumed (`tickets`).
//!
//! A ticket is issued in the middle of a handshake, when nothing tells yet whether that handshake resumes a
//! session or makes one. So it is worth nothing until [`SessionVault::bind`] says, at the end, whose it is.
//!
//! Bounded: each core remembers what it issued, redeemed or not, oldest first, and forgets the oldest when
//! those are `tickets_per_core` or when it is past its lifetime. All times are seconds since 1970.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use rustls_pki_types::UnixTime;
use sharded_slab::Slab;

use super::client::ClientAuth;
use super::session_state::SessionState;

/// The sessions of all cores and distributions.
pub struct SessionVault {
    sessions: Slab<Session>,
    per_core_max: usize,
    lifetime: Duration,
}

struct Session {
    secret: [u8; SECRET_BYTES],
    /// Taken by the one redemption that the ticket is good for.
    state: Mutex<Option<SessionState>>,
    scope: SessionScope,
    owner: OnceLock<SessionOwner>,
}

/// A session out of the vault.
pub(super) struct Taken {
    /// Encoding of rustls.
    pub(super) plain: Vec<u8>,
    pub(super) scope: SessionScope,
    pub(super) owner: SessionOwner,
}

/// Digests that must be the same when a ticket is redeemed as when it was issued.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct SessionScope {
    pub(super) policy: [u8; 32],
    pub(super) gate: Option<[u8; 32]>,
}

/// Client of a session, and the time of its proof.
#[derive(Clone)]
pub(super) struct SessionOwner {
    pub(super) client: ClientAuth,
    /// Time of its full handshake; renewals keep it.
    pub(super) authenticated_at: UnixTime,
}

impl SessionVault {
    /// An empty vault.
    pub fn new(per_core_max: usize, lifetime: Duration) -> Self {
        Self {
            sessions: Slab::new(),
            per_core_max,
            lifetime,
        }
    }

    /// Binds the session of slab key `key` to its client, once. A ticket whose session is not bound is
    /// declined.
    pub(super) fn bind(&self, key: usize, owner: SessionOwner) {
        let Some(session) = self.sessions.get(key) else {
            return;
        };
        if session.owner.set(owner).is_ok()
            && let (Some(owner), Ok(mut state)) = (session.owner.get(), session.state.lock())
            && let Some(state) = &mut *state
        {
            state.slim(owner.client.certificates());
        }
    }

    /// True if tickets are issued at all.
    pub(super) fn is_enabled(&self) -> bool {
        self.per_core_max > 0
    }

    /// Seconds for which a session lives, from the full handshake that made it.
    pub(super) fn lifetime(&self) -> u64 {
        self.lifetime.as_secs()
    }

    /// Keeps the session `plain`, and gives its slab key and its ticket. `None`: there is no room for it.
    pub(super) fn issue(&self, plain: &[u8], scope: SessionScope, now: UnixTime) -> Option<(usize, Vec<u8>)> {
        if plain.len() > PLAIN_BYTES_MAX {
            return None;
        }
        let mut secret = [0; SECRET_BYTES];
        aws_lc_rs::rand::fill(&mut secret).ok()?;
        let session = Session {
            secret,
            state: Mutex::new(Some(SessionState::whole(plain))),
            scope,
            owner: OnceLock::new(),
        };
        let key = self.insert(session, now.as_secs())?;
        let mut ticket = Vec::with_capacity(TICKET_BYTES);
        ticket.extend_from_slice(&key.to_be_bytes());
        ticket.extend_from_slice(&secret);
        Some((key, ticket))
    }

    /// Size of what is kept of the session of slab key `key`.
    #[cfg(test)]
    pub(super) fn kept_bytes(&self, key: usize) -> usize {
        let session = self.sessions.get(key).expect("the session");
        let state = session.state.lock().expect("nobody panicked");
        state.as_ref().expect("nobody took it").len()
    }

    fn insert(&self, session: Session, now: u64) -> Option<usize> {
        let key = self.sessions.insert(session)?;
        ISSUED.with_borrow_mut(|issued| {
            self.forget(issued, now);
            issued.push_back((key, now.saturating_add(self.lifetime.as_secs())));
        });
        Some(key)
    }

    fn forget(&self, issued: &mut VecDeque<(usize, u64)>, now: u64) {
        for _ in 0..FORGET_PER_ISSUE {
            let full = issued.len() >= self.per_core_max;
            match issued.front() {
                Some(&(key, expires_at)) if full || expires_at <= now => {
                    issued.pop_front();
                    self.sessions.remove(key);
                }
                _ => return,
            }
        }
    }

    /// Takes out the session that `ticket` stands for.
    pub(super) fn take(&self, ticket: &[u8]) -> Option<Taken> {
        let (key, secret) = ticket.split_first_chunk::<KEY_BYTES>()?;
        let key = usize::from_be_bytes(*key);
        let session = self.sessions.get(key)?;
        verify_slices_are_equal(&session.secret, secret).ok()?;
        let state = session.state.lock().ok()?.take()?;
        let owner = session.owner.get().cloned()?;
        let taken = Taken {
            plain: state.restored(owner.client.certificates())?,
            scope: session.scope,
            owner,
        };
        drop(session);
        // Not `Slab::take`, which leaves a slot on which `Slab::get` panics for a forged key of the next
        // generation, before any secret is compared.
        self.sessions.remove(key);
        Some(taken)
    }
}

impl fmt::Debug for SessionVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionVault").finish_non_exhaustive()
    }
}

thread_local! {
    /// Slab key and end of life of what this core issued, oldest first. Keys carry the slab's own generation,
    /// so one that was redeemed since finds nothing.
    static ISSUED: RefCell<VecDeque<(usize, u64)>> = const { RefCell::new(VecDeque::new()) };
}

const SECRET_BYTES: usize = 24;
pub(super) const KEY_BYTES: usize = 8;
/// Slab key and secret: the whole ticket.
pub(super) const TICKET_BYTES: usize = KEY_BYTES + SECRET_BYTES;
/// Expired tickets forgotten for each one issued, so many that a core never falls behind.
const FORGET_PER_ISSUE: usize = 4;
/// Size of a session that gets a ticket. The client decides how large its chain is, which is the most of a
/// session: this is enough for four ordinary certificates.
pub(super) const PLAIN_BYTES_MAX: usize = 8 * 1024;
