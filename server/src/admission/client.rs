//! The policy of a distribution for its clients, and the client that a handshake has shown.
//!
//! Owns which mode asks for what. Does not own how a chain is judged (`trust`).

use std::sync::Arc;

use bothways_trust::{CertificateFacts, Mode, Policy, Rejected, UncheckedClient, VerifiedClient};
use rustls::DistinguishedName;
use rustls_pki_types::UnixTime;

/// Demand of a distribution on its clients.
#[derive(Clone, Debug)]
pub enum ClientPolicy {
    /// No certificate is asked for. The digest names the distribution.
    Off([u8; 32]),
    /// A certificate is asked for, and only proof of its key is checked. The digest names the distribution.
    Passthrough([u8; 32]),
    /// A certificate is asked for, and judged.
    Verify(Verification),
}

/// Rules by which certificates are judged.
#[derive(Clone, Debug)]
pub struct Verification {
    pub policy: Arc<Policy>,
    /// Policy that judges beside it and decides nothing.
    pub candidate: Option<Arc<Policy>>,
    /// CA names for the CertificateRequest; empty where none are told.
    pub advertised: Arc<[DistinguishedName]>,
}

/// Decision of the candidate trust store on a client, beside the one that counts.
#[derive(Debug)]
pub struct CandidateDecision {
    pub admitted: bool,
    pub candidate: Result<(), Rejected>,
}

/// Reason for which a client that is connected would not be admitted today.
#[derive(Debug)]
pub enum Inadmissible {
    /// Its certificate would be refused.
    Rejected(Rejected),
    /// The demand on clients has changed.
    Changed(&'static str),
}

/// The client that a handshake has shown.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// It presented a certificate, and the policy accepted it.
    Verified(VerifiedClient),
    /// It presented a certificate and proved that it holds its key; that is all that was asked.
    Unchecked(UncheckedClient),
    /// It presented none: it was not asked for one, or did not need one.
    NotPresented,
}

impl Verification {
    /// Decision of the candidate, if there is one, where the policy has decided `admitted`.
    pub(super) fn consult(
        &self,
        admitted: bool,
        ask: impl FnOnce(&Policy) -> Result<(), Rejected>,
    ) -> Option<CandidateDecision> {
        let candidate = self.candidate.as_deref().map(ask)?;
        Some(CandidateDecision { admitted, candidate })
    }
}

impl ClientPolicy {
    /// Digest of distribution, mode and all else that decides: a ticket is bound to it.
    pub fn digest(&self) -> &[u8; 32] {
        match self {
            Self::Off(digest) | Self::Passthrough(digest) => digest,
            Self::Verify(verification) => verification.policy.digest(),
        }
    }

    /// Judges a client that has come in as if it came now.
    ///
    /// # Errors
    /// It would not be admitted.
    pub fn reassess(&self, client: &ClientAuth, now: UnixTime) -> Result<(), Inadmissible> {
        let Self::Verify(Verification { policy, .. }) = self else {
            return Ok(());
        };
        match client {
            ClientAuth::Verified(client) => policy.reassess(client, now).map_err(Inadmissible::Rejected),
            ClientAuth::Unchecked(_) => Err(Inadmissible::Changed(
                "client certificates are checked now, and this client's was not",
            )),
            ClientAuth::NotPresented => match policy.mode() {
                Mode::Optional => Ok(()),
                Mode::Required => Err(Inadmissible::Changed(
                    "a client certificate is required now, and this client presented none",
                )),
            },
        }
    }
}

impl ClientAuth {
    /// Facts about the leaf, if there is one.
    pub fn facts(&self) -> Option<&Arc<CertificateFacts>> {
        match self {
            Self::Verified(client) => Some(client.facts()),
            Self::Unchecked(client) => Some(client.facts()),
            Self::NotPresented => None,
        }
    }

    /// Certificates that are kept of those that the client has presented, in their order: its leaf, then
    /// others.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        let (verified, unchecked) = match self {
            Self::Verified(client) => (Some(client.certificates()), None),
            Self::Unchecked(client) => (None, Some(client.certificates())),
            Self::NotPresented => (None, None),
        };
        let verified = verified.into_iter().flatten();
        verified.chain(unchecked.into_iter().flatten())
    }

    /// The client of whom only the key is known.
    pub fn unchecked(&self) -> Option<&UncheckedClient> {
        match self {
            Self::Unchecked(client) => Some(client),
            Self::Verified(_) | Self::NotPresented => None,
        }
    }

    /// A sentence for the log about a client that was admitted all the same.
    pub fn caveat(&self) -> Option<&str> {
        match self {
            Self::Verified(client) => client.caveat(),
            Self::Unchecked(_) | Self::NotPresented => None,
        }
    }
}
