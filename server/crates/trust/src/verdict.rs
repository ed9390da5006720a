//! The two outcomes: a verified client, or a rejection that says why.
//!
//! Owns the proof type. Its constructor is private to `trust`, and only `policy` calls it.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls_pki_types::{SubjectPublicKeyInfoDer, UnixTime};

use super::certificate::{Certificate, Validity};
use super::certificate_fault::Fault;
use super::crl_scope::Covered;
use super::facts::CertificateFacts;
use super::hex::colon_hex;
use super::key_id::KeyId;
use super::names;
use super::store::Anchor;
use super::time::{Seconds, format_span, format_utc, seconds};

/// A client whose chain [`super::Policy::verify`] accepted. Cheap to clone.
#[derive(Clone)]
pub struct VerifiedClient(Arc<Verified>);

#[derive(Clone)]
pub(super) struct Verified {
    pub(super) facts: Arc<CertificateFacts>,
    pub(super) links: Box<[Link]>,
    pub(super) policy_digest: [u8; 32],
    pub(super) switches_digest: [u8; 32],
    /// True if validity counts.
    pub(super) ends: bool,
    pub(super) caveat: Option<String>,
    /// Read when first asked for.
    pub(super) intermediates: OnceLock<Box<[Arc<CertificateFacts>]>>,
}

/// A client that is not admitted.
#[derive(Clone, Debug)]
pub struct Rejected {
    pub kind: RejectedKind,
    /// A sentence for a support engineer: what is wrong with which certificate, and where it helps, what to
    /// do.
    pub reason: String,
    /// Facts that the leaf states about itself, if it can be read. Unverified.
    pub facts: Option<Arc<CertificateFacts>>,
}

/// The service's status codes for client certificates, plus the one for revocation that cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectedKind {
    MaxChainDepthExceeded,
    MaxSizeExceeded,
    Untrusted,
    NotYetValid,
    Expired,
    TypeUnsupported,
    Invalid,
    IntentInvalid,
    Revoked,
    /// The CRL of an issuer is out of date, and the policy is to reject then.
    RevocationUnknown,
}

impl VerifiedClient {
    pub(super) fn new(verified: Verified) -> Self {
        Self(Arc::new(verified))
    }

    pub fn facts(&self) -> &Arc<CertificateFacts> {
        &self.0.facts
    }

    /// The leaf and the certificates of the verified path between it and the anchor, as presented.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        let intermediates = self.0.links.iter().filter_map(|link| link.der.as_deref());
        std::iter::once(self.0.facts.der()).chain(intermediates)
    }

    /// The certificates of the verified path between leaf and anchor, the leaf's issuer first; nothing else
    /// that was presented. One whose names are no names is left out.
    pub fn intermediates(&self) -> &[Arc<CertificateFacts>] {
        self.0.intermediates.get_or_init(|| {
            let ders = self.0.links.iter().filter_map(|link| link.der.as_deref());
            facts_of_all(ders)
        })
    }

    /// The earliest notAfter of the chain, anchor included: nothing derived from this verdict may outlive it.
    /// It is the end of the year 9999, the last that a certificate can name, if the policy ignores expiry.
    pub fn not_after(&self) -> UnixTime {
        if !self.0.ends {
            return UnixTime::since_unix_epoch(Duration::from_secs(END_OF_TIME));
        }
        let end = u64::try_from(self.end()).unwrap_or(0);
        UnixTime::since_unix_epoch(Duration::from_secs(end))
    }

    /// True if a certificate of the chain has expired, whatever the policy makes of it.
    pub fn is_over(&self, now: UnixTime) -> bool {
        seconds(now) > self.end()
    }

    fn end(&self) -> Seconds {
        let ends = self.0.links.iter().map(|link| link.validity.not_after);
        ends.min().unwrap_or(Seconds::MIN)
    }

    /// The policy that accepted it.
    pub fn policy_digest(&self) -> &[u8; 32] {
        &self.0.policy_digest
    }

    /// The switches, mode aside, under which it was accepted.
    pub(super) fn switches_digest(&self) -> &[u8; 32] {
        &self.0.switches_digest
    }

    /// The leaf's key, which CertificateVerify is checked with. TLS reads it from here rather than from the
    /// certificate, as webpki cannot read all that is admitted: version 1, critical certificate policies.
    pub fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'static>> {
        let certificate = Certificate::parse(self.0.facts.der())?;
        Some(SubjectPublicKeyInfoDer::from(certificate.public_key()).into_owned())
    }

    /// A sentence for the log, when the client was accepted although a certificate had expired, a CRL was out
    /// of date or missing.
    pub fn caveat(&self) -> Option<&str> {
        self.0.caveat.as_deref()
    }

    pub(super) fn with_caveat(&self, caveat: Option<String>) -> Self {
        if caveat == self.0.caveat {
            return self.clone();
        }
        Self(Arc::new(Verified {
            caveat,
            ..(*self.0).clone()
        }))
    }

    pub(super) fn links(&self) -> &[Link] {
        &self.0.links
    }
}

impl fmt::Debug for VerifiedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedClient")
            .field("subject", &self.0.facts.subject)
            .field("serial_number", &self.0.facts.serial_number)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Rejected {}

/// A rejection before the leaf's facts are joined to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) kind: RejectedKind,
    pub(super) reason: String,
}

impl Refusal {
    pub(super) fn new(kind: RejectedKind, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { kind, reason }
    }

    /// Refuses the certificate that messages call `who`.
    pub(super) fn of_fault(fault: &Fault, who: &str) -> Self {
        let kind = match fault {
            Fault::Version => RejectedKind::TypeUnsupported,
            _ => RejectedKind::Invalid,
        };
        Self::new(kind, format!("{who} {}", fault.told()))
    }

    pub(super) fn with_facts(self, facts: Option<Arc<CertificateFacts>>) -> Rejected {
        Rejected {
            kind: self.kind,
            reason: self.reason,
            facts,
        }
    }
}

/// A certificate of an accepted chain, leaf first and anchor last: the data on which its standing depends
/// from now on.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) role: Role,
    /// Names and serial as raw content octets.
    subject: Box<[u8]>,
    pub(super) issuer: Box<[u8]>,
    pub(super) serial: Box<[u8]>,
    /// Key of a CA: what the CA signs is known by this key and by the CA's name.
    pub(super) key: Option<KeyId>,
    pub(super) validity: Validity,
    /// DER of an intermediate, so that the chain can be judged again without its client.
    pub(super) der: Option<Box<[u8]>>,
    /// SHA-256 of an anchor.
    pub(super) anchor_digest: Option<[u8; 32]>,
    /// Content of cRLDistributionPoints.
    distribution_points: Option<Box<[u8]>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Leaf,
    Intermediate,
    Anchor,
}

impl Link {
    pub(super) fn of(role: Role, certificate: &Certificate<'_>) -> Self {
        Self {
            role,
            subject: certificate.subject().into(),
            issuer: certificate.issuer().into(),
            serial: certificate.serial().into(),
            key: (role != Role::Leaf).then(|| KeyId::of(certificate.public_key())),
            validity: certificate.validity(),
            der: (role == Role::Intermediate).then(|| certificate.der().into()),
            anchor_digest: None,
            distribution_points: certificate.distribution_points().map(Into::into),
        }
    }

    pub(super) fn of_anchor(anchor: &Anchor) -> Self {
        Self {
            role: Role::Anchor,
            subject: anchor.subject.clone(),
            issuer: anchor.issuer.clone(),
            serial: anchor.serial.clone(),
            key: Some(anchor.key),
            validity: anchor.validity,
            der: None,
            anchor_digest: Some(anchor.digest),
            distribution_points: None,
        }
    }

    pub(super) fn check_validity(&self, now: Seconds) -> Result<(), Refusal> {
        check_validity(self.validity, now, || self.who())
    }

    /// The properties that a CRL must cover to answer for this certificate.
    pub(super) fn subject_of_crl(&self) -> Covered<'_> {
        Covered {
            is_ca: self.role != Role::Leaf,
            distribution_points: self.distribution_points.as_deref(),
        }
    }

    pub(super) fn told_validity(&self, caveat: &Option<String>) -> String {
        let until = format_utc(self.validity.not_after);
        match caveat {
            Some(caveat) => caveat.clone(),
            None => format!("{} is valid until {until}", self.who()),
        }
    }

    pub(super) fn who_with_serial(&self) -> String {
        format!("serial {} of {}", colon_hex(&self.serial), self.who())
    }

    /// "the client certificate", "intermediate CN=…".
    pub(super) fn who(&self) -> String {
        self.role.name(&names::display(&self.subject))
    }
}

impl Role {
    pub(super) fn name(self, subject: &str) -> String {
        match self {
            Self::Leaf => "the client certificate".to_owned(),
            Self::Intermediate => format!("intermediate {subject}"),
            Self::Anchor => format!("CA {subject} of the trust store"),
        }
    }
}

/// Facts of the certificates that can be read, in their order.
pub(super) fn facts_of_all<'a>(ders: impl Iterator<Item = &'a [u8]>) -> Box<[Arc<CertificateFacts>]> {
    ders.filter_map(CertificateFacts::parse).map(Arc::new).collect()
}

/// RFC 5280 §4.1.2.5: both ends belong to the period.
pub(super) fn check_validity(
    validity: Validity,
    now: Seconds,
    who: impl FnOnce() -> String,
) -> Result<(), Refusal> {
    let Validity {
        not_before,
        not_after,
    } = validity;
    if now > not_after {
        return Err(expired(&who(), not_after, now));
    }
    if now < not_before {
        return Err(not_yet_valid(&who(), not_before, now));
    }
    Ok(())
}

pub(super) fn expired(who: &str, not_after: Seconds, now: Seconds) -> Refusal {
    let span = format_span(now.saturating_sub(not_after));
    let date = format_utc(not_after);
    let reason = format!("{who} expired {span} ago (notAfter {date})");
    Refusal::new(RejectedKind::Expired, reason)
}

pub(super) fn not_yet_valid(who: &str, not_before: Seconds, now: Seconds) -> Refusal {
    let span = format_span(not_before.saturating_sub(now));
    let date = format_utc(not_before);
    let reason = format!("{who} becomes valid in {span} (notBefore {date})");
    Refusal::new(RejectedKind::NotYetValid, reason)
}

/// 9999-12-31T23:59:59Z (RFC 5280 §4.1.2.5).
const END_OF_TIME: u64 = 253_402_300_799;

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
