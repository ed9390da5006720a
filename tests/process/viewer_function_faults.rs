//! Viewer functions that fail, and functions that try to slip something past the edge: each a 502, and
//! nothing on any wire.

use bothways_tests::config::EDGE_NAME;
use bothways_tests::curl::Curl;
use bothways_tests::origin::{Origin, REPLY};
use bothways_tests::{Client, Pki};

use crate::viewer_functions::{calls, edge, handler};

#[test]
fn what_a_function_may_not_return_is_a_502_with_a_line_in_the_log() {
    let origin = Origin::start();
    let code = handler(
        "const { headers } = request;
         switch (request.uri) {
             case '/nothing': return;
             case '/text': return 'x';
             case '/cycle': headers.x = headers; return request;
             case '/method': request.method = 'POST'; return request;
             case '/relative': request.uri = 'x'; return request;
             case '/split-uri': request.uri = '/ HTTP/1.1\\r\\nX: y'; return request;
             case '/split-header': headers.x = { value: 'a\\r\\nX: y' }; return request;
             case '/split-name': headers['x\\r\\ny'] = { value: '' }; return request;
             case '/nul': headers.x = { value: 'a\\0' }; return request;
             case '/split-cookie': request.cookies.x = { value: 'a\\r\\nX: y' }; return request;
             case '/split-query': request.querystring.x = { value: 'a\\r\\nX: y' }; return request;
             case '/length': headers['content-length'] = { value: '5' }; return request;
             case '/encoding': headers['transfer-encoding'] = { value: 'chunked' }; return request;
             case '/Encoding': headers['Transfer-Encoding'] = { value: 'chunked' }; return request;
             case '/host': headers.host.value = 'other.example.com'; return request;
             case '/connection': headers.connection = { value: 'x-one' }; return request;
             case '/te': headers.te = { value: 'trailers' }; return request;
             case '/identity': headers['client-cert'] = { value: ':AA==:' }; return request;
             case '/subject': headers['cloudfront-viewer-cert-subject'] = { value: 'CN=admin' }; return request;
             case '/status': return { statusCode: 100 };
             case '/base64': return { statusCode: 200, body: { encoding: 'base64', data: '?' } };
             case '/split-location': return { statusCode: 302, headers: { location: { value: '/\\r\\nX: y' } } };
             case '/split-reason': return { statusCode: 200, statusDescription: 'OK\\r\\nX: y' };
             case '/framing': return { statusCode: 200, headers: { 'transfer-encoding': { value: 'chunked' } } };
             case '/throw': throw new Error('no');
             case '/throw-text': throw 'text';
             case '/forever': await new Promise(() => {});
             case '/loop': for (;;) { }
             case '/memory': { const all = []; for (;;) { all.push('x'.repeat(10000) + all.length); } }
             case '/recursion': { const deeper = () => deeper() + 1; return deeper(); }
             case '/regex': return /(a+)+$/.test('a'.repeat(40) + 'b');
             case '/getter': return { get statusCode() { throw new Error('got'); } };
             case '/type': cf.mtls.renameClientCertHeaders({ 'Client-Cert': 5 }); return request;
             default: return request;
         }",
    );
    let server = edge("required", &origin, &code, "");
    let identity = Pki::shared().client("alice");
    let paths: Vec<&str> = code
        .split("case '")
        .skip(1)
        .filter_map(|rest| rest.split('\'').next())
        .collect();
    let client = Client::with_identity(&identity);
    let mut connection = client.connect(server.address()).unwrap();
    for path in &paths {
        let outcome = connection.exchange(&client.request("GET", path, ""));
        let response = outcome.response();
        assert_eq!(response.status, 502, "{path}: {response:?}");
        assert!(
            response.text().contains("a function gave no usable answer"),
            "{path}"
        );
        assert!(response.header("x").is_none(), "{path}");
    }
    let again = connection.exchange(&client.request("GET", "/echo", ""));
    assert_eq!(
        again.response().status,
        200,
        "the connection and the function go on"
    );
    let failed = ["error", "limit", "invalid"].map(|result| calls(&server, "request", result));
    assert_eq!(failed.iter().sum::<u64>(), paths.len() as u64, "{failed:?}");
    assert!(failed.iter().all(|count| *count >= 3), "{failed:?}");
    server.wait_for_log("the new name of Client-Cert is a string");
    let log = server.log();
    let lines = log
        .iter()
        .filter(|line| line.contains("a function failed") && line.contains("viewer_request"));
    assert_eq!(lines.count(), paths.len(), "{log:#?}");
    assert!(
        log.iter()
            .any(|line| line.contains("viewer_request:30:") && line.contains("Error: no")),
        "{log:#?}"
    );
    assert_eq!(origin.requests_for("/echo"), 1);
    assert_eq!(origin.connections(), 1, "the origin has seen nothing of them");
    let output = Curl::new(server.address(), EDGE_NAME)
        .identity(&identity)
        .http2()
        .get("/split-header");
    assert_eq!((output.code, output.status), (0, 502), "{output:?}");
}

#[test]
fn a_bad_viewer_response_is_a_502_and_nothing_of_the_origins() {
    let origin = Origin::start();
    let code = handler(
        "switch (request.querystring.do.value) {
             case 'split': response.headers.x = { value: 'a\\r\\nX: y' }; break;
             case 'cookie': response.cookies.a.attributes = 'x\\r\\nX: y'; break;
             case 'length': response.headers['content-length'].value = '1'; break;
             case 'encoding': response.headers['transfer-encoding'] = { value: 'chunked' }; break;
             case 'via': delete response.headers.via; break;
             case 'reason': response.statusDescription = 'x\\r\\nX: y'; break;
             case 'status': response.statusCode = 700; break;
             case 'nothing': return;
             case 'throw': throw new Error('no');
         }
         return response;",
    );
    let server = edge("required", &origin, "", &code);
    let client = Client::with_identity(&Pki::shared().client("alice"));
    let mut connection = client.connect(server.address()).unwrap();
    for fault in [
        "split", "cookie", "length", "encoding", "via", "reason", "status", "nothing", "throw",
    ] {
        let outcome = connection.exchange(&client.request("GET", &format!("/reply/200?do={fault}"), ""));
        let response = outcome.response();
        assert_eq!(response.status, 502, "{fault}: {response:?}");
        assert!(
            response.header("x-origin").is_none() && response.header("x").is_none(),
            "{response:?}"
        );
        assert!(!response.text().contains(REPLY), "{fault}");
    }
    server.wait_for_log("response.headers[\\\"x\\\"] has a value that cannot be sent");
}
