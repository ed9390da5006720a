//! Consequences of a rejection, by its kind: one row for each kind, in one place.
//!
//! Owns the error whose alert the client gets, the status code of the record, the label of an open connection
//! that is closed, and the label of a ticket that is declined. The compiler asks for a row where a kind is
//! new. Does not own the reason, which comes with the rejection.

use std::fmt;
use std::sync::Arc;

use bothways_trust::RejectedKind as Kind;
use rustls::{AlertDescription, CertificateError as Error, OtherError};

use crate::metrics::{CloseReason as Closed, FailureCode as Code, TicketDecline};

/// Meaning of one kind of rejection for the client, the log and the counters.
pub struct Consequence {
    /// Error of rustls, which sends the alert that belongs to it (RFC 8446 §6.2).
    pub(super) error: Error,
    /// Code of the managed service for the connection's record.
    pub code: Code,
    /// Label of an open connection whose client is rejected after a reload.
    pub closed: Closed,
}

impl Consequence {
    /// The row of `kind`.
    pub fn of(kind: Kind) -> Self {
        let (error, code, closed) = match kind {
            Kind::Untrusted => (
                Error::UnknownIssuer,
                Code::ClientCertUntrusted,
                Closed::TrustStore,
            ),
            Kind::MaxChainDepthExceeded => {
                let code = Code::ClientCertMaxChainDepthExceeded;
                (Error::UnknownIssuer, code, Closed::Policy)
            }
            Kind::MaxSizeExceeded => (
                Error::BadEncoding,
                Code::ClientCertMaxSizeExceeded,
                Closed::Policy,
            ),
            Kind::NotYetValid => (Error::NotValidYet, Code::ClientCertNotYetValid, Closed::Expiry),
            Kind::Expired => (Error::Expired, Code::ClientCertExpired, Closed::Expiry),
            Kind::TypeUnsupported => {
                let code = Code::ClientCertTypeUnsupported;
                (Error::InvalidPurpose, code, Closed::Policy)
            }
            Kind::Invalid => (Error::BadEncoding, Code::ClientCertInvalid, Closed::Policy),
            Kind::IntentInvalid => (
                Error::InvalidPurpose,
                Code::ClientCertIntentInvalid,
                Closed::Policy,
            ),
            Kind::Revoked => (Error::Revoked, Code::ClientCertRejected, Closed::Revocation),
            Kind::RevocationUnknown => {
                let error = Error::Other(OtherError(Arc::new(NoStatus)));
                (error, Code::ClientCertRejected, Closed::Revocation)
            }
        };
        Self { error, code, closed }
    }

    /// Alert that tells the client: 48 unknown_ca, 45 certificate_expired, 44 certificate_revoked,
    /// 42 bad_certificate, 43 unsupported_certificate, 46 certificate_unknown.
    pub fn alert(self) -> AlertDescription {
        self.error.into()
    }

    /// Label of a ticket whose owner is rejected.
    pub(super) fn ticket(&self) -> TicketDecline {
        match self.closed {
            Closed::Expiry => TicketDecline::CertificateExpired,
            Closed::Revocation => TicketDecline::Revoked,
            Closed::TrustStore | Closed::Policy | Closed::Distribution => TicketDecline::Policy,
        }
    }
}

/// The revocation status could not be established.
#[derive(Debug)]
struct NoStatus;

impl fmt::Display for NoStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("revocation status unknown")
    }
}

impl std::error::Error for NoStatus {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_alert_and_the_labels_that_go_together() {
        for (kind, alert, closed, ticket) in [
            (Kind::Untrusted, 48, Closed::TrustStore, TicketDecline::Policy),
            (
                Kind::MaxChainDepthExceeded,
                48,
                Closed::Policy,
                TicketDecline::Policy,
            ),
            (Kind::MaxSizeExceeded, 42, Closed::Policy, TicketDecline::Policy),
            (
                Kind::NotYetValid,
                45,
                Closed::Expiry,
                TicketDecline::CertificateExpired,
            ),
            (
                Kind::Expired,
                45,
                Closed::Expiry,
                TicketDecline::CertificateExpired,
            ),
            (Kind::TypeUnsupported, 43, Closed::Policy, TicketDecline::Policy),
            (Kind::Invalid, 42, Closed::Policy, TicketDecline::Policy),
            (Kind::IntentInvalid, 43, Closed::Policy, TicketDecline::Policy),
            (Kind::Revoked, 44, Closed::Revocation, TicketDecline::Revoked),
            (
                Kind::RevocationUnknown,
                46,
                Closed::Revocation,
                TicketDecline::Revoked,
            ),
        ] {
            let consequence = Consequence::of(kind);
            assert_eq!(
                (consequence.closed, consequence.ticket()),
                (closed, ticket),
                "{kind:?}"
            );
            assert_eq!(u8::from(consequence.alert()), alert, "{kind:?}");
        }
    }
}
