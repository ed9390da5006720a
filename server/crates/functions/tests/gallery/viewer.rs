//! Its viewer functions.

use std::rc::Rc;
use std::time::SystemTime;

use bothways_functions::FunctionKind;
use bothways_functions::viewer::{
    EdgeLocation, RequestFacts, RequestVerdict, ShownRequest, ShownResponse, ViewerContext,
    call_viewer_request, call_viewer_response,
};
use bothways_trust::CertificateHeader;
use http::header::HeaderMap;
use http::{HeaderValue, Method, StatusCode, Uri};

use super::{files_with, load};

#[test]
fn every_viewer_function_of_the_gallery_is_tested() {
    assert_eq!(
        files_with("handler"),
        [
            "client-name.js",
            "nginx-names.js",
            "rewrite.js",
            "security-headers.js"
        ]
    );
}

#[test]
fn rewrite_gives_each_page_one_spelling() {
    for (before, after) in [
        ("/a//b/index.html?utm_source=x&q=1", "/a/b/?q=1"),
        ("/a/b/?q=1", "/a/b/?q=1"),
        ("/index.htmls?utm_campaign=1", "/index.htmls"),
    ] {
        let (uri, _) = continued(request("rewrite.js", before, &[]));
        assert_eq!(uri, after);
    }
}

#[test]
fn client_name_tells_the_subject_and_refuses_who_has_none() {
    let certificate = [
        (CertificateHeader::Present, "1"),
        (CertificateHeader::Subject, "CN=alice,O=Example"),
    ];
    let (_, headers) = continued(request("client-name.js", "/", &certificate));
    assert_eq!(headers.get("x-client-name").unwrap(), "CN=alice,O=Example");
    match request("client-name.js", "/", &[(CertificateHeader::Present, "0")]).0 {
        RequestVerdict::Respond(response) => {
            assert_eq!(response.status, StatusCode::FORBIDDEN);
            assert_eq!(response.body.unwrap(), "this path needs a client certificate\n");
        }
        RequestVerdict::Continue(..) => panic!("it went on"),
    }
}

#[test]
fn nginx_names_are_made_of_the_certificate_and_of_nothing_else() {
    let certificate = [
        (CertificateHeader::Present, "1"),
        (CertificateHeader::Subject, "CN=alice"),
    ];
    for (told, verify, subject) in [
        (&certificate[..], "SUCCESS", Some("CN=alice")),
        (&[(CertificateHeader::Present, "0")], "NONE", None),
    ] {
        let (verdict, mut uri) = request("nginx-names.js", "/", told);
        let RequestVerdict::Continue(edits, renames) = verdict else {
            panic!("it answered by itself")
        };
        // One that a configuration let through.
        let mut headers = HeaderMap::from_iter([(
            "x-ssl-client-s-dn".parse().unwrap(),
            HeaderValue::from_static("CN=forged"),
        )]);
        edits.apply(&mut uri, &mut headers).unwrap();
        renames.apply(&mut headers, |header| {
            told.iter()
                .find(|(known, _)| *known == header)
                .map(|(_, text)| *text)
        });
        assert_eq!(headers.get("x-ssl-client-verify").unwrap(), verify);
        let given = headers.get("x-ssl-client-s-dn");
        assert_eq!(given.map(|value| value.to_str().unwrap()), subject);
    }
}

#[test]
fn security_headers_are_on_every_response() {
    let function = load("security-headers.js", FunctionKind::Viewer, None);
    let mut headers = HeaderMap::from_iter([(
        "content-type".parse().unwrap(),
        HeaderValue::from_static("text/html"),
    )]);
    let (method, uri, sent) = (Method::GET, Uri::from_static("/"), HeaderMap::new());
    let shown = ShownRequest::new(facts(&method, &uri, &sent, &[]));
    let response = ShownResponse::new(StatusCode::OK, None, &headers);
    let called = call_viewer_response(
        &function,
        context(&Rc::default()),
        &shown,
        &response,
        SystemTime::now(),
    );
    let mut edits = called.result.unwrap();
    edits.apply_headers(&mut headers);
    assert_eq!(headers.get("x-frame-options").unwrap(), "DENY");
    assert_eq!(headers.get("content-type").unwrap(), "text/html");
    assert_eq!(headers.len(), 5);
}

type Certificate = [(CertificateHeader, &'static str)];

/// The verdict on a GET request, and the request's own URI.
fn request(file: &str, uri: &'static str, certificate: &Certificate) -> (RequestVerdict, Uri) {
    let (method, uri, headers) = (Method::GET, Uri::from_static(uri), HeaderMap::new());
    let shown = ShownRequest::new(facts(&method, &uri, &headers, certificate));
    let verdict = call_viewer_request(
        &load(file, FunctionKind::Viewer, None),
        context(&Rc::default()),
        &shown,
        SystemTime::now(),
    )
    .result;
    (verdict.unwrap(), uri)
}

fn continued((verdict, mut uri): (RequestVerdict, Uri)) -> (String, HeaderMap) {
    let mut headers = HeaderMap::new();
    match verdict {
        RequestVerdict::Continue(edits, _) => edits.apply(&mut uri, &mut headers).unwrap(),
        RequestVerdict::Respond(_) => panic!("it answered by itself"),
    };
    (uri.to_string(), headers)
}

fn facts<'a>(
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    certificate: &'a Certificate,
) -> RequestFacts<'a> {
    RequestFacts {
        method,
        uri,
        headers,
        certificate,
    }
}

fn context(edge: &Rc<EdgeLocation>) -> ViewerContext<'_> {
    ViewerContext {
        distribution_domain_name: "edge.example.com",
        distribution_id: "E1NXS4MQZH501R",
        endpoint: "edge.example.com",
        request_id: "id-1",
        client_ip: "198.51.100.11",
        edge,
    }
}
