//! Viewer functions as their authors write them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use bothways_trust::CertificateHeader;
use http::Uri;
use http::header::HeaderMap;

use super::testing::*;
use super::*;

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
                "a": { "value": "1", "multiValue": [{ "value": "1" }, { "value": "3" }] },
                "b": { "value": "2" }
            },
            "headers": {
                "cloudfront-viewer-cert-present": { "value": "1" },
                "cloudfront-viewer-cert-subject": { "value": "CN=alice" },
                "accept": {
                    "value": "text/html", "multiValue": [{ "value": "text/html" }, { "value": "*/*" }]
                },
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
             function handler(event) {{ cf.logCustomData('first'); cf.logCustomData({text}); return \
                 event.request; }}"
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
            "cf.mtls.renameClientCertHeaders({ 'CloudFront-Viewer-Cert-Subject': 'X-Subject', \
             'Client-Cert': 'X-Cert' });"
        ),
        ["x-cert: :BB==:", "x-subject: CN=alice"]
    );
    assert_eq!(
        wishes(
            "cf.mtls.renamePemHeaders({ 'Cloudfront-Viewer-Cert-PEM': { newHeaderName: 'X-Pem', \
             pemCertFormatInfo:
                 { certHeader: '<', certFooter: '>', certEndMarker: '', keepNewlinesInCertData: false } } });
             cf.mtls.combinePemHeaders({ newHeaderName: 'X-All', pemCertFormatInfo: { certEndMarker: '|' } \
                 });"
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
        "renamePemHeaders({ 'Client-Cert': { newHeaderName: 'X', pemCertFormatInfo: { certHeader: '\\n' } } \
         })",
        "renamePemHeaders({ 'Client-Cert': { newHeaderName: 'X', pemCertFormatInfo: { \
         keepNewlinesInCertData: 'yes' } } })",
        "combinePemHeaders([])",
        "combinePemHeaders({})",
    ] {
        let code = format!(
            "import cf from 'cloudfront'; function handler(event) {{
                 try {{ cf.mtls.{call}; }} catch (error) {{ console.log(error.name); }} return \
                     event.request; }}"
        );
        assert_eq!(run(&code).remarks.console, ["TypeError"], "{call}");
    }
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
             console.log(JSON.stringify([event.context.eventType, event.request.uri, event.response, \
                 cf.edgeLocation]));
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
fn a_response_keeps_its_other_headers_where_a_function_gives_it_a_body() {
    let headers = map(&[("server", "x"), ("content-length", "3"), ("etag", "y")]);
    for change in [
        "",
        "delete event.response.headers['content-length'];",
        "event.response.headers['content-length'].value = '9';",
    ] {
        let code = format!(
            "function handler(event) {{ {change} event.response.body = 'own'; return event.response; }}"
        );
        let mut edits = respond(&code, &headers).result.unwrap();
        let mut left = headers.clone();
        edits.apply_headers(&mut left);
        assert_eq!(
            (edits.body.as_deref(), lines(&left)),
            (Some(&b"own"[..]), lines(&headers)),
            "{change}"
        );
    }
}

#[test]
fn headers_that_a_function_moves_swaps_or_copies_are_what_it_made_of_them() {
    let (_, headers) = rewritten(&handler(
        "const { headers } = request;
         const one = headers['x-one'];
         delete headers['x-one'];
         headers['x-two'] = one;
         headers['x-three'] = headers.accept;
         headers.accept = { value: 'text/html' };
         return request;",
    ));
    let expected = [
        "accept: text/html",
        "content-length: 0",
        "cookie: session=abc; theme=dark",
        "host: edge.example.com",
        "x-three: */*",
        "x-three: text/html",
        "x-two: 1",
    ];
    assert_eq!(headers, expected);
    let (target, _) = rewritten(&handler(
        "const { a, b } = request.querystring; request.querystring = { b: a, a: b }; return request;",
    ));
    assert_eq!(target, "/old?a=2&b=1&b=3");
    let (_, headers) = rewritten(&handler(
        "request.headers['x-one'].multiValue = [{ value: '7' }]; return request;",
    ));
    assert!(headers.contains(&"x-one: 7".to_owned()));
}
