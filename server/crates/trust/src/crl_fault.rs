//! Reasons why a CRL is not used, in words.

use std::fmt;

/// A reason to refuse a CRL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrlFault {
    /// The part that cannot be read.
    Malformed(&'static str),
    /// RFC 5280 §5.1.2.5 requires it; without it nobody can tell a current list from an old one.
    NoNextUpdate,
    /// Neither 1 nor 2.
    Version,
    Delta,
    /// An entry with the reason removeFromCRL.
    RemovesEntries,
    Indirect,
    SomeReasons,
    AttributeCertificates,
    /// Scope of users only and of CAs only at once.
    NobodysScope,
    /// The OID.
    CriticalExtension(String),
    UnknownIssuer(String),
    IssuerMayNotSignCrls(String),
    SignatureAlgorithm,
    WrongSignature(String),
}

impl fmt::Display for CrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(part) => write!(
                f,
                "is not a well-formed X.509 CRL (at fault: {part}); write it again"
            ),
            Self::NoNextUpdate => f.write_str("has no nextUpdate; issue it again with a validity"),
            Self::Version => f.write_str("is neither version 1 nor 2; issue it as version 2"),
            Self::Delta => f.write_str("is a delta CRL; only complete CRLs are supported"),
            Self::RemovesEntries => f.write_str(
                "has an entry with the reason removeFromCRL, which belongs to delta CRLs; only complete \
                 CRLs are supported",
            ),
            Self::Indirect => f.write_str("is an indirect CRL; each CA has to issue its own"),
            Self::SomeReasons => {
                f.write_str("covers only some revocation reasons (onlySomeReasons); use one for all reasons")
            }
            Self::AttributeCertificates => f.write_str(
                "is for attribute certificates (onlyContainsAttributeCerts), which nobody presents here; \
                 use that of the public key certificates",
            ),
            Self::NobodysScope => f.write_str(
                "is for user certificates only and for CA certificates only at once, so for none; issue it \
                 again with one of the two",
            ),
            Self::CriticalExtension(oid) => write!(
                f,
                "has a critical extension that is not supported ({oid}), so that nobody here can tell what \
                 it revokes; have the CA issue it without that extension, or write the serial numbers into \
                 a list"
            ),
            Self::UnknownIssuer(issuer) => write!(
                f,
                "was issued by {issuer}, which is not in the trust store; add that CA to the bundle or \
                 remove the CRL"
            ),
            Self::IssuerMayNotSignCrls(issuer) => write!(
                f,
                "was issued by {issuer}, whose keyUsage lacks \
                cRLSign"
            ),
            Self::SignatureAlgorithm => {
                f.write_str("is signed with an algorithm that is not accepted (SHA-1, for instance)")
            }
            Self::WrongSignature(issuer) => write!(
                f,
                "has a signature that {issuer} of the trust store did not make: it was altered, or comes \
                 from another CA of that name"
            ),
        }
    }
}
