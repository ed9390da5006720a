//! Session tickets that are only keys: 32 bytes that find a session kept here, once, while its client is still welcome.
//!
//! One [`SessionVault`] serves the whole process, so any core redeems what any core issued. A ticket is the slab key
//! and a secret. Redeeming takes the session out (single use, RFC 8446 §8.1) and then asks three things: has its
//! lifetime passed, was it made under this very policy and gate, and would the policy's snapshot of today still admit the
//! client. rustls itself never asks a verifier on resumption; this is where a revoked client is stopped. Whatever is
//! declined becomes a full handshake, which refuses with the proper alert.
//!
//! A ticket is issued in the middle of a handshake, when nothing tells yet whether that handshake resumes a session or
//! makes one. So it is worth nothing until [`SessionVault::bind`] says, at the end, whose it is.
//!
//! Bounded: each core remembers what it issued, redeemed or not, oldest first, and forgets the oldest when those are
//! `tickets_per_core` or when it is past its lifetime.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use rustls::server::ProducesTickets;
use rustls_pki_types::UnixTime;
use sharded_slab::Slab;

use super::client::{ClientAuth, ClientPolicy};
use super::gate::GateVersion;
use super::notes::{HandshakeNotes, note};
use super::session_state::SessionState;
use crate::metrics::TicketDecline;
use crate::trust::{Mode, RejectedKind};

const SECRET_BYTES: usize = 24;
const KEY_BYTES: usize = 8;
/// Slab key and secret: the whole ticket.
const TICKET_BYTES: usize = KEY_BYTES + SECRET_BYTES;
/// Expired tickets forgotten for each one issued: enough to fall behind never.
const FORGET_PER_ISSUE: usize = 4;

/// The sessions of all cores and distributions.
pub struct SessionVault {
    sessions: Slab<Session>,
    per_core_max: usize,
    lifetime: Duration,
}

struct Session {
    secret: [u8; SECRET_BYTES],
    /// Whoever takes it has used the ticket up.
    state: Mutex<Option<SessionState>>,
    scope: Scope,
    owner: OnceLock<SessionOwner>,
}

/// A session out of the vault.
struct Taken {
    /// rustls' own encoding of it.
    plain: Vec<u8>,
    scope: Scope,
    owner: SessionOwner,
}

/// What must be the same when a ticket is redeemed as when it was issued.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Scope {
    policy: [u8; 32],
    gate: Option<[u8; 32]>,
}

/// Whose session it is, and since when.
#[derive(Clone)]
pub struct SessionOwner {
    pub client: ClientAuth,
    /// When its full handshake happened; renewals keep it.
    pub authenticated_at: UnixTime,
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

    /// Says whose session the ticket of slab key `key` carries. Once; without it the ticket is declined.
    pub fn bind(&self, key: usize, owner: SessionOwner) {
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

    /// The session that `ticket` stands for, once.
    ///
    /// `Slab::take` would be the natural call, but it leaves a slot that a forged key of the next generation makes
    /// `Slab::get` panic on, before any secret is compared. `remove` does not.
    fn take(&self, ticket: &[u8]) -> Option<Taken> {
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
    /// Slab key and end of life of what this core issued, oldest first. Keys carry the slab's own generation, so one
    /// that was redeemed since finds nothing.
    static ISSUED: RefCell<VecDeque<(usize, u64)>> = const { RefCell::new(VecDeque::new()) };
}

/// One distribution's view of the vault, under one snapshot.
#[derive(Debug)]
pub struct TicketScope {
    vault: Arc<SessionVault>,
    /// What a session must have been made under.
    policy: ClientPolicy,
    /// And at which gate.
    gate: GateVersion,
}

impl TicketScope {
    /// Tickets of the scope that `policy` names, whose clients it must still admit.
    pub fn new(vault: Arc<SessionVault>, policy: ClientPolicy) -> Self {
        Self {
            vault,
            policy,
            gate: GateVersion::default(),
        }
    }

    /// The same, for sessions made at this version of a gate only: whoever would come to another has a full handshake, in which it can be
    /// told by an alert what the gate says.
    #[must_use]
    pub fn at_gate(self, gate: GateVersion) -> Self {
        Self { gate, ..self }
    }

    fn scope(&self) -> Scope {
        Scope {
            policy: *self.policy.digest(),
            gate: self.gate.today(),
        }
    }

    /// Seconds for which a ticket of the handshake at hand can be redeemed: no longer than allowed after the client last
    /// proved its key, and not beyond its chain. A chain that is over already was admitted for all that.
    fn remaining(&self, notes: &HandshakeNotes, now: u64) -> u64 {
        let lifetime = self.vault.lifetime.as_secs();
        let shown = notes.shown();
        let (client, since) = match (&shown, &notes.redeemed) {
            (ClientAuth::NotPresented, Some(owner)) => (&owner.client, owner.authenticated_at.as_secs()),
            _ => (&shown, now),
        };
        let end = since.saturating_add(lifetime);
        let end = match client {
            ClientAuth::Verified(client) if client.not_after().as_secs() > now => {
                end.min(client.not_after().as_secs())
            }
            _ => end,
        };
        end.saturating_sub(now)
    }

    fn issue(&self, plain: &[u8], now: UnixTime) -> Option<Vec<u8>> {
        if plain.len() > PLAIN_BYTES_MAX {
            return None;
        }
        let mut secret = [0; SECRET_BYTES];
        aws_lc_rs::rand::fill(&mut secret).ok()?;
        let session = Session {
            secret,
            state: Mutex::new(Some(SessionState::whole(plain))),
            scope: self.scope(),
            owner: OnceLock::new(),
        };
        let key = self.vault.insert(session, now.as_secs())?;
        note(|notes| notes.issued = Some(key));
        let mut ticket = Vec::with_capacity(TICKET_BYTES);
        ticket.extend_from_slice(&key.to_be_bytes());
        ticket.extend_from_slice(&secret);
        Some(ticket)
    }

    fn redeem(&self, ticket: &[u8], now: UnixTime) -> Result<Vec<u8>, TicketDecline> {
        let Taken { plain, scope, owner } = self.vault.take(ticket).ok_or(TicketDecline::Unknown)?;
        if scope != self.scope() {
            return Err(TicketDecline::Policy);
        }
        self.readmit(&owner.client, now)?;
        let authenticated_at = owner.authenticated_at.as_secs();
        if now.as_secs() >= authenticated_at.saturating_add(self.vault.lifetime.as_secs()) {
            return Err(TicketDecline::Expired);
        }
        note(|notes| {
            notes.redeemed = Some(owner);
            notes.tickets_redeemed += 1;
        });
        Ok(plain)
    }

    fn readmit(&self, client: &ClientAuth, now: UnixTime) -> Result<(), TicketDecline> {
        match (&self.policy, client) {
            (ClientPolicy::Verify(verification), ClientAuth::Verified(client)) => {
                let verdict = verification.policy.readmit(client, now);
                verdict.map_err(|rejected| decline_of(rejected.kind))?;
                verification.consult(true, |candidate| candidate.reassess(client, now));
                Ok(())
            }
            (ClientPolicy::Passthrough(_), ClientAuth::Unchecked(_)) => Ok(()),
            (ClientPolicy::Verify(verification), ClientAuth::NotPresented) => {
                match verification.policy.mode() {
                    Mode::Optional => Ok(()),
                    Mode::Required => Err(TicketDecline::Policy),
                }
            }
            (ClientPolicy::Off(_) | ClientPolicy::Passthrough(_), ClientAuth::NotPresented) => Ok(()),
            // The scope, which names the mode, has matched; were it ever to fail, these close.
            (ClientPolicy::Off(_) | ClientPolicy::Passthrough(_), ClientAuth::Verified(_))
            | (ClientPolicy::Off(_) | ClientPolicy::Verify(_), ClientAuth::Unchecked(_)) => {
                Err(TicketDecline::Policy)
            }
        }
    }
}

impl ProducesTickets for TicketScope {
    fn enabled(&self) -> bool {
        self.vault.per_core_max > 0
    }

    fn lifetime(&self) -> u32 {
        let remaining = note(|notes| self.remaining(notes, UnixTime::now().as_secs()));
        u32::try_from(remaining)
            .unwrap_or(TICKET_LIFETIME_S_MAX)
            .min(TICKET_LIFETIME_S_MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.issue(plain, UnixTime::now())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let redeemed = self.redeem(ticket, UnixTime::now());
        redeemed
            .map_err(|reason| note(|notes| notes.declined.push(reason)))
            .ok()
    }
}

fn decline_of(kind: RejectedKind) -> TicketDecline {
    match kind {
        RejectedKind::Expired | RejectedKind::NotYetValid => TicketDecline::CertificateExpired,
        RejectedKind::Revoked | RejectedKind::RevocationUnknown => TicketDecline::Revoked,
        _ => TicketDecline::Policy,
    }
}

/// A session holds the chain that the client presented, of whose size the client decides: a longer one than four
/// ordinary certificates gets no ticket.
const PLAIN_BYTES_MAX: usize = 8 * 1024;
/// RFC 8446 §4.6.1: a ticket lives for seven days at most.
const TICKET_LIFETIME_S_MAX: u32 = 604_800;

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
