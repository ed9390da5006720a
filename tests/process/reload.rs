//! SIGHUP: the next handshake sees the new state, whatever goes on; what is broken changes nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use bothways_tests::origin::Origin;
use bothways_tests::pki::{Pki, corrupted, crl_pem};
use bothways_tests::server::Reload;
use bothways_tests::tls_client::Attempt;
use bothways_tests::{Client, Config, Distribution, Server, TrustStore};

use crate::witnesses::{assert_admitted, assert_refused};

const PUBLISHED: &str = "bothways_reloads_total{result=\"published\"}";
const REFUSED: &str = "bothways_reloads_total{result=\"refused\"}";

fn edge(distribution: Distribution) -> Config {
    let store = TrustStore::partners()
        .revocations("serials.txt", "")
        .revocations("a.crl", Pki::shared().issuing.crl(&[]));
    Config::new().trust_store(store).distribution(distribution)
}

fn required() -> Config {
    edge(Distribution::edge("required"))
}

#[test]
fn a_revocation_takes_effect_at_the_next_handshake() {
    let server = Server::start(required());
    let identities = [Pki::shared().client("alice"), Pki::shared().client("bob")];
    let clients = identities.each_ref().map(Client::with_identity);
    for (client, identity) in clients.iter().zip(&identities) {
        assert_admitted(&server, &client.get(server.address()), Some(identity));
    }
    let before = server.metrics();
    server.write(
        "serials.txt",
        format!("# left us\n{}\n", identities[0].serial_text().to_uppercase()),
    );
    server.write(
        "a.crl",
        crl_pem(&Pki::shared().issuing.crl(&[identities[1].serial(), &[9]])),
    );
    server.reload_published();
    for identity in &identities {
        let attempt = Client::with_identity(identity).get(server.address());
        assert_refused(&server, &attempt, &[44], "ClientCertRejected");
    }
    let after = server.metrics();
    assert_eq!(
        after.get("bothways_revocation_entries{trust_store=\"partners\"}"),
        3,
        "{after:#?}"
    );
    assert_eq!(
        (after.get(PUBLISHED), after.get(REFUSED)),
        (before.get(PUBLISHED) + 1, 0),
        "{after:#?}"
    );
    assert!(after.get("bothways_snapshot_generation") > before.get("bothways_snapshot_generation"));
}

#[test]
fn a_revocation_that_is_taken_back_admits_again() {
    let identity = Pki::shared().client("alice");
    let entry = "{ file = \"serials.txt\", may_be_empty = true }";
    let store = TrustStore::partners()
        .revocations_as(entry, "serials.txt", identity.serial_text())
        .setting("allow_losing_all_revocations = true");
    let server = Server::start(
        Config::new()
            .trust_store(store)
            .distribution(Distribution::edge("required")),
    );
    let client = Client::with_identity(&identity);
    assert_refused(
        &server,
        &client.get(server.address()),
        &[44],
        "ClientCertRejected",
    );
    server.write("serials.txt", "");
    server.reload_published();
    assert_admitted(&server, &client.get(server.address()), Some(&identity));
}

/// The state before a broken reload stays: the revoked client refused, the good one admitted, on both its
/// witnesses.
fn keeps_the_old_state(file: &str, contents: &[u8], named: &str) {
    let (revoked, good) = (Pki::shared().client("revoked"), Pki::shared().client("good"));
    let server = Server::start(required());
    server.write("serials.txt", revoked.serial_text());
    server.reload_published();
    let before = server.metrics();

    server.write(file, contents);
    let Reload::Refused(line) = server.reload() else {
        panic!("a broken {file} was published")
    };
    assert!(line.contains(named), "the line does not name {named}: {line}");

    let attempt = Client::with_identity(&revoked).get(server.address());
    assert_refused(&server, &attempt, &[44], "ClientCertRejected");
    assert_admitted(
        &server,
        &Client::with_identity(&good).get(server.address()),
        Some(&good),
    );
    let after = server.metrics();
    let generation = "bothways_snapshot_generation";
    assert_eq!(after.get(generation), before.get(generation));
    assert_eq!(
        (after.get(PUBLISHED), after.get(REFUSED)),
        (before.get(PUBLISHED), 1),
        "{after:#?}"
    );
}

#[test]
fn a_broken_serial_list_keeps_the_old_state() {
    keeps_the_old_state("serials.txt", b"12:34\nnot a serial number\n", "serials.txt");
}

#[test]
fn a_crl_with_a_broken_signature_keeps_the_old_state() {
    keeps_the_old_state("a.crl", &corrupted(Pki::shared().issuing.crl(&[&[1]])), "a.crl");
}

#[test]
fn a_crl_of_a_stranger_keeps_the_old_state() {
    keeps_the_old_state("a.crl", &Pki::shared().strangers.crl(&[&[1]]), "a.crl");
}

#[test]
fn an_empty_bundle_keeps_the_old_state() {
    keeps_the_old_state("partners.pem", b"", "partners.pem");
}

#[test]
fn a_key_that_does_not_fit_keeps_the_old_state() {
    let other = Pki::shared().client("someone else").key_pem();
    keeps_the_old_state("E2DX1SLDPK0123.key", other.as_bytes(), "E2DX1SLDPK0123");
}

#[test]
fn a_configuration_that_does_not_parse_keeps_the_old_state() {
    keeps_the_old_state("edge.toml", b"[runtime\n", "edge.toml");
}

#[test]
fn reloads_under_load_cost_no_good_connection() {
    const THREADS: usize = 4;
    const EACH: usize = 50;
    const RELOADS: usize = 5;
    let server = Server::start(required().cores(2));
    let identity = Pki::shared().client("alice");
    let first_attempts_done = AtomicBool::new(false);
    let attempts: Vec<Attempt> = std::thread::scope(|scope| {
        let load = || {
            let attempt = |_| {
                let attempt = Client::with_identity(&identity).get(server.address());
                first_attempts_done.store(true, Ordering::SeqCst);
                attempt
            };
            (0..EACH).map(attempt).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(load)).collect();
        for round in 0..RELOADS {
            server.write("serials.txt", format!("0a:0b:{round:02x}\n"));
            server.reload_published();
        }
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(first_attempts_done.load(Ordering::SeqCst));
    for attempt in &attempts {
        assert_admitted(&server, attempt, Some(&identity));
    }
    let metrics = server.metrics();
    assert_eq!(metrics.connections("Success"), (THREADS * EACH) as u64);
    assert_eq!(metrics.get(PUBLISHED), RELOADS as u64);
}

#[test]
fn a_connection_in_use_goes_on_through_a_reload() {
    let origin = Origin::start();
    let server = Server::start(edge(Distribution::edge("required").proxies_to(&origin.url())));
    let identity = Pki::shared().client("alice");
    let client = Client::with_identity(&identity);
    let mut idle = client.connect(server.address()).unwrap();
    assert!(idle.exchange(&client.request("GET", "/", "")).is_ok());
    let mut busy = client.connect(server.address()).unwrap();
    busy.write(client.request("GET", "/gate", "")).unwrap();
    origin.wait_for_request("/gate", 1);

    server.write("serials.txt", "0a:0b\n");
    server.write_config(
        &edge(Distribution::edge("required").proxies_to(&origin.url())).limit("header_bytes_max", 16_384),
    );
    server.reload_published();

    origin.open_gate();
    assert_eq!(busy.read_response().unwrap().text(), "through the gate\n");
    for connection in [&mut idle, &mut busy] {
        assert!(connection.exchange(&client.request("GET", "/", "")).is_ok());
        connection.close();
        let record = server.record_of(connection.port);
        assert_eq!(
            (record.status(), record.number("requests")),
            ("Success", Some(2)),
            "{}",
            record.line
        );
    }
}

#[test]
fn a_new_server_certificate_and_response_are_served_after_a_reload() {
    let first = Distribution::edge("required").answers("first\n");
    let second = Distribution::edge("required").answers("second\n");
    let server = Server::start(edge(first.clone()));
    let identity = Pki::shared().client("alice");
    let seen = || {
        let client = Client::with_identity(&identity);
        let mut connection = client.connect(server.address()).unwrap();
        let certificate = connection.server_certificate().unwrap();
        (
            certificate,
            connection
                .exchange(&client.request("GET", "/", ""))
                .response()
                .text(),
        )
    };
    assert_eq!(seen(), (first.identity().chain[0].clone(), "first\n".to_owned()));
    server.write_config(&edge(second.clone()));
    server.reload_published();
    assert_eq!(
        seen(),
        (second.identity().chain[0].clone(), "second\n".to_owned())
    );
}
