//! An answer of the edge's own to a request with a body arrives, whoever the client and however large the
//! body.

use bothways_tests::config::EDGE_NAME;
use bothways_tests::curl::Curl;
use bothways_tests::http2_streams::{End, Http2, NO_ERROR};
use bothways_tests::origin::{Origin, nobody, pattern};
use bothways_tests::scripted::Scripted;
use bothways_tests::tls_client::Ending;
use bothways_tests::{Client, Config, Distribution, Pki, Server};

use crate::viewer_functions::{edge, handler};

const SIZES: [usize; 4] = [10_000, 300_000, 1_000_000, 20_000_000];

/// A server, the host that it is asked for, and the status of its answer.
struct Case {
    server: Server,
    host: &'static str,
    status: u16,
    _origin: Option<Scripted>,
}

fn cases() -> Vec<Case> {
    let case = |server, host, status| Case {
        server,
        host,
        status,
        _origin: None,
    };
    let proxies_to = |url: &str| {
        let distribution = Distribution::edge("none")
            .proxies_to(url)
            .origin_setting("connection_attempts = 1");
        Server::start(Config::new().distribution(distribution))
    };
    // Answers at once, keeps the connection open, and never reads what comes behind the head.
    let early = Scripted::start(|visit| {
        visit.head()?;
        visit.say("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno\n")?;
        loop {
            std::thread::park();
        }
    });
    let refuses = handler("return { statusCode: 403, body: 'no' };");
    let guarded = Distribution::new("E2GUARDED", &["guarded.example.com"], "none");
    let two = Config::edge("none").distribution(guarded.answers("no\n"));
    vec![
        case(Server::start(Config::edge("none")), EDGE_NAME, 200),
        case(proxies_to(&nobody()), EDGE_NAME, 502),
        case(Server::start(two), "guarded.example.com", 421),
        case(edge("none", &Origin::start(), &refuses, ""), EDGE_NAME, 403),
        Case {
            server: proxies_to(&early.url()),
            host: EDGE_NAME,
            status: 413,
            _origin: Some(early),
        },
    ]
}

#[test]
fn a_client_that_sends_all_before_it_reads_gets_the_answer_and_keeps_the_connection() {
    for case in cases() {
        let client = Client::new();
        let mut connection = client.connect(case.server.address()).unwrap();
        for size in SIZES {
            for framing in [
                format!("Content-Length: {size}\r\n"),
                "Transfer-Encoding: chunked\r\n".into(),
            ] {
                let head = format!("POST / HTTP/1.1\r\nHost: {}\r\n{framing}\r\n", case.host);
                connection.write(head).unwrap();
                match framing.starts_with("Content") {
                    true => connection.write(pattern(size)).unwrap(),
                    false => {
                        connection.write(format!("{size:x}\r\n")).unwrap();
                        connection.write(pattern(size)).unwrap();
                        connection.write("\r\n0\r\n\r\n").unwrap();
                    }
                }
                let response = connection.read_response().unwrap();
                assert_eq!(response.status, case.status, "{size} octets, {framing}");
                assert_eq!(response.header("connection"), None, "{size} octets, {framing}");
            }
        }
        connection.close();
        let record = case.server.record_of(connection.port);
        assert_eq!(record.number("requests"), Some(2 * SIZES.len() as u64));
        assert_eq!(record.status(), "Success");
    }
}

#[test]
fn curl_gets_the_answer_over_both_http_versions() {
    for case in cases() {
        let host = format!("Host: {}", case.host);
        for size in SIZES {
            for http2 in [false, true] {
                for turn in 0..3 {
                    let curl = Curl::new(case.server.address(), EDGE_NAME);
                    let curl = if http2 { curl.http2() } else { curl };
                    let output = curl.header(&host).body(&pattern(size)).get("/");
                    assert_eq!(
                        (output.code, output.status),
                        (0, case.status),
                        "http2 {http2}, {size} octets, turn {turn}: {}",
                        output.stderr
                    );
                    if size > 1_000_000 {
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn over_http_2_the_rest_of_the_body_is_read_and_the_stream_ends_in_order() {
    for case in cases().into_iter().filter(|case| case.host == EDGE_NAME) {
        let mut http2 = Http2::connect(Client::new(), case.server.address(), 65_535);
        for size in SIZES {
            let stream = http2.ask("POST", "/", false);
            assert!(
                http2.send_body(stream, &pattern(size), true),
                "{size} octets: stream reset"
            );
            let answer = http2.answer(stream);
            assert_eq!(
                (answer.status, answer.end),
                (case.status, End::Whole),
                "{size} octets"
            );
        }
        // No RST_STREAM comes behind the answers either: the next stream's is the next that is heard of.
        let next = http2.get("/");
        assert_eq!(http2.answer(next).end, End::Whole);
    }
}

#[test]
fn over_http_2_a_body_beyond_the_bounds_ends_with_no_error_behind_the_answer() {
    for (limit, value) in [
        ("lingering_bytes_max", 100_000),
        ("lingering_timeout_ms", 300),
        ("lingering_time_ms", 300),
    ] {
        let server = Server::start(Config::edge("none").limit(limit, value));
        let mut http2 = Http2::connect(Client::new(), server.address(), 65_535);
        let stream = http2.ask("POST", "/", false);
        let size = if limit == "lingering_bytes_max" {
            400_000
        } else {
            1_000
        };
        http2.send_body(stream, &pattern(size), false);
        let answer = http2.answer(stream);
        assert_eq!((answer.status, answer.end), (200, End::Whole), "{limit}");
        let reset = http2.wait_for(bothways_tests::http2_streams::RST_STREAM, stream);
        assert_eq!(reset.map(|frame| frame.code()), Some(NO_ERROR), "{limit}");
        let next = http2.get("/");
        assert_eq!(http2.answer(next).status, 200, "{limit}: the connection goes on");
    }
}

#[test]
fn over_http_1_a_body_beyond_the_bounds_costs_the_connection_but_not_the_answer() {
    for (limit, value) in [
        ("lingering_bytes_max", 100_000),
        // Time enough to send what comes first.
        ("lingering_timeout_ms", 3_000),
        ("lingering_time_ms", 3_000),
    ] {
        for driver in ["auto", "epoll"] {
            let server = Server::start(Config::edge("none").limit(limit, value).driver(driver));
            let client = Client::new();
            let mut connection = client.connect(server.address()).unwrap();
            connection
                .write(client.request("POST", "/", "Content-Length: 1000000\r\n"))
                .unwrap();
            connection.write(pattern(900_000)).unwrap();
            assert_eq!(connection.read_response().unwrap().status, 200, "{limit}");
            assert_eq!(connection.wait_for_close(), Ending::Eof, "{limit}");
            let record = server.record_of(connection.port);
            assert_eq!(record.number("requests"), Some(1), "{limit}");
        }
    }
}

#[test]
fn a_client_that_waits_for_100_gets_the_answer_and_a_close() {
    let refuses = handler("return { statusCode: 403, body: 'no' };");
    for (server, status) in [
        (Server::start(Config::edge("none")), 200),
        (edge("none", &Origin::start(), &refuses, ""), 403),
    ] {
        let client = Client::new();
        for sends_all_the_same in [false, true] {
            let headers = "Content-Length: 1000000\r\nExpect: 100-Continue\r\n";
            let mut connection = client.connect(server.address()).unwrap();
            connection.write(client.request("POST", "/", headers)).unwrap();
            if sends_all_the_same {
                connection.write(pattern(1_000_000)).unwrap();
            }
            let response = connection.read_response().unwrap();
            assert_eq!(response.status, status);
            assert_eq!(response.header("connection"), Some("close"));
            assert_eq!(connection.wait_for_close(), Ending::Eof);
        }
    }
}

#[test]
fn a_client_that_waits_for_100_gets_it_from_an_origin_that_reads() {
    let origin = Origin::start();
    let distribution = Distribution::edge("none").proxies_to(&origin.url());
    let server = Server::start(Config::new().distribution(distribution));
    let client = Client::new();
    let mut connection = client.connect(server.address()).unwrap();
    let headers = "Content-Length: 3\r\nExpect: 100-continue\r\n";
    connection.write(client.request("POST", "/sum", headers)).unwrap();
    assert_eq!(connection.read_response().unwrap().status, 100);
    connection.write("abc").unwrap();
    assert_eq!(connection.read_response().unwrap().status, 200);
}

#[test]
fn a_refused_head_is_answered_while_its_client_still_sends() {
    let server = Server::start(Config::edge("none"));
    for _ in 0..5 {
        let client = Client::new();
        let mut connection = client.connect(server.address()).unwrap();
        let headers = format!("X-Large: {}\r\n", "x".repeat(2_000_000));
        connection.write(client.request("GET", "/", &headers)).unwrap();
        assert_eq!(connection.read_response().unwrap().status, 431);
    }
}

#[test]
fn a_redirect_of_a_request_with_a_body_arrives() {
    let server = Server::start(
        Config::new()
            .distribution(Distribution::edge("none").redirects())
            .listener("http"),
    );
    for size in SIZES {
        let address = server.listener(1);
        let output = Curl::new(address, EDGE_NAME)
            .body(&pattern(size))
            .arguments(&["--limit-rate", "200M"])
            .get_plain("/");
        assert_eq!(
            (output.code, output.status),
            (0, 307),
            "{size}: {}",
            output.stderr
        );
    }
}

#[test]
fn a_client_with_a_certificate_gets_its_answer_too() {
    let server = Server::start(Config::edge("required"));
    let client = Client::with_identity(&Pki::shared().client("alice"));
    let mut connection = client.connect(server.address()).unwrap();
    let head = client.request("POST", "/", "Content-Length: 1000000\r\n");
    for _ in 0..3 {
        connection.write(&head).unwrap();
        connection.write(pattern(1_000_000)).unwrap();
        assert_eq!(connection.read_response().unwrap().status, 200);
    }
}
