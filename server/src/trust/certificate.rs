//! One certificate, read: the fields that a decision or a message needs, each taken from the same bytes that webpki judges.
//!
//! Reading is not trusting. This is a view over x509-parser that adds what x509-parser leaves to its caller: no bytes after the
//! certificate, extensions at most once, names and serial as raw content octets (the form in which webpki hands them out and in
//! which the revocation set is keyed).

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::der_parser::{Oid, oid};
use x509_parser::extensions::{BasicConstraints, KeyUsage};
use x509_parser::nom::Parser;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use super::der::{self, Reader};
use super::names;
use super::signature::Signed;
use super::time::Seconds;
use crate::config::Purpose;

/// A parsed certificate, borrowed from its DER.
pub(super) struct Certificate<'a> {
    x509: X509Certificate<'a>,
    subject: &'a [u8],
    issuer: &'a [u8],
}

/// An extension that is there twice or cannot be read: never "absent".
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MalformedExtension(pub(super) &'static str);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
    V3,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: Seconds,
    pub(super) not_after: Seconds,
}

impl<'a> Certificate<'a> {
    /// `None`: not one DER certificate, from the first octet to the last.
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
        let (rest, x509) = parser.parse(der).ok()?;
        let subject = der::only(x509.tbs_certificate.subject.as_raw(), der::SEQUENCE)?;
        let issuer = der::only(x509.tbs_certificate.issuer.as_raw(), der::SEQUENCE)?;
        rest.is_empty().then_some(Self {
            x509,
            subject,
            issuer,
        })
    }

    pub(super) fn der(&self) -> &'a [u8] {
        self.x509.as_raw()
    }

    pub(super) fn version(&self) -> Version {
        match self.x509.version() {
            X509Version::V1 => Version::V1,
            X509Version::V2 => Version::V2,
            X509Version::V3 => Version::V3,
            _ => Version::Other,
        }
    }

    /// Content octets of the INTEGER, leading zero octet included.
    pub(super) fn serial(&self) -> &'a [u8] {
        self.x509.raw_serial()
    }

    /// Content octets of the Name.
    pub(super) fn subject(&self) -> &'a [u8] {
        self.subject
    }

    /// Content octets of the Name.
    pub(super) fn issuer(&self) -> &'a [u8] {
        self.issuer
    }

    pub(super) fn display_subject(&self) -> String {
        names::display(self.subject)
    }

    pub(super) fn display_issuer(&self) -> String {
        names::display(self.issuer)
    }

    pub(super) fn validity(&self) -> Validity {
        let validity = self.x509.validity();
        Validity {
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
        }
    }

    /// The SubjectPublicKeyInfo, tag and length included.
    pub(super) fn public_key(&self) -> &'a [u8] {
        self.x509.tbs_certificate.subject_pki.raw
    }

    /// A dotted OID.
    pub(super) fn signature_algorithm(&self) -> String {
        self.x509.signature_algorithm.algorithm.to_id_string()
    }

    /// Whether basicConstraints says CA:TRUE (RFC 5280 §4.2.1.9); absent means that it does not.
    pub(super) fn is_ca(&self) -> Result<bool, MalformedExtension> {
        let constraints: Option<BasicConstraints> = self.extension(&BASIC_CONSTRAINTS, "basicConstraints")?;
        Ok(constraints.is_some_and(|constraints| constraints.ca))
    }

    /// RFC 5280 §4.2.1.3.
    pub(super) fn key_usage(&self) -> Result<Option<KeyUsage>, MalformedExtension> {
        self.extension(&KEY_USAGE, "keyUsage")
    }

    /// RFC 5280 §4.2.1.12, in the certificate's order. An empty list is malformed.
    pub(super) fn extended_key_usages(&self) -> Result<Option<Vec<Purpose>>, MalformedExtension> {
        let name = "extKeyUsage";
        let Some(value) = self.extension_value(&EXTENDED_KEY_USAGE, name)? else {
            return Ok(None);
        };
        let purposes = read_purposes(value).filter(|purposes| !purposes.is_empty());
        purposes.map(Some).ok_or(MalformedExtension(name))
    }

    /// How many CAs may stand below this one, if it is a CA at all (RFC 5280 §4.2.1.9).
    pub(super) fn ca_depth(&self) -> Result<CaDepth, MalformedExtension> {
        let name = "basicConstraints";
        match self.extension_value(&BASIC_CONSTRAINTS, name)? {
            Some(value) => read_ca_depth(value).ok_or(MalformedExtension(name)),
            None => Ok(CaDepth::NoCa),
        }
    }

    pub(super) fn has_name_constraints(&self) -> Result<bool, MalformedExtension> {
        let value = self.extension_value(&NAME_CONSTRAINTS, "nameConstraints")?;
        Ok(value.is_some())
    }

    pub(super) fn has_subject_alternative_name(&self) -> Result<bool, MalformedExtension> {
        let value = self.extension_value(&SUBJECT_ALTERNATIVE_NAME, "subjectAltName")?;
        Ok(value.is_some())
    }

    /// The GeneralNames of the subjectAltName, undecoded.
    pub(super) fn subject_alternative_name(&self) -> Option<&'a [u8]> {
        let value = self.extension_value(&SUBJECT_ALTERNATIVE_NAME, "subjectAltName");
        value.unwrap_or_default()
    }

    /// The authorityInfoAccess, undecoded.
    pub(super) fn authority_information_access(&self) -> Option<&'a [u8]> {
        let value = self.extension_value(&AUTHORITY_INFORMATION_ACCESS, "authorityInfoAccess");
        value.unwrap_or_default()
    }

    /// The cRLDistributionPoints, undecoded.
    pub(super) fn distribution_points(&self) -> Option<&'a [u8]> {
        let value = self.extension_value(&CRL_DISTRIBUTION_POINTS, "cRLDistributionPoints");
        value.unwrap_or_default()
    }

    /// For finding a CA that was probably meant, nothing else.
    pub(super) fn subject_key_id(&self) -> Option<&'a [u8]> {
        let value = self
            .extension_value(&SUBJECT_KEY_ID, "subjectKeyIdentifier")
            .ok()??;
        der::only(value, der::OCTET_STRING)
    }

    /// For finding a CA that was probably meant, nothing else.
    pub(super) fn authority_key_id(&self) -> Option<&'a [u8]> {
        let value = self
            .extension_value(&AUTHORITY_KEY_ID, "authorityKeyIdentifier")
            .ok()??;
        Reader::new(der::only(value, der::SEQUENCE)?)
            .expect(KEY_IDENTIFIER)
            .map(|element| element.value)
    }

    /// The dotted OID of a critical extension that webpki does not know.
    pub(super) fn unsupported_critical_extension(&self) -> Option<String> {
        let mut critical = self
            .x509
            .extensions()
            .iter()
            .filter(|extension| extension.critical);
        critical
            .find(|extension| !SUPPORTED_IF_CRITICAL.contains(&extension.oid))
            .map(|extension| extension.oid.to_id_string())
    }

    /// Two dates as RFC 5280 §4.1.2.5 wants them, the first not after the second, neither before 1970. (x509-parser reads more.)
    pub(super) fn has_proper_validity(&self) -> bool {
        let Validity {
            not_before,
            not_after,
        } = self.validity();
        self.reads_proper_dates().is_some() && 0 <= not_before && not_before <= not_after
    }

    fn reads_proper_dates(&self) -> Option<()> {
        let signed = Signed::parse(self.der())?;
        let mut fields = Reader::new(der::only(signed.message, der::SEQUENCE)?);
        if fields.peek_tag() == Some(VERSION) {
            fields.next()?;
        }
        let _serial = fields.expect(der::INTEGER)?;
        let _algorithm = fields.expect(der::SEQUENCE)?;
        let _issuer = fields.expect(der::SEQUENCE)?;
        let mut validity = Reader::new(fields.expect(der::SEQUENCE)?.value);
        let _not_before = validity.next().filter(der::is_time)?;
        let _not_after = validity.next().filter(der::is_time)?;
        validity.is_empty().then_some(())
    }

    fn extension<'s, T>(&'s self, oid: &Oid<'_>, name: &'static str) -> Result<Option<T>, MalformedExtension>
    where
        T: FromDer<'s, x509_parser::error::X509Error>,
    {
        let Some(value) = self.extension_value(oid, name)? else {
            return Ok(None);
        };
        match T::from_der(value) {
            Ok(([], parsed)) => Ok(Some(parsed)),
            _ => Err(MalformedExtension(name)),
        }
    }

    fn extension_value(
        &self,
        oid: &Oid<'_>,
        name: &'static str,
    ) -> Result<Option<&'a [u8]>, MalformedExtension> {
        match self.x509.get_extension_unique(oid) {
            Ok(extension) => Ok(extension.map(|extension| extension.value)),
            Err(_) => Err(MalformedExtension(name)),
        }
    }
}

/// What basicConstraints allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CaDepth {
    NoCa,
    Unlimited,
    /// So many CAs may stand between it and the leaf.
    AtMost(u8),
}

fn read_purposes(value: &[u8]) -> Option<Vec<Purpose>> {
    let mut oids = Reader::new(der::only(value, der::SEQUENCE)?);
    let mut purposes = Vec::new();
    while !oids.is_empty() {
        let oid = oids.expect(der::OBJECT_IDENTIFIER)?;
        purposes.push(Purpose::from_octets(oid.value));
    }
    Some(purposes)
}

/// `SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL }`; a CA only where TRUE is written as DER writes it.
fn read_ca_depth(value: &[u8]) -> Option<CaDepth> {
    let mut fields = Reader::new(der::only(value, der::SEQUENCE)?);
    let is_ca = match fields.peek_tag() {
        Some(der::BOOLEAN) => match fields.next()?.value {
            [0xff] => true,
            [0] => false,
            _ => return None,
        },
        _ => false,
    };
    let depth = match fields.is_empty() {
        true => CaDepth::Unlimited,
        false => match fields.expect(der::INTEGER)?.value {
            [depth @ 0..=0x7f] | [0, depth @ 0x80..=0xff] => CaDepth::AtMost(*depth),
            _ => return None,
        },
    };
    let depth = if is_ca { depth } else { CaDepth::NoCa };
    fields.is_empty().then_some(depth)
}

/// All presented certificates that can be read; what cannot is left out.
pub(super) fn parse_readable<'a>(certificates: &'a [CertificateDer<'_>]) -> Vec<Certificate<'a>> {
    certificates
        .iter()
        .filter_map(|der| Certificate::parse(der))
        .collect()
}

const BASIC_CONSTRAINTS: Oid<'static> = oid!(2.5.29.19);
const KEY_USAGE: Oid<'static> = oid!(2.5.29.15);
const EXTENDED_KEY_USAGE: Oid<'static> = oid!(2.5.29.37);
const NAME_CONSTRAINTS: Oid<'static> = oid!(2.5.29.30);
const SUBJECT_ALTERNATIVE_NAME: Oid<'static> = oid!(2.5.29.17);
const AUTHORITY_INFORMATION_ACCESS: Oid<'static> = oid!(1.3.6.1.5.5.7.1.1);
const CRL_DISTRIBUTION_POINTS: Oid<'static> = oid!(2.5.29.31);
const SUBJECT_KEY_ID: Oid<'static> = oid!(2.5.29.14);
const AUTHORITY_KEY_ID: Oid<'static> = oid!(2.5.29.35);
const SIGNED_CERTIFICATE_TIMESTAMPS: Oid<'static> = oid!(1.3.6.1.4.1.11129.2.4.2);
/// webpki's list.
const SUPPORTED_IF_CRITICAL: &[Oid<'static>] = &[
    KEY_USAGE,
    SUBJECT_ALTERNATIVE_NAME,
    BASIC_CONSTRAINTS,
    NAME_CONSTRAINTS,
    CRL_DISTRIBUTION_POINTS,
    EXTENDED_KEY_USAGE,
    SIGNED_CERTIFICATE_TIMESTAMPS,
];
/// `[0] EXPLICIT Version`.
const VERSION: u8 = 0xa0;
/// `[0] IMPLICIT KeyIdentifier` of an authorityKeyIdentifier (RFC 5280 §4.2.1.1).
const KEY_IDENTIFIER: u8 = 0x80;
