//! Output to a peer that reads late, slowly or no more: it arrives whole, and is let go of when the peer is
//! gone.

use std::io::Read as _;

use bothways_tests::config::EDGE_NAME;
use bothways_tests::curl::Curl;
use bothways_tests::origin::{Origin, Sum, pattern};
use bothways_tests::pki::{Leaf, Pki};
use bothways_tests::raw_client::Raw;
use bothways_tests::tcp::open_narrow;
use bothways_tests::tls_client::Connection;
use bothways_tests::tls_client::Version::Tls12;
use bothways_tests::{Client, Config, Distribution, Server, TrustStore};

const LARGE: usize = 20_000_000;
const DRIVERS: [&str; 2] = ["auto", "epoll"];

fn proxy(origin: &Origin, driver: &'static str) -> Server {
    let distribution = Distribution::edge("none")
        .proxies_to(&origin.url())
        .origin_setting("origin_read_timeout = 60");
    Server::start(Config::new().distribution(distribution).driver(driver))
}

/// A server whose first flight is more than the kernels take at once between it and a client with
/// [`open_narrow`].
fn talkative(driver: &'static str) -> Config {
    let large = Leaf::server(&[EDGE_NAME]).padded(40_000);
    let distribution = Distribution::edge("required").certificate(Pki::shared().servers.issue(large));
    Config::new()
        .trust_store(TrustStore::partners())
        .distribution(distribution)
        .driver(driver)
}

/// Returns when a connection that began now has been quiet for a second.
fn wait_for_a_rest(server: &Server) {
    let rests = || server.metrics().get("bothways_connection_rests_total");
    let before = rests();
    let _quiet = Client::new().connect(server.address()).unwrap();
    server.wait_for_metrics("a rest", |_| rests() > before);
}

fn wait_for_nobody(server: &Server) {
    server.wait_for_metrics("no connection", |metrics| {
        metrics.get("bothways_connections_open") == 0
    });
}

/// Goes away without having read what has come: with a reset.
fn abandon(mut connection: Connection) -> u16 {
    let mut first = [0; 1];
    connection.reader().read_exact(&mut first).unwrap();
    connection.port
}

#[test]
fn a_reset_within_a_response_leaves_a_record_and_nothing_open() {
    for driver in DRIVERS {
        let origin = Origin::start();
        let server = proxy(&origin, driver);
        let client = Client::new();
        let mut connection = client.connect(server.address()).unwrap();
        let path = format!("/bytes/{LARGE}");
        connection.write(client.request("GET", &path, "")).unwrap();
        let record = server.record_of(abandon(connection));
        assert_eq!(record.number("requests"), Some(1), "{driver}: {}", record.line);
        wait_for_nobody(&server);
    }
}

#[test]
fn a_reset_is_heard_while_an_origin_is_waited_for() {
    for driver in DRIVERS {
        let origin = Origin::start();
        let server = proxy(&origin, driver);
        let client = Client::new();
        let mut connection = client.connect_over(open_narrow(server.address())).unwrap();
        let requests = ["/bytes/100000", "/gate"].map(|path| client.request("GET", path, ""));
        connection.write(requests.concat()).unwrap();
        origin.wait_for_request("/gate", 1);
        let record = server.record_of(abandon(connection));
        assert_eq!(record.number("requests"), Some(2), "{driver}: {}", record.line);
        wait_for_nobody(&server);
    }
}

#[test]
fn a_first_flight_that_the_kernel_does_not_take_at_once_arrives() {
    for driver in DRIVERS {
        let server = Server::start(talkative(driver));
        // Of TLS 1.3 clients, some say something as soon as they have the first bytes.
        let client = Client::speaking(Tls12, Some(&Pki::shared().client("alice")));
        let begun = client.begin_over(open_narrow(server.address()));
        server.wait_for_metrics("it has sent what it could", |metrics| {
            metrics.get("bothways_handshakes_open") == 1
        });
        let mut connection = begun.finish().expect(driver);
        assert!(connection.exchange(&client.request("GET", "/", "")).is_ok());
    }
}

#[test]
fn who_does_not_read_its_alert_is_not_waited_for() {
    for driver in DRIVERS {
        let server = Server::start(talkative(driver).limit("handshake_timeout_ms", 2_000));
        let mut raw = Raw::over(open_narrow(server.address()));
        raw.send(Client::new().client_hello());
        server.wait_for_metrics("a handshake", |metrics| {
            metrics.get("bothways_handshakes_open") == 1
        });
        raw.send([0x16, 3, 3, 0, 4, 0xff, 0, 0, 0]);
        let record = server.record_of(raw.port);
        assert!(
            record.status().starts_with("Failed:"),
            "{driver}: {}",
            record.line
        );
        wait_for_nobody(&server);
        drop(raw);
    }
}

#[test]
fn a_client_that_reads_late_gets_all_and_makes_the_server_hold_little() {
    for driver in DRIVERS {
        let origin = Origin::start();
        let server = proxy(&origin, driver);
        let client = Client::new();
        let mut connection = client.connect(server.address()).unwrap();
        assert!(connection.exchange(&client.request("GET", "/", "")).is_ok());
        let before = server.resident_bytes();
        connection
            .write(client.request("GET", &format!("/bytes/{LARGE}"), ""))
            .unwrap();
        wait_for_a_rest(&server);
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(
            connection.read_response().unwrap().body == pattern(LARGE),
            "{driver}"
        );
        assert!(grown < 8 * 1024 * 1024, "{driver}: {grown} bytes");

        let http2 = Curl::new(server.address(), EDGE_NAME).http2();
        let slow = http2
            .arguments(&["--limit-rate", "10M"])
            .get(&format!("/bytes/{LARGE}"));
        assert!(slow.body == pattern(LARGE), "{driver}: {}", slow.stderr);
    }
}

#[test]
fn an_origin_that_reads_late_gets_all() {
    for driver in DRIVERS {
        let origin = Origin::start();
        let server = proxy(&origin, driver);
        let client = Client::new();
        let mut connection = client.connect(server.address()).unwrap();
        let head = client.request("POST", "/late", &format!("Content-Length: {LARGE}\r\n"));
        std::thread::scope(|scope| {
            let uploading = scope.spawn(|| {
                connection.write(head)?;
                connection.write(pattern(LARGE))
            });
            origin.wait_for_request("/late", 1);
            wait_for_a_rest(&server);
            origin.open_gate();
            uploading.join().unwrap().unwrap();
        });
        let sum = Sum::of(&pattern(LARGE)).text();
        assert_eq!(connection.read_response().unwrap().text(), sum, "{driver}");
        connection.close();
        let received = server.record_of(connection.port).number("bytesIn");
        assert!(received > Some(LARGE as u64), "{driver}: {received:?}");
    }
}
