//! At a limit the server sheds load, and says so.

use bothways_tests::raw_client::Raw;
use bothways_tests::tls_client::Ending;
use bothways_tests::{Client, Config, Server};

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
