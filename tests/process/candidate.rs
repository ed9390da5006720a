//! A candidate trust store: it decides nothing, and the record says what it would have decided.

use bothways_tests::pki::{Leaf, Pki};
use bothways_tests::tls_client::Version::{Tls12, Tls13};
use bothways_tests::{Client, Config, Distribution, Server, TrustStore};

use crate::witnesses::{assert_admitted, assert_refused};

const DECISIONS: &str = "bothways_candidate_decisions_total";

fn decision(name: &str) -> String {
    format!("{DECISIONS}{{decision=\"{name}\"}}")
}

/// Partners decide; the candidate is what is left of them, with this list of revoked serials, and the
/// strangers.
fn edge(candidate: TrustStore) -> Config {
    let distribution = Distribution::edge("optional").mtls_setting("candidate_trust_store = \"next\"");
    Config::new()
        .trust_store(TrustStore::partners())
        .trust_store(candidate)
        .distribution(distribution)
}

#[test]
fn the_record_says_what_the_candidate_would_have_done_and_the_store_decides() {
    let pki = Pki::shared();
    let gone = pki.client("gone");
    let bundle = pki.bundle() + &pki.strangers.pem();
    let candidate = TrustStore::new("next", &bundle).revocations("next.txt", gone.serial_text());
    for version in [Tls12, Tls13] {
        let server = Server::start(edge(candidate.clone()));
        let get = |identity| Client::speaking(version, Some(identity)).get(server.address());

        let alice = pki.client("alice");
        let record = assert_admitted(&server, &get(&alice), Some(&alice));
        assert_eq!(
            record.text("candidateDecision"),
            Some("Success"),
            "{}",
            record.line
        );
        assert!(!record.has("candidateReason"), "{}", record.line);

        let record = assert_admitted(&server, &get(&gone), Some(&gone));
        assert_eq!(
            record.text("candidateDecision"),
            Some("Failed:ClientCertRejected"),
            "{}",
            record.line
        );
        let why = record.text("candidateReason").unwrap();
        assert!(why.contains(&gone.serial_text()), "{}", record.line);

        let stranger = pki.strangers.issue(Leaf::client("stranger"));
        let record = assert_refused(&server, &get(&stranger), &[48], "ClientCertUntrusted");
        assert_eq!(
            record.text("candidateDecision"),
            Some("Success"),
            "{}",
            record.line
        );

        let expired = pki.issuing.issue(Leaf::client("expired").expired());
        let record = assert_refused(&server, &get(&expired), &[45], "ClientCertExpired");
        assert_eq!(
            record.text("candidateDecision"),
            Some("Failed:ClientCertExpired"),
            "{}",
            record.line
        );

        let record = assert_admitted(&server, &Client::new().get(server.address()), None);
        assert!(!record.has("candidateDecision"), "{}", record.line);

        let metrics = server.metrics();
        for name in [
            "both_admit",
            "both_refuse",
            "candidate_would_refuse",
            "candidate_would_admit",
        ] {
            assert_eq!(metrics.get(&decision(name)), 1, "{name}: {metrics:#?}");
        }
    }
}

#[test]
fn the_candidate_is_asked_about_resumed_sessions_too() {
    let pki = Pki::shared();
    let server = Server::start(edge(TrustStore::new("next", &pki.strangers.pem())));
    let alice = pki.client("alice");
    let client = Client::with_identity(&alice);
    for resumed in [false, true] {
        let attempt = client.get(server.address());
        assert_eq!(attempt.outcome.resumed(), resumed, "{attempt:?}");
        let record = assert_admitted(&server, &attempt, Some(&alice));
        assert_eq!(
            record.text("candidateDecision"),
            Some("Failed:ClientCertUntrusted"),
            "{}",
            record.line
        );
        assert!(
            record.text("candidateReason").unwrap().contains("next"),
            "{}",
            record.line
        );
    }
    assert_eq!(server.metrics().get(&decision("candidate_would_refuse")), 2);
}

#[test]
fn without_a_candidate_nothing_is_said_or_counted() {
    let server = Server::start(Config::edge("required"));
    let alice = Pki::shared().client("alice");
    let record = assert_admitted(
        &server,
        &Client::with_identity(&alice).get(server.address()),
        Some(&alice),
    );
    assert!(!record.has("candidateDecision"), "{}", record.line);
    assert_eq!(server.metrics().sum(DECISIONS), 0);
}
