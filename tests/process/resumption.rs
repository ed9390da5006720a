//! Session tickets: honoured only where today's policy would admit the client.

use bothways_tests::config::{EDGE, EDGE_NAME};
use bothways_tests::pki::Pki;
use bothways_tests::s_client::SClient;
use bothways_tests::tls_client::Version::{self, Tls12, Tls13};
use bothways_tests::{Client, Config, Distribution, Identity, Server, TrustStore};

use crate::witnesses::{assert_admitted, assert_refused};

const DECLINED: &str = "bothways_tickets_declined_total";

fn declined(reason: &str) -> String {
    format!("{DECLINED}{{reason=\"{reason}\"}}")
}

/// An edge in required mode with an empty serial list, "serials.txt".
fn edge() -> Config {
    edge_with_bundle(&Pki::shared().bundle())
}

fn edge_with_bundle(bundle: &str) -> Config {
    let store = TrustStore::new("partners", bundle).revocations("serials.txt", "");
    Config::new()
        .trust_store(store)
        .distribution(Distribution::edge("required"))
}

fn resumes(config: Config, version: Version) {
    const TIMES: u64 = 8;
    let server = Server::start(config);
    let identity = Pki::shared().client("alice");
    let client = Client::speaking(version, Some(&identity));
    let first = client.get(server.address());
    assert_admitted(&server, &first, Some(&identity));
    assert!(!first.outcome.resumed());
    for _ in 0..TIMES {
        let again = client.get(server.address());
        assert!(again.outcome.resumed(), "{again:?}");
        assert_admitted(&server, &again, Some(&identity));
    }
    let metrics = server.metrics();
    assert_eq!(
        (metrics.handshakes("full"), metrics.handshakes("resumed")),
        (1, TIMES),
        "{metrics:#?}"
    );
    assert_eq!(metrics.get("bothways_tickets_redeemed_total"), TIMES);
    assert_eq!(metrics.sum(DECLINED), 0, "{metrics:#?}");
}

#[test]
fn an_unrevoked_client_resumes_on_one_core_tls13() {
    resumes(edge(), Tls13);
}

#[test]
fn an_unrevoked_client_resumes_on_one_core_tls12() {
    resumes(edge(), Tls12);
}

#[test]
fn an_unrevoked_client_resumes_on_whichever_core_it_lands_tls13() {
    resumes(edge().cores(2), Tls13);
}

#[test]
fn an_unrevoked_client_resumes_on_whichever_core_it_lands_tls12() {
    resumes(edge().cores(2), Tls12);
}

#[test]
fn a_client_without_a_certificate_resumes_in_optional_mode() {
    let server = Server::start(Config::edge("optional"));
    for version in [Tls12, Tls13] {
        let client = Client::speaking(version, None);
        assert_admitted(&server, &client.get(server.address()), None);
        let again = client.get(server.address());
        assert!(again.outcome.resumed(), "{again:?}");
        assert_admitted(&server, &again, None);
    }
}

#[test]
fn at_least_99_of_100_honest_resumptions_succeed_on_two_cores() {
    const CLIENTS: usize = 4;
    const EACH: usize = 50;
    for version in [Tls12, Tls13] {
        let server = Server::start(edge().cores(2));
        let resumes_of = |number: usize| {
            let identity = Pki::shared().client(&format!("client {number}"));
            let client = Client::speaking(version, Some(&identity));
            assert!(client.get(server.address()).outcome.is_ok());
            let resumed = (0..EACH).filter(|_| client.get(server.address()).outcome.resumed());
            resumed.count()
        };
        let resumed: usize = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| scope.spawn(move || resumes_of(number)))
                .collect();
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        });
        assert!(
            resumed * 100 >= CLIENTS * EACH * 99,
            "{version:?}: {resumed} of {}",
            CLIENTS * EACH
        );
        let metrics = server.metrics();
        assert_eq!(metrics.handshakes("resumed"), resumed as u64, "{metrics:#?}");
        assert_eq!(metrics.get("bothways_tickets_redeemed_total"), resumed as u64);
    }
}

fn revoked_is_not_resumed(version: Version, cores: u16) {
    let server = Server::start(edge().cores(cores));
    let (mallory, bystander) = (Pki::shared().client("mallory"), Pki::shared().client("bystander"));
    let client = Client::speaking(version, Some(&mallory));
    let other = Client::speaking(version, Some(&bystander));
    assert_admitted(&server, &client.get(server.address()), Some(&mallory));
    assert_admitted(&server, &other.get(server.address()), Some(&bystander));
    assert_ne!(client.tickets(), 0, "the server gave a ticket");

    server.write("serials.txt", mallory.serial_text());
    server.reload_published();

    let refused = client.get(server.address());
    let record = assert_refused(&server, &refused, &[44], "ClientCertRejected");
    assert_ne!(record.resumed(), Some(true), "{}", record.line);
    let metrics = server.metrics();
    assert_eq!(metrics.handshakes("resumed"), 0, "{metrics:#?}");
    assert_eq!(metrics.get(&declined("revoked")), 1, "{metrics:#?}");

    let undisturbed = other.get(server.address());
    assert_admitted(&server, &undisturbed, Some(&bystander));
    assert!(
        undisturbed.outcome.resumed(),
        "revoking one client costs another its session: {undisturbed:?}"
    );
}

#[test]
fn a_revoked_client_is_not_resumed_and_gets_alert_44_tls13() {
    revoked_is_not_resumed(Tls13, 1);
}

#[test]
fn a_revoked_client_is_not_resumed_and_gets_alert_44_tls12() {
    revoked_is_not_resumed(Tls12, 1);
}

#[test]
fn a_revoked_client_is_not_resumed_on_another_core_tls13() {
    revoked_is_not_resumed(Tls13, 2);
}

#[test]
fn a_revoked_client_is_not_resumed_on_another_core_tls12() {
    revoked_is_not_resumed(Tls12, 2);
}

fn single_use(with_version: impl Fn(SClient) -> SClient) {
    let server = Server::start(edge());
    let identity = Pki::shared().client("alice");
    let client = with_version(SClient::new(server.address(), EDGE_NAME).identity(&identity));
    let first = client.clone().saving_session().get();
    assert!(first.body_contains("ok") && !first.reused, "{first:?}");
    let second = client.clone().offering_session().get();
    assert!(second.body_contains("ok") && second.reused, "{second:?}");
    let third = client.offering_session().get();
    assert!(third.body_contains("ok") && !third.reused, "{third:?}");
    let resumed: Vec<Option<bool>> = (0..3).map(|_| server.next_record().resumed()).collect();
    assert_eq!(resumed, [Some(false), Some(true), Some(false)]);
    assert_eq!(server.metrics().get(&declined("unknown")), 1);
}

#[test]
fn a_ticket_is_good_for_one_use_tls13() {
    single_use(|client| client.arguments(&["-tls1_3"]));
}

#[test]
fn a_ticket_is_good_for_one_use_tls12() {
    single_use(SClient::tls12);
}

/// Distributions that differ in mode or trust store, each with its name.
const NEIGHBOURS: [(&str, &str, &str, &str); 6] = [
    ("E1OPEN", "open.example.com", "none", "partners"),
    ("E2OPTIONAL", "optional.example.com", "optional", "partners"),
    ("E3REQUIRED", "required.example.com", "required", "partners"),
    ("E4OTHERS", "others.example.com", "required", "others"),
    ("E5OTHERS", "maybe.example.com", "optional", "others"),
    ("E6PASS", "pass.example.com", "passthrough", ""),
];

fn no_ticket_crosses_over(version: Version) {
    let pki = Pki::shared();
    let mut config = Config::new().trust_store(TrustStore::partners());
    config = config.trust_store(TrustStore::new("others", &pki.strangers.pem()));
    for (id, name, mode, store) in NEIGHBOURS {
        config = config.distribution(Distribution::new(id, &[name], mode).trust_store(store));
    }
    let server = Server::start(config);
    for identity in [
        pki.client("alice"),
        pki.strangers.issue(bothways_tests::pki::Leaf::client("bob")),
    ] {
        for (_, from, ..) in NEIGHBOURS {
            for (id, to, mode, store) in NEIGHBOURS.into_iter().filter(|(_, name, ..)| *name != from) {
                let client = Client::speaking(version, Some(&identity)).sni(from);
                let first = client.get(server.address());
                // Claimed, since a later connection may come from the same port.
                server.record_of(first.port);
                if !first.outcome.is_ok() {
                    continue;
                }
                let attempt = client.sni(to).get(server.address());
                let what = format!("{version:?} from {from} to {to}");
                assert!(!attempt.outcome.resumed(), "{what}: {attempt:?}");
                let is_partner = identity.chain.len() > 1;
                let admitted = ["none", "passthrough"].contains(&mode) || is_partner == (store == "partners");
                assert_eq!(attempt.outcome.is_ok(), admitted, "{what}: {attempt:?}");
                assert_eq!(
                    server.record_of(attempt.port).text("distributionId"),
                    Some(id),
                    "{what}"
                );
            }
        }
    }
    assert_eq!(server.metrics().handshakes("resumed"), 0);
}

#[test]
fn no_ticket_is_honoured_by_another_distribution_tls13() {
    no_ticket_crosses_over(Tls13);
}

#[test]
fn no_ticket_is_honoured_by_another_distribution_tls12() {
    no_ticket_crosses_over(Tls12);
}

/// A ticket, then this change with a reload, then the ticket is offered.
fn after(
    version: Version,
    change: impl Fn(&Server),
) -> (Server, bothways_tests::tls_client::Attempt, Identity) {
    let server = Server::start(edge());
    let identity = Pki::shared().client("alice");
    let client = Client::speaking(version, Some(&identity));
    assert_admitted(&server, &client.get(server.address()), Some(&identity));
    change(&server);
    server.reload_published();
    let attempt = client.get(server.address());
    (server, attempt, identity)
}

#[test]
fn a_ticket_survives_a_reload_that_changes_nothing_for_its_client() {
    for version in [Tls12, Tls13] {
        let (server, attempt, identity) = after(version, |server| server.write("serials.txt", "4a:00:01\n"));
        assert!(attempt.outcome.resumed(), "{version:?}: {attempt:?}");
        assert_admitted(&server, &attempt, Some(&identity));
    }
}

#[test]
fn a_ticket_dies_when_its_trust_store_changes() {
    let wider = Pki::shared().bundle() + &Pki::shared().strangers.pem();
    for version in [Tls12, Tls13] {
        let (server, attempt, identity) = after(version, |server| server.write("partners.pem", &wider));
        assert!(!attempt.outcome.resumed(), "{version:?}: {attempt:?}");
        assert_admitted(&server, &attempt, Some(&identity));
        assert_eq!(server.metrics().get(&declined("policy")), 1);
    }
}

#[test]
fn a_client_whose_authority_was_removed_is_not_resumed_and_gets_alert_48() {
    for version in [Tls12, Tls13] {
        let bundle = Pki::shared().strangers.pem();
        let (server, attempt, _) = after(version, |server| server.write("partners.pem", &bundle));
        assert_refused(&server, &attempt, &[48], "ClientCertUntrusted");
        assert_eq!(server.metrics().handshakes("resumed"), 0);
    }
}

#[test]
fn a_ticket_of_optional_mode_without_certificate_does_not_open_required_mode() {
    for version in [Tls12, Tls13] {
        let server = Server::start(Config::edge("optional"));
        let client = Client::speaking(version, None);
        assert_admitted(&server, &client.get(server.address()), None);
        server.write_config(&Config::edge("required"));
        server.reload_published();
        let attempt = client.get(server.address());
        let record = assert_refused(&server, &attempt, &[116, 40], "ClientCertMissing");
        assert_eq!(record.text("distributionId"), Some(EDGE));
    }
}
