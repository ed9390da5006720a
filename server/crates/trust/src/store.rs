//! A trust store: the CA certificates that one PEM bundle names, each of them a trust anchor.
//!
//! Owns the bundle rules (reference §1.6). A store is valid by construction and immutable: at least one
//! certificate, each X.509 v3 with CA:TRUE, keyCertSign where keyUsage is present, an accepted key and an
//! accepted signature algorithm. Roots and intermediates are alike: path building stops at the first
//! certificate of the store (RFC 5280 §6.1.1 d leaves the choice of anchors to us). A certificate that the
//! bundle holds twice counts once. An anchor that is expired or not yet valid loads, so that a reload does
//! not fail for a CA that nobody uses any more, but admits nobody. What else its certificate limits is asked
//! of each path ([`super::conditions`]).

use std::fmt;

use rustls_pki_types::CertificateDer;

use super::canonical_name::CanonicalName;
use super::certificate::{CaDepth, Certificate, Validity};
use super::certificate_fault::{Fault, MalformedExtension};
use super::digest::sha256;
use super::extensions::Known;
use super::foreign_format::{BLOCKS_ALONE, ForeignFormat};
use super::key::PublicKey;
use super::key_id::KeyId;
use super::name_constraints::NameConstraints;
use super::pem::{self, Block, PemError};
use super::purpose::Purpose;
use super::signature;

/// The anchors of one bundle.
pub struct TrustStore {
    name: String,
    /// In the order of the bundle.
    anchors: Vec<Anchor>,
    /// Positions in `anchors`, in the order in which paths are tried.
    by_preference: Vec<usize>,
    digest: [u8; 32],
}

/// A CA certificate of the bundle.
pub(super) struct Anchor {
    pub(super) der: CertificateDer<'static>,
    /// SHA-256 of `der`.
    pub(super) digest: [u8; 32],
    /// Names and serial as raw content octets.
    pub(super) subject: Box<[u8]>,
    pub(super) canonical_subject: Option<CanonicalName>,
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
    pub(super) name_constraints: Option<NameConstraints>,
    pub(super) ca_depth: CaDepth,
    /// extendedKeyUsage, if it is there.
    pub(super) purposes: Option<Vec<Purpose>>,
}

/// A bundle that is not loaded. Certificates count from 1, in the order of the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    Empty,
    TooLarge {
        bytes: usize,
    },
    TooManyCertificates,
    Pem(PemError),
    /// No PEM, but something that can be made PEM.
    Foreign(ForeignFormat),
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

/// A fault that disqualifies a certificate as an anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnchorFault {
    TooLarge {
        bytes: usize,
    },
    Malformed,
    NotCa,
    NotForCertificates,
    Extension(&'static str),
    Key(String),
    SignatureAlgorithm(String),
    /// It can be read, and must not be relied on: why.
    Unreliable(String),
}

impl TrustStore {
    /// Reads a bundle; `name` is the operator's name for it.
    pub fn from_pem(name: &str, bundle: &[u8]) -> Result<Self, StoreError> {
        if bundle.len() > BUNDLE_BYTES_MAX {
            let bytes = bundle.len();
            return Err(StoreError::TooLarge { bytes });
        }
        if let Some(format) = ForeignFormat::of(bundle) {
            return Err(StoreError::Foreign(format));
        }
        let mut collection = Collection::default();
        pem::for_each_block(bundle, |block| collection.take(block))?;
        match &collection.certificates[..] {
            [] => Err(StoreError::Empty),
            certificates => Self::from_certificates(name, certificates),
        }
    }

    fn from_certificates(name: &str, certificates: &[Collected]) -> Result<Self, StoreError> {
        let read = |Collected { index, der }: &Collected| {
            read_anchor(der).map_err(|fault| StoreError::Certificate {
                index: *index,
                subject: subject_of(der),
                fault,
            })
        };
        let anchors = certificates.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            name: name.to_owned(),
            by_preference: by_preference(&anchors),
            digest: digest_of(&anchors),
            anchors,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Identifies the set of certificates, whatever their order and the store's name.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Number of different certificates; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a store is never empty")]
    pub fn len(&self) -> usize {
        self.anchors.len()
    }

    /// True if a certificate is in both stores.
    pub fn shares_a_ca(&self, other: &Self) -> bool {
        let has = |anchor: &Anchor| other.anchors.iter().any(|theirs| theirs.digest == anchor.digest);
        self.anchors.iter().any(has)
    }

    /// The subjects of its CAs, as content octets of the Names.
    pub fn subjects(&self) -> impl Iterator<Item = &[u8]> {
        self.anchors.iter().map(|anchor| &*anchor.subject)
    }

    /// CAs with name constraints of kinds that nobody evaluates, each with these kinds: a client with a name
    /// of such a kind is refused.
    pub fn constraints_not_evaluated(&self) -> impl Iterator<Item = (&str, String)> {
        self.anchors.iter().filter_map(|anchor| {
            let kinds = anchor.name_constraints.as_ref()?.kinds_not_evaluated();
            (!kinds.is_empty()).then(|| (&*anchor.subject_text, kinds.join(", ")))
        })
    }

    /// In the order of the bundle.
    pub(super) fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// Anchors in the order of their ends of validity, the latest first. Anchors with the same end are in an
    /// order of their own: no verdict depends on the bundle's order.
    pub(super) fn anchors_by_preference(&self) -> impl Iterator<Item = &Anchor> {
        let positions = self.by_preference.iter();
        positions.filter_map(|position| self.anchors.get(*position))
    }

    /// The anchors with this subject (raw content octets): usually one, two while a CA's certificate is being
    /// replaced.
    pub(super) fn named<'s>(&'s self, subject: &'s [u8]) -> impl Iterator<Item = &'s Anchor> {
        self.anchors
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

impl StoreError {
    /// Advice on what to do about the error; `file` is the bundle.
    pub fn remedy(&self, file: &str) -> String {
        match self {
            Self::Foreign(format) => {
                let command = format.certificates_command(file);
                format!("name a PEM file; the command that makes one is: {command}")
            }
            Self::Label { label } => remedy_for_label(label, file),
            Self::Pem(PemError::StrayText { .. }) => {
                format!("keep the PEM blocks alone, as this does: {BLOCKS_ALONE} {file}")
            }
            Self::Empty => "name the file that holds the CAs of the clients".to_owned(),
            Self::TooLarge { .. } | Self::TooManyCertificates => {
                "take out what issues no client certificates, or make two trust stores of it".to_owned()
            }
            Self::Pem(_) => "export its certificates again, in PEM".to_owned(),
            Self::Certificate { .. } => "take that certificate out, or export it again".to_owned(),
        }
    }
}

fn remedy_for_label(label: &str, file: &str) -> String {
    match label {
        // What OpenSSL adds to these says for what they are trusted, which the bundle does not decide.
        "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" => {
            format!("convert each such block, as this does for the first: openssl x509 -in {file}")
        }
        "PKCS7" => format!("convert it: openssl pkcs7 -print_certs -in {file} | {BLOCKS_ALONE}"),
        "X509 CRL" => "name the file under `revocations`".to_owned(),
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
            "put the certificate there that the CA has made of the request".to_owned()
        }
        key if key.ends_with("PRIVATE KEY") => {
            "take the key out of the bundle, and keep it secret: nobody here needs the key of a CA".to_owned()
        }
        _ => format!("keep the CERTIFICATE blocks alone in {file}"),
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
                "the bundle holds more than {CERTIFICATES_MAX} certificates; keep only the CAs that issue \
                 client certificates"
            ),
            Self::Pem(error) => error.fmt(f),
            Self::Foreign(format) => write!(f, "the bundle {format}, not PEM"),
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
            Self::NotCa => f.write_str(
                "is not a CA certificate (basicConstraints CA:TRUE is missing); client certificates do not \
                 belong in the bundle",
            ),
            Self::NotForCertificates => {
                f.write_str("may not sign certificates (its keyUsage lacks keyCertSign)")
            }
            Self::Extension(name) => write!(f, "has a malformed {name} extension"),
            Self::Key(key) => write!(
                f,
                "has a key that is {key}; accepted are RSA 2048, 3072 or 4096 and ECDSA P-256 or P-384"
            ),
            Self::Unreliable(why) => f.write_str(why),
            Self::SignatureAlgorithm(name) => write!(
                f,
                "is signed with {name}; accepted are RSA, RSASSA-PSS and ECDSA with SHA-256, SHA-384 or \
                 SHA-512"
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

impl From<Fault> for AnchorFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Extension(name) => Self::Extension(name),
            other => Self::Unreliable(other.told()),
        }
    }
}

impl From<MalformedExtension> for AnchorFault {
    fn from(MalformedExtension(name): MalformedExtension) -> Self {
        Self::Extension(name)
    }
}

/// A certificate of the bundle that none before it equals.
struct Collected {
    /// Counts from 1, repetitions included.
    index: usize,
    der: CertificateDer<'static>,
}

#[derive(Default)]
struct Collection {
    certificates: Vec<Collected>,
    blocks: usize,
}

impl Collection {
    fn take(&mut self, block: Block) -> Result<(), StoreError> {
        if block.label != "CERTIFICATE" {
            let label = block.label;
            return Err(StoreError::Label { label });
        }
        self.blocks += 1;
        if self.certificates.iter().any(|known| *known.der == *block.der) {
            return Ok(());
        }
        if self.certificates.len() == CERTIFICATES_MAX {
            return Err(StoreError::TooManyCertificates);
        }
        self.certificates.push(Collected {
            index: self.blocks,
            der: block.der.into(),
        });
        Ok(())
    }
}

fn by_preference(anchors: &[Anchor]) -> Vec<usize> {
    let mut all: Vec<_> = anchors.iter().enumerate().collect();
    all.sort_by_key(|(_, anchor)| (std::cmp::Reverse(anchor.validity.not_after), anchor.digest));
    all.into_iter().map(|(position, _)| position).collect()
}

fn read_anchor(der: &CertificateDer<'static>) -> Result<Anchor, AnchorFault> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(AnchorFault::TooLarge { bytes: der.len() });
    }
    let certificate = Certificate::parse(der).ok_or(AnchorFault::Malformed)?;
    certificate.check_form()?;
    let ca_depth = certificate.ca_depth()?;
    if ca_depth == CaDepth::NoCa {
        return Err(AnchorFault::NotCa);
    }
    let key_usage = certificate.key_usage()?;
    if key_usage.is_some_and(|usage| !usage.key_cert_sign()) {
        return Err(AnchorFault::NotForCertificates);
    }
    check_strength(&certificate)?;
    Ok(Anchor {
        der: der.clone(),
        digest: sha256(der),
        subject: certificate.subject().into(),
        canonical_subject: CanonicalName::of(certificate.subject()),
        issuer: certificate.issuer().into(),
        serial: certificate.serial().into(),
        validity: certificate.validity(),
        public_key: certificate.public_key().into(),
        key: KeyId::of(certificate.public_key()),
        key_id: certificate.subject_key_id().map(Into::into),
        subject_text: certificate.display_subject(),
        may_sign_crls: key_usage.is_none_or(|usage| usage.crl_sign()),
        name_constraints: read_name_constraints(&certificate)?,
        ca_depth,
        purposes: certificate.extended_key_usages()?,
    })
}

fn read_name_constraints(certificate: &Certificate<'_>) -> Result<Option<NameConstraints>, AnchorFault> {
    let Some(value) = certificate.value(Known::NameConstraints)? else {
        return Ok(None);
    };
    let constraints = NameConstraints::parse(value);
    constraints
        .map(Some)
        .ok_or(AnchorFault::Extension("nameConstraints"))
}

fn check_strength(certificate: &Certificate<'_>) -> Result<(), AnchorFault> {
    let key = PublicKey::read(certificate.public_key());
    if !key.is_accepted_for_ca() {
        return Err(AnchorFault::Key(key.to_string()));
    }
    let signed = certificate.signed();
    if !signature::is_accepted_for_ca(signed.algorithm) {
        return Err(AnchorFault::SignatureAlgorithm(signed.algorithm_text()));
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
fn digest_of(anchors: &[Anchor]) -> [u8; 32] {
    let mut digests: Vec<_> = anchors.iter().map(|anchor| anchor.digest).collect();
    digests.sort_unstable();
    sha256(&digests.concat())
}

/// The service's quota.
const CERTIFICATES_MAX: usize = 25;
/// The service's quota: 64 KiB.
const BUNDLE_BYTES_MAX: usize = 65_536;
/// The service's quota for one certificate of a bundle; also applied to what a client presents.
pub(super) const CERTIFICATE_BYTES_MAX: usize = 16_384;
const _: () = assert!(
    CERTIFICATE_BYTES_MAX < BUNDLE_BYTES_MAX,
    "a bundle must have room for a CA"
);

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
