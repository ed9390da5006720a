//! The names of the headers that tell an origin about the client's certificate.
//!
//! Owns the names only; the HTTP module makes the values.

use std::fmt;

/// A certificate header of the managed service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertificateHeader {
    SerialNumber,
    Issuer,
    Subject,
    Present,
    Sha256,
    Validity,
    Pem,
    /// RFC 9440.
    ClientCert,
    /// RFC 9440.
    ClientCertChain,
}

impl CertificateHeader {
    pub const ALL: [Self; 9] = [
        Self::SerialNumber,
        Self::Issuer,
        Self::Subject,
        Self::Present,
        Self::Sha256,
        Self::Validity,
        Self::Pem,
        Self::ClientCert,
        Self::ClientCertChain,
    ];

    /// The name in the casing of the service's documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SerialNumber => "CloudFront-Viewer-Cert-Serial-Number",
            Self::Issuer => "CloudFront-Viewer-Cert-Issuer",
            Self::Subject => "CloudFront-Viewer-Cert-Subject",
            Self::Present => "CloudFront-Viewer-Cert-Present",
            Self::Sha256 => "CloudFront-Viewer-Cert-Sha256",
            Self::Validity => "CloudFront-Viewer-Cert-Validity",
            Self::Pem => "CloudFront-Viewer-Cert-Pem",
            Self::ClientCert => "Client-Cert",
            Self::ClientCertChain => "Client-Cert-Chain",
        }
    }

    /// The name as `http` has it, in lower case.
    pub fn wire_name(self) -> &'static str {
        match self {
            Self::SerialNumber => "cloudfront-viewer-cert-serial-number",
            Self::Issuer => "cloudfront-viewer-cert-issuer",
            Self::Subject => "cloudfront-viewer-cert-subject",
            Self::Present => "cloudfront-viewer-cert-present",
            Self::Sha256 => "cloudfront-viewer-cert-sha256",
            Self::Validity => "cloudfront-viewer-cert-validity",
            Self::Pem => "cloudfront-viewer-cert-pem",
            Self::ClientCert => "client-cert",
            Self::ClientCertChain => "client-cert-chain",
        }
    }

    /// Header names have no case (RFC 9110 §5.1).
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|header| header.as_str().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for CertificateHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_known_in_any_case_and_under_no_other_name() {
        for header in CertificateHeader::ALL {
            assert_eq!(header.as_str().to_lowercase(), header.wire_name());
            assert_eq!(
                CertificateHeader::parse(&header.as_str().to_uppercase()),
                Some(header)
            );
            assert_eq!(CertificateHeader::parse(&header.as_str().replace('-', "_")), None);
        }
        assert_eq!(CertificateHeader::parse("X-Client-Cert"), None);
    }
}
