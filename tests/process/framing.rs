//! Ends of bodies: what is sent on says once and truly where a body ends, in both directions and over both
//! HTTP versions.

use bothways_tests::config::EDGE_NAME;
use bothways_tests::curl::{Curl, Output};
use bothways_tests::http1::Head;
use bothways_tests::http2::{PROTOCOL_ERROR, StreamEnd, ask, pseudo};
use bothways_tests::scripted_origin::ScriptedOrigin;
use bothways_tests::{Client, Config, Distribution, Server};

fn proxy(origin: &ScriptedOrigin) -> Server {
    let distribution = Distribution::edge("none").proxies_to(&origin.url());
    Server::start(Config::new().distribution(distribution))
}

/// Response of an origin, and the status, body and Content-Length that a client gets.
struct Case {
    says: &'static str,
    status: u16,
    body: &'static str,
    length: Option<&'static str>,
}

const fn case(says: &'static str, status: u16, body: &'static str, length: Option<&'static str>) -> Case {
    Case {
        says,
        status,
        body,
        length,
    }
}

const HELLO: &str = "\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
const UNUSABLE: &str = "502 Bad Gateway: the origin gave no usable response\n";

const RESPONSES: [Case; 21] = [
    case(
        "200 OK\r\nContent-Length: 5\r\n\r\nhello",
        200,
        "hello",
        Some("5"),
    ),
    case("200 OK\r\nTransfer-Encoding: chunked{HELLO}", 200, "hello", None),
    case("200 OK\r\nConnection: close\r\n\r\nhello", 200, "hello", None),
    // Both: the coding counts, whatever the length and whichever comes first.
    case(
        "200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked{HELLO}",
        200,
        "hello",
        None,
    ),
    case(
        "200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 10{HELLO}",
        200,
        "hello",
        None,
    ),
    case(
        "200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: CHUNKED{HELLO}",
        200,
        "hello",
        None,
    ),
    case(
        "200 OK\r\nContent-Length: x\r\nTransfer-Encoding: chunked{HELLO}",
        200,
        "hello",
        None,
    ),
    // A length that is told twice.
    case(
        "200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        200,
        "hello",
        Some("5"),
    ),
    case(
        "200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        200,
        "hello",
        Some("5"),
    ),
    case(
        "200 OK\r\nContent-Length: 05\r\n\r\nhello",
        200,
        "hello",
        Some("5"),
    ),
    case(
        "200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello!",
        502,
        UNUSABLE,
        Some("52"),
    ),
    case(
        "200 OK\r\nContent-Length: 5, 6\r\nConnection: close\r\n\r\nhello!",
        502,
        UNUSABLE,
        Some("52"),
    ),
    case(
        "200 OK\r\nContent-Length: -5\r\nConnection: close\r\n\r\nhello",
        502,
        UNUSABLE,
        Some("52"),
    ),
    // Codings that nobody has undone.
    case(
        "200 OK\r\nTransfer-Encoding: gzip, chunked{HELLO}",
        502,
        UNUSABLE,
        Some("52"),
    ),
    case(
        "200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked{HELLO}",
        502,
        UNUSABLE,
        Some("52"),
    ),
    case(
        "200 OK\r\nTransfer-Encoding: chunked, chunked{HELLO}",
        502,
        UNUSABLE,
        Some("52"),
    ),
    case(
        "200 OK\r\nTransfer-Encoding: identity, chunked{HELLO}",
        502,
        UNUSABLE,
        Some("52"),
    ),
    case(
        "200 OK\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\r\nhello",
        502,
        UNUSABLE,
        Some("52"),
    ),
    // No body, so no length.
    case("204 No Content\r\nContent-Length: 5\r\n\r\n", 204, "", None),
    case(
        "204 No Content\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        204,
        "",
        None,
    ),
    case(
        "204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        204,
        "",
        None,
    ),
];

/// Answers `/N` as the case of that number says.
fn scripted(head: &Head) -> Vec<u8> {
    let number: usize = head.start_line.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
    format!("HTTP/1.1 {}", RESPONSES[number].says.replace("{HELLO}", HELLO)).into_bytes()
}

fn get(server: &Server, http2: bool, path: &str) -> Output {
    let curl = Curl::new(server.address(), EDGE_NAME);
    if http2 { curl.http2() } else { curl }.get(path)
}

#[test]
fn a_response_reaches_the_client_whole_with_its_one_length_or_not_at_all() {
    let origin = ScriptedOrigin::start(scripted);
    let server = proxy(&origin);
    for (number, case) in RESPONSES.iter().enumerate() {
        for http2 in [false, true] {
            let output = get(&server, http2, &format!("/{number}"));
            let what = format!("http2 {http2}, {:?}: {output:?}", case.says);
            assert_eq!((output.code, output.status), (0, case.status), "{what}");
            assert_eq!(String::from_utf8_lossy(&output.body), case.body, "{what}");
            assert_eq!(output.header("content-length"), case.length, "{what}");
        }
    }
    assert!(
        server
            .wait_for_log("no response from the origin")
            .contains("bad response")
    );
    let refused = RESPONSES.iter().filter(|case| case.status == 502).count() as u64;
    assert_eq!(server.metrics().requests("5xx"), 2 * refused);
}

#[test]
fn a_head_response_keeps_the_length_that_get_would_have() {
    let origin = ScriptedOrigin::start(|head| {
        let fields = match head.start_line.split(' ').nth(1).unwrap() {
            "/length" => "Content-Length: 5",
            "/twice" => "Content-Length: 5\r\nContent-Length: 5",
            "/both" => "Content-Length: 5\r\nTransfer-Encoding: chunked",
            _ => "Content-Length: 5\r\nContent-Length: 6",
        };
        format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n").into_bytes()
    });
    let server = proxy(&origin);
    for (path, status, length) in [
        ("/length", 200, Some("5")),
        ("/twice", 200, Some("5")),
        ("/both", 200, None),
        ("/differs", 502, Some("52")),
    ] {
        for http2 in [false, true] {
            let curl = Curl::new(server.address(), EDGE_NAME).arguments(&["--head"]);
            let output = if http2 { curl.http2() } else { curl }.get(path);
            assert_eq!(
                (output.code, output.status),
                (0, status),
                "http2 {http2}, {path}: {output:?}"
            );
            assert_eq!(output.header("content-length"), length, "http2 {http2}, {path}");
        }
    }
}

#[test]
fn an_unmodified_response_is_whole_though_it_tells_a_length() {
    let origin = ScriptedOrigin::start(|_| {
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n".to_vec()
    });
    let server = proxy(&origin);
    for http2 in [false, true] {
        let output = get(&server, http2, "/");
        assert_eq!(
            (output.code, output.status, output.body.len()),
            (0, 304, 0),
            "{output:?}"
        );
    }
}

#[test]
fn fields_that_http_2_forbids_end_here_also_in_trailers() {
    let origin = ScriptedOrigin::start(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Keep-Alive\r\nKeep-Alive: timeout=5\r\n\
          Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nX-Kept: 1\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\
          Keep-Alive: timeout=5\r\nConnection: close\r\nContent-Length: 9\r\nTransfer-Encoding: gzip\r\n\r\n"
            .to_vec()
    });
    let server = proxy(&origin);
    for http2 in [false, true] {
        let output = get(&server, http2, "/");
        assert_eq!(
            (output.code, &*output.body),
            (0, &b"hello"[..]),
            "http2 {http2}: {output:?}"
        );
        assert_eq!(output.header("x-kept"), Some("1"));
        for name in ["keep-alive", "proxy-connection", "upgrade", "trailer"] {
            assert_eq!(output.header(name), None, "{name}");
        }
    }
}

const REFUSED: &str = "bothways_requests_refused_total{reason=\"framing\"}";

#[test]
fn a_request_with_another_transfer_coding_is_refused_and_its_connection_ends() {
    let origin = ScriptedOrigin::start(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec());
    let fixed = Server::start(Config::edge("none"));
    for (server, to_the_origin) in [(&proxy(&origin), true), (&fixed, false)] {
        let client = Client::new();
        let mut refused = 0;
        for (coding, status) in [
            ("gzip, chunked", 501),
            ("identity, chunked", 501),
            ("gzip\r\nTransfer-Encoding: chunked", 501),
            ("chunked, chunked", 400),
            ("chunked\r\nTransfer-Encoding: chunked", 400),
            // Not chunked in the end, which hyper refuses.
            ("gzip", 400),
            ("chunked, gzip", 400),
            ("chunked;q=1", 400),
        ] {
            let head = client.request("POST", "/", &format!("Transfer-Encoding: {coding}\r\n"));
            let attempt = client.send(server.address(), &format!("{head}3\r\nabc\r\n0\r\n\r\n"));
            assert_eq!(attempt.outcome.response().status, status, "{coding}");
            refused += u64::from(coding.ends_with("chunked"));
        }
        assert_eq!(
            server.metrics().get(REFUSED),
            refused,
            "to an origin: {to_the_origin}"
        );
    }
    assert_eq!(origin.requests().len(), 0, "nothing reached the origin");
}

#[test]
fn a_request_with_both_framings_reaches_the_origin_with_one() {
    let origin = ScriptedOrigin::start(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec());
    let server = proxy(&origin);
    let client = Client::new();
    for fields in [
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 99\r\n",
    ] {
        let head = client.request("POST", "/", &format!("{fields}Connection: close\r\n"));
        let attempt = client.send(server.address(), &format!("{head}3\r\nabc\r\n0\r\n\r\n"));
        assert_eq!(attempt.outcome.response().status, 200);
        let seen = origin.last();
        assert_eq!(seen.values("content-length"), [""; 0], "{fields}");
        assert_eq!(
            (seen.values("transfer-encoding"), &*seen.body),
            (vec!["chunked"], &b"abc"[..])
        );
    }
    for fields in [
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: 1, 1\r\n",
        "Content-Length: 18446744073709551616\r\n",
    ] {
        let attempt = client.send(server.address(), &client.request("POST", "/", fields));
        assert_eq!(attempt.outcome.response().status, 400, "{fields}");
    }
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_body_of_unknown_length_goes_on_with_any_method() {
    let origin = ScriptedOrigin::start(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec());
    let server = proxy(&origin);
    let client = Client::new();
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "QUERY"] {
        let chunked = client.request(method, "/", "Transfer-Encoding: chunked\r\nConnection: close\r\n");
        let mut connection = client.connect(server.address()).unwrap();
        connection
            .write(format!("{chunked}5\r\nquery\r\n0\r\n\r\n"))
            .unwrap();
        assert_eq!(connection.read_response().unwrap().status, 200, "{method}");
        assert_eq!(origin.last().body, b"query", "{method}, HTTP/1.1");
        let end = ask(
            &client,
            server.address(),
            &pseudo(method, EDGE_NAME, "/"),
            Some(b"query"),
        );
        assert_eq!(end, StreamEnd::Response { status: 200, body: 0 }, "{method}");
        let seen = origin.last();
        assert_eq!(
            (seen.values("transfer-encoding"), &*seen.body),
            (vec!["chunked"], &b"query"[..]),
            "{method}"
        );
        let known = [pseudo(method, EDGE_NAME, "/"), vec![("content-length", "5")]].concat();
        ask(&client, server.address(), &known, Some(b"query"));
        let seen = origin.last();
        assert_eq!(
            (seen.values("content-length"), &*seen.body),
            (vec!["5"], &b"query"[..]),
            "{method}"
        );
    }
    assert_eq!(origin.requests().len(), 18);
}

#[test]
fn a_malformed_http_2_request_reaches_nobody() {
    let origin = ScriptedOrigin::start(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec());
    let server = proxy(&origin);
    let client = Client::new();
    for field in [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("X-Upper", "1"),
        ("content-length", "4"),
        ("content-length", "6"),
        ("content-length", "x"),
    ] {
        let fields = [pseudo("POST", EDGE_NAME, "/"), vec![field]].concat();
        let end = ask(&client, server.address(), &fields, Some(b"hello"));
        assert_eq!(end, StreamEnd::Error(PROTOCOL_ERROR), "{field:?}");
    }
    for field in [("content-length", "5"), ("host", "other.example.com")] {
        let fields = [pseudo("GET", EDGE_NAME, "/"), vec![field]].concat();
        let end = ask(&client, server.address(), &fields, None);
        assert_ne!(end, StreamEnd::Response { status: 200, body: 0 }, "{field:?}");
    }
    assert!(
        origin.requests().iter().all(|request| request.body != b"hello"),
        "{:?}",
        origin.requests()
    );
    let good = [
        pseudo("GET", EDGE_NAME, "/"),
        vec![("te", "trailers"), ("host", EDGE_NAME)],
    ]
    .concat();
    let end = ask(&client, server.address(), &good, None);
    assert_eq!(end, StreamEnd::Response { status: 200, body: 0 });
    assert_eq!(
        (origin.last().values("te"), origin.last().values("host")),
        (vec![], vec![EDGE_NAME])
    );
}

#[test]
fn cookies_reach_the_origin_in_one_line_over_both_http_versions() {
    let origin = ScriptedOrigin::start(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec());
    let server = proxy(&origin);
    let client = Client::new();
    let cookies = [
        ("cookie", "a=1"),
        ("x-between", "1"),
        ("cookie", "session=2; b=3"),
        ("cookie", "a=4"),
    ];
    ask(
        &client,
        server.address(),
        &[pseudo("GET", EDGE_NAME, "/"), cookies.to_vec()].concat(),
        None,
    );
    assert_eq!(origin.last().values("cookie"), ["a=1; session=2; b=3; a=4"]);
    let request = client.request(
        "GET",
        "/",
        "Cookie: a=1\r\nCookie: session=2\r\nConnection: close\r\n",
    );
    client.send(server.address(), &request).outcome.response();
    assert_eq!(origin.last().values("cookie"), ["a=1; session=2"]);
}

#[test]
fn http_1_0_names_its_host_and_via_says_the_version_of_each_side() {
    let origin = ScriptedOrigin::start(|head| {
        let version = if head.start_line.contains("/old") {
            "1.0"
        } else {
            "1.1"
        };
        format!("HTTP/{version} 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").into_bytes()
    });
    let server = proxy(&origin);
    let client = Client::new();
    let send = |request: &str| client.send(server.address(), request).outcome.response().clone();
    assert_eq!(send("GET / HTTP/1.0\r\n\r\n").status, 400);
    assert_eq!(send("GET / HTTP/1.0\r\nHost:\r\n\r\n").status, 400);
    assert_eq!(origin.requests().len(), 0, "never an empty host");
    let response = send(&format!("GET /old HTTP/1.0\r\nHost: {EDGE_NAME}\r\n\r\n"));
    assert_eq!(
        (response.status, response.header("via")),
        (200, Some("1.0 bothways"))
    );
    let seen = origin.last();
    assert_eq!(
        (seen.values("via"), seen.values("host")),
        (vec!["1.0 bothways"], vec![EDGE_NAME])
    );
    assert!(seen.head.start_line.ends_with("HTTP/1.1"), "{:?}", seen.head);
    let output = get(&server, true, "/");
    assert_eq!(output.header("via"), Some("1.1 bothways"));
    assert_eq!(origin.last().values("via"), ["2.0 bothways"]);
}
