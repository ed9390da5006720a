//! A CRL of tomorrow: nobody can tell by it what is revoked today.

use bothways_tests::pki::{Pki, crl_pem};
use bothways_tests::{Client, Config, Distribution, Identity, Server, TrustStore};

use crate::witnesses::{assert_admitted, assert_refused};

const BEGINS: &str = "thisUpdate 2044-01-01T00:00:00Z";

fn server(store: TrustStore, revoked: &Identity) -> Server {
    let crl = crl_pem(&Pki::shared().issuing.future_crl(&[revoked.serial()]));
    let config = Config::new().trust_store(store.revocations("next.crl", crl));
    Server::start(config.distribution(Distribution::edge("required")))
}

#[test]
fn a_crl_of_the_future_refuses_the_clients_of_its_issuer_by_default() {
    let alice = Pki::shared().client("alice");
    let server = server(TrustStore::partners(), &Pki::shared().client("revoked"));
    let line = server.wait_for_log("a CRL is not valid yet");
    for part in ["WARN", "next.crl", "2044-01-01T00:00:00Z"] {
        assert!(line.contains(part), "{line}");
    }
    let attempt = Client::with_identity(&alice).get(server.address());
    let record = assert_refused(&server, &attempt, &[46], "ClientCertRejected");
    let reason = record.text("reason").unwrap_or_default();
    assert!(reason.contains(BEGINS), "{}", record.line);

    server.write("next.crl", crl_pem(&Pki::shared().issuing.crl(&[])));
    server.reload_published();
    let attempt = Client::with_identity(&alice).get(server.address());
    assert_admitted(&server, &attempt, Some(&alice));
}

#[test]
fn a_crl_of_the_future_revokes_and_is_told_where_it_is_accepted() {
    let [alice, revoked] = ["alice", "revoked"].map(|name| Pki::shared().client(name));
    let store = TrustStore::partners().setting("out_of_date_crl = \"accept_and_log\"");
    let server = server(store, &revoked);
    let attempt = Client::with_identity(&alice).get(server.address());
    let record = assert_admitted(&server, &attempt, Some(&alice));
    let reason = record.text("reason").unwrap_or_default();
    assert!(reason.contains(BEGINS), "{}", record.line);
    let attempt = Client::with_identity(&revoked).get(server.address());
    assert_refused(&server, &attempt, &[44], "ClientCertRejected");
}
