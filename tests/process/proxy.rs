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
    Config::new().distribution(distribution(url))
}

fn distribution(url: &str) -> Distribution {
    Distribution::edge("none")
        .proxies_to(url)
        .origin_setting("connection_attempts = 1")
}

/// With the least patience that there is, for what an origin that stands still comes to, and in nothing else:
/// a busy machine may stand still, too.
fn impatient(url: &str, seconds: u64) -> Server {
    let distribution = distribution(url).origin_setting(&format!("origin_read_timeout = {seconds}"));
    Server::start(Config::new().distribution(distribution))
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
    gateway_error(&impatient(&Origin::start().url(), 1), "/stall", 504);
}

/// Over HTTP/2 the wait for a kept connection begins in the poll of the client's connection, and goes on in a
/// task of its own.
#[test]
fn an_origin_that_stalls_on_a_kept_connection_gives_504_over_both_http_versions() {
    for http2 in [false, true] {
        let origin = Origin::start();
        let server = proxy_to(&origin.url());
        let ask = |path: &str| {
            let curl = Curl::new(server.address(), EDGE_NAME);
            if http2 { curl.http2() } else { curl }.get(path)
        };
        assert_eq!(ask("/").status, 200);
        let output = ask("/stall");
        assert_eq!((output.code, output.status), (0, 504), "{output:?}");
        assert_eq!(origin.connections(), 1, "the kept one");
        assert_eq!(server.record_of(output.port).status(), "Success");
        assert_eq!(server.metrics().requests("5xx"), 1);
    }
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

/// curl over each HTTP version.
fn curls(server: &Server) -> [Curl; 2] {
    let curl = || Curl::new(server.address(), EDGE_NAME);
    [curl(), curl().http2()]
}

#[test]
fn head_gets_the_length_and_no_body_over_both_http_versions() {
    let refusing = proxy_to(&nobody());
    let fixed = Server::start(Config::edge("none"));
    for (server, status, length) in [(&fixed, 200, "3"), (&refusing, 502, "52")] {
        for curl in curls(server) {
            let output = curl.arguments(&["--head"]).get("/");
            assert_eq!((output.code, output.status), (0, status), "{output:?}");
            assert_eq!(output.header("content-length"), Some(length), "{output:?}");
        }
    }
}

/// Leaves `count` connections to the origin behind, all of them idle.
fn fill_the_pool(server: &Server, origin: &Origin, count: usize) {
    let client = Client::new();
    let connect = || client.connect(server.address()).unwrap();
    let mut waiting: Vec<_> = std::iter::repeat_with(connect).take(count).collect();
    for connection in &mut waiting {
        connection.write(client.request("GET", "/gate", "")).unwrap();
    }
    origin.wait_for_request("/gate", count);
    origin.open_gate();
    for mut connection in waiting {
        assert_eq!(connection.read_response().unwrap().status, 200);
    }
    assert_eq!(origin.connections(), count);
}

#[test]
fn a_request_is_sent_again_once_and_over_a_new_connection() {
    let origin = Origin::start();
    let server = proxy_to(&origin.url());
    fill_the_pool(&server, &origin, 4);
    let attempt = Client::new().send(
        server.address(),
        &Client::new().request("GET", "/drop", "Connection: close\r\n"),
    );
    assert_eq!(attempt.outcome.response().status, 502);
    assert_eq!((origin.requests_for("/drop"), origin.connections()), (2, 5));
}

#[test]
fn a_request_is_not_sent_again_after_an_answer_or_with_a_method_that_acts() {
    let origin = Origin::start();
    let server = proxy_to(&origin.url());
    fill_the_pool(&server, &origin, 4);
    let client = Client::new();
    for (method, path) in [("GET", "/garbage"), ("POST", "/drop")] {
        let request = client.request(method, path, "Content-Length: 0\r\nConnection: close\r\n");
        let attempt = client.send(server.address(), &request);
        assert_eq!(attempt.outcome.response().status, 502, "{method} {path}");
        assert_eq!(origin.requests_for(path), 1, "{method} {path}");
    }
}

#[test]
fn beyond_the_limit_of_origin_connections_the_answer_is_503() {
    let origin = Origin::start();
    let server = Server::start(
        config(&origin.url())
            .limit("origin_connections_per_core", 1)
            .limit("origin_requests_per_client", 2),
    );
    let client = Client::new();
    let mut first = client.connect(server.address()).unwrap();
    first.write(client.request("GET", "/gate", "")).unwrap();
    origin.wait_for_request("/gate", 1);
    let mut second = client.connect(server.address()).unwrap();
    let refused = second.exchange(&client.request("GET", "/", ""));
    assert_eq!(refused.response().status, 503);
    assert!(refused.response().body.len() < 200, "{refused:?}");
    assert_eq!(server.metrics().requests("5xx"), 1);

    origin.open_gate();
    assert_eq!(first.read_response().unwrap().status, 200);
    let served = second.exchange(&client.request("GET", "/", ""));
    assert_eq!(served.response().status, 200, "there is room again");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_origin_that_stalls_within_a_body_is_cut_off() {
    let origin = Origin::start();
    let server = impatient(&origin.url(), 1);
    for curl in curls(&server) {
        let output = curl.get("/halt");
        assert_eq!((output.status, &*output.body), (200, &b"0123456789"[..]));
        assert!(![0, CURL_TIMEOUT].contains(&output.code), "{output:?}");
    }
    assert!(server.wait_for_log("broke off").contains("origin_read_timeout"));
}

/// curl's exit code where its own patience ended.
const CURL_TIMEOUT: i32 = 28;

#[test]
fn a_slow_body_that_goes_on_is_let_through() {
    let origin = Origin::start();
    // Nine pieces take longer than that, two of them much less.
    let server = impatient(&origin.url(), 3);
    for curl in curls(&server) {
        let output = curl.get("/drip/9");
        assert_eq!((output.code, &*output.body), (0, &b"........."[..]), "{output:?}");
    }
}

#[test]
fn an_origin_that_switches_protocols_unasked_gives_502() {
    gateway_error(&proxy_to(&Origin::start().url()), "/switch", 502);
}

#[test]
fn connect_and_trace_are_not_allowed() {
    let origin = Origin::start();
    for server in [proxy_to(&origin.url()), Server::start(Config::edge("none"))] {
        let client = Client::new();
        for (method, target) in [("CONNECT", "edge.example.com:443"), ("TRACE", "/")] {
            let request = client.request(method, target, "Connection: close\r\n");
            let attempt = client.send(server.address(), &request);
            let response = attempt.outcome.response();
            assert_eq!(response.status, 405, "{method}: {response:?}");
            let allowed = response.header("allow").unwrap_or_default();
            assert!(allowed.contains("GET") && !allowed.contains(method), "{allowed}");
        }
        let output = Curl::new(server.address(), EDGE_NAME)
            .http2()
            .arguments(&["--request", "TRACE"])
            .get("/");
        assert_eq!((output.code, output.status), (0, 405), "{output:?}");
        assert_eq!(server.metrics().requests("4xx"), 3);
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn a_star_for_a_target_is_for_options_alone() {
    let origin = Origin::start();
    let server = proxy_to(&origin.url());
    let client = Client::new();
    let ask = |method: &str, target: &str| {
        let request = client.request(method, target, "Connection: close\r\n");
        client.send(server.address(), &request).outcome
    };
    let outcome = ask("OPTIONS", "*");
    let received = Received::parse(&outcome.response().body);
    assert_eq!((received.method(), received.target()), ("OPTIONS", "*"));
    for target in ["*", "edge.example.com:443"] {
        assert_eq!(ask("GET", target).response().status, 400, "{target}");
    }
}

#[test]
fn a_request_body_that_is_broken_is_the_clients_fault_and_no_news_of_the_origin() {
    let origin = Origin::start();
    let server = proxy_to(&origin.url());
    let client = Client::new();
    let head = client.request("POST", "/sum", "Transfer-Encoding: chunked\r\n");
    let mut broken = client.connect(server.address()).unwrap();
    broken.write(format!("{head}3\r\nabc\r\nno length\r\n")).unwrap();
    let mut gone = client.connect(server.address()).unwrap();
    gone.write(client.request("POST", "/sum?gone", "Content-Length: 9\r\n"))
        .unwrap();
    origin.wait_for_request("/sum?gone", 1);
    drop(gone);
    server.wait_for_metrics("two bad requests", |metrics| metrics.requests("4xx") == 2);
    let log = server.log();
    assert!(!log.iter().any(|line| line.contains("origin")), "{log:#?}");
}

#[test]
fn an_origin_that_fails_does_not_flood_the_log() {
    let server = proxy_to(&nobody());
    let client = Client::new();
    let mut connection = client.connect(server.address()).unwrap();
    for _ in 0..50 {
        let outcome = connection.exchange(&client.request("GET", "/", ""));
        assert_eq!(outcome.response().status, 502);
    }
    let told = || {
        server
            .log()
            .iter()
            .filter(|line| line.contains("no response from the origin"))
            .count()
    };
    server.wait_for_log("no response from the origin");
    assert!(told() <= 10, "{} lines", told());
}

#[test]
fn a_response_is_not_lost_with_what_the_client_sent_behind_its_request() {
    let origin = Origin::start();
    let server = proxy_to(&origin.url());
    let client = Client::new();
    let head = client.request("POST", "/sum", "Transfer-Encoding: chunked\r\n");
    let broken = client.send(server.address(), &format!("{head}3\r\nabc\r\nno length\r\n"));
    assert_eq!(broken.outcome.response().status, 400);
}
