//! The extensions of a CRL and of its entries (RFC 5280 §5.2, §5.3).
//!
//! Owns which of them are understood. One that is critical and not understood costs the whole list, since
//! nobody can tell what the list says then; one that is not critical, and decides nothing here, is not even
//! decoded: reason codes and invalidity dates of every kind, list numbers of every length.

use std::borrow::Cow;

use x509_parser::der_parser::Oid;

use super::crl_fault::CrlFault;
use super::der::{self, Reader};

/// Statements of a list about itself, beyond its fields.
#[derive(Debug, Default)]
pub(super) struct ListExtensions<'a> {
    /// DER of IssuingDistributionPoint.
    pub(super) issuing_distribution_point: Option<&'a [u8]>,
}

impl<'a> ListExtensions<'a> {
    /// `encoded`: DER of the Extensions, if there are any.
    pub(super) fn read(encoded: Option<&'a [u8]>) -> Result<Self, CrlFault> {
        let mut found = Self::default();
        let Some(encoded) = encoded else {
            return Ok(found);
        };
        let list = der::only(encoded, der::SEQUENCE).ok_or(malformed())?;
        each(list, |extension| {
            match extension.oid {
                ISSUING_DISTRIBUTION_POINT => {
                    // Two scopes cannot both be the list's.
                    if found
                        .issuing_distribution_point
                        .replace(extension.value)
                        .is_some()
                    {
                        return Err(CrlFault::Malformed("a second issuing distribution point"));
                    }
                }
                DELTA_CRL_INDICATOR => return Err(CrlFault::Delta),
                CRL_NUMBER | AUTHORITY_KEY_IDENTIFIER => {}
                _ => extension.refuse_if_critical()?,
            }
            Ok(())
        })?;
        Ok(found)
    }
}

/// Checks that an entry does not change the meaning of the list. `extensions`: content of the Extensions.
pub(super) fn check_entry(extensions: &[u8]) -> Result<(), CrlFault> {
    each(extensions, |extension| match extension.oid {
        // The entry belongs to another CA, and so do those that follow it.
        CERTIFICATE_ISSUER => Err(CrlFault::Indirect),
        REASON_CODE if removes(extension.value) => Err(CrlFault::RemovesEntries),
        REASON_CODE | INVALIDITY_DATE => Ok(()),
        _ => extension.refuse_if_critical(),
    })
}

/// RFC 5280 §5.3.1: only delta CRLs may take an entry back. Some write the reason as an INTEGER.
fn removes(reason: &[u8]) -> bool {
    let reason = Reader::new(reason).next();
    reason.is_some_and(|reason| reason.value == [REMOVE_FROM_CRL])
}

struct Extension<'a> {
    oid: &'a [u8],
    critical: bool,
    value: &'a [u8],
}

impl Extension<'_> {
    fn refuse_if_critical(&self) -> Result<(), CrlFault> {
        match self.critical {
            true => Err(CrlFault::CriticalExtension(
                Oid::new(Cow::Borrowed(self.oid)).to_id_string(),
            )),
            false => Ok(()),
        }
    }
}

fn each<'a>(
    list: &'a [u8],
    mut take: impl FnMut(Extension<'a>) -> Result<(), CrlFault>,
) -> Result<(), CrlFault> {
    let mut list = Reader::new(list);
    while !list.is_empty() {
        take(extension(&mut list).ok_or(malformed())?)?;
    }
    Ok(())
}

/// `SEQUENCE { extnID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }`.
fn extension<'a>(list: &mut Reader<'a>) -> Option<Extension<'a>> {
    let mut fields = Reader::new(list.expect(der::SEQUENCE)?.value);
    let oid = fields.expect(der::OBJECT_IDENTIFIER)?.value;
    let critical = match fields.peek_tag() {
        Some(der::BOOLEAN) => fields.next()?.value != [0],
        _ => false,
    };
    let value = fields.expect(der::OCTET_STRING)?.value;
    fields.is_empty().then_some(Extension { oid, critical, value })
}

fn malformed() -> CrlFault {
    CrlFault::Malformed("the extensions")
}

/// 2.5.29.20, .27, .28, .35 of a list; .21, .24, .29 of an entry.
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
const DELTA_CRL_INDICATOR: &[u8] = &[0x55, 0x1d, 27];
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 35];
const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 24];
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];
const REMOVE_FROM_CRL: u8 = 8;
