//! The policy of one distribution, and the verdict that it gives.
//!
//! Owns the order of the checks. First what is cheap and bounds the rest (sizes), then trust (a path), then what only a trusted
//! certificate is worth telling about (key, keyUsage), then its standing (validity, revocation), which is the part that can change
//! while the certificate stays the same and is therefore asked again by [`Policy::readmit`].

use std::sync::Arc;

use rustls_pki_types::{CertificateDer, UnixTime};

use super::certificate::{Certificate, Version, parse_readable};
use super::diagnosis::Case;
use super::facts::{CertificateFacts, colon_hex};
use super::key::PublicKey;
use super::names;
use super::revocation::{Listed, RevocationSet, Source};
use super::store::{CERTIFICATE_BYTES_MAX, TrustStore, sha256};
use super::time::{format_span, format_utc, seconds};
use super::verdict::{Link, Refusal, Rejected, RejectedKind, Role, VerifiedClient};
use super::{path, v1_leaf};

/// Whether a client may come without a certificate. One that presents a certificate is verified in either mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Required,
    Optional,
}

/// What a CRL whose nextUpdate has passed means for the clients of its issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfDate {
    Reject,
    /// See [`VerifiedClient::out_of_date_crl`].
    AcceptAndLog,
}

/// Immutable; one per distribution and snapshot, shared by all cores.
#[derive(Debug)]
pub struct Policy {
    mode: Mode,
    store: Arc<TrustStore>,
    revocations: Arc<RevocationSet>,
    allow_v1: bool,
    out_of_date_crl: OutOfDate,
    digest: [u8; 32],
    switches_digest: [u8; 32],
}

impl Policy {
    /// `revocations` must have been built for `store`.
    pub fn new(
        distribution_id: &str,
        mode: Mode,
        store: Arc<TrustStore>,
        revocations: Arc<RevocationSet>,
        allow_v1: bool,
        out_of_date_crl: OutOfDate,
    ) -> Self {
        let switches = [
            u8::from(mode == Mode::Required),
            u8::from(allow_v1),
            u8::from(out_of_date_crl == OutOfDate::Reject),
        ];
        // The id comes last: everything before it has a fixed length, so no two policies share an encoding.
        let identity = [&switches[..], store.digest(), distribution_id.as_bytes()];
        let [_mode, switches_but_mode @ ..] = &switches;
        Self {
            digest: sha256(&identity.concat()),
            switches_digest: sha256(switches_but_mode),
            mode,
            store,
            revocations,
            allow_v1,
            out_of_date_crl,
        }
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub fn store(&self) -> &Arc<TrustStore> {
        &self.store
    }

    pub fn revocations(&self) -> &Arc<RevocationSet> {
        &self.revocations
    }

    /// Identifies distribution, mode, trust store and switches, not the revocation set: who was accepted under one digest is
    /// acceptable under the same digest unless revoked or expired since.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Identifies what decides about a chain beside store and revocations: the switches without the mode.
    pub(super) fn switches_digest(&self) -> &[u8; 32] {
        &self.switches_digest
    }

    /// Judges what a client presented; `intermediates` in any order.
    pub fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<VerifiedClient, Rejected> {
        let readable = leaf.len() <= CERTIFICATE_BYTES_MAX;
        let certificate = readable.then(|| Certificate::parse(leaf)).flatten();
        let facts = certificate.as_ref().and_then(CertificateFacts::of).map(Arc::new);
        let links = check_sizes(leaf, intermediates)
            .and_then(|()| certificate.as_ref().ok_or_else(unreadable))
            .and_then(|certificate| self.chain(leaf, certificate, intermediates, now));
        let is_v1 = certificate
            .as_ref()
            .is_some_and(|certificate| certificate.version() == Version::V1);
        let standing = links.and_then(|links| Ok((self.standing(&links, now)?, links)));
        match (standing, facts) {
            (Ok((out_of_date_crl, links)), Some(facts)) => Ok(VerifiedClient::new(
                facts,
                links,
                self.digest,
                self.switches_digest,
                out_of_date_crl,
                is_v1,
            )),
            (Ok(_), None) => Err(unreadable().with_facts(None)),
            (Err(refusal), facts) => Err(refusal.with_facts(facts)),
        }
    }

    /// Whether a client that was accepted before would be accepted now: same policy, still valid, still unrevoked.
    pub fn readmit(&self, client: &VerifiedClient, now: UnixTime) -> Result<(), Rejected> {
        self.standing_of(client, now).map(drop)
    }

    /// The same verdict as of now, or why it no longer stands: what [`Policy::verify`] would say without checking again
    /// what cannot have changed.
    pub fn restate(&self, client: &VerifiedClient, now: UnixTime) -> Result<VerifiedClient, Rejected> {
        let out_of_date_crl = self.standing_of(client, now)?;
        Ok(client.with_out_of_date_crl(out_of_date_crl))
    }

    fn standing_of(&self, client: &VerifiedClient, now: UnixTime) -> Result<Option<String>, Rejected> {
        let same_policy = if *client.policy_digest() == self.digest {
            Ok(())
        } else {
            Err(another_policy())
        };
        same_policy
            .and_then(|()| self.standing(client.links(), now))
            .map_err(|refusal| refusal.with_facts(Some(Arc::clone(client.facts()))))
    }

    fn chain(
        &self,
        leaf: &CertificateDer<'_>,
        certificate: &Certificate<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Vec<Link>, Refusal> {
        let case = Case {
            store: &self.store,
            leaf: certificate,
            intermediates: parse_readable(intermediates),
            now: seconds(now),
        };
        let links = match certificate.version() {
            Version::V1 if self.allow_v1 => v1_leaf::build(&case),
            Version::V1 => Err(version_1_switched_off()),
            _ => path::build(leaf, &case, now),
        }?;
        check_key(certificate)?;
        check_key_usage(certificate)?;
        Ok(links)
    }

    /// The sentence about an out-of-date CRL, if that is accepted.
    pub(super) fn standing(&self, links: &[Link], now: UnixTime) -> Result<Option<String>, Refusal> {
        for link in links {
            link.check_validity(seconds(now))?;
        }
        for link in links {
            self.check_unrevoked(link)?;
        }
        // The anchor is trusted by configuration: only what it or those below it issued depends on a CRL being current.
        let mut below_anchor = links.iter().filter(|link| link.role != Role::Anchor);
        match below_anchor.find_map(|link| self.out_of_date(link, now)) {
            Some(reason) if self.out_of_date_crl == OutOfDate::Reject => {
                Err(Refusal::new(RejectedKind::RevocationUnknown, reason))
            }
            accepted => Ok(accepted),
        }
    }

    fn check_unrevoked(&self, link: &Link) -> Result<(), Refusal> {
        let Listed::Yes(source) = self.revocations.lookup(&link.issuer, &link.serial) else {
            return Ok(());
        };
        let who = link.who();
        let serial = colon_hex(&link.serial);
        let reason = match source {
            Source::SerialList => format!("serial {serial} of {who} is revoked by a serial list"),
            Source::Crl => format!(
                "serial {serial} of {who} is revoked by a CRL of {}",
                names::display(&link.issuer)
            ),
        };
        Err(Refusal::new(RejectedKind::Revoked, reason))
    }

    fn out_of_date(&self, link: &Link, now: UnixTime) -> Option<String> {
        let next_update = self.revocations.out_of_date(&link.issuer, now)?;
        Some(format!(
            "the CRL of {} is {} out of date (nextUpdate {})",
            names::display(&link.issuer),
            format_span(seconds(now).saturating_sub(next_update)),
            format_utc(next_update)
        ))
    }
}

/// Before anything is parsed or compared: ten certificates of 16 KiB are the most that is looked at.
fn check_sizes(leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Result<(), Refusal> {
    let presented = intermediates.len() + 1;
    if presented > PRESENTED_MAX {
        let reason =
            format!("{presented} certificates were presented; at most {PRESENTED_MAX} are looked at");
        return Err(Refusal::new(RejectedKind::MaxChainDepthExceeded, reason));
    }
    for der in std::iter::once(leaf).chain(intermediates) {
        let bytes = der.len();
        if bytes > CERTIFICATE_BYTES_MAX {
            let reason = format!(
                "a presented certificate has {bytes} bytes; at most {CERTIFICATE_BYTES_MAX} are allowed"
            );
            return Err(Refusal::new(RejectedKind::MaxSizeExceeded, reason));
        }
    }
    Ok(())
}

/// Told here, where it has words: TLS would only say that a signature failed.
fn check_key(certificate: &Certificate<'_>) -> Result<(), Refusal> {
    let key = PublicKey::read(certificate.public_key());
    if key.is_accepted_for_client() {
        return Ok(());
    }
    let reason = format!(
        "the key of the client certificate is {key}, which is not accepted; use RSA from 2048 bits or ECDSA P-256 or P-384"
    );
    Err(Refusal::new(RejectedKind::TypeUnsupported, reason))
}

/// RFC 5280 §4.2.1.3: a key that signs CertificateVerify needs digitalSignature, where keyUsage is present.
fn check_key_usage(certificate: &Certificate<'_>) -> Result<(), Refusal> {
    match certificate.key_usage() {
        Ok(None) => Ok(()),
        Ok(Some(usage)) if usage.digital_signature() => Ok(()),
        Ok(Some(usage)) => {
            let reason = format!(
                "the key usage of the client certificate is {usage} only; Digital Signature is needed"
            );
            Err(Refusal::new(RejectedKind::IntentInvalid, reason))
        }
        Err(_) => Err(Refusal::new(
            RejectedKind::Invalid,
            "the keyUsage of the client certificate is malformed",
        )),
    }
}

fn unreadable() -> Refusal {
    Refusal::new(
        RejectedKind::Invalid,
        "the client certificate is not a well-formed X.509 certificate",
    )
}

fn version_1_switched_off() -> Refusal {
    Refusal::new(
        RejectedKind::TypeUnsupported,
        "the client certificate is X.509 version 1, and allow_v1_client_certificates is false for this trust store; issue it as version 3 (with extensions)",
    )
}

fn another_policy() -> Refusal {
    Refusal::new(
        RejectedKind::Untrusted,
        "the client was verified under another policy or trust store",
    )
}

/// More than any path of four needs, with room for cross-certificates.
const PRESENTED_MAX: usize = 10;

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "standing_tests.rs"]
mod standing_tests;
