//! A trust store: the CA certificates that one PEM bundle names, each of them a trust anchor.
//!
//! Owns the bundle rules (reference §1.6). A store is valid by construction and immutable: at least one certificate, each X.509 v3
//! with CA:TRUE, keyCertSign where keyUsage is present, an accepted key and an accepted signature algorithm. Roots and intermediates
//! are alike: path building stops at the first certificate of the store (RFC 5280 §6.1.1 d leaves the choice of anchors to us).
//! A certificate that the bundle holds twice counts once. An anchor that is expired or not yet valid loads, so that a reload does not
//! fail for a CA that nobody uses any more, but admits nobody (see [`super::path`]).

use std::fmt;

use aws_lc_rs::digest;
use rustls_pki_types::{CertificateDer, TrustAnchor};

use super::certificate::{CaDepth, Certificate, MalformedExtension, Validity, Version};
use super::key::PublicKey;
use super::key_id::KeyId;
use super::pem::{self, Block, PemError};
use super::purpose;
use super::signature::{self, Signed};
use super::verdict::{Refusal, RejectedKind, Role};
use crate::config::Purpose;

/// The anchors of one bundle.
pub struct TrustStore {
    name: String,
    /// What webpki is given; `details` has the rest at the same position.
    anchors: Vec<TrustAnchor<'static>>,
    details: Vec<Anchor>,
    digest: [u8; 32],
}

/// What webpki does not keep of an anchor.
pub(super) struct Anchor {
    pub(super) der: CertificateDer<'static>,
    /// SHA-256 of `der`.
    pub(super) digest: [u8; 32],
    /// Names and serial as raw content octets.
    pub(super) subject: Box<[u8]>,
    pub(super) issuer: Box<[u8]>,
    pub(super) serial: Box<[u8]>,
    pub(super) validity: Validity,
    /// The SubjectPublicKeyInfo, tag and length included.
    pub(super) public_key: Box<[u8]>,
    pub(super) key: KeyId,
    /// subjectKeyIdentifier, if there is a readable one.
    pub(super) key_id: Option<Box<[u8]>>,
    pub(super) subject_text: String,
    /// keyUsage is absent or has cRLSign (RFC 5280 §6.3.3 f).
    pub(super) may_sign_crls: bool,
    pub(super) has_name_constraints: bool,
    ca_depth: CaDepth,
    /// extendedKeyUsage, if it is there.
    purposes: Option<Vec<Purpose>>,
}

impl Anchor {
    /// Whether its own certificate lets it stand at the top of a chain with so many intermediates, and issue clients at all.
    ///
    /// RFC 5280 §6.1.1 leaves a trust anchor's constraints to whoever configures it, and webpki reads none. But the intermediate of a
    /// bundle is a CA that was issued with limits, and OpenSSL, which an operator will compare with, keeps to them.
    pub(super) fn check_limits(&self, intermediates: usize) -> Result<(), Refusal> {
        let refuse = |kind, fault| {
            Err(Refusal::new(
                kind,
                format!("{} {fault}", Role::Anchor.name(&self.subject_text)),
            ))
        };
        if let CaDepth::AtMost(most) = self.ca_depth
            && intermediates > usize::from(most)
        {
            let fault =
                format!("allows {most} CAs below it (pathLenConstraint), and {intermediates} were presented");
            return refuse(RejectedKind::MaxChainDepthExceeded, fault);
        }
        let client_auth =
            |purposes: &Vec<Purpose>| purposes.iter().any(|purpose| purpose.to_string() == "clientAuth");
        match &self.purposes {
            Some(purposes) if !client_auth(purposes) => {
                let fault = format!("is for {} only; clientAuth is needed", purpose::list(purposes));
                refuse(RejectedKind::IntentInvalid, fault)
            }
            _ => Ok(()),
        }
    }
}

/// Why a bundle is not loaded. Certificates count from 1, in the order of the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    Empty,
    TooLarge {
        bytes: usize,
    },
    TooManyCertificates,
    Pem(PemError),
    /// Something else than a certificate in the bundle.
    Label {
        label: String,
    },
    Certificate {
        index: usize,
        subject: String,
        fault: AnchorFault,
    },
}

/// What disqualifies a certificate as an anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnchorFault {
    TooLarge {
        bytes: usize,
    },
    Malformed,
    NotVersion3,
    NotCa,
    NotForCertificates,
    Extension(&'static str),
    Key(String),
    SignatureAlgorithm(String),
    /// Nobody here knows what it forbids.
    CriticalExtension(String),
}

impl TrustStore {
    /// Reads a bundle; `name` is the operator's name for it.
    pub fn from_pem(name: &str, bundle: &[u8]) -> Result<Self, StoreError> {
        if bundle.len() > BUNDLE_BYTES_MAX {
            let bytes = bundle.len();
            return Err(StoreError::TooLarge { bytes });
        }
        let mut certificates = Vec::new();
        pem::for_each_block(bundle, |block| collect(&mut certificates, block))?;
        if certificates.is_empty() {
            return Err(StoreError::Empty);
        }
        Self::from_certificates(name, &certificates)
    }

    fn from_certificates(name: &str, certificates: &[CertificateDer<'static>]) -> Result<Self, StoreError> {
        let mut store = Self {
            name: name.to_owned(),
            anchors: Vec::new(),
            details: Vec::new(),
            digest: digest_of(certificates),
        };
        for (index, der) in (1..).zip(certificates) {
            if store.details.iter().any(|anchor| anchor.der == *der) {
                continue;
            }
            let (anchor, detail) = read_anchor(der).map_err(|fault| StoreError::Certificate {
                index,
                subject: subject_of(der),
                fault,
            })?;
            store.anchors.push(anchor);
            store.details.push(detail);
        }
        Ok(store)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Identifies the set of certificates, whatever their order and the store's name.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// How many different certificates there are; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a store is never empty")]
    pub fn len(&self) -> usize {
        self.details.len()
    }

    /// The subjects of its CAs, as content octets of the Names.
    pub fn subjects(&self) -> impl Iterator<Item = &[u8]> {
        self.details.iter().map(|anchor| &*anchor.subject)
    }

    pub(super) fn trust_anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// The form in which webpki knows `anchor`, which must be one of this store.
    pub(super) fn trust_anchor(&self, anchor: &Anchor) -> Option<&TrustAnchor<'static>> {
        let mut both = self.anchors.iter().zip(&self.details);
        both.find(|(_, detail)| std::ptr::eq(*detail, anchor))
            .map(|(anchor, _)| anchor)
    }

    pub(super) fn anchors(&self) -> &[Anchor] {
        &self.details
    }

    /// The details of an anchor that webpki chose out of [`Self::trust_anchors`].
    pub(super) fn detail(&self, chosen: &TrustAnchor<'_>) -> Option<&Anchor> {
        self.anchors
            .iter()
            .zip(&self.details)
            .find(|(anchor, _)| std::ptr::eq::<TrustAnchor<'_>>(*anchor, chosen))
            .map(|(_, detail)| detail)
    }

    /// The anchors with this subject (raw content octets): usually one, two while a CA's certificate is being replaced.
    pub(super) fn named<'s>(&'s self, subject: &'s [u8]) -> impl Iterator<Item = &'s Anchor> {
        self.details
            .iter()
            .filter(move |anchor| *anchor.subject == *subject)
    }
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustStore")
            .field("name", &self.name)
            .field("certificates", &self.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => {
                f.write_str("the bundle holds no certificate; put the CA certificates into it, in PEM")
            }
            Self::TooLarge { bytes } => write!(
                f,
                "the bundle has {bytes} bytes; at most {BUNDLE_BYTES_MAX} are allowed"
            ),
            Self::TooManyCertificates => write!(
                f,
                "the bundle holds more than {CERTIFICATES_MAX} certificates; keep only the CAs that issue client certificates"
            ),
            Self::Pem(error) => error.fmt(f),
            Self::Label { label } => write!(
                f,
                "the bundle holds a PEM block \"{label}\"; only CERTIFICATE blocks belong there"
            ),
            Self::Certificate {
                index,
                subject,
                fault,
            } => write!(f, "certificate {index} ({subject}) {fault}"),
        }
    }
}

impl fmt::Display for AnchorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => write!(
                f,
                "has {bytes} bytes; at most {CERTIFICATE_BYTES_MAX} are allowed"
            ),
            Self::Malformed => f.write_str("is not a well-formed X.509 certificate"),
            Self::NotVersion3 => f.write_str("is not X.509 version 3; issue the CA again with extensions"),
            Self::NotCa => f.write_str(
                "is not a CA certificate (basicConstraints CA:TRUE is missing); client certificates do not belong in the bundle",
            ),
            Self::NotForCertificates => {
                f.write_str("may not sign certificates (its keyUsage lacks keyCertSign)")
            }
            Self::Extension(name) => write!(f, "has a malformed {name} extension"),
            Self::Key(key) => write!(
                f,
                "has a key that is {key}; accepted are RSA 2048, 3072 or 4096 and ECDSA P-256 or P-384"
            ),
            Self::CriticalExtension(oid) => write!(f, "has a critical extension that is not supported ({oid})"),
            Self::SignatureAlgorithm(name) => write!(
                f,
                "is signed with {name}; accepted are RSA, RSASSA-PSS and ECDSA with SHA-256, SHA-384 or SHA-512"
            ),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<PemError> for StoreError {
    fn from(error: PemError) -> Self {
        Self::Pem(error)
    }
}

impl From<MalformedExtension> for AnchorFault {
    fn from(MalformedExtension(name): MalformedExtension) -> Self {
        Self::Extension(name)
    }
}

fn collect(certificates: &mut Vec<CertificateDer<'static>>, block: Block) -> Result<(), StoreError> {
    if block.label != "CERTIFICATE" {
        let label = block.label;
        return Err(StoreError::Label { label });
    }
    if certificates.len() == CERTIFICATES_MAX {
        return Err(StoreError::TooManyCertificates);
    }
    certificates.push(block.der.into());
    Ok(())
}

fn read_anchor(der: &CertificateDer<'static>) -> Result<(TrustAnchor<'static>, Anchor), AnchorFault> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(AnchorFault::TooLarge { bytes: der.len() });
    }
    let certificate = Certificate::parse(der).ok_or(AnchorFault::Malformed)?;
    if certificate.version() != Version::V3 {
        return Err(AnchorFault::NotVersion3);
    }
    let anchor = webpki::anchor_from_trusted_cert(der).map_err(|_| AnchorFault::Malformed)?;
    if !certificate.is_ca()? {
        return Err(AnchorFault::NotCa);
    }
    let key_usage = certificate.key_usage()?;
    if key_usage.is_some_and(|usage| !usage.key_cert_sign()) {
        return Err(AnchorFault::NotForCertificates);
    }
    let unknown = certificate.unsupported_critical_extension();
    if let Some(oid) = unknown.filter(|oid| !POLICY_EXTENSIONS.contains(&oid.as_str())) {
        return Err(AnchorFault::CriticalExtension(oid));
    }
    check_strength(&certificate)?;
    let detail = Anchor {
        der: der.clone(),
        digest: sha256(der),
        subject: certificate.subject().into(),
        issuer: certificate.issuer().into(),
        serial: certificate.serial().into(),
        validity: certificate.validity(),
        public_key: certificate.public_key().into(),
        key: KeyId::of(certificate.public_key()),
        key_id: certificate.subject_key_id().map(Into::into),
        subject_text: certificate.display_subject(),
        may_sign_crls: key_usage.is_none_or(|usage| usage.crl_sign()),
        has_name_constraints: certificate.has_name_constraints()?,
        ca_depth: certificate.ca_depth()?,
        purposes: certificate.extended_key_usages()?,
    };
    Ok((anchor.to_owned(), detail))
}

/// Certificate policies, their mappings and constraints: which policies a chain is under decides nothing here.
const POLICY_EXTENSIONS: [&str; 4] = ["2.5.29.32", "2.5.29.33", "2.5.29.36", "2.5.29.54"];

fn check_strength(certificate: &Certificate<'_>) -> Result<(), AnchorFault> {
    let key = PublicKey::read(certificate.public_key());
    if !key.is_accepted_for_ca() {
        return Err(AnchorFault::Key(key.to_string()));
    }
    let signed = Signed::parse(certificate.der()).ok_or(AnchorFault::Malformed)?;
    if !signature::is_accepted_for_ca(signed.algorithm) {
        let oid = certificate.signature_algorithm();
        let name = signature::algorithm_name(&oid).to_owned();
        return Err(AnchorFault::SignatureAlgorithm(name));
    }
    Ok(())
}

fn subject_of(der: &CertificateDer<'_>) -> String {
    Certificate::parse(der).map_or_else(
        || "unreadable".to_owned(),
        |certificate| certificate.display_subject(),
    )
}

/// Over the digests in their own order, so that moving a certificate within the bundle changes nothing.
fn digest_of(certificates: &[CertificateDer<'_>]) -> [u8; 32] {
    let mut digests: Vec<_> = certificates.iter().map(|der| sha256(der)).collect();
    digests.sort_unstable();
    digests.dedup();
    sha256(&digests.concat())
}

/// Always 32 octets.
pub(super) fn sha256(data: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, data);
    let mut octets = [0; 32];
    octets.copy_from_slice(digest.as_ref());
    octets
}

/// The service's quota.
const CERTIFICATES_MAX: usize = 25;
/// The service's quota: 64 KiB.
const BUNDLE_BYTES_MAX: usize = 65_536;
/// The service's quota for one certificate of a bundle; also applied to what a client presents.
pub(super) const CERTIFICATE_BYTES_MAX: usize = 16_384;

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
