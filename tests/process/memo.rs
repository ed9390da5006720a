//! The verdict memo: what it saves, and what it never stands in for.

use bothways_tests::tls_client::Version::{Tls12, Tls13};
use bothways_tests::{Client, Config, Distribution, Identity, Outcome, Pki, Server, TrustStore};

use crate::witnesses::{assert_admitted, assert_refused};

fn verdicts(server: &Server) -> (u64, u64) {
    let metrics = server.metrics();
    let of = |memo: &str| metrics.get(&format!("bothways_verdicts_total{{memo=\"{memo}\"}}"));
    (of("hit"), of("miss"))
}

#[test]
fn a_client_that_comes_again_is_not_verified_from_scratch() {
    let server = Server::start(Config::edge("required"));
    let identity = Pki::shared().client("alice");
    for version in [Tls13, Tls12, Tls13] {
        let attempt = Client::speaking(version, Some(&identity)).get(server.address());
        assert_admitted(&server, &attempt, Some(&identity));
    }
    assert_eq!(verdicts(&server), (2, 1));
}

#[test]
fn a_remembered_client_that_was_revoked_is_refused_with_alert_44() {
    let store = TrustStore::partners().revocations("serials.txt", "# nobody yet\n");
    let config = || {
        Config::new()
            .trust_store(store.clone())
            .distribution(Distribution::edge("required"))
    };
    let server = Server::start(config());
    let identity = Pki::shared().client("alice");
    for _ in 0..2 {
        let attempt = Client::with_identity(&identity).get(server.address());
        assert_admitted(&server, &attempt, Some(&identity));
    }
    server.write("serials.txt", format!("{}\n", identity.serial_text()));
    server.reload_published();
    let attempt = Client::with_identity(&identity).get(server.address());
    assert_refused(&server, &attempt, &[44], "ClientCertRejected");
    assert_eq!(verdicts(&server), (1, 2));
}

#[test]
fn a_remembered_chain_is_no_proof_of_its_key() {
    let server = Server::start(Config::edge("required"));
    let victim = Pki::shared().client("victim");
    assert_admitted(
        &server,
        &Client::with_identity(&victim).get(server.address()),
        Some(&victim),
    );
    let thief = Identity::with_stolen_certificate(&victim, Pki::shared().client("thief"));
    for version in [Tls12, Tls13] {
        let attempt = Client::speaking(version, Some(&thief)).get(server.address());
        assert!(matches!(attempt.outcome, Outcome::Alert(..)), "{attempt:?}");
        assert_eq!(
            server.record_of(attempt.port).status(),
            "Failed:ClientCertInvalid"
        );
    }
    assert_eq!(verdicts(&server), (2, 1));
}

#[test]
fn a_memo_of_no_entries_verifies_every_chain() {
    let server = Server::start(Config::edge("required").limit("verdicts_per_core", 0));
    let identity = Pki::shared().client("alice");
    for _ in 0..2 {
        let attempt = Client::with_identity(&identity).get(server.address());
        assert_admitted(&server, &attempt, Some(&identity));
    }
    assert_eq!(verdicts(&server), (0, 2));
}
