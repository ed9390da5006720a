//! Which extension of a CRL is the one that we may not pass over (RFC 5280 §5.2, §5.3).
//!
//! Owns the name in the error. The judge is webpki, which refuses a list with a critical extension that it does not know, but does not
//! say which. Read again only then.

use std::borrow::Cow;

use x509_parser::der_parser::{Oid, oid};

use super::der::{self, Reader};

/// The first critical extension, of the list or of an entry, that is not supported; `message`: the TBSCertList.
pub(super) fn unsupported_critical(message: &[u8]) -> Option<String> {
    let mut fields = Reader::new(der::only(message, der::SEQUENCE)?);
    let mut entries = None;
    while let Some(field) = fields.next() {
        match field.tag {
            // The algorithm, the issuer, and after the dates the entries.
            der::SEQUENCE => entries = Some(field.value),
            EXTENSIONS => {
                let of_list = der::only(field.value, der::SEQUENCE)?;
                let of_entries = || entries.and_then(unsupported_of_entries);
                return unsupported(of_list, SUPPORTED_OF_LIST).or_else(of_entries);
            }
            _ => {}
        }
    }
    None
}

fn unsupported_of_entries(entries: &[u8]) -> Option<String> {
    let mut entries = Reader::new(entries);
    std::iter::from_fn(|| entries.next()).find_map(|entry| {
        let mut fields = Reader::new(entry.value);
        let _serial = fields.next()?;
        let _date = fields.next()?;
        unsupported(fields.expect(der::SEQUENCE)?.value, SUPPORTED_OF_ENTRY)
    })
}

fn unsupported(extensions: &[u8], supported: &[Oid<'_>]) -> Option<String> {
    let mut extensions = Reader::new(extensions);
    std::iter::from_fn(|| extensions.next()).find_map(|extension| {
        let mut fields = Reader::new(extension.value);
        let oid = Oid::new(Cow::Borrowed(fields.expect(der::OBJECT_IDENTIFIER)?.value));
        let is_critical = fields.expect(der::BOOLEAN).is_some_and(|flag| flag.value != [0]);
        (is_critical && !supported.contains(&oid)).then(|| oid.to_id_string())
    })
}

/// `[0] EXPLICIT Extensions`, the last field.
const EXTENSIONS: u8 = 0xa0;
/// cRLNumber, deltaCRLIndicator (which has its own error), issuingDistributionPoint, authorityKeyIdentifier.
const SUPPORTED_OF_LIST: &[Oid<'static>] =
    &[oid!(2.5.29.20), oid!(2.5.29.27), oid!(2.5.29.28), oid!(2.5.29.35)];
/// reasonCode, invalidityDate, certificateIssuer (which has its own error).
const SUPPORTED_OF_ENTRY: &[Oid<'static>] = &[oid!(2.5.29.21), oid!(2.5.29.24), oid!(2.5.29.29)];
