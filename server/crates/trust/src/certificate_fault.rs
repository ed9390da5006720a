//! Reasons not to rely on a certificate that can be read, and the words for them.

/// An extension that is there twice or cannot be read: never "absent".
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MalformedExtension(pub(super) &'static str);

/// A reason not to rely on a certificate that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Anything but version 3.
    Version,
    /// Written in a way that DER forbids: the version's default, a serial number with surplus octets.
    Encoding,
    /// issuerUniqueID or subjectUniqueID, which RFC 5280 §4.1.2.8 forbids to write.
    UniqueId,
    /// Another signature algorithm is signed than the one that it is signed with (RFC 5280 §4.1.1.2).
    TwoAlgorithms,
    /// notAfter before notBefore.
    EndsBeforeItBegins,
    Extension(&'static str),
    /// The dotted OID of a critical extension that nobody here knows.
    CriticalExtension(String),
}

impl Fault {
    /// The fault in words that follow the certificate's name.
    pub(super) fn told(&self) -> String {
        let known = match self {
            Fault::Version => "is not X.509 version 3; issue it as version 3, with extensions",
            Fault::Encoding => "is not encoded as DER demands (X.690 §8.3.2, RFC 5280 §4.1)",
            Fault::UniqueId => {
                "has an issuerUniqueID or a subjectUniqueID, which is not supported; issue it without (RFC \
                 5280 §4.1.2.8)"
            }
            Fault::TwoAlgorithms => {
                "names one signature algorithm in what is signed and another beside the signature (RFC 5280 \
                 §4.1.1.2)"
            }
            Fault::EndsBeforeItBegins => "ends before it begins (notAfter before notBefore)",
            Fault::Extension(name) => {
                return format!("has an extension that is malformed, or there twice ({name})");
            }
            Fault::CriticalExtension(oid) => {
                return format!(
                    "has a critical extension that is not supported ({})",
                    extension_name(oid)
                );
            }
        };
        known.to_owned()
    }
}

/// Names the extensions that people meet; others by their OID alone.
fn extension_name(oid: &str) -> String {
    let name = match oid {
        "2.5.29.9" => "subjectDirectoryAttributes",
        "2.5.29.14" => "subjectKeyIdentifier",
        "2.5.29.18" => "issuerAltName",
        "2.5.29.32" => "certificatePolicies",
        "2.5.29.33" => "policyMappings",
        "2.5.29.35" => "authorityKeyIdentifier",
        "2.5.29.36" => "policyConstraints",
        "2.5.29.46" => "freshestCRL",
        "2.5.29.54" => "inhibitAnyPolicy",
        "1.3.6.1.5.5.7.1.1" => "authorityInfoAccess",
        "1.3.6.1.5.5.7.1.3" => "qcStatements",
        "1.3.6.1.5.5.7.1.24" => "TLS feature",
        "1.3.6.1.4.1.11129.2.4.3" => "precertificate poison",
        _ => return oid.to_owned(),
    };
    format!("{name}, {oid}")
}
