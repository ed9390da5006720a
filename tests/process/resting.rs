//! An idle HTTP/1.1 connection gives back the buffers of HTTP, and nobody notices.

use bothways_tests::origin::{EARLY, Origin, Received, Sum};
use bothways_tests::tls_client::{Connection, Ending};
use bothways_tests::{Client, Config, Distribution, Pki, Server, TrustStore};

/// A connection that has had one response, after `count` rests of all connections so far.
fn resting(server: &Server, client: &Client, count: u64) -> Connection {
    let mut connection = client.connect(server.address()).unwrap();
    assert!(connection.exchange(&client.request("GET", "/", "")).is_ok());
    wait_for_rests(server, count);
    connection
}

fn wait_for_rests(server: &Server, count: u64) {
    server.wait_for_metrics("a rest", |metrics| {
        metrics.get("bothways_connection_rests_total") >= count
    });
}

#[test]
fn a_rested_connection_answers_as_before_and_rests_again() {
    for driver in ["auto", "epoll"] {
        let server = Server::start(Config::edge("none").driver(driver));
        let client = Client::new();
        let mut connection = resting(&server, &client, 1);
        assert!(connection.exchange(&client.request("GET", "/", "")).is_ok());
        wait_for_rests(&server, 2);
        connection.update_keys().unwrap();
        let large = format!("X-Large: {}\r\n", "a".repeat(6_000));
        assert!(connection.exchange(&client.request("GET", "/", &large)).is_ok());

        connection.close();
        let record = server.record_of(connection.port);
        assert_eq!(
            (record.status(), record.number("requests")),
            ("Success", Some(3)),
            "{driver}: {}",
            record.line
        );
    }
}

#[test]
fn a_connection_that_has_asked_for_nothing_yet_rests_too() {
    let server = Server::start(Config::edge("none"));
    let client = Client::new();
    let mut connection = client.connect(server.address()).unwrap();
    wait_for_rests(&server, 1);
    assert!(connection.exchange(&client.request("GET", "/", "")).is_ok());
}

#[test]
fn the_front_of_a_next_request_is_not_lost_in_a_rest() {
    let server = Server::start(Config::edge("none"));
    let client = Client::new();
    let mut connection = client.connect(server.address()).unwrap();
    let request = client.request("GET", "/", "");
    let (front, back) = request.split_at(request.len() / 2);
    connection.write(format!("{request}{front}")).unwrap();
    assert_eq!(connection.read_response().unwrap().status, 200);
    wait_for_rests(&server, 1);
    connection.write(back).unwrap();
    assert_eq!(connection.read_response().unwrap().status, 200);
}

#[test]
fn what_ends_a_connection_ends_a_resting_one() {
    let serials = TrustStore::partners().revocations("serials.txt", "");
    let config = Config::new()
        .trust_store(serials)
        .distribution(Distribution::edge("required"));
    let server = Server::start(config);
    let (mallory, alice) = (Pki::shared().client("mallory"), Pki::shared().client("alice"));
    let mut revoked = resting(&server, &Client::with_identity(&mallory), 1);
    let mut drained = resting(&server, &Client::with_identity(&alice), 2);

    server.write("serials.txt", mallory.serial_text());
    server.reload_published();
    assert_eq!(revoked.wait_for_close(), Ending::Eof);
    server.terminate();
    assert_eq!(drained.wait_for_close(), Ending::Eof);
    let ports = [revoked.port, drained.port];
    drop((revoked, drained));
    let records = server.drained();
    assert_eq!(records.len(), 2, "{records:?}");
    for record in records {
        assert!(ports.contains(&record.client_port().unwrap()), "{}", record.line);
        assert_eq!(record.status(), "Success", "{}", record.line);
    }
}

#[test]
fn a_connection_does_not_rest_within_a_request_that_was_answered_early() {
    for driver in ["auto", "epoll"] {
        let origin = Origin::start();
        let distribution = Distribution::edge("none").proxies_to(&origin.url());
        let server = Server::start(Config::new().distribution(distribution).driver(driver));
        let client = Client::new();
        let mut connection = client.connect(server.address()).unwrap();
        // A body whose second half would make a request of its own.
        let (front, back) = ("0123456789", client.request("GET", "/smuggled", ""));
        let body = format!("{front}{back}");
        let head = client.request("POST", "/early", &format!("Content-Length: {}\r\n", body.len()));
        connection.write(format!("{head}{front}")).unwrap();
        assert_eq!(connection.read_response().unwrap().text(), EARLY);

        // Who has been quiet for less time rests: the other one would by now.
        let _quiet = resting(&server, &client, 1);
        let next = client.request("GET", "/next", "");
        connection.write(format!("{back}{next}")).unwrap();
        let received = Received::parse(&connection.read_response().unwrap().body);
        assert_eq!(received.target(), "/next", "{driver}");
        assert_eq!(origin.first_upload(), Sum::of(body.as_bytes()).text(), "{driver}");
        connection.close();
        assert_eq!(server.record_of(connection.port).number("requests"), Some(2));
    }
}

#[test]
fn a_request_whose_record_comes_in_halves_wakes_a_resting_connection() {
    for driver in ["auto", "epoll"] {
        let server = Server::start(Config::edge("none").driver(driver));
        let client = Client::new();
        let mut connection = resting(&server, &client, 1);
        let second_half = connection
            .write_first_half(client.request("GET", "/", ""))
            .unwrap();
        connection.write_raw(&second_half).unwrap();
        assert_eq!(connection.read_response().unwrap().status, 200, "{driver}");
    }
}

#[test]
fn time_limits_hold_for_resting_connections_too() {
    for driver in ["auto", "epoll"] {
        for limit in ["idle_timeout_ms", "header_timeout_ms"] {
            let server = Server::start(Config::edge("none").driver(driver).limit(limit, 4_000));
            let client = Client::new();
            let mut connection = resting(&server, &client, 1);
            if limit == "header_timeout_ms" {
                let _never_sent = connection
                    .write_first_half(client.request("GET", "/", ""))
                    .unwrap();
            }
            assert_eq!(connection.wait_for_close(), Ending::Eof, "{driver}: {limit}");
            assert_eq!(server.record_of(connection.port).number("requests"), Some(1));
        }
    }
}
