//! Outcome of a connection attempt: one value that alone decides the record's status, its reason and the
//! counter.
//!
//! The TLS alert is decided where TLS is spoken: `admission::Consequence` has a row for each kind of
//! rejection.

use std::borrow::Cow;
use std::io;
use std::net::IpAddr;

use rustls::{CertificateError, Error, InvalidMessage, PeerIncompatible};

use crate::admission::{Consequence, HandshakeErrorKind, HandshakeFacts, HandshakeNotes, HelloRefused};
use crate::metrics::{ConnectionStatus, FailureCode};
use crate::tls::{self, CERTIFICATES_TOO_LARGE, NO_CERTIFICATE, NO_PROOF};

/// Status and reason of one connection attempt.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) status: ConnectionStatus,
    /// Sentence for the support engineer; absent on success.
    pub(super) reason: Option<Cow<'static, str>>,
}

impl Outcome {
    /// Success of the handshake, whatever HTTP did afterwards.
    pub(super) fn success() -> Self {
        Self {
            status: ConnectionStatus::Success,
            reason: None,
        }
    }

    /// Failure of this kind.
    pub(super) fn failed(code: FailureCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: ConnectionStatus::Failed(code),
            reason: Some(reason.into()),
        }
    }

    /// Failure of a handshake that a shutdown did not wait for.
    pub(super) fn cut() -> Self {
        Self::failed(
            FailureCode::Internal,
            "the server ended before the handshake was over",
        )
    }

    /// Failure of a handshake that was not over in time.
    pub(super) fn timed_out(facts: &HandshakeFacts) -> Self {
        let reason = match (facts.begun, facts.complete) {
            (false, _) => "the client sent nothing within handshake_timeout_ms",
            (true, false) => "no complete ClientHello within handshake_timeout_ms",
            (true, true) => "the handshake was not over within handshake_timeout_ms",
        };
        Self::failed(FailureCode::TcpTimeout, reason)
    }

    /// Failure of a handshake, by what ended it.
    pub(super) fn of_handshake(
        kind: &HandshakeErrorKind,
        facts: &HandshakeFacts,
        notes: &HandshakeNotes,
    ) -> Self {
        if let Some(rejected) = notes.rejected() {
            return Self::failed(Consequence::of(rejected.kind).code, rejected.reason.clone());
        }
        if let Some(barred) = notes.barred() {
            return Self::failed(barred.code, barred.reason.clone());
        }
        match kind {
            // Such an attempt has no record; if it had one it would say this.
            HandshakeErrorKind::Unused => Self::failed(
                FailureCode::TcpError,
                "the client closed the connection before it sent an octet",
            ),
            HandshakeErrorKind::Transport(error) => {
                Self::failed(FailureCode::TcpError, transport(error, facts))
            }
            HandshakeErrorKind::Unfit(unfit) => {
                Self::failed(FailureCode::UnmappedConnectionError, unfit.reason.clone())
            }
            HandshakeErrorKind::Refused(HelloRefused::Busy) => Self::failed(
                FailureCode::Internal,
                "closed at once: handshakes_per_core is reached",
            ),
            HandshakeErrorKind::Refused(HelloRefused::UnknownName) => {
                Self::failed(FailureCode::UnmappedConnectionError, unknown(facts))
            }
            HandshakeErrorKind::Tls(error) => tls(error, facts),
            // The ruling of the gate is told above.
            HandshakeErrorKind::Barred => Self::failed(FailureCode::Internal, "nobody spoke for the client"),
        }
    }
}

fn transport(error: &io::Error, facts: &HandshakeFacts) -> String {
    let when = if facts.complete {
        "during the handshake"
    } else {
        "before a complete ClientHello"
    };
    match error.kind() {
        io::ErrorKind::UnexpectedEof if facts.negotiated.protocol.is_some() => format!(
            "the client closed the connection {when}: a browser does so to let its user choose \
             a certificate, others where they do not trust the server's"
        ),
        io::ErrorKind::UnexpectedEof => format!("the client closed the connection {when}"),
        _ => format!("the connection broke {when}: {error}"),
    }
}

fn unknown(facts: &HandshakeFacts) -> String {
    match &facts.server_name {
        Some(address) if address.parse::<IpAddr>().is_ok() => format!(
            "the client asked for {address:?} (SNI), an address where a host name belongs, \
             and no distribution is the default"
        ),
        Some(name) => format!("no distribution serves {name:?}, and none is the default"),
        None => "the client named no host (SNI), and no distribution is the default".to_owned(),
    }
}

fn tls(error: &Error, facts: &HandshakeFacts) -> Outcome {
    match error {
        Error::NoCertificatesPresented => Outcome::failed(FailureCode::ClientCertMissing, NO_CERTIFICATE),
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            Outcome::failed(FailureCode::ClientCertInvalid, NO_PROOF)
        }
        Error::InvalidCertificate(_) => Outcome::failed(FailureCode::ClientCertInvalid, tls::sentence(error)),
        Error::InvalidMessage(InvalidMessage::CertificatePayloadTooLarge)
        | Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge) => {
            Outcome::failed(FailureCode::ClientCertMaxSizeExceeded, CERTIFICATES_TOO_LARGE)
        }
        Error::PeerIncompatible(PeerIncompatible::SignatureAlgorithmsExtensionRequired) => {
            Outcome::failed(FailureCode::UnmappedConnectionError, tls::sentence(error))
        }
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => {
            let told = facts
                .nothing_in_common
                .as_ref()
                .map(|told| told.to_string().into());
            let reason = told.unwrap_or_else(|| tls::sentence(error));
            Outcome::failed(FailureCode::UnmappedConnectionError, reason)
        }
        error => Outcome::failed(FailureCode::UnmappedConnectionError, tls::sentence(error)),
    }
}
