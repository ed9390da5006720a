//! Viewer functions as their authors write them, and everything that they can do wrong.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};

use super::*;
use crate::config::CertificateHeader;
use crate::functions::testing::{limits, store};
use crate::functions::{Function, FunctionKind, FunctionSource};

fn function(code: &str) -> Arc<Function> {
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

fn map(headers: &[(&str, &str)]) -> HeaderMap {
    let header = |(name, value): &(&str, &str)| {
        (
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )
    };
    headers.iter().map(header).collect()
}

fn request_headers() -> HeaderMap {
    map(&[
        ("host", "edge.example.com"),
        ("accept", "text/html"),
        ("accept", "*/*"),
        ("x-one", "1"),
        ("cookie", "session=abc; theme=dark"),
        ("content-length", "0"),
    ])
}

fn with_request<T>(
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

fn ask(function: &Arc<Function>, uri: &str) -> ViewerOutcome<RequestVerdict> {
    let headers = request_headers();
    with_request(uri, &headers, |context, request| {
        call_viewer_request(function, context, request, SystemTime::now())
    })
}

fn run(code: &str) -> ViewerOutcome<RequestVerdict> {
    ask(&function(code), "/old?a=1&b=2&a=3")
}

/// Target and headers, sorted, after a viewer-request function.
fn rewritten(code: &str) -> (String, Vec<String>) {
    let RequestVerdict::Continue(edits, _) = run(code).result.unwrap() else {
        panic!("{code} made a response");
    };
    let (mut uri, mut headers) = (Uri::from_static("/old?a=1&b=2&a=3"), request_headers());
    edits.apply(&mut uri, &mut headers).unwrap();
    (uri.to_string(), lines(&headers))
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
    };
    let mut lines: Vec<_> = headers.iter().map(line).collect();
    lines.sort();
    lines
}

fn generated(code: &str) -> (u16, Vec<String>, Vec<u8>) {
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

fn fault(code: &str) -> ViewerFault {
    run(code).result.expect_err(code)
}

/// A function of this body.
fn handler(body: &str) -> String {
    format!("function handler(event) {{ var request = event.request; {body} }}")
}

#[test]
fn a_function_sees_the_documented_event() {
    let code = "function handler(event) { console.log(JSON.stringify(event)); return event.request; }";
    let shown: serde_json::Value = serde_json::from_str(&run(code).remarks.console[0]).unwrap();
    let expected = serde_json::json!({
        "version": "1.0",
        "context": {
            "distributionDomainName": "edge.example.com", "distributionId": "E1NXS4MQZH501R",
            "endpoint": "edge.example.com", "eventType": "viewer-request", "requestId": "id-1"
        },
        "viewer": { "ip": "198.51.100.11" },
        "request": {
            "method": "GET", "uri": "/old",
            "querystring": {
                "a": { "value": "1", "multiValue": [{ "value": "1" }, { "value": "3" }] }, "b": { "value": "2" }
            },
            "headers": {
                "cloudfront-viewer-cert-present": { "value": "1" },
                "cloudfront-viewer-cert-subject": { "value": "CN=alice" },
                "accept": { "value": "text/html", "multiValue": [{ "value": "text/html" }, { "value": "*/*" }] },
                "x-one": { "value": "1" }, "content-length": { "value": "0" },
                "host": { "value": "edge.example.com" }
            },
            "cookies": { "session": { "value": "abc" }, "theme": { "value": "dark" } }
        }
    });
    assert_eq!(shown, expected);
}

#[test]
fn a_request_that_is_returned_as_it_was_goes_on_as_it_was() {
    for code in [
        "function handler(event) { return event.request; }",
        "async function handler(event) { return event.request; }",
        "function handler(event) { return JSON.parse(JSON.stringify(event.request)); }",
        "function handler(event) { return Object.assign({}, event.request, { extra: 1 }); }",
    ] {
        let (target, headers) = rewritten(code);
        assert_eq!(
            (&*target, headers),
            ("/old?a=1&b=2&a=3", lines(&request_headers())),
            "{code}"
        );
    }
}

#[test]
fn path_query_headers_and_cookies_are_rewritten() {
    let (target, headers) = rewritten(&handler(
        "request.uri = '/index.html';
         request.querystring.b = { value: 'x' };
         delete request.querystring.a;
         request.querystring.n = { value: '', multiValue: [{ value: '7' }, { value: '8' }] };
         request.headers['x-added'] = { value: 'yes' };
         delete request.headers.accept;
         request.headers['x-one'].value = '2';
         request.cookies.theme.value = 'light';
         return request;",
    ));
    assert_eq!(target, "/index.html?b=x&n=7&n=8");
    let expected = [
        "content-length: 0",
        "cookie: session=abc; theme=light",
        "host: edge.example.com",
        "x-added: yes",
        "x-one: 2",
    ];
    assert_eq!(headers, expected);
}

#[test]
fn what_clients_name_like_javascript_itself_is_a_name_and_nothing_else() {
    let code = handler(
        "var own = Object.prototype.hasOwnProperty.call(request.querystring, '__proto__');
         if (!own || ({}).value !== undefined) { throw new Error('polluted'); }
         request.querystring.constructor.value = '9';
         return request;",
    );
    let outcome = ask(&function(&code), "/?__proto__=1&constructor=2&toString=3&2=b&1=a");
    let RequestVerdict::Continue(edits, _) = outcome.result.unwrap() else {
        panic!("a request")
    };
    let mut uri = Uri::from_static("/");
    edits.apply(&mut uri, &mut HeaderMap::new()).unwrap();
    assert_eq!(uri, "/?__proto__=1&constructor=9&toString=3&2=b&1=a");
}

#[test]
fn raw_query_string_is_what_the_client_sent() {
    let function = function(&handler(
        "console.log(String(request.rawQueryString())); return request;",
    ));
    for (uri, expected) in [("/", "undefined"), ("/?", ""), ("/?a=%20&&b", "a=%20&&b")] {
        assert_eq!(ask(&function, uri).remarks.console, [expected]);
    }
}

#[test]
fn a_key_value_store_is_looked_up_and_an_edge_has_a_place() {
    let (target, headers) = rewritten(
        "import cf from 'cloudfront';
         const kvs = cf.kvs();
         async function handler(event) {
             const request = event.request;
             request.uri = await kvs.get(request.uri);
             const { name, serverIp, region } = cf.edgeLocation;
             request.headers['x-edge'] = { value: [name, serverIp, region].join(' ') };
             return request;
         }",
    );
    assert_eq!(target, "/new?a=1&b=2&a=3");
    assert!(
        headers.contains(&"x-edge: edge-1 192.0.2.1 local".to_owned()),
        "{headers:?}"
    );
}

#[test]
fn responses_are_made_by_functions() {
    assert_eq!(
        generated(
            "function handler(event) { return { statusCode: 302, statusDescription: 'Found',
                headers: { location: { value: 'https://example.com/' + event.request.headers.host.value } },
                cookies: { a: { value: 'b', attributes: 'Secure; Path=/' } } }; }"
        ),
        (
            302,
            vec![
                "location: https://example.com/edge.example.com".to_owned(),
                "set-cookie: a=b; Secure; Path=/".to_owned()
            ],
            Vec::new()
        )
    );
    let body = |body: &str| {
        generated(&format!(
            "function handler() {{ return {{ statusCode: 200, body: {body} }}; }}"
        ))
        .2
    };
    assert_eq!(body("'h\\u00e9'"), "h\u{e9}".as_bytes());
    assert_eq!(body("{ encoding: 'text', data: 'AP8=' }"), b"AP8=");
    assert_eq!(body("{ encoding: 'base64', data: 'AP8=' }"), [0, 255]);
}

#[test]
fn custom_data_is_url_encoded_cut_and_said_once() {
    let said = |text: &str| {
        let code = format!(
            "import cf from 'cloudfront';
             function handler(event) {{ cf.logCustomData('first'); cf.logCustomData({text}); return event.request; }}"
        );
        run(&code).remarks.custom_data.unwrap()
    };
    assert_eq!(&*said("'a b=\u{e9}-_.~'"), "a%20b%3D%C3%A9-_.~");
    assert_eq!(said("'x'.repeat(900)").len(), 800);
    assert_eq!(&*said("'\u{20ac}'.repeat(100)"), "%E2%82%AC".repeat(88));
}

#[test]
fn certificate_headers_are_renamed_without_being_seen() {
    let wishes = |calls: &str| {
        let code = format!(
            "import cf from 'cloudfront'; function handler(event) {{ {calls} return event.request; }}"
        );
        match run(&code).result.unwrap() {
            RequestVerdict::Continue(_, renames) => {
                let mut headers = HeaderMap::new();
                renames.apply(&mut headers, |header| match header {
                    CertificateHeader::Subject => Some("CN=alice"),
                    CertificateHeader::Pem => Some("BEGIN%0AAA==%0AEND%0A"),
                    CertificateHeader::ClientCert => Some(":BB==:"),
                    CertificateHeader::ClientCertChain => Some(":CC==:"),
                    _ => None,
                });
                lines(&headers)
            }
            RequestVerdict::Respond(_) => panic!("a request"),
        }
    };
    assert_eq!(
        wishes(
            "cf.mtls.renameClientCertHeaders({ 'CloudFront-Viewer-Cert-Subject': 'X-Subject', 'Client-Cert': 'X-Cert' });"
        ),
        ["x-cert: :BB==:", "x-subject: CN=alice"]
    );
    assert_eq!(
        wishes(
            "cf.mtls.renamePemHeaders({ 'Cloudfront-Viewer-Cert-PEM': { newHeaderName: 'X-Pem', pemCertFormatInfo:
                 { certHeader: '<', certFooter: '>', certEndMarker: '', keepNewlinesInCertData: false } } });
             cf.mtls.combinePemHeaders({ newHeaderName: 'X-All', pemCertFormatInfo: { certEndMarker: '|' } });"
        ),
        ["x-all: :BB==:|:CC==:", "x-pem: <AA==>"]
    );
    assert_eq!(wishes(""), [""; 0], "what one call wished for, the next does not");
    for call in [
        "renameClientCertHeaders('x')",
        "renameClientCertHeaders(null)",
        "renameClientCertHeaders({ 'Host': 'X-Host' })",
        "renameClientCertHeaders({ 'Client-Cert': 5 })",
        "renameClientCertHeaders({ 'Client-Cert': 'Host' })",
        "renameClientCertHeaders({ 'Client-Cert': 'a\\r\\nb' })",
        "renamePemHeaders({ 'Client-Cert': 'X' })",
        "renamePemHeaders({ 'Client-Cert': { newHeaderName: 'X', pemCertFormatInfo: 7 } })",
        "renamePemHeaders({ 'Client-Cert': { newHeaderName: 'X', pemCertFormatInfo: { certHeader: '\\n' } } })",
        "renamePemHeaders({ 'Client-Cert': { newHeaderName: 'X', pemCertFormatInfo: { keepNewlinesInCertData: 'yes' } } })",
        "combinePemHeaders([])",
        "combinePemHeaders({})",
    ] {
        let code = format!(
            "import cf from 'cloudfront'; function handler(event) {{
                 try {{ cf.mtls.{call}; }} catch (error) {{ console.log(error.name); }} return event.request; }}"
        );
        assert_eq!(run(&code).remarks.console, ["TypeError"], "{call}");
    }
}

#[test]
fn what_is_returned_must_be_a_request_or_a_response() {
    for (body, told) in [
        ("", "the returned value is not an object"),
        ("return null;", "the returned value is not an object"),
        ("return 5;", "the returned value is not an object"),
        ("return 'x';", "the returned value is not an object"),
        ("return [];", "the returned value is not an object"),
        ("return function () {};", "the returned value is not an object"),
        ("return Symbol();", "the returned value is not an object"),
        ("return {};", "request.method is missing"),
        ("return event;", "request.method is missing"),
        (
            "request.method = 'POST'; return request;",
            "request.method is read-only",
        ),
        ("request.uri = 5; return request;", "request.uri is not a string"),
        (
            "request.uri = '/\\ud800'; return request;",
            "request.uri has a value that cannot be sent",
        ),
        (
            "request.headers = 'x'; return request;",
            "request.headers is not an object",
        ),
        (
            "request.headers = []; return request;",
            "request.headers is not an object",
        ),
        (
            "request.querystring = 'a=b'; return request;",
            "request.querystring is not an object",
        ),
        (
            "request.headers.x = 'y'; return request;",
            "request.headers[\"x\"] is not an object with value",
        ),
        (
            "request.headers.x = null; return request;",
            "request.headers[\"x\"] is not an object with value",
        ),
        (
            "request.headers.x = {}; return request;",
            "request.headers[\"x\"] is missing",
        ),
        (
            "request.headers.x = { value: 5 }; return request;",
            "request.headers[\"x\"] is not a string",
        ),
        (
            "request.headers.x = { value: '', multiValue: 5 }; return request;",
            "is not an array",
        ),
        (
            "request.headers.x = { multiValue: [1] }; return request;",
            "each multiValue",
        ),
        (
            "request.headers.x = { multiValue: new Array(4e9) }; return request;",
            "each multiValue",
        ),
        (
            "request.headers.x = { value: 'a\\r\\nB: c' }; return request;",
            "has a value that cannot be sent",
        ),
        (
            "request.headers['\\ud800'] = { value: '' }; return request;",
            "request.headers is no name that can be sent",
        ),
        (
            "request.headers['x\\0y'] = { value: '' }; return request;",
            "request.headers[\"x\\0y\"] is no name that can be sent",
        ),
        (
            "request.headers.connection = { value: 'close' }; return request;",
            "may not be set",
        ),
        (
            "delete request.headers.host; return request;",
            "request.headers[\"host\"] is read-only",
        ),
        (
            "return { statusCode: '200' };",
            "response.statusCode is not a number",
        ),
        (
            "return { statusCode: null };",
            "response.statusCode is not a number",
        ),
        (
            "return { statusCode: 99 };",
            "response.statusCode is not an integer",
        ),
        (
            "return { statusCode: 200, body: 5 };",
            "response.body is not a string, nor an object",
        ),
        (
            "return { statusCode: 200, body: {} };",
            "response.body.data is missing",
        ),
        (
            "return { statusCode: 200, body: { encoding: 'hex', data: '' } };",
            "is not text or base64",
        ),
        (
            "return { statusCode: 200, body: { encoding: 'base64', data: '?' } };",
            "response.body is not base64",
        ),
        (
            "var many = {}; for (var i = 0; i < 200; i++) { many['h' + i] = { value: 'x'.repeat(200) }; } \
          return { statusCode: 200, headers: many };",
            "is larger than 32768 octets",
        ),
        (
            "var item = { value: 'x'.repeat(200000) }; \
          return { statusCode: 200, headers: { x: { multiValue: new Array(1000).fill(item) } } };",
            "is larger than",
        ),
    ] {
        let fault = fault(&handler(body));
        assert_eq!(fault.kind, ViewerFaultKind::Invalid, "{body}: {fault:?}");
        assert!(
            fault.sentence.starts_with("rewrite: ") && fault.sentence.contains(told),
            "{body}: {fault:?}"
        );
    }
}

#[test]
fn cyclic_objects_and_prototypes_are_no_trouble() {
    let (target, _) = rewritten(&handler(
        "request.self = request; request.headers.x = { value: '1' }; request.headers.x.x = request; return request;",
    ));
    assert_eq!(target, "/old?a=1&b=2&a=3");
    let fault = fault(&handler("request.headers.x = request; return request;"));
    assert_eq!(fault.kind, ViewerFaultKind::Invalid);
    let inherited = handler("return Object.create(request);");
    assert_eq!(
        rewritten(&inherited).0,
        "/old?a=1&b=2&a=3",
        "inherited properties count as they do for JavaScript"
    );
}

#[test]
fn what_throws_or_never_ends_is_an_error_with_its_place() {
    for (body, told) in [
        ("throw new Error('no');", "rewrite:1:66: Error: no"),
        ("throw 'text';", "threw the string"),
        ("throw null;", "threw null"),
        ("undefined.x;", "TypeError"),
        (
            "return { get statusCode() { throw new Error('getter'); } };",
            "Error: getter",
        ),
        (
            "return { statusCode: 200, get headers() { throw new Error('getter'); } };",
            "Error: getter",
        ),
        (
            "request.headers = { get x() { throw 5; } }; return request;",
            "threw the number 5",
        ),
        ("return new Promise(function () {});", "never resolved"),
        ("return Promise.reject(new Error('late'));", "Error: late"),
        (
            "function deeper() { return deeper() + 1; } return deeper();",
            "RangeError",
        ),
        ("return eval('1');", "code cannot be made from strings"),
    ] {
        let fault = fault(&handler(body));
        assert_eq!(fault.kind, ViewerFaultKind::Error, "{body}: {fault:?}");
        assert!(fault.sentence.contains(told), "{body}: {fault:?}");
    }
}

#[test]
fn time_and_memory_end_also_within_a_getter() {
    let mut limits = limits();
    limits.time = Duration::from_millis(20);
    for body in [
        "while (true) {}",
        "return { get statusCode() { while (true) {} } };",
        "return /(a+)+$/.test('a'.repeat(40) + 'b');",
        "var all = []; while (true) { all.push('x'.repeat(10000) + all.length); }",
        "return { statusCode: 200, body: 'x'.repeat(1 << 28) };",
    ] {
        let code = handler(body);
        let function = Function::compile(FunctionSource {
            name: "rewrite",
            kind: FunctionKind::Viewer,
            code: code.as_bytes(),
            key_value_store: None,
            limits: limits.clone(),
        });
        let fault = ask(&Arc::new(function.unwrap()), "/").result.expect_err(body);
        assert!(
            fault.kind == ViewerFaultKind::Limit
                || fault.sentence.contains("out of memory")
                || fault.sentence.contains("string length"),
            "{body}: {fault:?}"
        );
    }
}

#[test]
fn one_call_leaves_nothing_for_the_next() {
    let function = function(
        "import cf from 'cloudfront';
         var count = 0;
         function handler(event) {
             count++;
             event.request.headers['x-count'] = { value: String(count) };
             try { Array.prototype.left = 1; } catch (error) {}
             try { globalThis.left = 1; } catch (error) {}
             try { cf.mtls.left = 1; } catch (error) {}
             if (count > 1) { throw new Error('seen'); }
             return event.request;
         }",
    );
    for _ in 0..3 {
        assert!(ask(&function, "/").result.is_ok());
    }
}

fn respond(code: &str, headers: &HeaderMap) -> ViewerOutcome<ResponseEdits> {
    let function = function(code);
    let shown = ShownResponse::new(StatusCode::OK, None, headers);
    let request_headers = request_headers();
    with_request("/path", &request_headers, |context, request| {
        call_viewer_response(&function, context, request, &shown, SystemTime::now())
    })
}

#[test]
fn a_viewer_response_function_sees_and_changes_the_response() {
    let headers = map(&[
        ("server", "x"),
        ("set-cookie", "a=1; Secure"),
        ("content-length", "3"),
    ]);
    let outcome = respond(
        "import cf from 'cloudfront';
         function handler(event) {
             console.log(JSON.stringify([event.context.eventType, event.request.uri, event.response, cf.edgeLocation]));
             var response = event.response;
             delete response.headers.server;
             response.headers['x-frame-options'] = { value: 'DENY' };
             response.cookies.a.attributes += '; HttpOnly';
             response.statusCode = 203;
             return response;
         }",
        &headers,
    );
    let shown: serde_json::Value = serde_json::from_str(&outcome.remarks.console[0]).unwrap();
    assert_eq!(
        shown,
        serde_json::json!([
            "viewer-response",
            "/path",
            {
                "statusCode": 200, "statusDescription": "OK",
                "headers": { "server": { "value": "x" }, "content-length": { "value": "3" } },
                "cookies": { "a": { "value": "1", "attributes": "Secure" } }
            },
            null
        ])
    );
    let mut edits = outcome.result.unwrap();
    let mut headers = headers;
    edits.apply_headers(&mut headers);
    assert_eq!(
        (edits.status.as_u16(), edits.description, edits.body),
        (203, None, None)
    );
    assert_eq!(
        lines(&headers),
        [
            "content-length: 3",
            "set-cookie: a=1; Secure; HttpOnly",
            "x-frame-options: DENY"
        ]
    );
}

#[test]
fn a_viewer_response_function_must_return_a_response() {
    for (body, told) in [
        ("return event.request;", "response.statusCode is missing"),
        ("return;", "the returned value is not an object"),
        (
            "event.response.headers['transfer-encoding'] = { value: 'chunked' }; return event.response;",
            "read-only",
        ),
        (
            "event.response.headers['content-length'].value = '1'; return event.response;",
            "read-only",
        ),
        (
            "event.response.cookies.a = { value: 'b', attributes: 'x\\r\\nY: z' }; return event.response;",
            "cannot be sent",
        ),
        (
            "event.response.statusDescription = 'x\\r\\nY: z'; return event.response;",
            "cannot be sent",
        ),
    ] {
        let outcome = respond(
            &format!("function handler(event) {{ {body} }}"),
            &map(&[("content-length", "3")]),
        );
        let fault = outcome.result.expect_err(body);
        assert_eq!(fault.kind, ViewerFaultKind::Invalid, "{body}: {fault:?}");
        assert!(fault.sentence.contains(told), "{body}: {fault:?}");
    }
}
