//! Facts about a client certificate, for the log, the origin's headers and connection functions.
//!
//! Owns the service's text formats (reference §2.2, §4, §5.1). Facts are no proof: they are read from
//! rejected certificates too, and nothing in them is secret. Names may be long (a certificate of 16 KiB can
//! make a subject of 48 KiB): whoever puts them into a header bounds the header.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::certificate::{Certificate, Validity};
use super::details::CertificateDetails;
use super::digest::sha256;
use super::hex::{colon_hex, hex};
use super::names;
use super::time::format_utc;

/// A certificate in words. Made once for each certificate and shared.
#[derive(Debug)]
pub struct CertificateFacts {
    /// The INTEGER's content octets, lowercase hex, joined by `:`; a leading `00` stays.
    pub serial_number: String,
    /// The certificate's order, joined by `, `: connection object and logs.
    pub subject: String,
    pub issuer: String,
    /// RFC 2253, pure ASCII: headers.
    pub subject_rfc2253: String,
    pub issuer_rfc2253: String,
    /// `NotBefore=2023-09-21T01:50:17Z;NotAfter=2024-09-20T01:50:17Z`.
    pub validity: String,
    /// SHA-256 of the DER, 64 lowercase hex digits.
    pub sha256: String,
    der: Box<[u8]>,
    pem_url_encoded: OnceLock<String>,
    details: OnceLock<CertificateDetails>,
}

impl CertificateFacts {
    /// `None`: not a certificate, or its names are not names.
    pub fn parse(der: &[u8]) -> Option<Self> {
        Self::of(&Certificate::parse(der)?)
    }

    pub(super) fn of(certificate: &Certificate<'_>) -> Option<Self> {
        let (subject, issuer) = (certificate.subject(), certificate.issuer());
        let der = certificate.der();
        Some(Self {
            serial_number: colon_hex(certificate.serial()),
            subject: names::forward(subject)?,
            issuer: names::forward(issuer)?,
            subject_rfc2253: names::rfc2253(subject)?,
            issuer_rfc2253: names::rfc2253(issuer)?,
            validity: format_validity(certificate.validity()),
            sha256: hex(&sha256(der)),
            der: der.into(),
            pem_url_encoded: OnceLock::new(),
            details: OnceLock::new(),
        })
    }

    /// Facts of no certificate, for tests of what is told about facts.
    #[doc(hidden)]
    pub fn of_texts(serial_number: &str, subject: &str, issuer: &str, validity: &str) -> Self {
        Self {
            serial_number: serial_number.to_owned(),
            subject: subject.to_owned(),
            issuer: issuer.to_owned(),
            subject_rfc2253: String::new(),
            issuer_rfc2253: String::new(),
            validity: validity.to_owned(),
            sha256: String::new(),
            der: Box::default(),
            pem_url_encoded: OnceLock::new(),
            details: OnceLock::new(),
        }
    }

    /// The PEM with every octet outside `A-Za-z0-9-._~+/=` as `%XX`, line ends too; written on first use.
    pub fn pem_url_encoded(&self) -> &str {
        self.pem_url_encoded
            .get_or_init(|| utf8_percent_encode(&pem(&self.der), ENCODED_IN_PEM).to_string())
    }

    /// Details that only connection functions are told; written on first use.
    pub fn details(&self) -> &CertificateDetails {
        self.details.get_or_init(|| {
            let certificate = Certificate::parse(&self.der);
            certificate.map_or_else(CertificateDetails::default, |certificate| {
                CertificateDetails::of(&certificate)
            })
        })
    }

    /// The certificate itself.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

fn format_validity(validity: Validity) -> String {
    format!(
        "NotBefore={};NotAfter={}",
        format_utc(validity.not_before),
        format_utc(validity.not_after)
    )
}

/// RFC 7468 §2: lines of 64 characters, a line end after each.
fn pem(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in der.chunks(OCTETS_PER_PEM_LINE) {
        STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

const OCTETS_PER_PEM_LINE: usize = 48;

/// The service's example leaves `-` bare and encodes space and line end; its sibling documents `+ / =` as
/// safe.
const ENCODED_IN_PEM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'+')
    .remove(b'/')
    .remove(b'=');

/// End of the validity of a certificate, in seconds since 1970. `None`: it cannot be read.
pub fn not_after(der: &[u8]) -> Option<i64> {
    Some(Certificate::parse(der)?.validity().not_after)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::test_pki::{Ca, leaf};

    #[test]
    fn the_facts_are_written_in_the_services_formats() {
        let ca = Ca::root("Root");
        let der = ca.issue(leaf("client").serial(&[0xb1, 0x43, 0xed]));
        let facts = CertificateFacts::parse(&der).unwrap();
        assert_eq!(facts.serial_number, "00:b1:43:ed");
        assert_eq!(facts.subject, "O=Example, CN=client");
        assert_eq!(facts.subject_rfc2253, "CN=client,O=Example");
        assert_eq!(facts.issuer, "O=Example, CN=Root");
        assert_eq!(
            facts.validity,
            "NotBefore=2025-01-01T00:00:00Z;NotAfter=2030-01-01T00:00:00Z"
        );
        assert_eq!(facts.sha256.len(), 64);
        assert_eq!(facts.der(), &der[..]);
    }

    #[test]
    fn the_pem_is_url_encoded_but_for_its_base64() {
        let der = Ca::root("Root").issue(leaf("client"));
        let facts = CertificateFacts::parse(&der).unwrap();
        let encoded = facts.pem_url_encoded();
        let body = encoded
            .strip_prefix("-----BEGIN%20CERTIFICATE-----%0A")
            .and_then(|rest| rest.strip_suffix("%0A-----END%20CERTIFICATE-----%0A"))
            .unwrap();
        let lines: Vec<_> = body.split("%0A").collect();
        assert!(lines.iter().rev().skip(1).all(|line| line.len() == 64));
        assert_eq!(STANDARD.decode(lines.concat()).unwrap(), &der[..]);
    }

    #[test]
    fn what_is_no_certificate_has_no_facts() {
        assert!(CertificateFacts::parse(b"").is_none());
        assert!(CertificateFacts::parse(&[0x30, 0x82, 0xff, 0xff]).is_none());
        let mut trailing = Ca::root("Root").issue(leaf("client")).to_vec();
        trailing.push(0);
        assert!(CertificateFacts::parse(&trailing).is_none());
    }
}
