//! The headers that tell the origin who the client is, in the managed service's names and formats.
//!
//! Two rules, in this order, in every mode and for distributions without client authentication too: what the
//! client says about itself is removed, under the names of other proxies too and in any spelling that some
//! origin might fold into one ([`IdentityHeaders`]); then the headers that the behavior's origin request
//! policy names are added once.

use bothways_config::IdentityHeaders;
use bothways_functions::viewer::CertificateRenames;
use bothways_trust::CertificateHeader;
use bothways_trust::UncheckedClient;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::admission::ClientAuth;

/// Removes what the client says about itself and about the way by which it came, but for `X-Forwarded-For`,
/// which is continued.
pub(super) fn remove_claims(headers: &mut HeaderMap, claims: &IdentityHeaders) {
    // Empty most often, and then nothing is allocated.
    let made: Vec<HeaderName> = headers
        .keys()
        .filter(|name| claims.is_claim(name.as_str()))
        .cloned()
        .collect();
    for name in made {
        headers.remove(name);
    }
}

/// Changes to the certificate headers that a viewer-request function has asked for.
#[derive(Debug, Default)]
pub struct CertificateEdits {
    /// Headers that are not added, though the policy names them.
    pub withheld: Vec<CertificateHeader>,
    /// Headers that are added under other names, whatever the policy names.
    pub renames: CertificateRenames,
}

impl CertificateEdits {
    /// True if `header` does not go on under its own name, whatever the policy says.
    pub fn leave_out(&self, header: CertificateHeader) -> bool {
        self.withheld.contains(&header) || self.renames.replaces(header)
    }
}

/// Certificate headers that the managed service shows to viewer functions, with their text.
pub(super) fn shown_to_functions(client: &ClientAuth) -> Vec<(CertificateHeader, &str)> {
    let shown = SHOWN_TO_FUNCTIONS.iter();
    shown
        .filter_map(|header| Some((*header, text(*header, client)?)))
        .collect()
}

/// Adds the headers named in `wanted`, and what `edits` makes of them. Without a client only
/// `CloudFront-Viewer-Cert-Present: 0` has anything to say.
pub(super) fn add_certificate_headers(
    headers: &mut HeaderMap,
    wanted: &[CertificateHeader],
    client: &ClientAuth,
    edits: &CertificateEdits,
) {
    for header in wanted {
        if edits.leave_out(*header) {
            continue;
        }
        // Names may hold UTF-8, which is opaque octets to HTTP (RFC 9110 §5.5); control characters are
        // escaped in the facts already, so this cannot fail.
        let value = text(*header, client).map(|text| HeaderValue::from_bytes(text.as_bytes()));
        if let Some(Ok(value)) = value {
            headers.insert(HeaderName::from_static(header.wire_name()), value);
        }
    }
    edits.renames.apply(headers, |header| text(header, client));
}

/// Text of `header` about `client`.
fn text(header: CertificateHeader, client: &ClientAuth) -> Option<&str> {
    let unchecked = client.unchecked();
    match (header, client.facts()) {
        (CertificateHeader::Present, facts) => Some(if facts.is_some() { "1" } else { "0" }),
        (CertificateHeader::ClientCert, _) => unchecked.map(UncheckedClient::client_cert),
        (CertificateHeader::ClientCertChain, _) => unchecked.and_then(UncheckedClient::client_cert_chain),
        (_, None) => None,
        // Not sent in mode passthrough, under whatever name: `Client-Cert` carries them.
        (CertificateHeader::Validity | CertificateHeader::Pem, _) if unchecked.is_some() => None,
        (CertificateHeader::SerialNumber, Some(facts)) => Some(facts.serial_number.as_str()),
        (CertificateHeader::Issuer, Some(facts)) => Some(facts.issuer_rfc2253.as_str()),
        (CertificateHeader::Subject, Some(facts)) => Some(facts.subject_rfc2253.as_str()),
        (CertificateHeader::Sha256, Some(facts)) => Some(facts.sha256.as_str()),
        (CertificateHeader::Validity, Some(facts)) => Some(facts.validity.as_str()),
        (CertificateHeader::Pem, Some(facts)) => Some(facts.pem_url_encoded()),
    }
}

/// Reference §4: those that are "available to functions".
pub const SHOWN_TO_FUNCTIONS: [CertificateHeader; 5] = [
    CertificateHeader::SerialNumber,
    CertificateHeader::Issuer,
    CertificateHeader::Subject,
    CertificateHeader::Present,
    CertificateHeader::Sha256,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_go_in_every_spelling_and_nothing_else_does() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("CloudFront-Viewer-Cert-Subject", "CN=admin"),
            ("cloudfront.viewer_cert~pem", "x"),
            ("client_cert-chain", "x"),
            ("X-SSL-Client-Verify", "SUCCESS"),
            ("x-forwarded-client-cert", "Hash=x"),
            ("X_Forwarded_For", "192.0.2.9"),
            ("Forwarded", "for=192.0.2.9"),
            ("X-Forwarded-For", "192.0.2.1"),
            ("X-Request-Id", "1"),
        ] {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name.clone(), HeaderValue::from_static(value));
            headers.append(name, HeaderValue::from_static("once more"));
        }
        remove_claims(&mut headers, &IdentityHeaders::default());
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["x-forwarded-for", "x-request-id"]);
    }

    #[test]
    fn without_a_client_only_present_is_said() {
        let mut headers = HeaderMap::new();
        add_certificate_headers(
            &mut headers,
            &[
                CertificateHeader::Present,
                CertificateHeader::Subject,
                CertificateHeader::Pem,
                CertificateHeader::ClientCert,
                CertificateHeader::ClientCertChain,
            ],
            &ClientAuth::NotPresented,
            &CertificateEdits::default(),
        );
        assert_eq!(headers.len(), 1);
        assert_eq!(
            headers
                .get("cloudfront-viewer-cert-present")
                .map(HeaderValue::as_bytes),
            Some(&b"0"[..])
        );
    }
}
