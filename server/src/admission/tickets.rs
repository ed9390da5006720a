//! Session tickets: issued and redeemed under one distribution's policy, and only while it still admits their
//! client.
//!
//! Owns three questions about a session that the [`SessionVault`] gives: was it made under this very policy
//! and gate, would the policy of today still admit its client, and has its lifetime passed. rustls asks no
//! verifier when it resumes a session, so a revoked client is stopped here. A ticket that is declined leads
//! to a full handshake, which refuses with the proper alert. All times are seconds since 1970.

use std::sync::Arc;

use bothways_config::accepted;
use bothways_trust::Mode;
use rustls::server::ProducesTickets;
use rustls_pki_types::UnixTime;

use super::client::{ClientAuth, ClientPolicy};
use super::consequence::Consequence;
use super::gate::GateVersion;
use super::notes::{Shown, note};
use super::vault::{SessionOwner, SessionScope, SessionVault, Taken};
use crate::metrics::TicketDecline;

/// Tickets of one distribution, under one snapshot.
#[derive(Debug)]
pub struct TicketScope {
    vault: Arc<SessionVault>,
    /// Policy that a session must have been made under.
    policy: ClientPolicy,
    /// Version of the gate that it must have been made at.
    gate: GateVersion,
}

impl TicketScope {
    /// Makes tickets for clients that `policy` admits.
    pub fn new(vault: Arc<SessionVault>, policy: ClientPolicy) -> Self {
        Self {
            vault,
            policy,
            gate: GateVersion::default(),
        }
    }

    /// Limits the tickets to sessions made at this version of a gate. A client that comes to another version
    /// has a full handshake, in which an alert can tell it what the gate says.
    #[must_use]
    pub fn at_gate(self, gate: GateVersion) -> Self {
        Self { gate, ..self }
    }

    fn scope(&self) -> SessionScope {
        SessionScope {
            policy: *self.policy.digest(),
            gate: self.gate.today(),
        }
    }

    /// Seconds for which a ticket of the handshake at hand can be redeemed; `shown` is what its client has
    /// shown.
    fn remaining(&self, shown: &Shown, now: u64) -> u64 {
        let lifetime = self.vault.lifetime();
        // A renewal counts from the last proof of the key, or a client could go on for ever without another.
        let since = match shown {
            Shown::Ticket(owner) => owner.authenticated_at.as_secs(),
            _ => now,
        };
        let end = since.saturating_add(lifetime);
        let not_after = match shown {
            Shown::Verified(client)
            | Shown::Ticket(SessionOwner {
                client: ClientAuth::Verified(client),
                ..
            }) => Some(client.not_after().as_secs()),
            _ => None,
        };
        // Nobody comes in with an expired chain, unless the trust store ignores expiry: then an end that has
        // passed says nothing, and is left out.
        let end = match not_after {
            Some(not_after) if not_after > now => end.min(not_after),
            _ => end,
        };
        end.saturating_sub(now)
    }

    fn issue(&self, plain: &[u8], now: UnixTime) -> Option<Vec<u8>> {
        let (key, ticket) = self.vault.issue(plain, self.scope(), now)?;
        note(|notes| notes.issued = Some(key));
        Some(ticket)
    }

    fn redeem(&self, ticket: &[u8], now: UnixTime) -> Result<Vec<u8>, TicketDecline> {
        let Taken { plain, scope, owner } = self.vault.take(ticket).ok_or(TicketDecline::Unknown)?;
        if scope != self.scope() {
            return Err(TicketDecline::Policy);
        }
        self.readmit(&owner.client, now)?;
        let authenticated_at = owner.authenticated_at.as_secs();
        if now.as_secs() >= authenticated_at.saturating_add(self.vault.lifetime()) {
            return Err(TicketDecline::Expired);
        }
        note(|notes| {
            notes.shown = Shown::Ticket(owner);
            notes.tickets_redeemed += 1;
        });
        Ok(plain)
    }

    fn readmit(&self, client: &ClientAuth, now: UnixTime) -> Result<(), TicketDecline> {
        match (&self.policy, client) {
            (ClientPolicy::Verify(verification), ClientAuth::Verified(client)) => {
                let verdict = verification.policy.readmit(client, now);
                verdict.map_err(|rejected| Consequence::of(rejected.kind).ticket())?;
                if let Some(decision) =
                    verification.consult(true, |candidate| candidate.reassess(client, now))
                {
                    note(|notes| notes.candidate = Some(decision));
                }
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
            // The scope names the mode and has matched, so these cannot be. They close all the same.
            (ClientPolicy::Off(_) | ClientPolicy::Passthrough(_), ClientAuth::Verified(_))
            | (ClientPolicy::Off(_) | ClientPolicy::Verify(_), ClientAuth::Unchecked(_)) => {
                Err(TicketDecline::Policy)
            }
        }
    }
}

impl ProducesTickets for TicketScope {
    fn enabled(&self) -> bool {
        self.vault.is_enabled()
    }

    fn lifetime(&self) -> u32 {
        let remaining = note(|notes| self.remaining(&notes.shown, UnixTime::now().as_secs()));
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

/// RFC 8446 §4.6.1: a ticket lives for seven days at most.
const TICKET_LIFETIME_S_MAX: u32 = 604_800;

const _: () = assert!(*accepted::ticket_lifetime_s.end() <= TICKET_LIFETIME_S_MAX as i64);

#[cfg(test)]
#[path = "tickets_tests.rs"]
mod tests;
