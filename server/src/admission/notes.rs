//! Notes about the handshake at hand, made by the verifiers and the ticketer, which rustls calls without
//! saying for whom.
//!
//! rustls' callbacks are synchronous and run inside `process_tls_records`, on the connection's own core. So
//! the notes of the connection being processed stand in a thread-local for exactly that call
//! ([`with_notes`]). Decides one thing: who the client of a finished handshake is
//! ([`HandshakeNotes::client`]).

use std::cell::RefCell;
use std::mem;
use std::sync::Arc;

use bothways_trust::{CertificateFacts, MemoUse, Rejected, UncheckedClient, VerifiedClient};
use rustls::{CertificateError, Error};

use super::client::{CandidateDecision, ClientAuth};
use super::gate::{Applicant, Barred, GateState, Negotiated, Ruling};
use super::vault::SessionOwner;
use crate::metrics::TicketDecline;

/// The notes of one handshake.
#[derive(Default)]
pub struct HandshakeNotes {
    /// Version and suite, as far as the handshake has come.
    pub(super) negotiated: Negotiated,
    pub(super) gate: GateState,
    pub(super) shown: Shown,
    /// Use that the verifier has made of the memo, if it was called at all.
    pub memo: Option<MemoUse>,
    /// Decision of a candidate trust store.
    pub candidate: Option<CandidateDecision>,
    /// Tickets offered and not honoured.
    pub declined: Vec<TicketDecline>,
    /// Tickets redeemed; a client may offer several.
    pub tickets_redeemed: u32,
    /// The vault's key of the ticket issued in this handshake.
    pub issued: Option<usize>,
}

/// Last thing that the client has shown.
#[derive(Default)]
pub(super) enum Shown {
    #[default]
    Nothing,
    /// A ticket that was redeemed. It counts only if rustls then resumes its session: a verifier that is
    /// called after it replaces it, and a full handshake without a certificate makes nothing of it.
    Ticket(SessionOwner),
    /// A certificate that the verifier accepted.
    Verified(VerifiedClient),
    /// A certificate that was read and not judged.
    Unchecked(UncheckedClient),
    /// A certificate that the verifier refused.
    Rejected(Rejected),
}

impl HandshakeNotes {
    /// Client of a handshake that has ended well, by what it has shown and whether rustls has `resumed` a
    /// session.
    ///
    /// # Errors
    /// Nobody: a session was resumed that no ticket of this handshake stands for. rustls does not do that; if
    /// it did, the client would not come in.
    pub(super) fn client(&self, resumed: bool) -> Result<ClientAuth, Error> {
        match (resumed, &self.shown) {
            (true, Shown::Ticket(owner)) => Ok(owner.client.clone()),
            (false, Shown::Verified(client)) => Ok(ClientAuth::Verified(client.clone())),
            (false, Shown::Unchecked(client)) => Ok(ClientAuth::Unchecked(client.clone())),
            (false, Shown::Nothing | Shown::Ticket(_)) => Ok(ClientAuth::NotPresented),
            (true, _) | (false, Shown::Rejected(_)) => Err(Error::General(NOBODYS_SESSION.to_owned())),
        }
    }

    /// Facts about the leaf of a client that did not come in, refused or not.
    pub fn leaf(&self, resumed: bool) -> Option<Arc<CertificateFacts>> {
        match &self.shown {
            Shown::Rejected(rejected) => rejected.facts.clone(),
            _ => self.client(resumed).ok()?.facts().cloned(),
        }
    }

    /// The verifier's refusal, if there was one.
    pub fn rejected(&self) -> Option<&Rejected> {
        match &self.shown {
            Shown::Rejected(rejected) => Some(rejected),
            _ => None,
        }
    }

    /// The gate's refusal, if there was one.
    pub fn barred(&self) -> Option<&Barred> {
        match &self.gate {
            GateState::Ruled(ruling) => ruling.barred.as_ref(),
            GateState::Absent | GateState::Closed(_) => None,
        }
    }

    /// Data that the gate wants in the record.
    pub fn take_custom_data(&mut self) -> Option<Box<str>> {
        match &mut self.gate {
            GateState::Ruled(Ruling { custom_data, .. }) => custom_data.take(),
            GateState::Absent | GateState::Closed(_) => None,
        }
    }

    /// Owner of the session, if one was `resumed`.
    pub(super) fn take_owner(&mut self, resumed: bool) -> Option<SessionOwner> {
        match mem::take(&mut self.shown) {
            Shown::Ticket(owner) if resumed => Some(owner),
            _ => None,
        }
    }

    /// Asks the gate, if no verifier has: called when a handshake has ended. True if the client may come in.
    pub(super) fn pass_gate_at_the_end(&mut self, client: &ClientAuth, resumed: bool) -> bool {
        self.gate = mem::take(&mut self.gate).asked(&Applicant {
            client,
            negotiated: self.negotiated,
            resumed,
        });
        self.gate.is_open()
    }
}

thread_local! {
    static CURRENT: RefCell<HandshakeNotes> = RefCell::default();
}

/// Runs `call` with `notes` as this thread's current ones.
pub(super) fn with_notes<T>(notes: &mut HandshakeNotes, call: impl FnOnce() -> T) -> T {
    CURRENT.with_borrow_mut(|current| mem::swap(current, notes));
    let result = call();
    CURRENT.with_borrow_mut(|current| mem::swap(current, notes));
    result
}

/// Lets a callback read and change the current notes.
pub(super) fn note<T>(write: impl FnOnce(&mut HandshakeNotes) -> T) -> T {
    CURRENT.with_borrow_mut(write)
}

/// Asks the gate: called by the verifiers, once the client has proved its key.
///
/// # Errors
/// The client may not come in: the error whose alert is access_denied.
pub(super) fn pass_gate() -> Result<(), Error> {
    let (gate, client, negotiated) =
        note(|notes| (mem::take(&mut notes.gate), notes.client(false), notes.negotiated));
    // Not within `note`: the gate may look at the notes too.
    let gate = gate.asked(&Applicant {
        client: &client?,
        negotiated,
        resumed: false,
    });
    let is_open = gate.is_open();
    note(|notes| notes.gate = gate);
    match is_open {
        true => Ok(()),
        false => Err(Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        )),
    }
}

const NOBODYS_SESSION: &str = "a session was resumed that no ticket of this handshake redeemed";

#[cfg(test)]
#[path = "notes_tests.rs"]
mod tests;
