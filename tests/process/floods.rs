//! Floods of one client: each costs a bounded amount, and nobody else's service.

use bothways_tests::pki::Leaf;
use bothways_tests::s_client::SClient;
use bothways_tests::tls_client::Version::Tls13;
use bothways_tests::{Client, Config, Pki, Server};

fn assert_serves(server: &Server) {
    let client = Client::with_identity(&Pki::shared().client("alice"));
    assert!(client.get(server.address()).outcome.is_ok());
}

#[test]
fn renegotiation_is_refused_and_ends_nothing_but_its_connection() {
    let server = Server::start(Config::edge("required"));
    let identity = Pki::shared().client("alice");
    let shown = SClient::new(server.address(), "edge.example.com")
        .identity(&identity)
        .tls12()
        .type_in("R\nGET / HTTP/1.1\r\nHost: edge.example.com\r\n\r\n");
    assert!(shown.text.contains("RENEGOTIATING"), "{}", shown.text);
    assert!(!shown.text.contains("HTTP/1.1 200"), "{}", shown.text);
    assert_serves(&server);
    assert_eq!(server.metrics().get("bothways_panics_total"), 0);
}

#[test]
fn ten_thousand_key_updates_cost_no_memory() {
    let server = Server::start(Config::edge("required"));
    let client = Client::speaking(Tls13, Some(&Pki::shared().client("alice")));
    let mut connection = client.connect(server.address()).unwrap();
    assert!(connection.exchange(&client.request("GET", "/", "")).is_ok());
    let before = server.resident_bytes();
    // A server that ends the connection over it is right as well, whether or not it listens to the rest.
    let _survived = (0..10_000).all(|_| connection.update_keys().is_ok());
    assert_serves(&server);
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 4 * 1024 * 1024, "grown by {grown} bytes");
}

#[test]
fn refused_handshakes_leave_no_memory_behind() {
    const ROUND: u64 = 500;
    const ROUNDS_MAX: usize = 20;
    let server = Server::start(Config::edge("required"));
    let expired = Pki::shared().issuing.issue(Leaf::client("late").expired());
    let client = Client::with_identity(&expired);
    let growth = || {
        let before = server.resident_bytes();
        (0..ROUND).for_each(|_| assert!(!client.get(server.address()).outcome.is_ok()));
        server.resident_bytes().saturating_sub(before)
    };
    // Memory that each handshake leaves behind, be it 200 bytes, shows in every round; what is allocated once
    // does not.
    let mut growths: Vec<u64> = Vec::new();
    while growths.len() < ROUNDS_MAX && growths.last().is_none_or(|grown| *grown >= ROUND * 200) {
        growths.push(growth());
    }
    assert!(
        growths.last().is_some_and(|grown| *grown < ROUND * 200),
        "grown by {growths:?} in rounds of {ROUND}"
    );
    let all = growths.len() as u64 * ROUND;
    server.wait_for_metrics("all are counted", |metrics| {
        metrics.connections("Failed:ClientCertExpired") == all
    });
    assert_serves(&server);
}

#[test]
fn a_rapid_reset_ends_with_goaway_and_the_next_client_is_served() {
    let server = Server::start(Config::edge("required"));
    let client = Client::with_identity(&Pki::shared().client("alice")).alpn(&["h2"]);
    let mut connection = client.connect(server.address()).unwrap();
    let mut flood = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut flood, 4, 0, 0, &[]);
    for stream in (1..20_001).step_by(2) {
        frame(&mut flood, 1, 0x5, stream, &REQUEST);
        frame(&mut flood, 3, 0, stream, &[0, 0, 0, 8]);
    }
    let _ = connection.write(&flood);
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(connection.reader(), &mut answer);
    assert!(has_goaway(&answer), "{} octets without GOAWAY", answer.len());
    assert_serves(&server);
}

/// RFC 9113 §4.1.
fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

fn has_goaway(mut frames: &[u8]) -> bool {
    while let Some((head, rest)) = frames.split_at_checked(9) {
        if head[3] == 7 {
            return true;
        }
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        frames = rest.get(length..).unwrap_or_default();
    }
    false
}

/// HPACK (RFC 7541): GET, https, /, and :authority as a literal without indexing.
const REQUEST: [u8; 21] = *b"\x82\x87\x84\x01\x10edge.example.com";
