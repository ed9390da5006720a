//! Chains on the wire that no library judges as we do: in both TLS versions, to the end of the handshake.

use bothways_tests::pki::{Authority, Leaf, Pki};
use bothways_tests::tls_client::Version::{Tls12, Tls13};
use bothways_tests::{Client, Config, Distribution, Server, TrustStore};

use crate::witnesses::{assert_admitted, assert_refused};

fn server(bundle: &str) -> Server {
    let store = TrustStore::new("partners", bundle);
    Server::start(
        Config::new()
            .trust_store(store)
            .distribution(Distribution::edge("required")),
    )
}

#[test]
fn a_client_with_critical_policies_proves_its_key_and_is_served() {
    let pki = Pki::shared();
    let server = server(&pki.bundle());
    let client = pki
        .issuing
        .issue(Leaf::client("qualified").with_critical_policy());
    for version in [Tls12, Tls13] {
        let attempt = Client::speaking(version, Some(&client)).get(server.address());
        assert_admitted(&server, &attempt, Some(&client));
    }
}

#[test]
fn an_e_mail_address_in_the_subject_is_held_to_the_name_constraints() {
    let root = Authority::root_for_mail_at("Mail Root CA", "partner.example");
    let server = server(&root.pem());
    let named = |address: &str| {
        let subject = [("CN", "alice"), ("emailAddress", address)];
        root.issue(Leaf::client("alice").subject(&subject))
    };
    let (inside, outside) = (named("a@partner.example"), named("a@victim.example"));
    for version in [Tls12, Tls13] {
        let attempt = Client::speaking(version, Some(&inside)).get(server.address());
        assert_admitted(&server, &attempt, Some(&inside));
        let attempt = Client::speaking(version, Some(&outside)).get(server.address());
        let record = assert_refused(&server, &attempt, &[42], "ClientCertInvalid");
        let reason = record.text("reason").unwrap_or_default();
        assert!(reason.contains("a@victim.example"), "{}", record.line);
    }
}

#[test]
fn an_old_certificate_of_a_ca_beside_the_new_one_shuts_nobody_out_in_whatever_order() {
    let root = Authority::root("Renewed Root CA");
    let (old, new) = (root.pem_for_servers("Renewed Root CA"), root.pem());
    let client = root.issue(Leaf::client("alice"));
    for bundle in [[&old, &new], [&new, &old]] {
        let server = server(&bundle.map(String::as_str).concat());
        let attempt = Client::with_identity(&client).get(server.address());
        assert_admitted(&server, &attempt, Some(&client));
    }
    let server = server(&old);
    let attempt = Client::with_identity(&client).get(server.address());
    let record = assert_refused(&server, &attempt, &[43], "ClientCertIntentInvalid");
    let reason = record.text("reason").unwrap_or_default();
    assert!(reason.contains("is for serverAuth only"), "{}", record.line);
}
