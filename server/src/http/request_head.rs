//! Head of a request, made the origin's in two steps: what the client may not say is removed, then what the
//! server says is added.
//!
//! Functions run between the two steps. So they see no claim that is not ours, and nothing that they set is
//! taken for one.

use bothways_config::IdentityHeaders;
use bytes::Bytes;
use http::header::{COOKIE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, VIA};
use http::uri::PathAndQuery;
use http::{Request, StatusCode, Uri, Version};

use super::authority::authority;
use super::certificate_headers::{CertificateEdits, add_certificate_headers, remove_claims};
use super::forwarded_headers::set_forwarded_headers;
use super::refusal::Refusal;
use super::viewer::Viewer;
use crate::origin::{check_request, remove_hop_by_hop};
use crate::snapshot::{Behavior, Site};

/// Checks what has to be right about any request, whoever is to answer it.
///
/// # Errors
/// Why it is refused.
pub(super) fn check<B>(request: &Request<B>, site: &Site) -> Result<(), Refusal<'static>> {
    // hyper has counted those of HTTP/1 itself.
    let fields_max = site.limits.header_fields_max;
    if request.headers().len() > fields_max {
        return Err(Refusal::HeaderFields(fields_max));
    }
    check_request(request.headers()).map_err(Refusal::Framing)
}

/// Removes hop-by-hop headers and headers that only the server may set, and sets `Host` from `Host` or
/// `:authority`.
///
/// # Errors
/// The status with which a request is refused whose host cannot be told.
pub(super) fn clean<B>(request: &mut Request<B>, claims: &IdentityHeaders) -> Result<(), StatusCode> {
    let host = authority(request).map_err(|_| StatusCode::BAD_REQUEST)?;
    let host = HeaderValue::from_str(host).map_err(|_| StatusCode::BAD_REQUEST)?;
    *request.uri_mut() = origin_form(request.uri());
    let headers = request.headers_mut();
    clean_headers(headers, claims);
    join_cookies(headers);
    headers.insert(HOST, host);
    Ok(())
}

/// Removes the headers that are removed from every request.
pub fn clean_headers(headers: &mut HeaderMap, claims: &IdentityHeaders) {
    remove_hop_by_hop(headers);
    remove_claims(headers, claims);
    headers.remove(EXPECT);
}

/// Makes one `Cookie` line of several, in their order. RFC 9113 §8.2.3 wants that of those that HTTP/2
/// clients split; of HTTP/1 clients there should be one only (RFC 6265 §5.4), and an origin that reads the
/// first or the last of two reads less than was sent.
fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter();
    if lines.next().is_none() || lines.next().is_none() {
        return;
    }
    let lines = headers
        .get_all(COOKIE)
        .iter()
        .map(|line| cookie_pairs(line.as_bytes()));
    let lines: Vec<&[u8]> = lines.filter(|pairs| !pairs.is_empty()).collect();
    // Made of values, so it is one.
    if let Ok(line) = HeaderValue::from_maybe_shared(Bytes::from(lines.join(&b"; "[..]))) {
        headers.insert(COOKIE, line);
    }
}

/// Without what would be an empty pair once another line follows.
fn cookie_pairs(line: &[u8]) -> &[u8] {
    let mut pairs = line.trim_ascii();
    while let Some(shorter) = pairs.strip_suffix(b";") {
        pairs = shorter.trim_ascii_end();
    }
    pairs
}

/// Adds to a clean request what the origin is to know of the way here and of the client. `edits`: changes
/// that a viewer-request function has asked for.
pub(super) fn add_server_headers(
    request: &mut Request<()>,
    viewer: &Viewer,
    behavior: &Behavior,
    edits: Option<&CertificateEdits>,
) {
    let version = std::mem::replace(request.version_mut(), Version::HTTP_11);
    let headers = request.headers_mut();
    set_forwarded_headers(headers, &viewer.client_ip);
    append_via(headers, version);
    let none = CertificateEdits::default();
    let edits = edits.unwrap_or(&none);
    add_certificate_headers(headers, &behavior.certificate_headers, &viewer.client, edits);
    // An id is letters, digits and hyphens, so this does not fail.
    if behavior.connection_id
        && let Ok(id) = HeaderValue::from_str(viewer.facts.id())
    {
        headers.insert(CONNECTION_ID, id);
    }
}

const CONNECTION_ID: HeaderName = HeaderName::from_static("bothways-connection-id");

/// Adds us to `Via`: the version is that of the message as it came (RFC 9110 §7.6.3).
pub(super) fn append_via(headers: &mut HeaderMap, version: Version) {
    let via = match version {
        Version::HTTP_2 => "2.0 bothways",
        Version::HTTP_10 => "1.0 bothways",
        _ => "1.1 bothways",
    };
    headers.append(VIA, HeaderValue::from_static(via));
}

fn origin_form(uri: &Uri) -> Uri {
    let path = uri
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    Uri::from(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(lines: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_str(line).expect("a value"));
        }
        join_cookies(&mut headers);
        let lines = headers.get_all(COOKIE).iter();
        lines
            .map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned())
            .collect()
    }

    #[test]
    fn cookies_are_one_line_in_their_order() {
        for (lines, expected) in [
            (&[][..], &[][..]),
            (&["a=1;  b=2;"], &["a=1;  b=2;"]),
            (&["a=1", "b=2", "a=3"], &["a=1; b=2; a=3"]),
            (&["a=1; b=2", "c=\"x; y\""], &["a=1; b=2; c=\"x; y\""]),
            (&[" a=1 ;", "", "; ", "b=2;"], &["a=1; b=2"]),
            (&["", ""], &[""]),
        ] {
            assert_eq!(joined(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn via_says_the_version_in_which_a_message_came() {
        let mut headers = HeaderMap::new();
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            append_via(&mut headers, version);
        }
        let told: Vec<_> = headers.get_all(VIA).iter().collect();
        assert_eq!(told, ["1.0 bothways", "1.1 bothways", "2.0 bothways"]);
    }
}
