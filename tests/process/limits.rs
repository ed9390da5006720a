//! At a limit the server sheds load, and says so.

use bothways_tests::client_hello::record;
use bothways_tests::config::EDGE_NAME;
use bothways_tests::curl::Curl;
use bothways_tests::http1::Head;
use bothways_tests::metrics::Metrics;
use bothways_tests::origin::{Origin, Received};
use bothways_tests::raw_client::Raw;
use bothways_tests::scripted_origin::ScriptedOrigin;
use bothways_tests::tls_client::Ending;
use bothways_tests::{Client, Config, Distribution, Server};

#[test]
fn handshakes_beyond_the_limit_are_shed() {
    let server = Server::start(Config::edge("none").limit("handshakes_per_core", 2));
    let hello = Client::new().client_hello();
    let begin = || {
        let mut raw = Raw::connect(server.address());
        raw.send(&hello);
        raw
    };
    let mut silent: Vec<Raw> = (0..2).map(|_| begin()).collect();
    server.wait_for_metrics("two open handshakes", |metrics| {
        metrics.get("bothways_handshakes_open") == 2
    });

    let mut shed = begin();
    assert_ne!(shed.read_to_end().1, Ending::Timeout);
    let record = server.record_of(shed.port);
    assert!(record.status().starts_with("Failed:"), "{}", record.line);
    assert!(
        record
            .text("reason")
            .is_some_and(|reason| reason.contains("handshakes")),
        "{}",
        record.line
    );
    let metrics = server.metrics();
    assert_eq!(
        metrics.get("bothways_shed_total{reason=\"handshakes\"}"),
        1,
        "{metrics:#?}"
    );

    for raw in &mut silent {
        raw.finish();
        assert_ne!(raw.read_to_end().1, Ending::Timeout);
        server.record_of(raw.port);
    }
    assert!(
        Client::new().get(server.address()).outcome.is_ok(),
        "there is room again"
    );
}

#[test]
fn a_handshake_counts_from_its_first_octet_and_silence_does_not() {
    let server = Server::start(Config::edge("none").limit("handshakes_per_core", 2));
    let silent: Vec<Raw> = (0..5).map(|_| Raw::connect(server.address())).collect();
    let mut begun: Vec<Raw> = (0..2).map(|_| Raw::connect(server.address())).collect();
    begun.iter_mut().for_each(|raw| raw.send([22]));
    server.wait_for_metrics("two open handshakes", |metrics| {
        metrics.get("bothways_handshakes_open") == 2 && metrics.get("bothways_connections_open") == 7
    });
    let mut shed = Raw::connect(server.address());
    shed.send([22]);
    assert_eq!(shed.read_to_end(), (vec![21, 3, 3, 0, 2, 2, 80], Ending::Eof));
    let record = server.record_of(shed.port);
    assert!(
        record
            .text("reason")
            .is_some_and(|reason| reason.contains("handshakes_per_core")),
        "{}",
        record.line
    );
    drop((silent, begun));
    server.wait_for_metrics("nobody is left", |metrics| {
        metrics.get("bothways_connections_open") == 0
    });
    assert!(Client::new().get(server.address()).outcome.is_ok());
}

/// The most that this server reads of one.
fn hello_without_an_end() -> Vec<u8> {
    let announced = [&[1, 0, 0x40, 0], &[7; 16_000][..]].concat();
    record(22, &announced)
}

/// None of many handshakes may end by its time before the last has come.
const PATIENCE_MS: u64 = 60_000;

#[test]
fn hellos_that_never_end_are_shed_before_they_take_memory() {
    const HELD: u64 = 10;
    const CLIENTS: u64 = 400;
    let patient = Config::edge("none").limit("handshake_timeout_ms", PATIENCE_MS);
    let server = Server::start(patient.limit("handshakes_per_core", HELD));
    assert!(Client::new().get(server.address()).outcome.is_ok());
    let before = server.resident_bytes();
    let hello = hello_without_an_end();
    let mut clients: Vec<Raw> = (0..CLIENTS).map(|_| Raw::connect(server.address())).collect();
    clients.iter_mut().for_each(|raw| raw.send(&hello));
    server.wait_for_metrics("all but a few are shed", |metrics| {
        metrics.get("bothways_shed_total{reason=\"handshakes\"}") == CLIENTS - HELD
            && metrics.get("bothways_handshakes_open") == HELD
    });
    let taken = server.resident_bytes().saturating_sub(before);
    assert!(
        taken < 16 << 20,
        "{taken} octets for {HELD} that are held and {CLIENTS} that came"
    );
}

#[test]
fn what_unfinished_hellos_took_goes_back_to_the_operating_system() {
    const CLIENTS: usize = 800;
    let server = Server::start(Config::edge("none").limit("handshake_timeout_ms", PATIENCE_MS));
    assert!(Client::new().get(server.address()).outcome.is_ok());
    let before = server.resident_bytes();
    let hello = hello_without_an_end();
    let mut clients: Vec<Raw> = (0..CLIENTS).map(|_| Raw::connect(server.address())).collect();
    clients.iter_mut().for_each(|raw| raw.send(&hello));
    let open = |metrics: &Metrics| metrics.get("bothways_handshakes_open");
    server.wait_for_metrics("all are held", |metrics| open(metrics) == CLIENTS as u64);
    let held = server.resident_bytes().saturating_sub(before);
    assert!(held > 8 << 20, "{held} octets are too few to tell");
    drop(clients);
    let left = || server.resident_bytes().saturating_sub(before);
    server.wait_for_metrics(&format!("half of {held} octets at most are left"), |metrics| {
        open(metrics) == 0 && left() < held / 2
    });
}

#[test]
fn connections_beyond_the_limit_are_shed() {
    let server = Server::start(Config::edge("none").limit("connections_per_core", 2));
    let client = Client::new();
    let mut kept: Vec<_> = (0..2)
        .map(|_| client.connect(server.address()).unwrap())
        .collect();
    for connection in &mut kept {
        assert!(connection.exchange(&client.request("GET", "/", "")).is_ok());
    }
    let mut shed = Raw::connect(server.address());
    assert_ne!(shed.read_to_end().1, Ending::Timeout);
    let record = server.record_of(shed.port);
    assert!(record.status().starts_with("Failed:"), "{}", record.line);
    assert!(
        record
            .text("reason")
            .is_some_and(|reason| reason.contains("connections")),
        "{}",
        record.line
    );
    assert_eq!(
        server
            .metrics()
            .get("bothways_shed_total{reason=\"connections\"}"),
        1
    );

    let mut kept = kept.into_iter();
    let mut first = kept.next().unwrap();
    assert!(
        first.exchange(&client.request("GET", "/", "")).is_ok(),
        "the others go on"
    );
    first.close();
    server.record_of(first.port);
    assert!(
        client.get(server.address()).outcome.is_ok(),
        "there is room again"
    );
}

/// Header fields for curl, so many, beside those that it sends by itself.
fn with_fields(curl: Curl, count: usize) -> Curl {
    let quiet = curl.arguments(&["--header", "User-Agent:", "--header", "Accept:"]);
    (0..count).fold(quiet, |curl, number| curl.header(&format!("X-{number}: 1")))
}

#[test]
fn more_header_fields_than_the_limit_are_answered_431_over_both_http_versions() {
    let origin = Origin::start();
    for (limit, config) in [
        (100, Config::new()),
        (20, Config::new().limit("header_fields_max", 20)),
    ] {
        let server = Server::start(config.distribution(Distribution::edge("none").proxies_to(&origin.url())));
        for http2 in [false, true] {
            let curl = || Curl::new(server.address(), EDGE_NAME);
            let curl = || if http2 { curl().http2() } else { curl() };
            // Host is a field over HTTP/1 only.
            let room = if http2 { limit } else { limit - 1 };
            let whole = with_fields(curl(), room).get("/");
            assert_eq!(whole.status, 200, "{limit}, http2 {http2}");
            assert_eq!(Received::parse(&whole.body).values("x-9"), ["1"]);
            let refused = with_fields(curl(), room + 1).get("/");
            assert_eq!(
                (refused.code, refused.status),
                (0, 431),
                "{limit}, http2 {http2}: {refused:?}"
            );
        }
        // hyper answers over HTTP/1 by itself.
        let refused = "bothways_requests_refused_total{reason=\"header_fields\"}";
        assert_eq!(server.metrics().get(refused), 1);
        assert!(
            server
                .wait_for_log("header_fields")
                .contains(&format!("header_fields_max, {limit}"))
        );
    }
}

#[test]
fn a_response_with_many_fields_passes_up_to_the_limit_and_the_log_says_why_not() {
    let cookies = |head: &Head| {
        let count = head.start_line.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        let cookies: String = (0..count)
            .map(|number| format!("Set-Cookie: c{number}=v\r\n"))
            .collect();
        format!("HTTP/1.1 200 OK\r\n{cookies}Content-Length: 2\r\n\r\nok").into_bytes()
    };
    let origin = ScriptedOrigin::start(cookies);
    let server =
        Server::start(Config::new().distribution(Distribution::edge("none").proxies_to(&origin.url())));
    for http2 in [false, true] {
        let curl = |path: &str| {
            let curl = Curl::new(server.address(), EDGE_NAME);
            if http2 { curl.http2() } else { curl }.get(path)
        };
        for count in [90, 120, 255] {
            let output = curl(&format!("/{count}"));
            let told = output.head.as_ref().unwrap().headers.iter();
            let cookies = told.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
            assert_eq!((output.code, output.status, cookies.count()), (0, 200, count));
        }
        assert_eq!(curl("/256").status, 502);
    }
    assert!(
        server
            .wait_for_log("no response from the origin")
            .contains("origin_header_fields_max")
    );
}

#[test]
fn a_response_whose_head_fills_the_buffer_is_a_502_and_a_long_body_is_not() {
    let origin = ScriptedOrigin::start(|head| {
        let (field, body) = match head.start_line.split(' ').nth(1).unwrap() {
            "/head" => ("x".repeat(9_000), "ok".to_owned()),
            _ => ("x".to_owned(), "x".repeat(100_000)),
        };
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nX-Field: {field}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
    });
    let config = Config::new().limit("origin_buffer_bytes", 8_192);
    let server = Server::start(config.distribution(Distribution::edge("none").proxies_to(&origin.url())));
    let get = |path| Curl::new(server.address(), EDGE_NAME).get(path);
    assert_eq!(get("/head").status, 502);
    assert_eq!(get("/body").body.len(), 100_000);
    assert!(
        server
            .wait_for_log("no response from the origin")
            .contains("origin_buffer_bytes")
    );
}
