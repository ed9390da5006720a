//! Reading of one certificate: all fields that a decision or a message needs, from one pass over
//! the same bytes.
//!
//! Owns the strict reading (RFC 5280 §4.1, X.690 §10): one DER element and nothing after it, dates in the two
//! forms of §4.1.2.5 from the year 0 to 9999. Names and serial are raw content octets, the form in which the
//! revocation set is keyed.
//!
//! Reading is not trusting. What can be read and still must not be relied on (an extension twice, two
//! signature algorithms) is a [`Fault`], asked for by those who decide; mode passthrough and the log show
//! such a certificate as it is.

use rustls_pki_types::CertificateDer;
use x509_parser::extensions::KeyUsage;
use x509_parser::prelude::FromDer;

use super::canonical_name;
use super::certificate_fault::{Fault, MalformedExtension};
use super::certificate_policies::PolicyValues;
use super::der::{self, Element, Reader};
use super::extensions::{Extensions, Known};
use super::names;
use super::purpose::Purpose;
use super::signature::Signed;
use super::time::{self, Seconds};

/// A parsed certificate, borrowed from its DER.
pub(super) struct Certificate<'a> {
    der: &'a [u8],
    signed: Signed<'a>,
    version: Version,
    /// A version 1 certificate leaves it out; to write the default is no DER.
    version_is_written: bool,
    serial: &'a [u8],
    /// Content of the AlgorithmIdentifier within what is signed.
    algorithm: &'a [u8],
    issuer: &'a [u8],
    validity: Validity,
    subject: &'a [u8],
    public_key: &'a [u8],
    has_unique_ids: bool,
    extensions: Option<Extensions<'a>>,
}

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
        let signed = Signed::parse(der)?;
        let mut fields = Reader::new(der::only(signed.message, der::SEQUENCE)?);
        let (version, version_is_written) = read_version(&mut fields)?;
        let serial = fields
            .expect(der::INTEGER)
            .filter(|serial| !serial.value.is_empty())?;
        let algorithm = fields.expect(der::SEQUENCE)?.value;
        let issuer = fields.expect(der::SEQUENCE)?.value;
        let validity = read_validity(fields.expect(der::SEQUENCE)?.value)?;
        let subject = fields.expect(der::SEQUENCE)?.value;
        let public_key = fields.expect(der::SEQUENCE).filter(is_public_key)?.encoded;
        let has_unique_ids = skip_unique_ids(&mut fields)?;
        let extensions = match fields.is_empty() {
            true => None,
            false => Some(Extensions::read(fields.expect(EXTENSIONS)?.value)?),
        };
        fields.is_empty().then_some(Self {
            der,
            signed,
            version,
            version_is_written,
            serial: serial.value,
            algorithm,
            issuer,
            validity,
            subject,
            public_key,
            has_unique_ids,
            extensions,
        })
    }

    pub(super) fn der(&self) -> &'a [u8] {
        self.der
    }

    /// Data that the issuer signed, with the signature and its algorithm.
    pub(super) fn signed(&self) -> &Signed<'a> {
        &self.signed
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Content octets of the INTEGER, leading zero octet included.
    pub(super) fn serial(&self) -> &'a [u8] {
        self.serial
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
        self.validity
    }

    /// The SubjectPublicKeyInfo, tag and length included.
    pub(super) fn public_key(&self) -> &'a [u8] {
        self.public_key
    }

    /// RFC 5280 §3.2: issued in its own name, by whichever of its keys.
    pub(super) fn is_self_issued(&self) -> bool {
        canonical_name::is_same(self.subject, self.issuer)
    }

    /// Checks for what a version 3 certificate must not have, wherever it stands in a path.
    pub(super) fn check_form(&self) -> Result<(), Fault> {
        if self.version != Version::V3 {
            return Err(Fault::Version);
        }
        self.check_fields()?;
        if let Some(name) = self.extensions.as_ref().and_then(Extensions::repeated) {
            return Err(Fault::Extension(name));
        }
        match self.unsupported_critical_extension() {
            Some(oid) => Err(Fault::CriticalExtension(oid)),
            None => Ok(()),
        }
    }

    /// Checks for what a version 1 certificate must not have: anything beyond its six fields (RFC 5280 §4.1).
    pub(super) fn check_v1_form(&self) -> Result<(), Fault> {
        if self.version != Version::V1 {
            return Err(Fault::Version);
        }
        if self.version_is_written || self.extensions.is_some() {
            return Err(Fault::Encoding);
        }
        self.check_fields()
    }

    /// Checks the fields of a certificate of either version.
    pub(super) fn check_fields(&self) -> Result<(), Fault> {
        match () {
            () if !der::is_shortest_integer(self.serial) => Err(Fault::Encoding),
            () if self.algorithm != self.signed.algorithm => Err(Fault::TwoAlgorithms),
            () if self.has_unique_ids => Err(Fault::UniqueId),
            () => Ok(()),
        }
    }

    /// Counts where expiry is ignored, too: such a certificate was never valid.
    pub(super) fn check_dates(&self) -> Result<(), Fault> {
        let Validity {
            not_before,
            not_after,
        } = self.validity;
        match not_before <= not_after {
            true => Ok(()),
            false => Err(Fault::EndsBeforeItBegins),
        }
    }

    /// RFC 5280 §4.2.1.3.
    pub(super) fn key_usage(&self) -> Result<Option<KeyUsage>, MalformedExtension> {
        let Some(value) = self.value(Known::KeyUsage)? else {
            return Ok(None);
        };
        match KeyUsage::from_der(value) {
            Ok(([], usage)) => Ok(Some(usage)),
            _ => Err(Known::KeyUsage.malformed()),
        }
    }

    /// RFC 5280 §4.2.1.12, in the certificate's order. An empty list is malformed.
    pub(super) fn extended_key_usages(&self) -> Result<Option<Vec<Purpose>>, MalformedExtension> {
        let Some(value) = self.value(Known::ExtendedKeyUsage)? else {
            return Ok(None);
        };
        let purposes = read_purposes(value).filter(|purposes| !purposes.is_empty());
        purposes
            .map(Some)
            .ok_or_else(|| Known::ExtendedKeyUsage.malformed())
    }

    /// Tells if this certificate is a CA, and how many CAs may stand below it (RFC 5280 §4.2.1.9). A
    /// certificate without the extension is no CA.
    pub(super) fn ca_depth(&self) -> Result<CaDepth, MalformedExtension> {
        match self.value(Known::BasicConstraints)? {
            Some(value) => read_ca_depth(value).ok_or_else(|| Known::BasicConstraints.malformed()),
            None => Ok(CaDepth::NoCa),
        }
    }

    /// The extension's value, undecoded.
    pub(super) fn value(&self, known: Known) -> Result<Option<&'a [u8]>, MalformedExtension> {
        match &self.extensions {
            Some(extensions) => extensions.value(known),
            None => Ok(None),
        }
    }

    /// The extensions about policies, undecoded.
    pub(super) fn policy_values(&self) -> Result<PolicyValues<'a>, MalformedExtension> {
        let known = Known::CertificatePolicies;
        Ok(PolicyValues {
            certificate_policies: self.value(known)?,
            certificate_policies_are_critical: self
                .extensions
                .as_ref()
                .is_some_and(|all| all.is_critical(known)),
            policy_mappings: self.value(Known::PolicyMappings)?,
            policy_constraints: self.value(Known::PolicyConstraints)?,
            inhibit_any_policy: self.value(Known::InhibitAnyPolicy)?,
        })
    }

    /// The GeneralNames of the subjectAltName, undecoded.
    pub(super) fn subject_alternative_name(&self) -> Option<&'a [u8]> {
        self.value(Known::SubjectAlternativeName).unwrap_or_default()
    }

    /// The authorityInfoAccess, undecoded.
    pub(super) fn authority_information_access(&self) -> Option<&'a [u8]> {
        self.value(Known::InformationAccess).unwrap_or_default()
    }

    /// The cRLDistributionPoints, undecoded.
    pub(super) fn distribution_points(&self) -> Option<&'a [u8]> {
        self.value(Known::DistributionPoints).unwrap_or_default()
    }

    /// The subjectKeyIdentifier. Serves to find a CA that was probably meant, nothing else.
    pub(super) fn subject_key_id(&self) -> Option<&'a [u8]> {
        der::only(self.value(Known::SubjectKeyId).ok()??, der::OCTET_STRING)
    }

    /// The authorityKeyIdentifier. Serves to find a CA that was probably meant, nothing else.
    pub(super) fn authority_key_id(&self) -> Option<&'a [u8]> {
        let value = self.value(Known::AuthorityKeyId).ok()??;
        Reader::new(der::only(value, der::SEQUENCE)?)
            .expect(KEY_IDENTIFIER)
            .map(|element| element.value)
    }

    /// The dotted OID of a critical extension that nobody here evaluates.
    pub(super) fn unsupported_critical_extension(&self) -> Option<String> {
        let oid = self.extensions.as_ref()?.unsupported_critical()?;
        Some(names::dotted(oid).unwrap_or_else(|| "a malformed identifier".to_owned()))
    }
}

/// Depth that basicConstraints allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CaDepth {
    NoCa,
    Unlimited,
    /// Number of CAs that may stand between it and the leaf. CAs that are issued in their own name do not
    /// count.
    AtMost(usize),
}

/// `[0] EXPLICIT Version DEFAULT v1`, and whether it is there.
fn read_version(fields: &mut Reader<'_>) -> Option<(Version, bool)> {
    if fields.peek_tag() != Some(VERSION) {
        return Some((Version::V1, false));
    }
    let version = match der::only(fields.next()?.value, der::INTEGER)? {
        [0] => Version::V1,
        [1] => Version::V2,
        [2] => Version::V3,
        _ => Version::Other,
    };
    Some((version, true))
}

fn read_validity(content: &[u8]) -> Option<Validity> {
    let mut dates = Reader::new(content);
    let not_before = time::read(&dates.next()?)?;
    let not_after = time::read(&dates.next()?)?;
    dates.is_empty().then_some(Validity {
        not_before,
        not_after,
    })
}

/// `SEQUENCE { AlgorithmIdentifier, BIT STRING }`, whatever the key is.
fn is_public_key(element: &Element<'_>) -> bool {
    let mut fields = Reader::new(element.value);
    let has_algorithm = fields.expect(der::SEQUENCE).is_some();
    let has_key = fields
        .expect(der::BIT_STRING)
        .is_some_and(|key| !key.value.is_empty());
    has_algorithm && has_key && fields.is_empty()
}

/// `[1] IMPLICIT BIT STRING` and `[2]`: whether one of them is there.
fn skip_unique_ids(fields: &mut Reader<'_>) -> Option<bool> {
    let mut found = false;
    for tag in UNIQUE_IDS {
        if fields.peek_tag() == Some(tag) {
            fields.next()?;
            found = true;
        }
    }
    Some(found)
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

/// `SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER (0..MAX) OPTIONAL }`; a CA only where TRUE
/// is written as DER writes it.
fn read_ca_depth(value: &[u8]) -> Option<CaDepth> {
    let mut fields = Reader::new(der::only(value, der::SEQUENCE)?);
    let is_ca = match fields.peek_tag() {
        Some(der::BOOLEAN) => der::boolean(fields.next()?.value)?,
        _ => false,
    };
    let depth = match fields.is_empty() {
        true => CaDepth::Unlimited,
        false => CaDepth::AtMost(read_depth(fields.expect(der::INTEGER)?.value)?),
    };
    let depth = if is_ca { depth } else { CaDepth::NoCa };
    fields.is_empty().then_some(depth)
}

/// More than any chain can have is all the same. `None`: negative, or not the shortest form.
fn read_depth(integer: &[u8]) -> Option<usize> {
    let is_negative = integer.first().is_none_or(|first| first & 0x80 != 0);
    if is_negative || !der::is_shortest_integer(integer) {
        return None;
    }
    let mut octets = integer.iter();
    let depth = octets.try_fold(0_usize, |depth, octet| {
        depth.checked_mul(256)?.checked_add(usize::from(*octet))
    });
    Some(depth.unwrap_or(usize::MAX))
}

/// All presented certificates that can be read; what cannot is left out.
pub(super) fn parse_readable<'a>(certificates: &'a [CertificateDer<'_>]) -> Vec<Certificate<'a>> {
    certificates
        .iter()
        .filter_map(|der| Certificate::parse(der))
        .collect()
}

/// `[0] EXPLICIT Version`.
const VERSION: u8 = 0xa0;
const UNIQUE_IDS: [u8; 2] = [0x81, 0x82];
/// `[3] EXPLICIT Extensions`.
const EXTENSIONS: u8 = 0xa3;
/// `[0] IMPLICIT KeyIdentifier` of an authorityKeyIdentifier (RFC 5280 §4.2.1.1).
const KEY_IDENTIFIER: u8 = 0x80;
