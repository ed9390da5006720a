//! The headers that tell the origin who the client is, in the managed service's names and formats.
//!
//! Two rules, in this order, in every mode and for distributions without client authentication too: whatever the
//! client sent under such a name is removed, in any spelling that some origin might fold into it; then the headers
//! that the behaviour's origin request policy names are added once.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::config::CertificateHeader;
use crate::functions::viewer::CertificateRenames;
use crate::tls::ClientAuth;
use crate::trust::UncheckedClient;

/// Removes every header that is, or that an origin could take for, one of ours: `CloudFront-Viewer-Cert-*`,
/// `Client-Cert` and `Client-Cert-Chain` (RFC 9440), with underscores for hyphens too (CGI and WSGI fold them).
pub fn remove_identity_headers(headers: &mut HeaderMap) {
    remove_named(headers, is_identity);
}

fn is_identity(name: &str) -> bool {
    reads_like(name, "cloudfront-viewer-cert") || reads_like(name, "client-cert")
}

/// Removes the headers whose name `is_meant`.
pub(super) fn remove_named(headers: &mut HeaderMap, is_meant: impl Fn(&str) -> bool) {
    let meant: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_meant(name.as_str()))
        .cloned()
        .collect();
    for name in meant {
        headers.remove(name);
    }
}

/// Whether `name`, from a `HeaderName` and so in lower case already, begins with `prefix` to those who take
/// underscores for hyphens.
pub(super) fn reads_like(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len()
        && name
            .bytes()
            .zip(prefix.bytes())
            .all(|(byte, wanted)| byte == wanted || (byte == b'_' && wanted == b'-'))
}

/// What a viewer-request function has asked for.
#[derive(Debug, Default)]
pub struct CertificateEdits {
    /// Not to be added, though the policy names them.
    pub withheld: Vec<CertificateHeader>,
    /// To be added under other names, whatever the policy names.
    pub renames: CertificateRenames,
}

impl CertificateEdits {
    /// Whether `header` does not go on under its own name, whatever the policy says.
    pub fn leave_out(&self, header: CertificateHeader) -> bool {
        self.withheld.contains(&header) || self.renames.replaces(header)
    }
}

/// What the managed service shows of the client's certificate to viewer functions.
pub fn shown_to_functions(client: &ClientAuth) -> Vec<(CertificateHeader, &str)> {
    let shown = SHOWN_TO_FUNCTIONS.iter();
    shown
        .filter_map(|header| Some((*header, text(*header, client)?)))
        .collect()
}

/// Adds the headers named in `wanted`, and what `edits` makes of them. Without a client only `CloudFront-Viewer-Cert-Present: 0` has
/// anything to say.
pub fn add_certificate_headers(
    headers: &mut HeaderMap,
    wanted: &[CertificateHeader],
    client: &ClientAuth,
    edits: &CertificateEdits,
) {
    for header in wanted {
        if edits.leave_out(*header) {
            continue;
        }
        // Names may hold UTF-8, which is opaque octets to HTTP (RFC 9110 §5.5); control characters are escaped in
        // the facts already, so this cannot fail.
        let value = text(*header, client).map(|text| HeaderValue::from_bytes(text.as_bytes()));
        if let Some(Ok(value)) = value {
            headers.insert(HeaderName::from_static(header.wire_name()), value);
        }
    }
    edits.renames.apply(headers, |header| text(header, client));
}

/// What `header` has to say of `client`.
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
    fn forged_identity_headers_go_in_every_spelling() {
        for name in [
            "CloudFront-Viewer-Cert-Subject",
            "cloudfront_viewer_cert_subject",
            "CLOUDFRONT-VIEWER_CERT-Pem",
            "cloudfront-viewer-cert-anything-new",
            "Client-Cert",
            "client_cert",
            "Client-Cert-Chain",
            "client_cert-chain",
        ] {
            let mut headers = HeaderMap::new();
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                HeaderValue::from_static("x"),
            );
            remove_identity_headers(&mut headers);
            assert!(headers.is_empty(), "{name}");
        }
    }

    #[test]
    fn other_headers_stay() {
        for name in [
            "cloudfront-viewer-country",
            "x-client-cert",
            "client",
            "cloudfront-viewer-cer",
        ] {
            assert!(!is_identity(name), "{name}");
        }
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
