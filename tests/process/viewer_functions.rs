//! Viewer functions: what they make of requests and responses over both HTTP versions, and what they cannot
//! make of them.

use bothways_tests::config::EDGE_NAME;
use bothways_tests::curl::{Curl, Output};
use bothways_tests::origin::{Origin, REPLY, Received};
use bothways_tests::{Client, Config, Distribution, Identity, Pki, Server, TrustStore};

/// An edge in this mode before `origin`, with these functions.
pub fn edge(mode: &str, origin: &Origin, request: &str, response: &str) -> Server {
    with_distribution(
        Distribution::edge(mode).proxies_to(&origin.url()),
        request,
        response,
    )
}

/// Without code there is no such function.
fn with_distribution(distribution: Distribution, request: &str, response: &str) -> Server {
    let mut config = Config::new()
        .trust_store(TrustStore::partners())
        .key_value_store("paths", r#"{"data":[{"key":"/old","value":"/echo/new"}]}"#);
    let mut associations = Vec::new();
    for (moment, code) in [("viewer_request", request), ("viewer_response", response)] {
        if !code.is_empty() {
            config = config.viewer_function(moment, code, Some("paths"));
            associations.push(format!("{moment} = \"{moment}\""));
        }
    }
    let setting = format!("function_associations = {{ {} }}", associations.join(", "));
    Server::start(config.distribution(distribution.behavior_setting(&setting)))
}

/// A function of this body.
pub fn handler(body: &str) -> String {
    format!(
        "import cf from 'cloudfront';\nasync function handler(event) {{\n    const request = event.request, response = event.response;\n    {body}\n}}"
    )
}

/// curl over each HTTP version, with a client certificate.
fn curls(server: &Server) -> [Curl; 2] {
    curls_of(server, &Pki::shared().client("alice"))
}

fn curls_of(server: &Server, identity: &Identity) -> [Curl; 2] {
    let curl = || Curl::new(server.address(), EDGE_NAME).identity(identity);
    [curl(), curl().http2()]
}

pub fn calls(server: &Server, moment: &str, result: &str) -> u64 {
    server.metrics().get(&format!(
        "bothways_viewer_{moment}_function_calls_total{{result=\"{result}\"}}"
    ))
}

fn values<'a>(output: &'a Output, name: &str) -> Vec<&'a str> {
    let head = output.head.as_ref().unwrap();
    let named = head.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_str()).collect()
}

#[test]
fn a_request_is_rewritten_before_the_origin_sees_it() {
    let origin = Origin::start();
    let code = handler(
        "request.uri = await cf.kvs().get(request.uri);
         request.querystring.b.value = '9';
         delete request.querystring.c;
         request.headers['x-added'] = { value: 'yes' };
         delete request.headers['x-removed'];
         request.headers['x-forwarded-host'] = { value: request.headers.host.value };
         request.cookies.theme.value = 'light';
         return request;",
    );
    let server = edge("required", &origin, &code, "");
    for curl in curls(&server) {
        let output = curl
            .header("X-Removed: 1")
            .header("X-Kept: %00 \u{e9}")
            .header("Cookie: session=abc; theme=dark")
            .header("X-Forwarded-Host: forged")
            .get("/old?a=%20&b=2&c=3&a=4");
        assert_eq!(output.status, 200, "{output:?}");
        let received = Received::parse(&output.body);
        assert_eq!(received.target(), "/echo/new?a=%20&b=9&a=4");
        assert_eq!(received.values("x-added"), ["yes"]);
        assert!(received.values("x-removed").is_empty());
        assert_eq!(received.values("x-kept"), ["%00 \u{e9}"]);
        assert_eq!(received.values("cookie"), ["session=abc; theme=light"]);
        assert!(received.values("x-forwarded-host")[0].starts_with(EDGE_NAME));
        assert_eq!(received.values("x-forwarded-for"), ["127.0.0.1"]);
    }
    assert_eq!(calls(&server, "request", "continue"), 2);
    assert_eq!(server.metrics().get("bothways_viewer_function_seconds_count"), 2);
}

#[test]
fn a_function_sees_certificate_and_connection_and_never_the_clients_claims() {
    let origin = Origin::start();
    let code = handler(
        "const told = {};
         for (const name of Object.keys(request.headers)) {
             if (name.includes('cert')) { told[name] = request.headers[name].value; }
         }
         const { context, viewer } = event;
         return { statusCode: 200, body: JSON.stringify([told, context, viewer, cf.edgeLocation, request.method]) };",
    );
    let alice = Pki::shared().client("alice");
    for mode in ["required", "passthrough", "optional", "none"] {
        let server = edge(mode, &origin, &code, "");
        let curl = || {
            Curl::new(server.address(), EDGE_NAME)
                .header("CloudFront-Viewer-Cert-Subject: CN=forged")
                .header("CloudFront_Viewer_Cert_Present: forged")
                .header("Client-Cert: forged")
        };
        let bare = ["optional", "none"].contains(&mode);
        let curls = match bare {
            true => [curl(), curl().http2()],
            false => [curl().identity(&alice), curl().identity(&alice).http2()],
        };
        for curl in curls {
            let output = curl.get("/");
            let told: serde_json::Value = serde_json::from_slice(&output.body).unwrap();
            let expected = match mode {
                "none" => serde_json::json!({}),
                "optional" => serde_json::json!({ "cloudfront-viewer-cert-present": "0" }),
                _ => serde_json::json!({
                    "cloudfront-viewer-cert-serial-number": alice.serial_text(),
                    "cloudfront-viewer-cert-issuer": "CN=Partners Issuing CA,O=Bothways tests",
                    "cloudfront-viewer-cert-subject": "CN=alice,O=Partner",
                    "cloudfront-viewer-cert-present": "1",
                    "cloudfront-viewer-cert-sha256": alice.sha256(),
                }),
            };
            assert_eq!(told[0], expected, "{mode}");
            assert_eq!(told[1]["eventType"], "viewer-request");
            assert_eq!(told[1]["distributionDomainName"], EDGE_NAME);
            assert_eq!(told[2]["ip"], "127.0.0.1");
            assert_eq!(told[3]["serverIp"], "127.0.0.1");
            assert_eq!(told[4], "GET");
            let record = server.record_of(output.port);
            let request_id = told[1]["requestId"].as_str().unwrap();
            assert_eq!(
                Some(request_id),
                record.text("connectionId").map(|id| format!("{id}-1")).as_deref()
            );
        }
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn certificate_headers_reach_the_origin_by_policy_and_not_by_being_shown() {
    let origin = Origin::start();
    let distribution = Distribution::edge("required")
        .proxies_to(&origin.url())
        .request_headers(&["CloudFront-Viewer-Cert-Present", "CloudFront-Viewer-Cert-Sha256"]);
    let code = handler(
        "request.headers['x-subject'] = { value: request.headers['cloudfront-viewer-cert-subject'].value };
         delete request.headers['cloudfront-viewer-cert-sha256'];
         return request;",
    );
    let server = with_distribution(distribution, &code, "");
    for curl in curls(&server) {
        let received = Received::parse(&curl.get("/echo").body);
        assert_eq!(received.values("x-subject"), ["CN=alice,O=Partner"]);
        assert_eq!(received.values("cloudfront-viewer-cert-present"), ["1"]);
        for withheld in ["cloudfront-viewer-cert-subject", "cloudfront-viewer-cert-sha256"] {
            assert!(received.values(withheld).is_empty(), "{withheld}");
        }
    }
}

#[test]
fn certificate_headers_are_renamed_reformatted_and_combined() {
    let origin = Origin::start();
    let code = handler(
        "cf.mtls.renameClientCertHeaders({ 'CloudFront-Viewer-Cert-Serial-Number': 'X-Serial' });
         cf.mtls.renamePemHeaders({ 'CloudFront-Viewer-Cert-Pem': { newHeaderName: 'X-Pem', pemCertFormatInfo:
             { certHeader: '', certFooter: '', certEndMarker: '', keepNewlinesInCertData: false } } });
         cf.mtls.combinePemHeaders({ newHeaderName: 'X-All', pemCertFormatInfo:
             { certHeader: '<', certFooter: '>', certEndMarker: '|' } });
         return request;",
    );
    let alice = Pki::shared().client("alice");
    let base64 = |pem: &str| -> Vec<String> {
        pem.split_inclusive("-----END CERTIFICATE-----\n")
            .map(|one| one.lines().filter(|line| !line.starts_with('-')).collect())
            .collect()
    };
    let all: Vec<_> = base64(&alice.chain_pem())
        .iter()
        .map(|one| format!("<{one}>"))
        .collect();
    let serial = "CloudFront-Viewer-Cert-Serial-Number";
    for (mode, policy) in [
        ("required", &[serial, "CloudFront-Viewer-Cert-Pem"][..]),
        ("passthrough", &[serial, "Client-Cert", "Client-Cert-Chain"]),
    ] {
        let distribution = Distribution::edge(mode).proxies_to(&origin.url());
        let distribution = distribution.request_headers(policy);
        let server = with_distribution(distribution, &code, "");
        for curl in curls_of(&server, &alice) {
            let output = curl
                .header("X-Serial: forged")
                .header("X_Serial: forged")
                .header("X-All: forged")
                .get("/echo");
            let received = Received::parse(&output.body);
            assert_eq!(received.values("x-serial"), [alice.serial_text()], "{mode}");
            let pem = match mode {
                "required" => base64(&alice.leaf_pem()),
                _ => Vec::new(),
            };
            assert_eq!(received.values("x-pem"), pem, "{mode}");
            let expected = if mode == "passthrough" {
                vec![all.join("|")]
            } else {
                Vec::new()
            };
            assert_eq!(received.values("x-all"), expected, "{mode}");
            for old in [
                "cloudfront-viewer-cert-serial-number",
                "cloudfront-viewer-cert-pem",
                "client-cert",
                "client-cert-chain",
            ] {
                assert!(received.values(old).is_empty(), "{mode}: {old}");
            }
        }
    }
}

#[test]
fn a_function_answers_itself_and_no_further_function_sees_the_answer() {
    let origin = Origin::start();
    let code = handler(
        "if (request.uri === '/nothing') { return { statusCode: 204, body: 'never sent' }; }
         if (request.uri === '/text') { return { statusCode: 200, statusDescription: 'As You Like', body: 'h\u{e9}' }; }
         return { statusCode: 302, headers: { location: { value: 'https://example.com' + request.uri }, 'content-length': { value: '99' } },
             cookies: { a: { value: 'b', attributes: 'Secure; Path=/; Max-Age=3' }, c: { multiValue: [{ value: '1' }, { value: '2' }] } } };",
    );
    let server = edge("required", &origin, &code, &handler("throw new Error('asked');"));
    for (http2, curl) in [false, true].into_iter().zip(curls(&server)) {
        let output = curl.get("/a%20b");
        assert_eq!(
            (output.code, output.status, output.body.len()),
            (0, 302, 0),
            "{output:?}"
        );
        assert_eq!(output.header("location"), Some("https://example.com/a%20b"));
        assert_eq!(output.header("content-length"), Some("0"));
        assert_eq!(
            values(&output, "set-cookie"),
            ["a=b; Secure; Path=/; Max-Age=3", "c=1", "c=2"],
            "http2 {http2}"
        );
    }
    for (http2, curl) in [false, true].into_iter().zip(curls(&server)) {
        let output = curl.get("/text");
        assert_eq!((output.status, &*output.body), (200, "h\u{e9}".as_bytes()));
        let start_line = output.head.unwrap().start_line;
        assert!(http2 || start_line.ends_with("200 As You Like"), "{start_line}");
    }
    for curl in curls(&server) {
        let output = curl.get("/nothing");
        assert_eq!(
            (output.code, output.status, output.body.len()),
            (0, 204, 0),
            "{output:?}"
        );
        assert_eq!(output.header("content-length"), None);
    }
    for curl in curls(&server) {
        let output = curl.arguments(&["--head"]).get("/text");
        assert_eq!((output.code, output.status), (0, 200), "{output:?}");
        assert_eq!(output.header("content-length"), Some("3"), "what GET would have");
    }
    assert_eq!(origin.connections(), 0);
    assert_eq!(calls(&server, "request", "respond"), 8);
    assert_eq!(
        server
            .metrics()
            .sum("bothways_viewer_response_function_calls_total"),
        0
    );
}

#[test]
fn a_response_is_changed_on_its_way_back() {
    let origin = Origin::start();
    let code = handler(
        "delete response.headers['x-origin'];
         response.headers['strict-transport-security'] = { value: 'max-age=1' };
         response.headers['x-seen'] = { value: [request.method, request.uri, request.headers['x-one'].value, response.statusCode].join(' ') };
         response.cookies.a.attributes += '; HttpOnly';
         delete response.cookies.b;
         response.cookies.c = { value: '3' };
         return response;",
    );
    let request = handler("request.headers['x-one'] = { value: 'changed' }; return request;");
    let server = edge("required", &origin, &request, &code);
    for curl in curls(&server) {
        let output = curl.header("X-One: 1").get("/reply/200");
        assert_eq!(
            (output.status, &*output.body),
            (200, REPLY.as_bytes()),
            "{output:?}"
        );
        assert_eq!(output.header("x-origin"), None);
        assert_eq!(output.header("strict-transport-security"), Some("max-age=1"));
        assert_eq!(output.header("x-seen"), Some("GET /reply/200 changed 200"));
        assert_eq!(
            values(&output, "set-cookie"),
            ["a=1; Secure; Path=/; HttpOnly", "c=3"]
        );
        assert_eq!(output.header("content-length"), Some(&*REPLY.len().to_string()));
    }
    for curl in curls(&server) {
        let output = curl.get("/reply/404");
        assert_eq!(
            (output.status, output.header("x-origin")),
            (404, Some("yes")),
            "errors are not shown to functions"
        );
    }
    assert_eq!(calls(&server, "response", "continue"), 2);
}

#[test]
fn a_response_of_another_status_or_body_is_framed_anew() {
    let origin = Origin::start();
    let code = handler(
        "const [status, body] = request.querystring.to.value.split('-');
         response.statusCode = Number(status);
         if (body) { response.body = { encoding: 'base64', data: body }; }
         return response;",
    );
    let server = edge("required", &origin, "", &code);
    // Path, method, and what comes: status, length, body.
    type Case = (
        &'static str,
        &'static str,
        u16,
        Option<&'static str>,
        &'static [u8],
    );
    let length: &'static str = Box::leak(REPLY.len().to_string().into_boxed_str());
    let cases: [Case; 9] = [
        ("/reply/200?to=201", "GET", 201, Some(length), REPLY.as_bytes()),
        ("/reply/200?to=201", "HEAD", 201, Some(length), b""),
        ("/reply/200?to=204", "GET", 204, None, b""),
        ("/reply/200?to=304", "GET", 304, None, b""),
        ("/reply/304?to=200", "GET", 200, Some("0"), b""),
        ("/reply/204?to=200", "GET", 200, Some("0"), b""),
        ("/reply/200?to=200-aGk=", "GET", 200, Some("2"), b"hi"),
        ("/reply/200?to=200-aGk=", "HEAD", 200, Some("2"), b""),
        ("/reply/304?to=418-aGk=", "GET", 418, Some("2"), b"hi"),
    ];
    for (path, method, status, length, body) in cases {
        for curl in curls(&server) {
            let curl = if method == "HEAD" {
                curl.arguments(&["--head"])
            } else {
                curl
            };
            let output = curl.get(path);
            assert_eq!(
                (output.code, output.status),
                (0, status),
                "{method} {path}: {output:?}"
            );
            assert_eq!(
                values(&output, "content-length"),
                length.into_iter().collect::<Vec<_>>(),
                "{method} {path}"
            );
            if method == "GET" {
                assert_eq!(output.body, body, "{method} {path}");
            }
        }
    }
    // One connection through all of them: whoever got a length wrong loses the thread.
    let client = Client::with_identity(&Pki::shared().client("alice"));
    let mut connection = client.connect(server.address()).unwrap();
    for (path, method, status, ..) in cases.iter().filter(|case| case.1 == "GET") {
        let request = client.request(method, path, "");
        if [204, 304].contains(status) {
            continue;
        }
        assert_eq!(connection.exchange(&request).response().status, *status, "{path}");
    }
}

#[test]
fn fixed_responses_pass_through_functions_too() {
    let distribution = Distribution::edge("required").answers("ok\n");
    let request = handler("return request.uri === '/own' ? { statusCode: 200, body: 'own' } : request;");
    let response = handler("response.headers.x = { value: 'y' }; return response;");
    let server = with_distribution(distribution, &request, &response);
    for curl in curls(&server) {
        let output = curl.get("/");
        assert_eq!(
            (output.status, &*output.body, output.header("x")),
            (200, &b"ok\n"[..], Some("y"))
        );
    }
    for curl in curls(&server) {
        assert_eq!(curl.get("/own").body, b"own");
    }
}

#[test]
fn bodies_pass_functions_unread() {
    let origin = Origin::start();
    let server = edge(
        "required",
        &origin,
        &handler("request.headers.x = { value: 'y' }; return request;"),
        &handler("response.headers.x = { value: 'y' }; return response;"),
    );
    let body = bothways_tests::origin::pattern(3_000_000);
    let sum = bothways_tests::origin::Sum::of(&body).text();
    for curl in curls(&server) {
        assert_eq!(String::from_utf8_lossy(&curl.body(&body).get("/sum").body), sum);
    }
    for curl in curls(&server) {
        let output = curl.get("/chunked/3000000");
        assert!(
            output.body == body && output.header("x") == Some("y"),
            "{} octets",
            output.body.len()
        );
    }
}

#[test]
fn what_a_function_says_is_in_the_log_with_the_request() {
    let origin = Origin::start();
    let code = handler(
        "console.log('first\\nline'); cf.logCustomData('a b'); cf.logCustomData(request.uri + ' \u{e9}'); return request;",
    );
    let server = edge(
        "required",
        &origin,
        &code,
        &handler("cf.logCustomData('response'); return response;"),
    );
    let [curl, _] = curls(&server);
    let output = curl.get("/echo");
    let record = server.record_of(output.port);
    let request_id = format!("{}-1", record.text("connectionId").unwrap());
    for (text, function) in [
        ("%2Fecho%20%C3%A9", "viewer_request"),
        ("\"response\"", "viewer_response"),
        ("first\\nline", "viewer_request"),
    ] {
        let line = server.wait_for_log(text);
        assert!(line.contains(&request_id) && line.contains(function), "{line}");
    }
}
