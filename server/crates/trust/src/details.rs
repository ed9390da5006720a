//! Details of a certificate that only connection functions are told, in the service's formats (reference
//! §2.2).
//!
//! Owned by the certificate's facts and written on first use, so that nobody pays for it who has no function.
//! A field that is absent from the certificate, or cannot be read, is absent here. Values come from clients:
//! whatever would let one name pass for two, or hide, is escaped.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

use super::certificate::Certificate;
use super::der::{self, Element, Reader};
use super::digest::sha256;
use super::hex::hex;
use super::names;
use super::time::format_utc;

/// The rest of the `leaf` and `intermediates[]` objects of a connection function.
#[derive(Debug, Default)]
pub struct CertificateDetails {
    /// `2025-09-10T23:43:10Z`.
    pub not_before: String,
    pub not_after: String,
    /// SHA-256 of the DER, base64url, padded.
    pub sha256_base64url: String,
    /// The first OCSP responder of the authorityInfoAccess.
    pub ocsp_endpoint: Option<String>,
    /// `DNS:client.example.com,DNS:api.example.com`.
    pub san: Option<String>,
    /// Hex of the DER of the GeneralNames.
    pub san_hex: Option<String>,
    /// Hex of the DER of the SubjectPublicKeyInfo.
    pub spki_hex: String,
}

impl CertificateDetails {
    pub(super) fn of(certificate: &Certificate<'_>) -> Self {
        let validity = certificate.validity();
        let names = certificate.subject_alternative_name();
        Self {
            not_before: format_utc(validity.not_before),
            not_after: format_utc(validity.not_after),
            sha256_base64url: URL_SAFE.encode(sha256(certificate.der())),
            ocsp_endpoint: certificate.authority_information_access().and_then(ocsp_endpoint),
            san: names.and_then(general_names),
            san_hex: names.map(hex),
            spki_hex: hex(certificate.public_key()),
        }
    }
}

/// RFC 5280 §4.2.2.1.
fn ocsp_endpoint(access: &[u8]) -> Option<String> {
    let mut descriptions = Reader::new(der::only(access, der::SEQUENCE)?);
    while !descriptions.is_empty() {
        let mut description = Reader::new(descriptions.expect(der::SEQUENCE)?.value);
        let method = description.expect(der::OBJECT_IDENTIFIER)?.value;
        let location = description.next()?;
        if method == OCSP && location.tag == URI {
            return ia5(location.value).map(str::to_owned);
        }
    }
    None
}

/// RFC 5280 §4.2.1.6, each as OpenSSL labels it, joined by `,`. `None`: no GeneralNames.
fn general_names(encoded: &[u8]) -> Option<String> {
    let mut names = Reader::new(der::only(encoded, der::SEQUENCE)?);
    let mut out = String::new();
    while !names.is_empty() {
        if !out.is_empty() {
            out.push(',');
        }
        write_general_name(&mut out, &names.next()?);
    }
    Some(out)
}

/// Text of one GeneralName for a reason. `encoded` includes tag and length.
pub(super) fn general_name(encoded: &[u8]) -> String {
    let mut out = String::new();
    if let Some(name) = Reader::new(encoded).next() {
        write_general_name(&mut out, &name);
    }
    out
}

/// A text with nothing in it that hides or moves what stands around it.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::new();
    write_escaped(&mut out, text);
    out
}

fn write_general_name(out: &mut String, name: &Element<'_>) {
    let (label, text) = match name.tag {
        RFC822_NAME => ("email:", ia5(name.value).map(str::to_owned)),
        DNS_NAME => ("DNS:", ia5(name.value).map(str::to_owned)),
        URI => ("URI:", ia5(name.value).map(str::to_owned)),
        IP_ADDRESS => ("IP Address:", ip_address(name.value)),
        REGISTERED_ID => ("Registered ID:", names::dotted(name.value)),
        DIRECTORY_NAME => {
            let directory = der::only(name.value, der::SEQUENCE).and_then(names::forward);
            ("DirName:", directory)
        }
        _ => ("othername:", None),
    };
    out.push_str(label);
    match text {
        Some(text) => write_escaped(out, &text),
        None => {
            let _infallible = write!(out, "#{}", hex(name.encoded));
        }
    }
}

/// Escapes commas and the like, so that a comma always ends a name.
fn write_escaped(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            ',' => out.push_str("\\,"),
            _ if names::is_unprintable(character) => names::write_octets(out, character),
            _ => out.push(character),
        }
    }
}

fn ia5(octets: &[u8]) -> Option<&str> {
    std::str::from_utf8(octets).ok().filter(|text| text.is_ascii())
}

fn ip_address(octets: &[u8]) -> Option<String> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(octets).to_string());
    }
    let octets = <[u8; 16]>::try_from(octets).ok()?;
    Some(Ipv6Addr::from(octets).to_string())
}

/// id-ad-ocsp, 1.3.6.1.5.5.7.48.1.
const OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1];
const RFC822_NAME: u8 = 0x81;
const DNS_NAME: u8 = 0x82;
const DIRECTORY_NAME: u8 = 0xa4;
const URI: u8 = 0x86;
const IP_ADDRESS: u8 = 0x87;
const REGISTERED_ID: u8 = 0x88;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::der::build::{element, sequence};
    use super::super::facts::CertificateFacts;
    use super::super::test_pki::{Ca, leaf};
    use super::*;

    #[test]
    fn a_plain_certificate_has_what_every_certificate_has() {
        let der = Ca::root("Root").issue(leaf("client"));
        let facts = CertificateFacts::parse(&der).unwrap();
        let details = facts.details();
        assert_eq!(details.not_before, "2025-01-01T00:00:00Z");
        assert_eq!(details.not_after, "2030-01-01T00:00:00Z");
        let fingerprint = URL_SAFE.decode(&details.sha256_base64url).unwrap();
        assert_eq!(hex(&fingerprint), facts.sha256);
        assert_eq!(details.sha256_base64url.len(), 44);
        assert!(details.spki_hex.starts_with("3059301306072a8648ce3d0201"));
        assert_eq!(details.ocsp_endpoint, None);
    }

    #[test]
    fn names_are_labelled_and_joined_by_commas() {
        let names = sequence(&[
            element(DNS_NAME, b"client.example.com"),
            element(DNS_NAME, b"api.example.com"),
            element(IP_ADDRESS, &[192, 0, 2, 1]),
            element(RFC822_NAME, b"a@example.com"),
            element(URI, b"spiffe://example/a"),
            element(REGISTERED_ID, &[0x2a, 3]),
        ]);
        assert_eq!(
            general_names(&names).unwrap(),
            "DNS:client.example.com,DNS:api.example.com,IP Address:192.0.2.1,email:a@example.com,\
             URI:spiffe://example/a,Registered ID:1.2.3"
        );
    }

    #[test]
    fn a_name_cannot_pass_for_two_nor_hide() {
        let names = sequence(&[
            element(DNS_NAME, b"a,DNS:admin"),
            element(URI, b"u:\r\n"),
            element(DNS_NAME, &[0xff]),
            element(IP_ADDRESS, &[1, 2, 3]),
            element(0xa0, b"x"),
        ]);
        assert_eq!(
            general_names(&names).unwrap(),
            "DNS:a\\,DNS:admin,URI:u:\\0D\\0A,DNS:#8201ff,IP Address:#8703010203,othername:#a00178"
        );
        assert_eq!(general_names(b"\x30\x05\x82"), None);
    }

    #[test]
    fn the_ocsp_responder_is_found_behind_other_ways_of_access() {
        let describe = |method: &[u8], url: &[u8]| {
            sequence(&[element(der::OBJECT_IDENTIFIER, method), element(URI, url)])
        };
        let issuers = &[0x2b, 6, 1, 5, 5, 7, 0x30, 2];
        let access = sequence(&[
            describe(issuers, b"http://ca.example.com/ca.crt"),
            describe(OCSP, b"http://ocsp.example.com"),
        ]);
        assert_eq!(ocsp_endpoint(&access).unwrap(), "http://ocsp.example.com");
        assert_eq!(ocsp_endpoint(&describe(issuers, b"x")), None);
    }
}
