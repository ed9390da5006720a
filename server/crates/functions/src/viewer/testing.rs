//! Viewer functions and what they are called with, for the tests of this module.
#![allow(clippy::unwrap_used)]

use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use bothways_trust::CertificateHeader;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};

use super::*;
use crate::testing::{limits, store};
use crate::{Function, FunctionKind, FunctionSource};

pub(super) fn function(code: &str) -> Arc<Function> {
    Arc::new(
        Function::compile(FunctionSource {
            name: "rewrite",
            kind: FunctionKind::Viewer,
            code: code.as_bytes(),
            key_value_store: Some(store(&[("/old", "/new"), ("json", "{\"a\":[1]}")])),
            limits: limits(),
        })
        .unwrap(),
    )
}

pub(super) fn map(headers: &[(&str, &str)]) -> HeaderMap {
    let header = |(name, value): &(&str, &str)| {
        (
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )
    };
    headers.iter().map(header).collect()
}

pub(super) fn request_headers() -> HeaderMap {
    map(&[
        ("host", "edge.example.com"),
        ("accept", "text/html"),
        ("accept", "*/*"),
        ("x-one", "1"),
        ("cookie", "session=abc; theme=dark"),
        ("content-length", "0"),
    ])
}

pub(super) fn with_request<T>(
    uri: &str,
    headers: &HeaderMap,
    call: impl FnOnce(ViewerContext<'_>, &ShownRequest<'_>) -> T,
) -> T {
    let edge = Rc::new(EdgeLocation {
        name: "edge-1".to_owned(),
        server_ip: "192.0.2.1".to_owned(),
        region: "local".to_owned(),
    });
    let context = ViewerContext {
        distribution_domain_name: "edge.example.com",
        distribution_id: "E1NXS4MQZH501R",
        endpoint: "edge.example.com",
        request_id: "id-1",
        client_ip: "198.51.100.11",
        edge: &edge,
    };
    let uri: Uri = uri.parse().unwrap();
    let request = ShownRequest::new(RequestFacts {
        method: &Method::GET,
        uri: &uri,
        headers,
        certificate: &[
            (CertificateHeader::Present, "1"),
            (CertificateHeader::Subject, "CN=alice"),
        ],
    });
    call(context, &request)
}

pub(super) fn ask(function: &Arc<Function>, uri: &str) -> ViewerOutcome<RequestVerdict> {
    let headers = request_headers();
    with_request(uri, &headers, |context, request| {
        call_viewer_request(function, context, request, SystemTime::now())
    })
}

pub(super) fn run(code: &str) -> ViewerOutcome<RequestVerdict> {
    ask(&function(code), "/old?a=1&b=2&a=3")
}

/// Target and headers, sorted, after a viewer-request function.
pub(super) fn rewritten(code: &str) -> (String, Vec<String>) {
    let RequestVerdict::Continue(edits, _) = run(code).result.unwrap() else {
        panic!("{code} made a response");
    };
    let (mut uri, mut headers) = (Uri::from_static("/old?a=1&b=2&a=3"), request_headers());
    edits.apply(&mut uri, &mut headers).unwrap();
    (uri.to_string(), lines(&headers))
}

pub(super) fn lines(headers: &HeaderMap) -> Vec<String> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
    };
    let mut lines: Vec<_> = headers.iter().map(line).collect();
    lines.sort();
    lines
}

pub(super) fn generated(code: &str) -> (u16, Vec<String>, Vec<u8>) {
    let RequestVerdict::Respond(mut edits) = run(code).result.unwrap() else {
        panic!("{code} made no response");
    };
    let mut headers = HeaderMap::new();
    edits.apply_headers(&mut headers);
    (
        edits.status.as_u16(),
        lines(&headers),
        edits.body.unwrap().to_vec(),
    )
}

pub(super) fn fault(code: &str) -> ViewerFault {
    run(code).result.expect_err(code)
}

/// A function of this body.
pub(super) fn handler(body: &str) -> String {
    format!("function handler(event) {{ var request = event.request; {body} }}")
}

pub(super) fn respond(code: &str, headers: &HeaderMap) -> ViewerOutcome<ResponseEdits> {
    let function = function(code);
    let shown = ShownResponse::new(StatusCode::OK, None, headers);
    let request_headers = request_headers();
    with_request("/path", &request_headers, |context, request| {
        call_viewer_response(&function, context, request, &shown, SystemTime::now())
    })
}
