//! What a distribution asks of its clients, and what a handshake has shown of one.

use std::sync::Arc;

use rustls_pki_types::UnixTime;

use crate::trust::{CertificateFacts, Mode, Policy, Rejected, VerifiedClient};

/// What a distribution asks of its clients.
#[derive(Clone, Debug)]
pub enum ClientPolicy {
    /// No certificate is asked for. The digest names the distribution.
    Off([u8; 32]),
    /// One is asked for, and judged.
    Verify(Arc<Policy>),
}

impl ClientPolicy {
    /// Identifies distribution, mode and what else decides: what a ticket is bound to.
    pub fn digest(&self) -> &[u8; 32] {
        match self {
            Self::Off(digest) => digest,
            Self::Verify(policy) => policy.digest(),
        }
    }

    /// Whether a client that has shown this would be admitted if it came now.
    ///
    /// # Errors
    /// Why not.
    pub fn reassess(&self, client: &ClientAuth, now: UnixTime) -> Result<(), Inadmissible> {
        match (self, client) {
            (Self::Off(_), _) => Ok(()),
            (Self::Verify(policy), ClientAuth::Verified(client)) => {
                policy.reassess(client, now).map_err(Inadmissible::Rejected)
            }
            (Self::Verify(policy), ClientAuth::NotPresented) => match policy.mode() {
                Mode::Optional => Ok(()),
                Mode::Required => Err(Inadmissible::Changed(
                    "a client certificate is required now, and this client presented none",
                )),
            },
        }
    }
}

/// Why a client that is connected would not be admitted today.
#[derive(Debug)]
pub enum Inadmissible {
    /// Its certificate would be refused.
    Rejected(Rejected),
    /// What is asked of clients has changed.
    Changed(&'static str),
}

/// What the handshake has shown of the client.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// It presented a certificate, and the policy accepted it.
    Verified(VerifiedClient),
    /// It presented none: it was not asked, or need not.
    NotPresented,
}

impl ClientAuth {
    /// What the leaf says, if there is one.
    pub fn facts(&self) -> Option<&Arc<CertificateFacts>> {
        match self {
            Self::Verified(client) => Some(client.facts()),
            Self::NotPresented => None,
        }
    }

    /// A sentence for the log about a client that was admitted all the same.
    pub fn caveat(&self) -> Option<&str> {
        match self {
            Self::Verified(client) => client.out_of_date_crl(),
            Self::NotPresented => None,
        }
    }
}
