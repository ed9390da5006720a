//! How a connection attempt ended: one value that alone decides the record's status and reason and the counter.
//!
//! The TLS alert is decided where TLS is spoken (`tls::verifier` maps the same rejection kinds), the rest here.

use std::borrow::Cow;
use std::io;

use rustls::{CertificateError, Error, InvalidMessage};

use crate::metrics::{ConnectionStatus, FailureCode};
use crate::tls::{HandshakeErrorKind, HandshakeFacts, HandshakeNotes, Refusal};
use crate::trust::RejectedKind;

/// Status and reason of one connection attempt.
#[derive(Debug)]
pub struct Outcome {
    pub status: ConnectionStatus,
    /// For the support engineer; absent on success.
    pub reason: Option<Cow<'static, str>>,
}

impl Outcome {
    /// The handshake succeeded; whatever HTTP did afterwards.
    pub fn success() -> Self {
        Self {
            status: ConnectionStatus::Success,
            reason: None,
        }
    }

    /// A failure of this kind.
    pub fn failed(code: FailureCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: ConnectionStatus::Failed(code),
            reason: Some(reason.into()),
        }
    }

    /// A handshake that a shutdown did not wait for.
    pub fn cut() -> Self {
        Self::failed(
            FailureCode::Internal,
            "the server ended before the handshake was over",
        )
    }

    /// A handshake that was not over in time.
    pub fn timed_out(facts: &HandshakeFacts) -> Self {
        let reason = match facts.complete {
            false => "no complete ClientHello within handshake_timeout_ms",
            true => "the handshake was not over within handshake_timeout_ms",
        };
        Self::failed(FailureCode::TcpTimeout, reason)
    }

    /// A handshake that failed.
    pub fn of_handshake(kind: &HandshakeErrorKind, facts: &HandshakeFacts, notes: &HandshakeNotes) -> Self {
        if let Some(rejected) = &notes.rejected {
            return Self::failed(code_of(rejected.kind), rejected.reason.clone());
        }
        if let Some(barred) = notes.ruling.as_ref().and_then(|ruling| ruling.barred.as_ref()) {
            return Self::failed(barred.code, barred.reason.clone());
        }
        match kind {
            HandshakeErrorKind::Transport(error) => {
                Self::failed(FailureCode::TcpError, transport(error, facts))
            }
            HandshakeErrorKind::Refused(Refusal::Busy) => Self::failed(
                FailureCode::Internal,
                "closed at once: handshakes_per_core is reached",
            ),
            HandshakeErrorKind::Refused(Refusal::UnknownName) => {
                Self::failed(FailureCode::UnmappedConnectionError, unknown(facts))
            }
            HandshakeErrorKind::Tls(error) => tls(error, facts),
            // Its ruling is told above.
            HandshakeErrorKind::Barred => Self::failed(FailureCode::Internal, "nobody spoke for the client"),
        }
    }
}

/// The managed service's code for a refused certificate.
pub fn code_of(kind: RejectedKind) -> FailureCode {
    match kind {
        RejectedKind::MaxChainDepthExceeded => FailureCode::ClientCertMaxChainDepthExceeded,
        RejectedKind::MaxSizeExceeded => FailureCode::ClientCertMaxSizeExceeded,
        RejectedKind::Untrusted => FailureCode::ClientCertUntrusted,
        RejectedKind::NotYetValid => FailureCode::ClientCertNotYetValid,
        RejectedKind::Expired => FailureCode::ClientCertExpired,
        RejectedKind::TypeUnsupported => FailureCode::ClientCertTypeUnsupported,
        RejectedKind::Invalid => FailureCode::ClientCertInvalid,
        RejectedKind::IntentInvalid => FailureCode::ClientCertIntentInvalid,
        RejectedKind::Revoked | RejectedKind::RevocationUnknown => FailureCode::ClientCertRejected,
    }
}

fn transport(error: &io::Error, facts: &HandshakeFacts) -> String {
    let when = if facts.complete {
        "during the handshake"
    } else {
        "before a complete ClientHello"
    };
    match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("the client closed the connection {when}"),
        _ => format!("the connection broke {when}: {error}"),
    }
}

fn unknown(facts: &HandshakeFacts) -> String {
    match &facts.server_name {
        Some(name) => format!("no distribution serves {name:?}, and none is the default"),
        None => "the client named no host (SNI), and no distribution is the default".to_owned(),
    }
}

fn tls(error: &Error, facts: &HandshakeFacts) -> Outcome {
    match error {
        Error::NoCertificatesPresented => Outcome::failed(
            FailureCode::ClientCertMissing,
            "the client presented no certificate, and the distribution requires one",
        ),
        Error::InvalidCertificate(CertificateError::BadSignature) => Outcome::failed(
            FailureCode::ClientCertInvalid,
            "the client did not prove that it holds the certificate's key",
        ),
        Error::InvalidCertificate(error) => Outcome::failed(
            FailureCode::ClientCertInvalid,
            format!("the client's certificate is unusable: {error}"),
        ),
        Error::InvalidMessage(InvalidMessage::CertificatePayloadTooLarge)
        | Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge)
            if facts.complete =>
        {
            Outcome::failed(
                FailureCode::ClientCertMaxSizeExceeded,
                "the client's certificate message exceeds 64 KiB",
            )
        }
        Error::AlertReceived(alert) => Outcome::failed(
            FailureCode::UnmappedConnectionError,
            format!("the client ended the handshake with alert {alert:?}"),
        ),
        error if facts.complete => Outcome::failed(
            FailureCode::UnmappedConnectionError,
            format!("the handshake failed: {error}"),
        ),
        error => Outcome::failed(
            FailureCode::UnmappedConnectionError,
            format!("no usable ClientHello: {error}"),
        ),
    }
}
