//! One certificate revocation list (RFC 5280 §5), checked once when it is loaded.
//!
//! Owns which CRLs are used at all: version 2, complete, direct, with nextUpdate, without a critical extension that we do not know
//! (webpki's parser is the judge), and signed by a CA certificate of the store whose subject is the CRL's issuer and whose keyUsage
//! allows it. After that nothing of the CRL is checked again but its dates.

use std::fmt;

use webpki::{BorrowedCertRevocationList, BorrowedRevokedCert, CertRevocationList, RevocationReason};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::crl_extensions;
use super::der::{self, Reader};
use super::names;
use super::signature::{BadSignature, Signed};
use super::store::TrustStore;
use super::time::Seconds;

/// A CRL whose signature was verified.
pub(super) struct Crl<'a> {
    list: CertRevocationList<'a>,
    /// The TBSCertList.
    message: &'a [u8],
    /// Raw content octets.
    pub(super) issuer: &'a [u8],
    pub(super) period: Period,
    /// How many entries there are, if each can be read.
    pub(super) entries: usize,
}

/// What stands before the extensions.
struct Head<'a> {
    issuer: &'a [u8],
    period: Period,
    entries: usize,
}

/// When a CRL is the one to ask: from thisUpdate to nextUpdate, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) this_update: Seconds,
    pub(super) next_update: Seconds,
}

/// Why a CRL is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrlFault {
    Malformed(String),
    /// RFC 5280 §5.1.2.5 requires it; without it nobody can tell a current list from an old one.
    NoNextUpdate,
    Version1,
    Delta,
    Indirect,
    /// Partitioned by reason, or with a distribution point that cannot be understood.
    Partitioned,
    /// Its OID, if it can be found.
    CriticalExtension(Option<String>),
    UnknownIssuer(String),
    IssuerMayNotSignCrls(String),
    SignatureAlgorithm,
    WrongSignature(String),
}

impl<'a> Crl<'a> {
    /// Parses and verifies; `store` must hold the CA that signed.
    pub(super) fn read(der: &'a [u8], store: &TrustStore) -> Result<Self, CrlFault> {
        let signed = Signed::parse(der).ok_or_else(malformed)?;
        let head = read_head(signed.message)?;
        let list = BorrowedCertRevocationList::from_der(der).map_err(|error| fault(error, signed.message))?;
        verify(&signed, head.issuer, store)?;
        Ok(Self {
            list: CertRevocationList::Borrowed(list),
            message: signed.message,
            issuer: head.issuer,
            period: head.period,
            entries: head.entries,
        })
    }

    /// The DER of the issuing distribution point, which sets the CRLs of one issuer apart that do not replace each other.
    pub(super) fn scope(&self) -> Option<&[u8]> {
        self.list.issuing_distribution_point()
    }

    /// Calls `take` with the serial (content octets) of each revoked certificate.
    pub(super) fn for_each_serial<E: From<CrlFault>>(
        &self,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let CertRevocationList::Borrowed(list) = &self.list else {
            return Ok(());
        };
        for entry in list {
            let entry = entry.map_err(|error| fault(error, self.message))?;
            take(serial(&entry)?)?;
        }
        Ok(())
    }
}

impl fmt::Display for CrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(detail) => write!(f, "is not a well-formed X.509 CRL ({detail})"),
            Self::NoNextUpdate => f.write_str("has no nextUpdate; issue it again with a validity"),
            Self::Version1 => f.write_str(
                "is version 1; issue it again as version 2, with crlNumber and authorityKeyIdentifier (openssl: crl_extensions)",
            ),
            Self::Delta => f.write_str("is a delta CRL; only complete CRLs are supported"),
            Self::Indirect => f.write_str(
                "is an indirect CRL; each CA has to issue its own",
            ),
            Self::Partitioned => f.write_str(
                "covers only some revocation reasons, or has an issuing distribution point without a full name; use a complete CRL",
            ),
            Self::CriticalExtension(oid) => write!(
                f,
                "has a critical extension that is not supported ({}), so that nobody here can tell what it revokes; have the CA issue it without that extension, or write the serial numbers into a list",
                oid.as_deref().unwrap_or("which cannot be read")
            ),
            Self::UnknownIssuer(issuer) => write!(
                f,
                "was issued by {issuer}, which is not in the trust store; add that CA to the bundle or remove the CRL"
            ),
            Self::IssuerMayNotSignCrls(issuer) => write!(
                f,
                "was issued by {issuer}, whose keyUsage lacks cRLSign"
            ),
            Self::SignatureAlgorithm => f.write_str(
                "is signed with an algorithm that is not accepted (SHA-1, for instance)",
            ),
            Self::WrongSignature(issuer) => write!(
                f,
                "has a signature that {issuer} of the trust store did not make: it was altered, or comes from another CA of that name"
            ),
        }
    }
}

/// The TBSCertList up to its entries (RFC 5280 §5.1): webpki tells neither issuer nor date, and for a missing date only "bad DER".
fn read_head(message: &[u8]) -> Result<Head<'_>, CrlFault> {
    let mut fields = Reader::new(der::only(message, der::SEQUENCE).ok_or_else(malformed)?);
    if fields.peek_tag() == Some(der::SEQUENCE) {
        return Err(CrlFault::Version1);
    }
    let _version = fields.expect(der::INTEGER).ok_or_else(malformed)?;
    let _algorithm = fields.expect(der::SEQUENCE).ok_or_else(malformed)?;
    let issuer = fields.expect(der::SEQUENCE).ok_or_else(malformed)?.value;
    let this_update = time(&mut fields)?;
    match fields.peek_tag() {
        Some(der::UTC_TIME | der::GENERALIZED_TIME) => {}
        _ => return Err(CrlFault::NoNextUpdate),
    }
    let next_update = time(&mut fields)?;
    Ok(Head {
        issuer,
        period: Period {
            this_update,
            next_update,
        },
        entries: fields.expect(der::SEQUENCE).map_or(0, |list| count(list.value)),
    })
}

fn time(fields: &mut Reader<'_>) -> Result<Seconds, CrlFault> {
    let time = fields.next().ok_or_else(malformed)?.encoded;
    let (_, time) = ASN1Time::from_der(time).map_err(|_| malformed())?;
    Ok(time.timestamp())
}

/// Only counts: the entries are read when they are taken.
fn count(list: &[u8]) -> usize {
    let mut entries = Reader::new(list);
    std::iter::from_fn(|| entries.next()).count()
}

fn verify(signed: &Signed<'_>, issuer: &[u8], store: &TrustStore) -> Result<(), CrlFault> {
    let name = || names::display(issuer);
    let mut fault = CrlFault::UnknownIssuer(name());
    for ca in store.named(issuer) {
        fault = match signed.verify(&ca.public_key) {
            Ok(()) if ca.may_sign_crls => return Ok(()),
            Ok(()) => CrlFault::IssuerMayNotSignCrls(name()),
            Err(BadSignature::UnsupportedAlgorithm) => CrlFault::SignatureAlgorithm,
            Err(BadSignature::WrongKey) => CrlFault::WrongSignature(name()),
        };
    }
    Err(fault)
}

fn serial<'a>(entry: &BorrowedRevokedCert<'a>) -> Result<&'a [u8], CrlFault> {
    // RFC 5280 §5.3.1: only delta CRLs may carry it.
    if entry.reason_code == Some(RevocationReason::RemoveFromCrl) {
        return Err(CrlFault::Delta);
    }
    Ok(entry.serial_number)
}

fn fault(error: webpki::Error, message: &[u8]) -> CrlFault {
    use webpki::Error as E;
    match error {
        E::UnsupportedCrlVersion => CrlFault::Version1,
        E::UnsupportedDeltaCrl => CrlFault::Delta,
        E::UnsupportedIndirectCrl => CrlFault::Indirect,
        E::UnsupportedRevocationReasonsPartitioning | E::UnsupportedCrlIssuingDistributionPoint => {
            CrlFault::Partitioned
        }
        E::UnsupportedCriticalExtension => {
            CrlFault::CriticalExtension(crl_extensions::unsupported_critical(message))
        }
        other => CrlFault::Malformed(other.to_string()),
    }
}

fn malformed() -> CrlFault {
    CrlFault::Malformed("bad DER".to_owned())
}
