//! Input that comes in one go, in parts, or with the end of something else: nothing of it is lost, and
//! nothing waits for more.

use std::io::Write as _;

use bothways_tests::pki::Pki;
use bothways_tests::tls_client::Version::{Tls12, Tls13};
use bothways_tests::tls_client::{Connection, Ending, Version};
use bothways_tests::{Client, Config, Server};

const DRIVERS: [&str; 2] = ["auto", "epoll"];

/// A connection of each kind that makes a difference here, each to a server of its own.
fn on_each(test: impl Fn(&Server, &Client, Connection)) {
    for driver in DRIVERS {
        let server = Server::start(Config::edge("required").driver(driver));
        for version in [Tls12, Tls13] {
            let client = speaking(version);
            let connection = client.connect(server.address()).unwrap();
            test(&server, &client, connection);
        }
        assert_eq!(server.metrics().get("bothways_panics_total"), 0, "{driver}");
        assert!(speaking(Tls13).get(server.address()).outcome.is_ok(), "{driver}");
    }
}

fn speaking(version: Version) -> Client {
    Client::speaking(version, Some(&Pki::shared().client("alice")))
}

#[test]
fn requests_that_come_together_in_records_of_their_own_are_answered_in_their_order() {
    const REQUESTS: u64 = 40;
    on_each(|server, client, mut connection| {
        let one_by_one = (0..REQUESTS).map(|number| client.request("GET", &format!("/{number}"), ""));
        connection.write_records(one_by_one).unwrap();
        for number in 0..REQUESTS {
            assert_eq!(
                connection.read_response().unwrap().status,
                200,
                "response {number}"
            );
        }
        connection.close();
        assert_eq!(connection.wait_for_close(), Ending::Eof);
        let record = server.record_of(connection.port);
        assert_eq!(record.number("requests"), Some(REQUESTS), "{}", record.line);
    });
}

#[test]
fn a_close_notify_ends_the_connection_though_the_socket_stays_open() {
    on_each(|server, client, mut connection| {
        assert!(connection.exchange(&client.request("GET", "/", "")).is_ok());
        connection.write_last(b"").unwrap();
        assert_eq!(connection.wait_for_close(), Ending::Eof);
        let record = server.record_of(connection.port);
        assert_eq!(record.number("requests"), Some(1), "{}", record.line);
    });
}

#[test]
fn a_close_notify_with_a_request_ends_the_connection_answered_or_not() {
    on_each(|server, client, mut connection| {
        connection.write_last(client.request("GET", "/", "")).unwrap();
        // Who takes back the question as it asks it may go without.
        let _answered_or_not = connection.read_response();
        assert_ne!(connection.wait_for_close(), Ending::Timeout);
        let record = server.record_of(connection.port);
        assert_eq!(record.number("requests"), Some(1), "{}", record.line);
    });
}

#[test]
fn a_request_in_many_small_segments_is_put_together() {
    on_each(|server, client, mut connection| {
        let long = format!("X-Long: {}\r\n", "x".repeat(6_000));
        let records = connection.records(client.request("GET", "/", &long)).unwrap();
        for segment in records.chunks(700) {
            connection.write_raw(segment).unwrap();
        }
        assert_eq!(connection.read_response().unwrap().status, 200);
        connection.close();
        let record = server.record_of(connection.port);
        assert_eq!(record.number("requests"), Some(1), "{}", record.line);
    });
}

#[test]
fn half_a_handshake_message_before_a_body_that_nobody_reads_ends_its_connection_alone() {
    for driver in DRIVERS {
        let server = Server::start(Config::edge("required").driver(driver));
        let client = speaking(Tls13);
        let mut connection = client.connect(server.address()).unwrap();
        let port = connection.port;
        let post = client.request("POST", "/", "Content-Length: 1000000\r\n");
        let mut bytes = connection.records(post).unwrap();
        // The type of a KeyUpdate (RFC 8446 §4.6.3), whose rest never comes.
        let (mut tcp, key_update) = connection.into_handshake_record(&[24]);
        bytes.extend(key_update);
        tcp.write_all(&bytes).unwrap();
        let record = server.record_of(port);
        assert_eq!(record.number("requests"), Some(1), "{driver}: {}", record.line);
        assert_eq!(server.metrics().get("bothways_panics_total"), 0, "{driver}");
        assert!(speaking(Tls13).get(server.address()).outcome.is_ok(), "{driver}");
    }
}
