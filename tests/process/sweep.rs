//! Open connections after a reload: those whose client it no longer admits end at once, no other does. Those
//! whose client expires end without a reload.

use std::io::Read as _;
use std::time::Duration;

use bothways_tests::origin::Origin;
use bothways_tests::pki::{Leaf, Pki};
use bothways_tests::tls_client::{Connection, Ending, Version};
use bothways_tests::{Client, Config, Distribution, Identity, Record, Server, TrustStore};

use crate::witnesses::assert_refused;

const CLOSED: &str = "bothways_connections_no_longer_admitted_total";

fn closed(reason: &str) -> String {
    format!("{CLOSED}{{reason=\"{reason}\"}}")
}

fn edge(distribution: Distribution) -> Config {
    Config::new()
        .trust_store(TrustStore::partners().revocations("serials.txt", ""))
        .distribution(distribution)
}

fn required() -> Config {
    edge(Distribution::edge("required"))
}

/// A connection that has had a response and is kept open.
fn open(server: &Server, client: &Client) -> Connection {
    let mut connection = client.connect(server.address()).unwrap();
    assert!(connection.exchange(&client.request("GET", "/", "")).is_ok());
    connection
}

/// The connection answers still.
fn assert_alive(connection: &mut Connection) {
    let request = Client::new().request("GET", "/", "");
    let outcome = connection.exchange(&request);
    assert!(outcome.is_ok(), "{outcome:?}");
}

/// SIGHUP, and every core has walked over its connections.
fn reload_and_sweep(server: &Server, cores: u64) {
    let name = "bothways_sweeps_total";
    let before = server.metrics().get(name);
    server.reload_published();
    server.wait_for_metrics("every core's walk", |metrics| metrics.get(name) >= before + cores);
}

/// The server has ended the connection, and its record says what did.
fn assert_closed_by(server: &Server, connection: &mut Connection, reason: &str) -> Record {
    let record = assert_closed(server, connection, reason);
    let why = record.text("reason").unwrap_or_default();
    assert!(why.starts_with("closed after a reload: "), "{}", record.line);
    record
}

fn assert_closed(server: &Server, connection: &mut Connection, reason: &str) -> Record {
    assert_eq!(connection.wait_for_close(), Ending::Eof);
    connection.close();
    let record = server.record_of(connection.port);
    assert_eq!(record.status(), "Success", "{}", record.line);
    assert_eq!(record.text("closedBy"), Some(reason), "{}", record.line);
    record
}

#[test]
fn all_connections_of_a_revoked_client_end_and_no_other_does() {
    const EACH: usize = 100;
    let server = Server::start(required().cores(2));
    let (mallory, alice) = (Pki::shared().client("mallory"), Pki::shared().client("alice"));
    let many = |identity: &Identity| {
        // Its second connection and all later ones are resumed.
        let client = Client::with_identity(identity);
        (0..EACH).map(|_| open(&server, &client)).collect::<Vec<_>>()
    };
    let (mut revoked, mut others) = (many(&mallory), many(&alice));
    assert!(revoked.iter().any(Connection::resumed) && revoked.iter().any(|c| !c.resumed()));

    server.write("serials.txt", mallory.serial_text());
    reload_and_sweep(&server, 2);
    for connection in &mut revoked {
        let record = assert_closed_by(&server, connection, "revocation");
        let why = record.text("reason").unwrap();
        assert!(why.contains(&mallory.serial_text()), "{}", record.line);
        assert_eq!(record.number("requests"), Some(1), "{}", record.line);
    }
    others.iter_mut().for_each(assert_alive);
    let metrics = server.metrics();
    assert_eq!(metrics.get(&closed("revocation")), EACH as u64, "{metrics:#?}");
    assert_eq!(metrics.sum(CLOSED), EACH as u64, "{metrics:#?}");
    assert_eq!(metrics.get("bothways_connections_open"), EACH as u64);
}

#[test]
fn a_revoked_intermediate_ends_the_connections_of_its_clients() {
    let pki = Pki::shared();
    let store = TrustStore::new("partners", &pki.root.pem()).revocations("a.crl", pki.root.crl(&[]));
    let server = Server::start(
        Config::new()
            .trust_store(store)
            .distribution(Distribution::edge("required")),
    );
    let mut connection = open(&server, &Client::with_identity(&pki.client("alice")));
    server.write("a.crl", pki.root.crl(&[pki.issuing.serial()]));
    server.reload_published();
    let record = assert_closed_by(&server, &mut connection, "revocation");
    assert!(record.line.contains("Partners Issuing CA"), "{}", record.line);
}

#[test]
fn a_client_that_is_revoked_during_its_handshake_is_closed_at_its_end() {
    for version in [Version::Tls12, Version::Tls13] {
        let server = Server::start(required());
        let mallory = Pki::shared().client("mallory");
        let begun = Client::speaking(version, Some(&mallory)).begin(server.address());
        server.write("serials.txt", mallory.serial_text());
        reload_and_sweep(&server, 1);
        let mut connection = begun.finish().unwrap();
        let record = assert_closed_by(&server, &mut connection, "revocation");
        assert_eq!(record.number("requests"), Some(0), "{}", record.line);
        assert_eq!(server.metrics().get(&closed("revocation")), 1);
    }
}

#[test]
fn a_stalled_response_does_not_keep_a_revoked_client_connected() {
    let origin = Origin::start();
    let server = Server::start(edge(Distribution::edge("required").proxies_to(&origin.url())));
    let mallory = Pki::shared().client("mallory");
    let client = Client::with_identity(&mallory);
    let mut connection = client.connect(server.address()).unwrap();
    connection.write(client.request("GET", "/stall", "")).unwrap();
    origin.wait_for_request("/stall", 1);
    server.write("serials.txt", mallory.serial_text());
    server.reload_published();
    assert_ne!(connection.wait_for_close(), Ending::Timeout);
    let record = server.record_of(connection.port);
    assert_eq!(record.text("closedBy"), Some("revocation"), "{}", record.line);
}

/// The type of the next HTTP/2 frame (RFC 9113 §4.1), its payload read too; `None` at the end of the
/// connection.
fn next_frame(connection: &mut Connection) -> Option<u8> {
    let mut head = [0; 9];
    connection.reader().read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    connection.reader().read_exact(&mut payload).ok()?;
    Some(head[3])
}

#[test]
fn an_http_2_connection_of_a_revoked_client_gets_goaway_and_no_further_answer() {
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    let server = Server::start(required());
    let mallory = Pki::shared().client("mallory");
    let client = Client::with_identity(&mallory).alpn(&["h2"]);
    let mut connection = client.connect(server.address()).unwrap();
    connection
        .write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    assert_eq!(next_frame(&mut connection), Some(SETTINGS));

    server.write("serials.txt", mallory.serial_text());
    server.reload_published();
    while next_frame(&mut connection).expect("GOAWAY comes before the end") != GOAWAY {}
    // GET https://edge.example.com/ on stream 1 (RFC 7541 §C.3): until the client has answered the PING,
    // HTTP/2 allows it.
    let head = [&b"\x82\x87\x84\x41\x10"[..], b"edge.example.com"].concat();
    let frame = [&[0, 0, head.len() as u8, 1, 5, 0, 0, 0, 1], &head[..]].concat();
    let _may_have_ended = connection.write(frame);
    while next_frame(&mut connection).is_some() {}
    let record = server.record_of(connection.port);
    assert_eq!(record.text("closedBy"), Some("revocation"), "{}", record.line);
    let metrics = server.metrics();
    assert_eq!(metrics.get(&closed("revocation")), 1);
    assert_eq!(metrics.requests("2xx"), 0, "{metrics:#?}");
}

#[test]
fn a_ca_more_disturbs_nobody_and_a_ca_less_ends_only_its_own() {
    let pki = Pki::shared();
    let server = Server::start(required());
    let mut alice = open(&server, &Client::with_identity(&pki.client("alice")));
    server.write("partners.pem", pki.bundle() + &pki.strangers.pem());
    reload_and_sweep(&server, 1);
    assert_alive(&mut alice);

    let bob = pki.strangers.issue(Leaf::client("bob"));
    let mut bob = open(&server, &Client::with_identity(&bob));
    server.write("partners.pem", pki.bundle());
    reload_and_sweep(&server, 1);
    let record = assert_closed_by(&server, &mut bob, "trust_store");
    assert!(record.line.contains("Strangers Root CA"), "{}", record.line);
    assert_alive(&mut alice);
    let metrics = server.metrics();
    assert_eq!(metrics.get(&closed("trust_store")), 1, "{metrics:#?}");
    assert_eq!(metrics.sum(CLOSED), 1, "{metrics:#?}");
}

#[test]
fn a_client_without_certificate_is_closed_when_one_becomes_required() {
    let server = Server::start(edge(Distribution::edge("optional")));
    let mut anonymous = open(&server, &Client::new());
    let mut alice = open(&server, &Client::with_identity(&Pki::shared().client("alice")));
    server.write_config(&required());
    reload_and_sweep(&server, 1);
    assert_closed_by(&server, &mut anonymous, "policy");
    assert_alive(&mut alice);
    assert_eq!(server.metrics().get(&closed("policy")), 1);
}

#[test]
fn a_connection_of_a_distribution_that_is_gone_is_closed() {
    let other = Distribution::new("E2OTHER", &["other.example.com"], "required");
    let server = Server::start(required().distribution(other));
    let alice = Client::with_identity(&Pki::shared().client("alice"));
    let mut stays = open(&server, &alice);
    let client = alice.sni("other.example.com");
    let mut goes = open(&server, &client);
    server.write_config(&required());
    reload_and_sweep(&server, 1);
    let record = assert_closed_by(&server, &mut goes, "distribution");
    assert!(
        record.text("reason").unwrap().contains("other.example.com"),
        "{}",
        record.line
    );
    assert_alive(&mut stays);
    assert_eq!(server.metrics().get(&closed("distribution")), 1);
}

#[test]
fn where_on_revocation_is_keep_open_connections_stay_and_new_ones_are_refused() {
    let keep = Distribution::edge("required").mtls_setting("on_revocation = \"keep\"");
    let server = Server::start(edge(keep));
    let mallory = Pki::shared().client("mallory");
    let mut connection = open(&server, &Client::with_identity(&mallory));
    server.write("serials.txt", mallory.serial_text());
    reload_and_sweep(&server, 1);
    assert_alive(&mut connection);
    let attempt = Client::with_identity(&mallory).get(server.address());
    assert_refused(&server, &attempt, &[44], "ClientCertRejected");
    assert_eq!(server.metrics().sum(CLOSED), 0);
}

#[test]
fn a_client_that_expires_while_it_is_connected_is_closed_without_a_reload() {
    let other = Distribution::new("E2OTHER", &["other.example.com"], "required");
    let ignoring = other.mtls_setting("ignore_certificate_expiry = true");
    // A tenth of it is the tick's period, and thus the whole of it the time between two looks.
    let server = Server::start(
        required()
            .distribution(ignoring)
            .limit("header_timeout_ms", 1_000),
    );
    let mut alice = open(&server, &Client::with_identity(&Pki::shared().client("alice")));
    let brief = Leaf::client("brief").ends_in(Duration::from_secs(8));
    let brief = Client::with_identity(&Pki::shared().issuing.issue(brief));
    let mut ignored = open(&server, &brief.clone().sni("other.example.com"));
    let mut connection = open(&server, &brief);

    let record = assert_closed(&server, &mut connection, "expiry");
    let why = record.text("reason").unwrap_or_default();
    assert!(
        why.starts_with("closed: the client certificate expired "),
        "{}",
        record.line
    );
    assert_alive(&mut alice);
    let request = brief.sni("other.example.com").request("GET", "/", "");
    assert!(
        ignored.exchange(&request).is_ok(),
        "it was looked at before the one that was closed"
    );
    let metrics = server.metrics();
    assert_eq!(metrics.get(&closed("expiry")), 1, "{metrics:#?}");
    assert_eq!(metrics.sum(CLOSED), 1, "{metrics:#?}");
    assert_eq!(metrics.get("bothways_sweeps_total"), 0, "{metrics:#?}");
}
