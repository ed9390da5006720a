//! A certificate revocation list (RFC 5280 §5), checked once when it is loaded.
//!
//! Owns which CRLs are used at all: complete ones, issued by the CA itself, with nextUpdate, without a
//! critical extension that we do not know, and signed by a CA certificate of the store whose subject is the
//! CRL's issuer and whose keyUsage allows it. After that nothing of the CRL is checked again but its dates.
//!
//! Read by hand and not by webpki, which gives up a list of thousands for one reason code that RFC 5280 does
//! not use, and tells neither issuer nor dates. What an entry says beside its serial number cannot make it
//! less revoked, so oddities there are passed over, as OpenSSL does; what a list says about its own scope is
//! read strictly, because it decides who is answered for.

use super::canonical_name;
use super::crl_extensions::{self, ListExtensions};
use super::crl_fault::CrlFault;
use super::crl_scope::{Period, Scope};
use super::der::{self, Reader};
use super::key_id::KeyId;
use super::names;
use super::signature::{BadSignature, Signed};
use super::store::TrustStore;
use super::time::{self, Seconds};

/// A CRL whose signature was verified.
pub(super) struct Crl<'a> {
    /// Raw content octets.
    pub(super) issuer: &'a [u8],
    /// The key that signed it: with the name the whole identity of its issuer.
    pub(super) key: KeyId,
    pub(super) period: Period,
    pub(super) scope: Scope,
    /// Content of revokedCertificates.
    entries: &'a [u8],
}

/// The fields of a TBSCertList (RFC 5280 §5.1).
struct Fields<'a> {
    algorithm: &'a [u8],
    issuer: &'a [u8],
    period: Period,
    entries: &'a [u8],
    /// DER of the Extensions.
    extensions: Option<&'a [u8]>,
}

impl<'a> Crl<'a> {
    /// Parses and verifies; `store` must hold the CA that signed.
    pub(super) fn read(der: &'a [u8], store: &TrustStore) -> Result<Self, CrlFault> {
        let signed = Signed::parse(der).ok_or(CrlFault::Malformed("the outer structure"))?;
        let fields = Fields::read(signed.message)?;
        // RFC 5280 §5.1.1.2: else an attacker could choose with what the signature is checked.
        if fields.algorithm != signed.algorithm {
            return Err(CrlFault::Malformed("its two signature algorithms, which differ"));
        }
        let extensions = ListExtensions::read(fields.extensions)?;
        Ok(Self {
            key: signer(&signed, fields.issuer, store)?,
            issuer: fields.issuer,
            period: fields.period,
            scope: Scope::read(
                extensions.issuing_distribution_point,
                fields.issuer,
                fields.period,
            )?,
            entries: fields.entries,
        })
    }

    /// Number of entries, if each can be read.
    pub(super) fn count(&self) -> usize {
        let mut entries = Reader::new(self.entries);
        std::iter::from_fn(|| entries.next()).count()
    }

    /// Calls `take` with the serial (content octets) of each revoked certificate.
    pub(super) fn for_each_serial<E: From<CrlFault>>(
        &self,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut entries = Reader::new(self.entries);
        while !entries.is_empty() {
            take(serial(&mut entries)?)?;
        }
        Ok(())
    }
}

impl<'a> Fields<'a> {
    fn read(message: &'a [u8]) -> Result<Self, CrlFault> {
        let mut fields = Reader::new(der::only(message, der::SEQUENCE).ok_or(malformed("its body"))?);
        check_version(&mut fields)?;
        let algorithm = sequence(&mut fields, "the signature algorithm")?;
        let issuer = sequence(&mut fields, "the issuer")?;
        let period = period(&mut fields)?;
        let entries = match fields.peek_tag() {
            Some(der::SEQUENCE) => sequence(&mut fields, "revokedCertificates")?,
            _ => &[],
        };
        let extensions = match fields.is_empty() {
            true => None,
            false => Some(
                fields
                    .expect(EXTENSIONS)
                    .ok_or(malformed("the extensions"))?
                    .value,
            ),
        };
        match fields.is_empty() {
            true => Ok(Self {
                algorithm,
                issuer,
                period,
                entries,
                extensions,
            }),
            false => Err(malformed("what follows the extensions")),
        }
    }
}

/// Version 1 has no version field, and is as good as a version 2 without extensions. Whatever extensions
/// there are count in either.
fn check_version(fields: &mut Reader<'_>) -> Result<(), CrlFault> {
    if fields.peek_tag() != Some(der::INTEGER) {
        return Ok(());
    }
    match fields.next().ok_or(malformed("the version"))?.value {
        [0 | 1] => Ok(()),
        _ => Err(CrlFault::Version),
    }
}

fn sequence<'a>(fields: &mut Reader<'a>, part: &'static str) -> Result<&'a [u8], CrlFault> {
    Ok(fields.expect(der::SEQUENCE).ok_or(malformed(part))?.value)
}

fn period(fields: &mut Reader<'_>) -> Result<Period, CrlFault> {
    let this_update = time(fields, "thisUpdate")?;
    match fields.peek_tag() {
        Some(der::UTC_TIME | der::GENERALIZED_TIME) => {}
        _ => return Err(CrlFault::NoNextUpdate),
    }
    Ok(Period {
        this_update,
        next_update: time(fields, "nextUpdate")?,
    })
}

fn time(fields: &mut Reader<'_>, part: &'static str) -> Result<Seconds, CrlFault> {
    let time = fields.next().ok_or(malformed(part))?;
    time::read(&time).ok_or(malformed(part))
}

/// Finds the CA of the store whose key made the signature and may sign CRLs. Gives the key.
fn signer(signed: &Signed<'_>, issuer: &[u8], store: &TrustStore) -> Result<KeyId, CrlFault> {
    let name = || names::display(issuer);
    let mut fault = CrlFault::UnknownIssuer(name());
    let named = |subject: &[u8]| canonical_name::is_same(subject, issuer);
    for ca in store.anchors().iter().filter(|ca| named(&ca.subject)) {
        fault = match signed.verify(&ca.public_key) {
            Ok(()) if ca.may_sign_crls => return Ok(ca.key),
            Ok(()) => CrlFault::IssuerMayNotSignCrls(name()),
            // That the right key was found matters more than that another is a wrong one.
            Err(_) if matches!(fault, CrlFault::IssuerMayNotSignCrls(_)) => continue,
            Err(BadSignature::UnsupportedAlgorithm) => CrlFault::SignatureAlgorithm,
            Err(BadSignature::WrongKey) => CrlFault::WrongSignature(name()),
        };
    }
    Err(fault)
}

/// `SEQUENCE { userCertificate INTEGER, revocationDate Time, crlEntryExtensions Extensions OPTIONAL }`. The
/// date decides nothing: an entry is revoked from the list's first day on.
fn serial<'a>(entries: &mut Reader<'a>) -> Result<&'a [u8], CrlFault> {
    let entry = entries.expect(der::SEQUENCE).ok_or(malformed("an entry"))?;
    let mut fields = Reader::new(entry.value);
    let serial = fields
        .expect(der::INTEGER)
        .filter(|serial| !serial.value.is_empty());
    let serial = serial.ok_or(malformed("the serial number of an entry"))?.value;
    let date = fields.next().map(|date| date.tag);
    if !matches!(date, Some(der::UTC_TIME | der::GENERALIZED_TIME)) {
        return Err(malformed("the revocationDate of an entry"));
    }
    if !fields.is_empty() {
        let extensions = fields.expect(der::SEQUENCE).filter(|_| fields.is_empty());
        let extensions = extensions.ok_or(malformed("the extensions of an entry"))?.value;
        crl_extensions::check_entry(extensions)?;
    }
    Ok(serial)
}

fn malformed(part: &'static str) -> CrlFault {
    CrlFault::Malformed(part)
}

/// `[0] EXPLICIT Extensions`, the last field.
const EXTENSIONS: u8 = 0xa0;

#[cfg(test)]
#[path = "crl_tests.rs"]
mod tests;
