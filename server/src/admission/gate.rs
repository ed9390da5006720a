//! The gate: who has passed everything that TLS and `trust` ask has to pass this too, once for each connection.
//!
//! What stands behind it is not TLS's to know; the caller of [`super::accept`] supplies it for the handshake at hand. Owns the moment:
//! after CertificateVerify has proved the key, within the handshake, so that a client that is barred gets alert access_denied (RFC 8446
//! §6.2); where rustls calls nothing at such a moment (a resumed session, a client without a certificate), when the handshake has
//! ended, before its ticket is worth anything and before a byte of plaintext is passed on.
//!
//! Invariant: a gate is asked exactly once. It is consumed by the call, and no connection comes of a handshake whose gate has not
//! ruled.

use std::fmt;
use std::sync::Arc;

use rustls::{CipherSuite, CommonState, ProtocolVersion};

use super::client::ClientAuth;
use crate::metrics::FailureCode;

/// Rules on one client. Runs inside the handshake; must not wait.
pub type Gate = Box<dyn FnOnce(&Applicant<'_>) -> Ruling>;

/// A client at the gate.
pub struct Applicant<'a> {
    pub client: &'a ClientAuth,
    pub negotiated: Negotiated,
    pub resumed: bool,
}

/// What client and server have agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    pub protocol: Option<ProtocolVersion>,
    pub cipher: Option<CipherSuite>,
}

/// What the gate says.
#[derive(Debug, Default)]
pub struct Ruling {
    /// Why the client may not come in.
    pub barred: Option<Barred>,
    /// For the record, whatever becomes of the client.
    pub custom_data: Option<Box<str>>,
}

/// A client that may not come in.
#[derive(Debug)]
pub struct Barred {
    pub code: FailureCode,
    /// A sentence for the record.
    pub reason: String,
}

/// Which version of a gate stands today: a session that was made at another is not resumed.
#[derive(Clone, Default)]
pub struct GateVersion(Option<Arc<dyn Fn() -> [u8; 32] + Send + Sync>>);

impl Ruling {
    pub fn is_admission(&self) -> bool {
        self.barred.is_none()
    }
}

impl Negotiated {
    pub(super) fn of(connection: &CommonState) -> Self {
        let suite = connection.negotiated_cipher_suite();
        Self {
            protocol: connection.protocol_version(),
            cipher: suite.map(|suite| suite.suite()),
        }
    }
}

impl GateVersion {
    /// One that `today` tells.
    pub fn told_by(today: impl Fn() -> [u8; 32] + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(today)))
    }

    /// `None`: there is no gate that has versions.
    pub(super) fn today(&self) -> Option<[u8; 32]> {
        self.0.as_ref().map(|today| today())
    }
}

impl fmt::Debug for GateVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateVersion").finish_non_exhaustive()
    }
}
