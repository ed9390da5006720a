//! Each mode with each kind of client certificate.

use bothways_tests::pki::{Leaf, crl_pem};
use bothways_tests::tls_client::Version::{self, Tls12, Tls13};
use bothways_tests::{Client, Config, Distribution, Identity, Pki, Server, TrustStore};
use rcgen::ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};

use crate::witnesses::{assert_admitted, assert_refused};
use Verdict::{Admitted, Refused};

/// End that a client should come to: admitted, or refused with one of these alerts and this status code.
enum Verdict {
    Admitted,
    Refused(&'static [u8], &'static str),
}

/// A named test per line: mode, protocol version, the client's identity, the verdict.
macro_rules! cases {
    ($($name:ident: $mode:literal, $version:expr, $who:expr => $verdict:expr;)*) => {
        $(#[test]
        fn $name() {
            check(Config::new(), $mode, $version, $who, $verdict);
        })*
    };
}

cases! {
    required_admits_a_good_client_tls13: "required", Tls13, good() => Admitted;
    required_admits_a_good_client_tls12: "required", Tls12, good() => Admitted;
    required_refuses_no_certificate_with_alert_116_tls13: "required", Tls13, None => Refused(&[116], "ClientCertMissing");
    required_refuses_no_certificate_tls12: "required", Tls12, None => Refused(&[116, 40], "ClientCertMissing");
    required_refuses_an_expired_client_with_alert_45_tls13: "required", Tls13, expired() => Refused(&[45], "ClientCertExpired");
    required_refuses_an_expired_client_with_alert_45_tls12: "required", Tls12, expired() => Refused(&[45], "ClientCertExpired");
    required_refuses_a_not_yet_valid_client_with_alert_45: "required", Tls13, not_yet() => Refused(&[45], "ClientCertNotYetValid");
    required_refuses_an_untrusted_client_with_alert_48_tls13: "required", Tls13, stranger() => Refused(&[48], "ClientCertUntrusted");
    required_refuses_an_untrusted_client_with_alert_48_tls12: "required", Tls12, stranger() => Refused(&[48], "ClientCertUntrusted");
    required_refuses_a_server_certificate_with_alert_43: "required", Tls13, purpose(&[ServerAuth]) => Refused(&[43], "ClientCertIntentInvalid");
    required_refuses_a_client_on_the_serial_list_with_alert_44_tls13: "required", Tls13, listed() => Refused(&[44], "ClientCertRejected");
    required_refuses_a_client_on_the_serial_list_with_alert_44_tls12: "required", Tls12, listed() => Refused(&[44], "ClientCertRejected");
    required_refuses_a_client_on_the_crl_with_alert_44_tls13: "required", Tls13, on_crl() => Refused(&[44], "ClientCertRejected");
    required_refuses_a_client_on_the_crl_with_alert_44_tls12: "required", Tls12, on_crl() => Refused(&[44], "ClientCertRejected");
    required_refuses_a_client_on_the_binary_crl_with_alert_44: "required", Tls13, on_der_crl() => Refused(&[44], "ClientCertRejected");
    required_admits_a_version_1_client_tls13: "required", Tls13, version_1() => Admitted;
    required_admits_a_version_1_client_tls12: "required", Tls12, version_1() => Admitted;
    required_refuses_an_expired_version_1_client: "required", Tls13, expired_version_1() => Refused(&[45], "ClientCertExpired");
    required_refuses_an_untrusted_version_1_client: "required", Tls13, strange_version_1() => Refused(&[48], "ClientCertUntrusted");
    required_refuses_a_version_1_client_on_the_serial_list: "required", Tls13, listed_version_1() => Refused(&[44], "ClientCertRejected");
    required_admits_a_chain_of_four_levels: "required", Tls13, levels(4) => Admitted;
    required_refuses_a_chain_of_five_levels_with_alert_48: "required", Tls13, levels(5) => Refused(&[48], "ClientCertMaxChainDepthExceeded");
    required_admits_a_client_without_purposes: "required", Tls13, purpose(&[]) => Admitted;
    required_admits_a_client_of_several_purposes: "required", Tls13, purpose(&[ServerAuth, ClientAuth]) => Admitted;
    required_refuses_a_client_that_is_only_for_any_purpose: "required", Tls13, purpose(&[Any]) => Refused(&[43], "ClientCertIntentInvalid");
    required_admits_a_leaf_alone_since_the_bundle_has_its_issuer: "required", Tls13, alone() => Admitted;

    passthrough_admits_a_good_client_tls13: "passthrough", Tls13, good() => Admitted;
    passthrough_admits_a_good_client_tls12: "passthrough", Tls12, good() => Admitted;
    passthrough_admits_no_certificate_tls13: "passthrough", Tls13, None => Admitted;
    passthrough_admits_no_certificate_tls12: "passthrough", Tls12, None => Admitted;
    passthrough_admits_an_untrusted_client: "passthrough", Tls13, stranger() => Admitted;
    passthrough_admits_an_expired_client: "passthrough", Tls13, expired() => Admitted;
    passthrough_admits_a_client_on_the_serial_list: "passthrough", Tls13, listed() => Admitted;
    passthrough_admits_a_server_certificate: "passthrough", Tls13, purpose(&[ServerAuth]) => Admitted;
    passthrough_admits_a_version_1_client_tls13: "passthrough", Tls13, version_1() => Admitted;
    passthrough_admits_a_version_1_client_tls12: "passthrough", Tls12, version_1() => Admitted;
    passthrough_admits_four_certificates: "passthrough", Tls13, levels(5) => Admitted;
    passthrough_refuses_five_certificates: "passthrough", Tls13, levels(6) => Refused(&[48], "ClientCertMaxChainDepthExceeded");

    optional_admits_a_good_client: "optional", Tls13, good() => Admitted;
    optional_admits_no_certificate_tls13: "optional", Tls13, None => Admitted;
    optional_admits_no_certificate_tls12: "optional", Tls12, None => Admitted;
    optional_refuses_an_expired_client_with_alert_45: "optional", Tls13, expired() => Refused(&[45], "ClientCertExpired");
    optional_refuses_a_not_yet_valid_client_with_alert_45: "optional", Tls13, not_yet() => Refused(&[45], "ClientCertNotYetValid");
    optional_refuses_an_untrusted_client_with_alert_48_tls13: "optional", Tls13, stranger() => Refused(&[48], "ClientCertUntrusted");
    optional_refuses_an_untrusted_client_with_alert_48_tls12: "optional", Tls12, stranger() => Refused(&[48], "ClientCertUntrusted");
    optional_refuses_a_server_certificate_with_alert_43: "optional", Tls13, purpose(&[ServerAuth]) => Refused(&[43], "ClientCertIntentInvalid");
    optional_refuses_a_client_on_the_serial_list_with_alert_44: "optional", Tls13, listed() => Refused(&[44], "ClientCertRejected");
    optional_refuses_a_client_on_the_crl_with_alert_44: "optional", Tls13, on_crl() => Refused(&[44], "ClientCertRejected");
    optional_admits_a_version_1_client: "optional", Tls13, version_1() => Admitted;
    optional_refuses_a_chain_of_five_levels_with_alert_48: "optional", Tls13, levels(5) => Refused(&[48], "ClientCertMaxChainDepthExceeded");
}

#[test]
fn where_expiry_is_ignored_an_expired_client_is_admitted_with_a_word_and_nothing_else_is_weakened() {
    let server = Server::start(
        Config::new()
            .trust_store(TrustStore::partners())
            .distribution(Distribution::edge("required").mtls_setting("ignore_certificate_expiry = true")),
    );
    for identity in [expired(), not_yet()] {
        for version in [Tls12, Tls13] {
            let attempt = Client::speaking(version, identity.as_ref()).get(server.address());
            assert!(attempt.outcome.is_ok(), "{attempt:?}");
            let record = server.record_of(attempt.port);
            assert_eq!(record.status(), "Success", "{}", record.line);
            let reason = record.text("reason").unwrap_or_default();
            assert!(reason.contains("ignore_certificate_expiry"), "{}", record.line);
        }
    }
    let server_purpose = issued(leaf().expired().purposes(&[ServerAuth]));
    for (identity, alert, code) in [
        (stranger(), 48, "ClientCertUntrusted"),
        (server_purpose, 43, "ClientCertIntentInvalid"),
        (None, 116, "ClientCertMissing"),
    ] {
        let attempt = Client::speaking(Tls13, identity.as_ref()).get(server.address());
        assert_refused(&server, &attempt, &[alert], code);
    }
}

#[test]
fn the_epoll_driver_decides_alike() {
    let epoll = || Config::new().driver("epoll");
    check(epoll(), "required", Tls13, good(), Admitted);
    check(
        epoll(),
        "required",
        Tls13,
        None,
        Refused(&[116], "ClientCertMissing"),
    );
    check(
        epoll(),
        "required",
        Tls12,
        listed(),
        Refused(&[44], "ClientCertRejected"),
    );
}

#[test]
fn without_client_authentication_no_certificate_is_asked_for() {
    let server = Server::start(Config::edge("none"));
    for version in [Tls12, Tls13] {
        let attempt = Client::speaking(version, good().as_ref()).get(server.address());
        assert_admitted(&server, &attempt, None);
    }
}

#[test]
fn version_1_clients_are_refused_where_the_trust_store_does_not_allow_them() {
    let store = TrustStore::partners().setting("allow_v1_client_certificates = false");
    let server = Server::start(
        Config::new()
            .trust_store(store)
            .distribution(Distribution::edge("required")),
    );
    let attempt = Client::with_identity(&version_1().unwrap()).get(server.address());
    assert_refused(&server, &attempt, &[42, 43], "ClientCertTypeUnsupported");
}

#[test]
fn a_version_1_certificate_of_a_client_is_no_authority() {
    // A chain through a version 1 certificate that the bundle does not have: leaf, v1 "intermediate".
    let pki = Pki::shared();
    let server = Server::start(Config::edge("required"));
    let v1 = pki.issuing.issue_v1(Leaf::client("not an authority"));
    let under = bothways_tests::pki::Authority::forged("not an authority").issue(Leaf::client("mallory"));
    let mut chain = under.clone();
    chain.chain.push(v1.chain[0].clone());
    let attempt = Client::with_identity(&chain).get(server.address());
    assert!(
        matches!(attempt.outcome, bothways_tests::Outcome::Alert(..)),
        "{attempt:?}"
    );
    assert!(
        server
            .record_of(attempt.port)
            .status()
            .starts_with("Failed:ClientCert")
    );
}

#[test]
fn a_forged_issuer_of_the_same_name_is_not_trusted() {
    let server = Server::start(Config::edge("required"));
    for issuer in ["Partners Root CA", "Partners Issuing CA"] {
        let forged = bothways_tests::pki::Authority::forged(issuer);
        for identity in [
            forged.issue(Leaf::client("mallory")),
            forged.issue_v1(Leaf::client("mallory")),
        ] {
            let attempt = Client::with_identity(&identity).get(server.address());
            assert!(
                matches!(attempt.outcome, bothways_tests::Outcome::Alert(..)),
                "{attempt:?}"
            );
            let status = server.record_of(attempt.port).status().to_owned();
            assert!(
                ["Failed:ClientCertUntrusted", "Failed:ClientCertInvalid"].contains(&&*status),
                "{status}"
            );
        }
    }
}

#[test]
fn a_broken_signature_is_not_trusted() {
    let server = Server::start(Config::edge("required"));
    for identity in [good().unwrap(), version_1().unwrap()] {
        let attempt = Client::with_identity(&identity.with_broken_signature()).get(server.address());
        assert!(
            matches!(attempt.outcome, bothways_tests::Outcome::Alert(..)),
            "{attempt:?}"
        );
        let status = server.record_of(attempt.port).status().to_owned();
        assert!(
            ["Failed:ClientCertUntrusted", "Failed:ClientCertInvalid"].contains(&&*status),
            "{status}"
        );
    }
}

#[test]
fn a_stolen_certificate_without_its_key_is_refused() {
    for mode in ["required", "optional", "passthrough"] {
        let server = Server::start(Config::edge(mode));
        for victim in [good().unwrap(), version_1().unwrap()] {
            a_thief_is_refused(&server, &victim);
        }
    }
}

fn a_thief_is_refused(server: &Server, victim: &Identity) {
    let identity = Identity::with_stolen_certificate(victim, Pki::shared().client("thief"));
    for version in [Tls12, Tls13] {
        let attempt = Client::speaking(version, Some(&identity)).get(server.address());
        assert!(
            matches!(attempt.outcome, bothways_tests::Outcome::Alert(..)),
            "{attempt:?}"
        );
        assert!(server.record_of(attempt.port).status().starts_with("Failed:"));
    }
}

#[test]
fn a_trust_store_with_an_out_of_date_crl_refuses_its_clients_by_default() {
    let crl = crl_pem(&Pki::shared().issuing.out_of_date_crl(&[]));
    let store = TrustStore::partners().revocations("old.crl", crl);
    let server = Server::start(
        Config::new()
            .trust_store(store)
            .distribution(Distribution::edge("required")),
    );
    let attempt = Client::with_identity(&good().unwrap()).get(server.address());
    assert!(
        matches!(attempt.outcome, bothways_tests::Outcome::Alert(46, _)),
        "{attempt:?}"
    );
    let record = server.record_of(attempt.port);
    assert!(record.status().starts_with("Failed:"), "{}", record.line);
    assert!(
        record.text("reason").is_some_and(|reason| reason.contains("CRL")),
        "{}",
        record.line
    );
}

#[test]
fn an_out_of_date_crl_still_revokes_where_it_is_accepted() {
    let (revoked, other) = (Pki::shared().client("revoked"), Pki::shared().client("other"));
    let crl = crl_pem(&Pki::shared().issuing.out_of_date_crl(&[revoked.serial()]));
    let store = TrustStore::partners()
        .setting("out_of_date_crl = \"accept_and_log\"")
        .revocations("old.crl", crl);
    let server = Server::start(
        Config::new()
            .trust_store(store)
            .distribution(Distribution::edge("required")),
    );
    let refused = Client::with_identity(&revoked).get(server.address());
    assert_refused(&server, &refused, &[44], "ClientCertRejected");
    let admitted = Client::with_identity(&other).get(server.address());
    assert!(admitted.outcome.is_ok(), "{:?}", admitted.outcome);
    let record = server.record_of(admitted.port);
    assert_eq!(record.status(), "Success");
    assert!(
        record
            .text("reason")
            .is_some_and(|reason| reason.contains("out of date")),
        "{}",
        record.line
    );
}

#[test]
fn a_serial_number_on_a_crl_revokes_only_what_that_authority_issued() {
    let pki = Pki::shared();
    let (by_issuing, by_root) = (
        Leaf::client("a").serial(&[7, 7]),
        Leaf::client("b").serial(&[7, 7]),
    );
    let store = TrustStore::partners().revocations("root.crl", pki.root.crl(&[&[7, 7]]));
    let server = Server::start(
        Config::new()
            .trust_store(store)
            .distribution(Distribution::edge("required")),
    );
    let identity = pki.issuing.issue(by_issuing);
    let admitted = Client::with_identity(&identity).get(server.address());
    assert!(admitted.outcome.is_ok(), "{:?}", admitted.outcome);
    let record = server.record_of(admitted.port);
    assert_eq!(record.status(), "Success", "{}", record.line);
    assert!(
        record
            .text("reason")
            .is_some_and(|reason| reason.starts_with("no CRL of ")),
        "beside other CRLs, a missing one is told: {}",
        record.line
    );
    let attempt = Client::with_identity(&pki.root.issue(by_root)).get(server.address());
    assert_refused(&server, &attempt, &[44], "ClientCertRejected");
}

#[test]
fn a_revoked_intermediate_takes_its_clients_with_it() {
    let pki = Pki::shared();
    let intermediate = pki.root.intermediate("Lost Issuing CA");
    let serial = intermediate.serial();
    let store = TrustStore::partners().revocations("root.crl", pki.root.crl(&[serial]));
    let server = Server::start(
        Config::new()
            .trust_store(store)
            .distribution(Distribution::edge("required")),
    );
    let identity = intermediate.issue(Leaf::client("under a lost CA"));
    let attempt = Client::with_identity(&identity).get(server.address());
    assert_refused(&server, &attempt, &[44], "ClientCertRejected");
}

/// Starts an edge whose trust store has revocations of every form, lets the client try, asks the three
/// witnesses.
fn check(config: Config, mode: &str, version: Version, who: Option<Identity>, verdict: Verdict) {
    let server = Server::start(config.trust_store(store()).distribution(Distribution::edge(mode)));
    let attempt = Client::speaking(version, who.as_ref()).get(server.address());
    let record = match verdict {
        Admitted => assert_admitted(&server, &attempt, who.as_ref()),
        Refused(alerts, code) => assert_refused(&server, &attempt, alerts, code),
    };
    let metrics = server.metrics();
    let admitted = u64::from(matches!(verdict, Admitted));
    assert_eq!(metrics.connections(record.status()), 1, "{metrics:#?}");
    assert_eq!(metrics.sum("bothways_connections_total"), 1, "{metrics:#?}");
    assert_eq!(
        (metrics.handshakes("full"), metrics.requests("2xx")),
        (admitted, admitted),
        "{metrics:#?}"
    );
    assert_eq!(
        record.number("requests").unwrap_or(0),
        admitted,
        "{}",
        record.line
    );
    let protocol = if version == Tls13 { "TLSv1.3" } else { "TLSv1.2" };
    assert_eq!(record.text("tlsProtocol"), Some(protocol), "{}", record.line);
    let serial = who.as_ref().map(Identity::serial_text);
    assert_eq!(
        record.text("clientLeafCertSerialNumber"),
        serial.as_deref(),
        "{}",
        record.line
    );
    assert!(server.stop().is_empty(), "one connection, one record");
}

/// The serial numbers that the lists of `store` name.
const LISTED: [u8; 8] = [0x9e, 0x2a, 0xaf, 0x11, 0x22, 0x33, 0x44, 0x55];
const ON_CRL: [u8; 4] = [0x5c, 1, 2, 3];
const ON_DER_CRL: [u8; 4] = [0x5d, 1, 2, 3];

fn store() -> TrustStore {
    let issuing = &Pki::shared().issuing;
    TrustStore::partners()
        .setting("ca_without_crl = \"accept\"")
        .revocations(
            "serials.txt",
            "# by hand\n\n00:9E:2A:af:11:22:33:44:55  # lost laptop\n0badcafe\n",
        )
        .revocations("issuing.pem.crl", crl_pem(&issuing.crl(&[&ON_CRL])))
        .revocations("issuing.der.crl", issuing.crl(&[&[1], &ON_DER_CRL, &[2, 3]]))
}

fn issued(leaf: Leaf) -> Option<Identity> {
    Some(Pki::shared().issuing.issue(leaf))
}

fn leaf() -> Leaf {
    Leaf::client("alice")
}

fn good() -> Option<Identity> {
    issued(leaf())
}

fn alone() -> Option<Identity> {
    good().map(Identity::without_intermediates)
}

fn expired() -> Option<Identity> {
    issued(leaf().expired())
}

fn not_yet() -> Option<Identity> {
    issued(leaf().not_yet_valid())
}

fn stranger() -> Option<Identity> {
    Some(Pki::shared().strangers.issue(leaf()))
}

fn purpose(purposes: &[rcgen::ExtendedKeyUsagePurpose]) -> Option<Identity> {
    issued(leaf().purposes(purposes))
}

fn listed() -> Option<Identity> {
    issued(leaf().serial(&LISTED))
}

fn on_crl() -> Option<Identity> {
    issued(leaf().serial(&ON_CRL))
}

fn on_der_crl() -> Option<Identity> {
    issued(leaf().serial(&ON_DER_CRL))
}

fn version_1() -> Option<Identity> {
    Some(Pki::shared().issuing.issue_v1(leaf()))
}

fn expired_version_1() -> Option<Identity> {
    Some(Pki::shared().issuing.issue_v1(leaf().expired()))
}

fn strange_version_1() -> Option<Identity> {
    Some(Pki::shared().strangers.issue_v1(leaf()))
}

fn listed_version_1() -> Option<Identity> {
    Some(Pki::shared().issuing.issue_v1(leaf().serial(&LISTED)))
}

/// A client at the end of a chain of so many levels, root and leaf included. Only the root is in the bundle.
fn levels(count: usize) -> Option<Identity> {
    let root = &Pki::shared().root;
    let mut last = root.intermediate("Level 2 CA");
    for level in 3..count {
        last = last.intermediate(&format!("Level {level} CA"));
    }
    Some(last.issue(leaf()))
}
