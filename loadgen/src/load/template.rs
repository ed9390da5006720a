//! The HTTP/2 request of an entry, made once and copied for each operation.

use bytes::Bytes;
use http_body_util::Full;

use crate::plan::Entry;
use crate::wire::http1::USER_AGENT;

/// The request of every operation, made once.
pub struct Template {
    method: http::Method,
    uri: http::Uri,
    headers: http::HeaderMap,
    body: Bytes,
}

impl Template {
    /// Makes the request of an entry.
    pub fn new(entry: &Entry) -> Self {
        let uri = format!("https://{}{}", entry.host, entry.path);
        let mut headers: http::HeaderMap = entry.headers.iter().cloned().collect();
        headers
            .entry(http::header::USER_AGENT)
            .or_insert(http::HeaderValue::from_static(USER_AGENT));
        Template {
            method: entry.method.clone(),
            uri: uri.parse().expect("the plan has checked host and path"),
            headers,
            body: entry
                .body
                .as_ref()
                .map(|body| body.bytes.clone())
                .unwrap_or_default(),
        }
    }

    /// A copy to be sent.
    pub fn make(&self) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}
