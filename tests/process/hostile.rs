//! Peers that mean no good, or are broken: everything ends in a bounded time, with a record.

use std::io::{self, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use bothways_tests::pki::{Leaf, Pki};
use bothways_tests::raw_client::{Raw, reframed};
use bothways_tests::tls_client::{Ending, FirstFlight, open};
use bothways_tests::{Client, Config, Outcome, Server};

use crate::witnesses::{assert_admitted, assert_failed};

fn server() -> Server {
    Server::start(Config::edge("required"))
}

#[test]
fn garbage_ends_with_a_record() {
    let server = server();
    let samples: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        &[0; 512],
        &[0xff; 4096],
        // A handshake record that is longer than any may be.
        &[0x16, 3, 1, 0xff, 0xff, 1, 0, 0, 0],
        // An alert, an application data record and a ClientHello of length 0.
        &[
            0x15, 3, 1, 0, 2, 1, 0, 0x17, 3, 3, 0, 1, 0, 0x16, 3, 1, 0, 4, 1, 0, 0, 0,
        ],
    ];
    for sample in samples {
        let mut raw = Raw::connect(server.address());
        raw.send(sample);
        raw.finish();
        assert_ne!(raw.read_to_end().1, Ending::Timeout);
        assert_failed(&server, &server.record_of(raw.port), "UnmappedConnectionError");
    }
    let identity = Pki::shared().client("alice");
    assert_admitted(
        &server,
        &Client::with_identity(&identity).get(server.address()),
        Some(&identity),
    );
    assert_eq!(server.metrics().get("bothways_panics_total"), 0);
}

#[test]
fn a_client_hello_that_breaks_off_ends_with_a_record() {
    let server = server();
    let hello = Client::new().client_hello();
    for length in [1, 4, 5, 6, 50, hello.len() / 2, hello.len() - 1] {
        let mut raw = Raw::connect(server.address());
        raw.send(&hello[..length]);
        raw.finish();
        assert_ne!(raw.read_to_end().1, Ending::Timeout, "after {length} octets");
        assert_failed(&server, &server.record_of(raw.port), "TcpError");
    }
}

#[test]
fn a_connection_that_is_closed_or_reset_before_an_octet_is_counted_apart_and_has_no_record() {
    let server = server();
    for reset in [false, true] {
        let tcp = open(server.address());
        if reset {
            socket2::SockRef::from(&tcp)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        }
        drop(tcp);
    }
    let unused = "bothways_connections_unused_total";
    let metrics = server.wait_for_metrics("both are gone", |metrics| metrics.get(unused) == 2);
    assert_eq!(metrics.get("bothways_connections_accepted_total"), 2);
    assert_eq!(metrics.sum("bothways_connections_total"), 0, "{metrics:#?}");
    assert_eq!(metrics.get("bothways_connections_open"), 0);
    assert!(server.stop().is_empty(), "no record");
}

#[test]
fn a_client_that_leaves_after_its_hello_ends_with_a_record() {
    let server = server();
    let mut raw = Raw::connect(server.address());
    raw.send(Client::new().client_hello());
    raw.finish();
    assert_ne!(raw.read_to_end().1, Ending::Timeout);
    assert_failed(&server, &server.record_of(raw.port), "TcpError");
}

#[test]
fn silence_ends_when_the_time_is_over() {
    let server = Server::start(Config::edge("required").limit("handshake_timeout_ms", 300));
    let hello = Client::new().client_hello();
    for said in [0, 1, 100, hello.len()] {
        let mut raw = Raw::connect(server.address());
        raw.send(&hello[..said]);
        assert_ne!(raw.read_to_end().1, Ending::Timeout, "after {said} octets");
        assert_failed(&server, &server.record_of(raw.port), "TcpTimeout");
    }
    assert_eq!(server.metrics().get("bothways_handshakes_open"), 0);
}

#[test]
fn a_client_that_never_asks_is_closed_when_the_time_is_over() {
    let server = Server::start(
        Config::edge("none")
            .limit("header_timeout_ms", 2_000)
            .limit("idle_timeout_ms", 2_000),
    );
    let client = Client::new();
    let mut silent = client.connect(server.address()).unwrap();
    assert_eq!(silent.wait_for_close(), Ending::Eof);
    assert_eq!(server.record_of(silent.port).status(), "Success");
    let mut halfway = client.connect(server.address()).unwrap();
    halfway.write("GET / HTTP/1.1\r\nHost: ").unwrap();
    let _ = halfway.read_response();
    assert_ne!(halfway.wait_for_close(), Ending::Timeout);
    server.record_of(halfway.port);
    let mut idle = client.connect(server.address()).unwrap();
    assert!(idle.exchange(&client.request("GET", "/", "")).is_ok());
    assert_eq!(idle.wait_for_close(), Ending::Eof);
    assert_eq!(server.record_of(idle.port).number("requests"), Some(1));
}

#[test]
fn a_request_head_beyond_the_limit_is_refused() {
    let server = Server::start(Config::edge("none").limit("header_bytes_max", 8192));
    let client = Client::new();
    let headers = format!("X-Large: {}\r\nConnection: close\r\n", "x".repeat(16_384));
    let attempt = client.send(server.address(), &client.request("GET", "/", &headers));
    match attempt.outcome {
        Outcome::Ok { response, .. } => assert!([400, 413, 431].contains(&response.status), "{response:?}"),
        other => assert!(matches!(other, Outcome::Closed | Outcome::Reset), "{other:?}"),
    }
    assert!(client.get(server.address()).outcome.is_ok());
}

#[test]
fn a_hello_that_comes_octet_by_octet_is_still_one() {
    let server = server();
    let identity = Pki::shared().client("slow");
    let client = Client::with_identity(&identity).first_flight(FirstFlight::ByteByByte);
    assert_admitted(&server, &client.get(server.address()), Some(&identity));
}

#[test]
fn a_hello_in_tiny_records_is_held_to_the_same_policy() {
    let server = server();
    let identity = Pki::shared().client("fragmented");
    for octets in [1, 7, 100] {
        let cut = FirstFlight::Records(octets);
        let good = Client::with_identity(&identity)
            .first_flight(cut)
            .get(server.address());
        assert_admitted(&server, &good, Some(&identity));
        let nobody = Client::new().first_flight(cut).get(server.address());
        assert_eq!(
            nobody.outcome,
            Outcome::Alert(116, Ending::Eof),
            "records of {octets}"
        );
        assert_failed(&server, &server.record_of(nobody.port), "ClientCertMissing");
    }
}

#[test]
fn a_hello_in_tiny_records_that_breaks_off_ends_with_a_record() {
    let server = server();
    let hello = reframed(&Client::new().client_hello(), 3);
    let mut raw = Raw::connect(server.address());
    raw.send(&hello[..hello.len() / 2]);
    raw.finish();
    assert_ne!(raw.read_to_end().1, Ending::Timeout);
    assert_failed(&server, &server.record_of(raw.port), "TcpError");
}

#[test]
fn a_certificate_that_is_too_large_is_refused() {
    let identity = Pki::shared().issuing.issue(Leaf::client("large").padded(20_000));
    for server in [server(), Server::start(Config::edge("passthrough"))] {
        let attempt = Client::with_identity(&identity).get(server.address());
        assert!(matches!(attempt.outcome, Outcome::Alert(42, _)), "{attempt:?}");
        let record = server.record_of(attempt.port);
        assert_failed(&server, &record, "ClientCertMaxSizeExceeded");
    }
}

#[test]
fn a_chain_of_many_certificates_is_refused_in_bounded_time() {
    let server = server();
    let pki = Pki::shared();
    let mut identity = pki.strangers.issue(Leaf::client("mesh"));
    let cross_signed = (0..60).map(|_| {
        pki.strangers
            .intermediate("Strangers Root CA")
            .certificate()
            .clone()
    });
    identity.chain.extend(cross_signed);
    let attempt = Client::with_identity(&identity).get(server.address());
    assert!(matches!(attempt.outcome, Outcome::Alert(..)), "{attempt:?}");
    let record = server.record_of(attempt.port);
    assert!(
        record.status().starts_with("Failed:ClientCert"),
        "{}",
        record.line
    );
}

#[test]
fn a_thousand_bad_connections_leave_the_good_one_its_place() {
    const BAD: u64 = 1000;
    let server = server();
    for _ in 0..BAD {
        let mut raw = Raw::connect(server.address());
        raw.send(b"garbage garbage garbage garbage");
        raw.finish();
        assert_ne!(raw.read_to_end().1, Ending::Timeout);
    }
    let identity = Pki::shared().client("alice");
    assert_admitted(
        &server,
        &Client::with_identity(&identity).get(server.address()),
        Some(&identity),
    );
    let metrics = server.metrics();
    assert_eq!(
        metrics.connections("Failed:UnmappedConnectionError"),
        BAD,
        "{metrics:#?}"
    );
    assert_eq!(metrics.get("bothways_connections_open"), 0);
    assert_eq!(server.stop().len() as u64, BAD);
}

/// Sends requests without end, and reads the answers away without waiting for any: there is always one more
/// request to answer.
struct Pipeliner {
    tcp: TcpStream,
    threads: [JoinHandle<()>; 2],
}

impl Pipeliner {
    fn start(address: SocketAddr) -> Self {
        let requests = b"GET / HTTP/1.1\r\nHost: edge.example.com\r\n\r\n".repeat(1_000);
        let tcp = open(address);
        let half = || tcp.try_clone().expect("a second handle");
        let (mut to, mut from) = (half(), half());
        let writer = std::thread::spawn(move || while to.write_all(&requests).is_ok() {});
        let reader = std::thread::spawn(move || drop(io::copy(&mut from, &mut io::sink())));
        Self {
            tcp,
            threads: [writer, reader],
        }
    }

    /// Breaks the connection off.
    fn stop(self) {
        let _ = self.tcp.shutdown(Shutdown::Both);
        self.threads
            .into_iter()
            .for_each(|thread| thread.join().expect("it ends with its socket"));
    }
}

#[test]
fn pipelining_clients_do_not_stop_the_clock_of_their_core() {
    for driver in ["auto", "epoll"] {
        let config = Config::edge("none").listener("http").driver(driver);
        let server = Server::start(config.limit("header_timeout_ms", 300));
        let pipeliners: Vec<_> = (0..6).map(|_| Pipeliner::start(server.listener(1))).collect();
        let answered = |least: u64| {
            let metrics = server.wait_for_metrics("answers", |metrics| metrics.requests("4xx") > least);
            metrics.requests("4xx")
        };
        let before = answered(1_000);
        let mut halfway = Raw::connect(server.listener(1));
        halfway.send("GET / HTTP/1.1\r\nHost: ");
        assert_ne!(halfway.read_to_end().1, Ending::Timeout, "{driver}");
        answered(before + 1_000);
        pipeliners.into_iter().for_each(Pipeliner::stop);
    }
}

#[test]
fn an_answer_is_not_withheld_while_the_next_request_is_incomplete() {
    let server = Server::start(Config::edge("none"));
    let client = Client::new();
    let mut connection = client.connect(server.address()).unwrap();
    let request = client.request("GET", "/", "");
    connection.write(format!("{request}GET / HT")).unwrap();
    assert_eq!(connection.read_response().unwrap().status, 200);
    connection.write(&request["GET / HT".len()..]).unwrap();
    assert_eq!(connection.read_response().unwrap().status, 200);
}
