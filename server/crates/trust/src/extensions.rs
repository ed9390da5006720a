//! The extensions of a certificate: each found once, undecoded.
//!
//! Owns the list of those that somebody here knows, and which of them may be critical because they are
//! evaluated. One pass over the octets; a later look-up searches nothing. What an extension means is for
//! whoever asks for it.

use super::certificate_fault::MalformedExtension;
use super::der::{self, Reader};

/// An extension that somebody here asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    SubjectKeyId,
    KeyUsage,
    SubjectAlternativeName,
    BasicConstraints,
    NameConstraints,
    DistributionPoints,
    CertificatePolicies,
    PolicyMappings,
    AuthorityKeyId,
    PolicyConstraints,
    ExtendedKeyUsage,
    InhibitAnyPolicy,
    InformationAccess,
    /// Signed certificate timestamps (RFC 6962 §3.3): nobody looks at them, as nobody needs them of a client.
    Timestamps,
}

/// All extensions of one certificate.
pub(super) struct Extensions<'a> {
    values: [Option<&'a [u8]>; KNOWN],
    critical: [bool; KNOWN],
    repeated: [bool; KNOWN],
    /// The OID of the first that is critical and not supported.
    unsupported_critical: Option<&'a [u8]>,
}

impl<'a> Extensions<'a> {
    /// Reads `SEQUENCE OF SEQUENCE { extnID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }`, which
    /// may be empty. `None`: not that.
    pub(super) fn read(encoded: &'a [u8]) -> Option<Self> {
        let mut all = Reader::new(der::only(encoded, der::SEQUENCE)?);
        let mut extensions = Self {
            values: [None; KNOWN],
            critical: [false; KNOWN],
            repeated: [false; KNOWN],
            unsupported_critical: None,
        };
        while !all.is_empty() {
            extensions.take(all.expect(der::SEQUENCE)?.value)?;
        }
        Some(extensions)
    }

    fn take(&mut self, extension: &'a [u8]) -> Option<()> {
        let mut fields = Reader::new(extension);
        let oid = fields.expect(der::OBJECT_IDENTIFIER)?.value;
        let critical = match fields.peek_tag() {
            Some(der::BOOLEAN) => der::boolean(fields.next()?.value)?,
            _ => false,
        };
        let value = fields.expect(der::OCTET_STRING)?.value;
        let known = Known::of(oid);
        if critical && !known.is_some_and(Known::is_supported_if_critical) {
            self.unsupported_critical.get_or_insert(oid);
        }
        if let Some(known) = known {
            let slot = self.values.get_mut(known as usize)?;
            *self.repeated.get_mut(known as usize)? |= slot.is_some();
            slot.get_or_insert(value);
            *self.critical.get_mut(known as usize)? |= critical;
        }
        fields.is_empty().then_some(())
    }

    /// RFC 5280 §4.2: one that is there twice is never "the first of them".
    pub(super) fn value(&self, known: Known) -> Result<Option<&'a [u8]>, MalformedExtension> {
        match self.repeated.get(known as usize) {
            Some(false) => Ok(self.values.get(known as usize).copied().flatten()),
            _ => Err(known.malformed()),
        }
    }

    pub(super) fn is_critical(&self, known: Known) -> bool {
        self.critical.get(known as usize) == Some(&true)
    }

    /// The name of an extension that is there more than once.
    pub(super) fn repeated(&self) -> Option<&'static str> {
        let mut all = ALL.iter().zip(&self.repeated);
        all.find(|(_, repeated)| **repeated)
            .map(|(known, _)| known.name())
    }

    pub(super) fn unsupported_critical(&self) -> Option<&'a [u8]> {
        self.unsupported_critical
    }
}

impl Known {
    fn of(oid: &[u8]) -> Option<Self> {
        Some(match oid {
            [0x55, 0x1d, last] => match last {
                14 => Self::SubjectKeyId,
                15 => Self::KeyUsage,
                17 => Self::SubjectAlternativeName,
                19 => Self::BasicConstraints,
                30 => Self::NameConstraints,
                31 => Self::DistributionPoints,
                32 => Self::CertificatePolicies,
                33 => Self::PolicyMappings,
                35 => Self::AuthorityKeyId,
                36 => Self::PolicyConstraints,
                37 => Self::ExtendedKeyUsage,
                54 => Self::InhibitAnyPolicy,
                _ => return None,
            },
            // 1.3.6.1.5.5.7.1.1
            [0x2b, 6, 1, 5, 5, 7, 1, 1] => Self::InformationAccess,
            // 1.3.6.1.4.1.11129.2.4.2
            [0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2] => Self::Timestamps,
            _ => return None,
        })
    }

    /// True if all that the extension says is taken into account.
    fn is_supported_if_critical(self) -> bool {
        match self {
            Self::KeyUsage
            | Self::SubjectAlternativeName
            | Self::BasicConstraints
            | Self::NameConstraints
            | Self::DistributionPoints
            | Self::CertificatePolicies
            | Self::PolicyMappings
            | Self::PolicyConstraints
            | Self::ExtendedKeyUsage
            | Self::InhibitAnyPolicy
            | Self::Timestamps => true,
            Self::SubjectKeyId | Self::AuthorityKeyId | Self::InformationAccess => false,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::SubjectKeyId => "subjectKeyIdentifier",
            Self::KeyUsage => "keyUsage",
            Self::SubjectAlternativeName => "subjectAltName",
            Self::BasicConstraints => "basicConstraints",
            Self::NameConstraints => "nameConstraints",
            Self::DistributionPoints => "cRLDistributionPoints",
            Self::CertificatePolicies => "certificatePolicies",
            Self::PolicyMappings => "policyMappings",
            Self::AuthorityKeyId => "authorityKeyIdentifier",
            Self::PolicyConstraints => "policyConstraints",
            Self::InhibitAnyPolicy => "inhibitAnyPolicy",
            Self::ExtendedKeyUsage => "extKeyUsage",
            Self::InformationAccess => "authorityInfoAccess",
            Self::Timestamps => "signed certificate timestamps",
        }
    }

    pub(super) fn malformed(self) -> MalformedExtension {
        MalformedExtension(self.name())
    }
}

/// In the order of the enum.
const ALL: [Known; 14] = [
    Known::SubjectKeyId,
    Known::KeyUsage,
    Known::SubjectAlternativeName,
    Known::BasicConstraints,
    Known::NameConstraints,
    Known::DistributionPoints,
    Known::CertificatePolicies,
    Known::PolicyMappings,
    Known::AuthorityKeyId,
    Known::PolicyConstraints,
    Known::ExtendedKeyUsage,
    Known::InhibitAnyPolicy,
    Known::InformationAccess,
    Known::Timestamps,
];
const KNOWN: usize = ALL.len();
