//! One certificate, read: the fields that a decision or a message needs, each taken from the same bytes that webpki judges.
//!
//! Reading is not trusting. This is a view over x509-parser that adds what x509-parser leaves to its caller: no bytes after the
//! certificate, extensions at most once, names and serial as raw content octets (the form in which webpki hands them out and in
//! which the revocation set is keyed).

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::der_parser::{Oid, oid};
use x509_parser::extensions::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use x509_parser::nom::Parser;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use super::der;
use super::names;
use super::time::Seconds;

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

    /// RFC 5280 §4.2.1.12.
    pub(super) fn extended_key_usage(&self) -> Result<Option<ExtendedKeyUsage<'_>>, MalformedExtension> {
        self.extension(&EXTENDED_KEY_USAGE, "extKeyUsage")
    }

    pub(super) fn has_name_constraints(&self) -> Result<bool, MalformedExtension> {
        Ok(self
            .extension_value(&NAME_CONSTRAINTS, "nameConstraints")?
            .is_some())
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
    ) -> Result<Option<&[u8]>, MalformedExtension> {
        match self.x509.get_extension_unique(oid) {
            Ok(extension) => Ok(extension.map(|extension| extension.value)),
            Err(_) => Err(MalformedExtension(name)),
        }
    }
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
