//! The end: nobody is cut off, nothing is lost, and it comes.

use bothways_tests::config::EDGE_NAME;
use bothways_tests::curl::Curl;
use bothways_tests::origin::Origin;
use bothways_tests::raw_client::Raw;
use bothways_tests::tls_client::{Connection, Ending, local_port, open};
use bothways_tests::{Client, Config, Distribution, Pki, Server};

fn proxy(origin: &Origin) -> Config {
    Config::new().distribution(Distribution::edge("none").proxies_to(&origin.url()))
}

/// A connection that has had one response and is kept open.
fn idle(server: &Server) -> Connection {
    let client = Client::new();
    let mut connection = client.connect(server.address()).unwrap();
    assert!(connection.exchange(&client.request("GET", "/", "")).is_ok());
    connection
}

/// A connection whose request waits at the origin's gate.
fn in_flight(server: &Server, origin: &Origin) -> Connection {
    let client = Client::new();
    let mut connection = client.connect(server.address()).unwrap();
    connection.write(client.request("GET", "/gate", "")).unwrap();
    origin.wait_for_request("/gate", 1);
    connection
}

#[test]
fn a_server_without_connections_ends_at_once_and_well() {
    for config in [
        Config::edge("required"),
        Config::edge("required").cores(2),
        Config::edge("required").driver("epoll"),
    ] {
        let server = Server::start(config);
        assert!(server.stop().is_empty());
    }
}

#[test]
fn requests_in_flight_are_completed_and_idle_connections_closed() {
    let origin = Origin::start();
    let server = Server::start(proxy(&origin));
    let mut idle = idle(&server);
    let mut busy = in_flight(&server, &origin);

    server.terminate();
    // This end shows that the drain has begun.
    assert_eq!(idle.wait_for_close(), Ending::Eof);
    origin.open_gate();
    assert_eq!(busy.read_response().unwrap().text(), "through the gate\n");
    assert_eq!(busy.wait_for_close(), Ending::Eof);

    let ports = [idle.port, busy.port];
    drop((idle, busy));
    let records = server.drained();
    assert_eq!(records.len(), 2, "{records:?}");
    for record in records {
        assert!(ports.contains(&record.client_port().unwrap()), "{}", record.line);
        assert_eq!(
            (record.status(), record.number("requests")),
            ("Success", Some(1)),
            "{}",
            record.line
        );
    }
}

#[test]
fn a_request_in_flight_over_http_2_is_completed() {
    let origin = Origin::start();
    let server = Server::start(proxy(&origin));
    let mut idle = idle(&server);
    let address = server.address();
    let curl = std::thread::spawn(move || Curl::new(address, EDGE_NAME).http2().get("/gate"));
    origin.wait_for_request("/gate", 1);
    server.terminate();
    assert_eq!(idle.wait_for_close(), Ending::Eof);
    drop(idle);
    origin.open_gate();
    let output = curl.join().unwrap();
    assert_eq!(
        (output.code, output.status, &*output.http_version),
        (0, 200, "2"),
        "{output:?}"
    );
    assert_eq!(server.drained().len(), 2);
}

#[test]
fn connections_that_wait_in_the_queue_are_served_and_not_reset() {
    const QUEUED: usize = 30;
    for cores in [1, 2] {
        let server = Server::start(Config::edge("required").cores(cores));
        let identity = Pki::shared().client("alice");
        let queued: Vec<_> = (0..QUEUED).map(|_| open(server.address())).collect();
        server.terminate();
        for tcp in queued {
            let port = local_port(&tcp);
            let attempt = Client::with_identity(&identity).get_over(tcp);
            assert!(attempt.outcome.is_ok(), "{cores} cores, port {port}: {attempt:?}");
        }
        assert_eq!(server.drained().len(), QUEUED, "{cores} cores");
    }
}

#[test]
fn after_the_end_nobody_is_accepted() {
    let server = Server::start(Config::edge("none"));
    let address = server.address();
    server.stop();
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn the_drain_ends_when_its_time_is_over_and_keeps_the_record() {
    let origin = Origin::start();
    let server = Server::start(proxy(&origin).limit("drain_timeout_ms", 300));
    let mut busy = in_flight(&server, &origin);
    server.terminate();
    assert_ne!(busy.wait_for_close(), Ending::Timeout);
    let records = server.drained();
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0].client_port(), Some(busy.port));
}

#[test]
fn handshakes_that_the_drain_does_not_wait_for_have_their_records() {
    let server = Server::start(Config::edge("required").limit("drain_timeout_ms", 0));
    let hello = Client::new().client_hello();
    let mut halfway: Vec<Raw> = [0, 100, hello.len()]
        .into_iter()
        .map(|said| {
            let mut raw = Raw::connect(server.address());
            raw.send(&hello[..said]);
            raw
        })
        .collect();
    server.wait_for_metrics("three open connections", |metrics| {
        metrics.get("bothways_connections_open") == 3
    });
    server.terminate();
    for raw in &mut halfway {
        assert_ne!(raw.read_to_end().1, Ending::Timeout);
    }
    let records = server.drained();
    assert_eq!(records.len(), halfway.len(), "{records:?}");
    for record in records {
        assert_eq!(record.status(), "Failed:Internal", "{}", record.line);
    }
}

#[test]
fn while_it_drains_no_new_client_waits_in_vain() {
    let origin = Origin::start();
    let server = Server::start(proxy(&origin));
    let mut idle = idle(&server);
    let mut busy = in_flight(&server, &origin);
    let address = server.address();
    server.terminate();
    assert_eq!(idle.wait_for_close(), Ending::Eof);
    server.wait_for_log("draining");
    assert!(
        std::iter::repeat_with(|| std::net::TcpStream::connect(address))
            .take(1_000)
            .any(|connected| connected.is_err()),
        "the listening socket is still open"
    );
    origin.open_gate();
    assert_eq!(busy.read_response().unwrap().text(), "through the gate\n");
    drop((idle, busy));
    server.drained();
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let origin = Origin::start();
    let server = Server::start(proxy(&origin));
    let mut idle = idle(&server);
    let _busy = in_flight(&server, &origin);
    server.terminate();
    assert_eq!(idle.wait_for_close(), Ending::Eof);
    server.terminate();
    server.wait_for_log("second signal");
    assert_eq!(server.wait().code(), Some(1));
}

#[test]
fn every_record_is_flushed_before_the_end() {
    const CONNECTIONS: usize = 100;
    let server = Server::start(Config::edge("required").cores(2));
    let identity = Pki::shared().client("alice");
    let client = Client::with_identity(&identity);
    for _ in 0..CONNECTIONS {
        assert!(client.get(server.address()).outcome.is_ok());
    }
    assert_eq!(server.stop().len(), CONNECTIONS);
}

#[test]
fn health_fails_before_the_first_client_is_turned_away() {
    let server = Server::start(Config::edge("none").limit("drain_delay_ms", 3_600_000));
    assert_eq!(server.admin("/healthz").status, 200);
    server.terminate();
    server.wait_for_log("about to drain");
    let health = server.admin("/healthz");
    assert_eq!((health.status, health.text().as_str()), (503, "draining\n"));
    assert_eq!(server.metrics().get("bothways_draining"), 1);
    assert!(Client::new().get(server.address()).outcome.is_ok());
    server.terminate();
    assert_eq!(server.wait().code(), Some(1), "a second signal ends it at once");
}

#[test]
fn a_drain_that_was_put_off_begins_when_its_time_has_come() {
    let origin = Origin::start();
    let server = Server::start(proxy(&origin).limit("drain_delay_ms", 20));
    let mut busy = in_flight(&server, &origin);
    server.terminate();
    server.wait_for_log(" draining");
    assert_eq!(server.admin("/healthz").status, 503);
    origin.open_gate();
    assert_eq!(busy.read_response().unwrap().text(), "through the gate\n");
    drop(busy);
    server.drained();
}
