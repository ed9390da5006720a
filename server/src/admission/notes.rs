//! What the verifier and the ticketer, which rustls calls without saying for whom, note about the handshake at hand.
//!
//! rustls' callbacks are synchronous and run inside `process_tls_records`, on the connection's own core. So the
//! notes of the connection being processed stand in a thread-local for exactly that call ([`with_notes`]).

use std::cell::RefCell;

use bothways_trust::{MemoUse, Rejected, UncheckedClient, VerifiedClient};
use rustls::{CertificateError, Error};

use super::client::{CandidateDecision, ClientAuth};
use super::gate::{Applicant, Gate, Negotiated, Ruling};
use super::vault::SessionOwner;
use crate::metrics::TicketDecline;

/// The notes of one handshake.
#[derive(Default)]
pub struct HandshakeNotes {
    /// As far as the handshake has come.
    pub negotiated: Negotiated,
    /// Who is still to be asked.
    pub gate: Option<Gate>,
    /// What the gate has said.
    pub ruling: Option<Ruling>,
    /// The client that the verifier accepted.
    pub verified: Option<VerifiedClient>,
    /// What the memo did for the verifier, if it was asked at all.
    pub memo: Option<MemoUse>,
    /// The client that was read and not judged.
    pub unchecked: Option<UncheckedClient>,
    /// What a candidate trust store would have done.
    pub candidate: Option<CandidateDecision>,
    /// Why the verifier refused.
    pub rejected: Option<Rejected>,
    /// The owner of a redeemed ticket's session; it counts only if rustls then resumed that session.
    pub redeemed: Option<SessionOwner>,
    /// Tickets offered and not honoured.
    pub declined: Vec<TicketDecline>,
    /// Tickets redeemed; a client may offer several.
    pub tickets_redeemed: u32,
    /// The vault's key of the ticket issued in this handshake.
    pub issued: Option<usize>,
}

impl HandshakeNotes {
    /// What the client has shown in a full handshake that has ended well.
    pub fn shown(&self) -> ClientAuth {
        match (&self.verified, &self.unchecked) {
            (Some(client), _) => ClientAuth::Verified(client.clone()),
            (None, Some(client)) => ClientAuth::Unchecked(client.clone()),
            (None, None) => ClientAuth::NotPresented,
        }
    }

    /// Who the client is, of a handshake that has ended well. `None` if a session was resumed that this handshake did not redeem,
    /// which cannot be.
    pub fn client(&self, resumed: bool) -> Option<ClientAuth> {
        match resumed {
            true => self.redeemed.as_ref().map(|owner| owner.client.clone()),
            false => Some(self.shown()),
        }
    }

    /// Asks the gate, if no verifier has: called when a handshake has ended. True if the client may come in.
    pub(super) fn pass_gate_at_the_end(&mut self, client: &ClientAuth, resumed: bool) -> bool {
        if let Some(gate) = self.gate.take() {
            self.ruling = Some(gate(&Applicant {
                client,
                negotiated: self.negotiated,
                resumed,
            }));
        }
        self.is_admitted()
    }

    /// True if the gate has spoken for the client.
    fn is_admitted(&self) -> bool {
        self.ruling.as_ref().is_some_and(Ruling::is_admission)
    }
}

thread_local! {
    static CURRENT: RefCell<HandshakeNotes> = RefCell::default();
}

/// Runs `call` with `notes` as this thread's current ones.
pub fn with_notes<T>(notes: &mut HandshakeNotes, call: impl FnOnce() -> T) -> T {
    CURRENT.with_borrow_mut(|current| std::mem::swap(current, notes));
    let result = call();
    CURRENT.with_borrow_mut(|current| std::mem::swap(current, notes));
    result
}

/// Lets a callback read and change the current notes.
pub fn note<T>(write: impl FnOnce(&mut HandshakeNotes) -> T) -> T {
    CURRENT.with_borrow_mut(write)
}

/// Asks the gate: called by the verifiers, once the client has proved its key.
pub(super) fn pass_gate() -> Result<(), Error> {
    let (gate, client, negotiated) = note(|notes| (notes.gate.take(), notes.shown(), notes.negotiated));
    // Not within `note`: the gate may look at the notes too.
    if let Some(gate) = gate {
        let ruling = gate(&Applicant {
            client: &client,
            negotiated,
            resumed: false,
        });
        note(|notes| notes.ruling = Some(ruling));
    }
    match note(|notes| notes.is_admitted()) {
        true => Ok(()),
        false => Err(Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        )),
    }
}

#[cfg(test)]
#[path = "notes_tests.rs"]
mod tests;
