//! The gate: the last thing that a client has to pass, once for each connection.
//!
//! Owns the state of a gate and what is told to it. Does not own what stands behind it: the caller of
//! [`super::Greeted::admit`] supplies a closure for the handshake at hand. Runs on the connection's core.
//!
//! # Order
//!
//! 1. The gate is [`GateState::Closed`] before rustls reads the ClientHello.
//! 2. A client with a certificate comes to it within the handshake, after CertificateVerify has proved the
//!    key ([`super::notes::pass_gate`]). A client that is barred there gets alert access_denied (RFC 8446
//!    §6.2).
//! 3. Where rustls calls nobody at such a moment (a resumed session, a client without a certificate), the
//!    client comes to it when the handshake has ended, before its ticket is worth anything and before a byte
//!    of plaintext is passed on ([`super::HandshakeNotes::pass_gate_at_the_end`]). A client that is barred
//!    there gets a close_notify.
//!
//! Invariants: a gate is asked exactly once, since the call consumes it. A handshake whose gate has not ruled
//! makes no connection.

use std::fmt;
use std::sync::Arc;

use rustls::{CipherSuite, CommonState, ProtocolVersion};

use super::client::ClientAuth;
use crate::metrics::FailureCode;

/// Rules on one client. Runs inside the handshake; must not wait.
pub type Gate = Box<dyn FnOnce(&Applicant<'_>) -> Ruling>;

/// State of a connection's gate.
#[derive(Default)]
pub enum GateState {
    /// No gate: not built yet, or being asked at this moment: nobody comes in.
    #[default]
    Absent,
    /// Still to be asked.
    Closed(Gate),
    /// Asked.
    Ruled(Ruling),
}

/// A client at the gate.
pub struct Applicant<'a> {
    pub client: &'a ClientAuth,
    pub negotiated: Negotiated,
    pub resumed: bool,
}

/// Version and cipher suite that client and server have agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    pub protocol: Option<ProtocolVersion>,
    pub cipher: Option<CipherSuite>,
}

/// Answer of a gate.
#[derive(Debug, Default)]
pub struct Ruling {
    /// Reason to keep the client out. None: it comes in.
    pub barred: Option<Barred>,
    /// Data for the record, whatever becomes of the client.
    pub custom_data: Option<Box<str>>,
}

/// A client that may not come in.
#[derive(Debug)]
pub struct Barred {
    pub code: FailureCode,
    /// A sentence for the record.
    pub reason: String,
}

/// Version of a gate that stands today: a session that was made at another is not resumed.
#[derive(Clone, Default)]
pub struct GateVersion(Option<Arc<dyn Fn() -> [u8; 32] + Send + Sync>>);

impl GateState {
    /// Asks the gate, if it was not asked before.
    pub(super) fn asked(self, applicant: &Applicant<'_>) -> Self {
        match self {
            Self::Closed(gate) => Self::Ruled(gate(applicant)),
            other => other,
        }
    }

    /// True if the gate has spoken for the client.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Ruled(Ruling { barred: None, .. }))
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
    /// Asks `today` for the version each time.
    pub fn told_by(today: impl Fn() -> [u8; 32] + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(today)))
    }

    /// The version of this moment. `None`: there is no gate that has versions.
    pub(super) fn today(&self) -> Option<[u8; 32]> {
        self.0.as_ref().map(|today| today())
    }
}

impl fmt::Debug for GateVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateVersion").finish_non_exhaustive()
    }
}
