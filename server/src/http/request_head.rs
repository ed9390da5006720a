//! A viewer's request made the origin's, in two steps: what the client may not say goes, then what we say is added. Functions run between
//! the two, so that they see no claim that is not ours, and nothing that they set is taken for one.

use http::header::{EXPECT, HOST, HeaderMap, HeaderValue, VIA};
use http::uri::PathAndQuery;
use http::{Request, StatusCode, Uri, Version, request};

use super::authority::authority;
use super::certificate_headers::{CertificateEdits, add_certificate_headers, remove_claims};
use super::forwarded_headers::set_forwarded_headers;
use super::service::Viewer;
use crate::config::IdentityHeaders;
use crate::proxy::remove_hop_by_hop;
use crate::snapshot::Behavior;

/// Removes what ends here and what only we may say; `Host` says what the client asked for, whichever way it did.
///
/// # Errors
/// The status with which a request is refused whose host cannot be told.
pub fn clean<B>(request: &mut Request<B>, claims: &IdentityHeaders) -> Result<(), StatusCode> {
    let host = authority(request).map_err(|_| StatusCode::BAD_REQUEST)?;
    let host = HeaderValue::from_str(host.unwrap_or_default()).map_err(|_| StatusCode::BAD_REQUEST)?;
    *request.uri_mut() = origin_form(request.uri());
    let headers = request.headers_mut();
    clean_headers(headers, claims);
    headers.insert(HOST, host);
    Ok(())
}

/// Removes the headers that go no further, whatever the request is for.
pub fn clean_headers(headers: &mut HeaderMap, claims: &IdentityHeaders) {
    remove_hop_by_hop(headers);
    remove_claims(headers, claims);
    headers.remove(EXPECT);
}

/// Adds to a clean request what the origin is to know of the way here and of the client.
pub fn dress(head: &mut request::Parts, viewer: &Viewer, behavior: &Behavior, edits: &CertificateEdits) {
    let version = std::mem::replace(&mut head.version, Version::HTTP_11);
    let headers = &mut head.headers;
    set_forwarded_headers(headers, &viewer.client_ip);
    append_via(headers, version);
    add_certificate_headers(headers, &behavior.certificate_headers, &viewer.client, edits);
}

pub fn append_via(headers: &mut HeaderMap, version: Version) {
    let via = if version == Version::HTTP_2 {
        "2.0 bothways"
    } else {
        "1.1 bothways"
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
