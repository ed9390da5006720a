//! Passing requests on to an origin.

use bothways_tests::config::EDGE_NAME;
use bothways_tests::curl::Curl;
use bothways_tests::origin::{Origin, Received, Sum, nobody, pattern};
use bothways_tests::{Client, Config, Distribution, Server};

const LARGE: usize = 5_000_000;

fn proxy_to(url: &str) -> Server {
    Server::start(config(url))
}

fn config(url: &str) -> Config {
    let distribution = Distribution::edge("none").proxies_to(url);
    Config::new().distribution(
        distribution
            .origin_setting("origin_read_timeout = 1")
            .origin_setting("connection_attempts = 1"),
    )
}

#[test]
fn method_target_and_headers_reach_the_origin() {
    let origin = Origin::start();
    let server = proxy_to(&origin.url());
    let client = Client::new();
    let headers = "X-One: 1\r\nx-one: 2\r\nCookie: a=b\r\nConnection: close\r\n";
    let attempt = client.send(
        server.address(),
        &client.request("PUT", "/a/../b%20c?d=e&f", headers),
    );
    let received = Received::parse(&attempt.outcome.response().body);
    assert_eq!(
        (received.method(), received.target()),
        ("PUT", "/a/../b%20c?d=e&f")
    );
    assert_eq!(received.values("x-one"), ["1", "2"]);
    assert_eq!(received.values("cookie"), ["a=b"]);
    assert!(
        !received.values("connection").contains(&"close"),
        "hop-by-hop: {:?}",
        received.headers()
    );
}

#[test]
fn large_bodies_stream_both_ways_over_both_http_versions() {
    let origin = Origin::start();
    let server = proxy_to(&origin.url());
    for http2 in [false, true] {
        let curl = || {
            let curl = Curl::new(server.address(), EDGE_NAME);
            if http2 { curl.http2() } else { curl }
        };
        for path in [format!("/bytes/{LARGE}"), format!("/chunked/{LARGE}")] {
            let down = curl().get(&path);
            assert_eq!(
                (down.code, down.status),
                (0, 200),
                "http2 {http2}: {}",
                down.stderr
            );
            assert!(
                down.body == pattern(LARGE),
                "http2 {http2}, {path}: {} octets differ",
                down.body.len()
            );
        }
        let up = curl().body(&pattern(LARGE)).get("/sum");
        assert_eq!(
            String::from_utf8_lossy(&up.body),
            Sum::of(&pattern(LARGE)).text(),
            "http2 {http2}"
        );
        let chunked = curl().header("Transfer-Encoding: chunked").body(&pattern(LARGE));
        let chunked = if http2 {
            curl().body(&pattern(LARGE))
        } else {
            chunked
        };
        assert_eq!(
            String::from_utf8_lossy(&chunked.get("/sum").body),
            Sum::of(&pattern(LARGE)).text()
        );
    }
    let counted: u64 = (0..8)
        .map(|_| server.next_record().number("bytesOut").unwrap())
        .sum();
    assert!(counted > 4 * LARGE as u64, "bytesOut counts {counted}");
}

#[test]
fn large_bodies_stream_with_the_epoll_driver() {
    let origin = Origin::start();
    let server = Server::start(config(&origin.url()).driver("epoll"));
    let down = Curl::new(server.address(), EDGE_NAME)
        .http2()
        .get(&format!("/bytes/{LARGE}"));
    assert!(down.body == pattern(LARGE), "{} octets", down.body.len());
    let up = Curl::new(server.address(), EDGE_NAME)
        .body(&pattern(LARGE))
        .get("/sum");
    assert_eq!(String::from_utf8_lossy(&up.body), Sum::of(&pattern(LARGE)).text());
}

/// The status of one request over each HTTP version, and that the connection was a good one all the same.
fn gateway_error(server: &Server, path: &str, status: u16) {
    for http2 in [false, true] {
        let curl = Curl::new(server.address(), EDGE_NAME);
        let output = if http2 { curl.http2() } else { curl }.get(path);
        assert_eq!((output.code, output.status), (0, status), "{output:?}");
        assert!((1..200).contains(&output.body.len()), "a short body: {output:?}");
        assert_eq!(server.record_of(output.port).status(), "Success");
    }
    assert_eq!(server.metrics().requests("5xx"), 2);
}

#[test]
fn an_origin_that_refuses_gives_502() {
    gateway_error(&proxy_to(&nobody()), "/", 502);
}

#[test]
fn an_origin_that_speaks_no_http_gives_502() {
    gateway_error(&proxy_to(&Origin::start().url()), "/garbage", 502);
}

#[test]
fn an_origin_that_stalls_gives_504() {
    gateway_error(&proxy_to(&Origin::start().url()), "/stall", 504);
}

#[test]
fn a_response_that_breaks_off_is_not_passed_on_as_a_whole_one() {
    let origin = Origin::start();
    let server = proxy_to(&origin.url());
    for http2 in [false, true] {
        let curl = Curl::new(server.address(), EDGE_NAME);
        let output = if http2 { curl.http2() } else { curl }.get("/cut");
        assert!(output.code != 0 || output.status == 502, "{output:?}");
    }
    assert!(
        Client::new().get(server.address()).outcome.is_ok(),
        "the server goes on"
    );
}

#[test]
fn one_origin_connection_serves_many_requests() {
    let origin = Origin::start();
    let server = proxy_to(&origin.url());
    let client = Client::new();
    for _ in 0..2 {
        let mut connection = client.connect(server.address()).unwrap();
        for _ in 0..5 {
            assert!(connection.exchange(&client.request("GET", "/", "")).is_ok());
        }
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_origin_connection_that_was_closed_is_replaced() {
    let origin = Origin::start();
    let server = proxy_to(&origin.url());
    let client = Client::new();
    let mut connection = client.connect(server.address()).unwrap();
    for _ in 0..3 {
        let outcome = connection.exchange(&client.request("GET", "/close", ""));
        assert_eq!(outcome.response().text(), "bye\n");
    }
    assert_eq!(origin.connections(), 3);
}
