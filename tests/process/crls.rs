//! CRLs and serial lists that do not say what they seem to: of tomorrow, of another CA of that name, empty,
//! gone.

use bothways_tests::pki::{Authority, Leaf, Pki, crl_pem};
use bothways_tests::server::Reload;
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

    server.write("next.crl", crl_pem(&Pki::shared().issuing.crl(&[&[9]])));
    server.reload_published();
    let attempt = Client::with_identity(&alice).get(server.address());
    assert_admitted(&server, &attempt, Some(&alice));
}

#[test]
fn a_crl_that_is_odd_is_told_again_at_a_reload_that_changes_nothing() {
    let server = server(TrustStore::partners(), &Pki::shared().client("revoked"));
    server.reload_published();
    let log = server.log();
    let told = log.iter().filter(|line| line.contains("a CRL is not valid yet"));
    assert_eq!(told.count(), 2, "{log:#?}");
    let entries = "bothways_revocation_entries{trust_store=\"partners\"}";
    assert_eq!(server.metrics().get(entries), 1);
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

fn required(store: TrustStore) -> Config {
    Config::new()
        .trust_store(store)
        .distribution(Distribution::edge("required"))
}

/// Two CAs of one name, both in the bundle, as after a renewal with a new key.
fn twins() -> (Authority, Authority, TrustStore) {
    let (ours, twin) = (Authority::root("Issuing CA"), Authority::root("Issuing CA"));
    let store = TrustStore::new("partners", &(ours.pem() + &twin.pem()));
    (ours, twin, store.setting("ca_without_crl = \"reject\""))
}

#[test]
fn the_crl_of_a_twin_does_not_answer_for_a_ca() {
    let (ours, twin, store) = twins();
    let server = Server::start(required(store.revocations("twin.crl", twin.crl(&[&[9]]))));
    let client = ours.issue(Leaf::client("alice"));
    let attempt = Client::with_identity(&client).get(server.address());
    let record = assert_refused(&server, &attempt, &[46], "ClientCertRejected");
    let reason = record.text("reason").unwrap_or_default();
    assert!(reason.starts_with("no CRL of "), "{}", record.line);
}

#[test]
fn the_crl_of_a_twin_does_not_revoke_the_clients_of_a_ca() {
    let (ours, twin, store) = twins();
    let [alice, mallory] = ["alice", "mallory"].map(|name| ours.issue(Leaf::client(name)));
    let store = store
        .revocations("ours.crl", ours.crl(&[mallory.serial()]))
        .revocations("twin.crl", crl_pem(&twin.crl(&[alice.serial()])));
    let server = Server::start(required(store));
    let attempt = Client::with_identity(&alice).get(server.address());
    assert_admitted(&server, &attempt, Some(&alice));
    let attempt = Client::with_identity(&mallory).get(server.address());
    assert_refused(&server, &attempt, &[44], "ClientCertRejected");
}

#[test]
fn the_crl_of_a_partition_revokes_and_covers_nobody_who_does_not_name_it() {
    let issuing = &Pki::shared().issuing;
    let [alice, mallory] = ["alice", "mallory"].map(|name| Pki::shared().client(name));
    let crl = issuing.partition_crl("http://crl.example/1", &[mallory.serial()]);
    let store = |rule| {
        let rule = format!("ca_without_crl = {rule:?}");
        TrustStore::partners()
            .setting(&rule)
            .revocations("1.crl", crl.clone())
    };
    let server = Server::start(required(store("reject")));
    let attempt = Client::with_identity(&alice).get(server.address());
    let record = assert_refused(&server, &attempt, &[46], "ClientCertRejected");
    let reason = record.text("reason").unwrap_or_default();
    assert!(reason.starts_with("no CRL of "), "{}", record.line);
    let attempt = Client::with_identity(&mallory).get(server.address());
    assert_refused(&server, &attempt, &[44], "ClientCertRejected");

    server.write_config(&required(store("accept")));
    server.reload_published();
    let attempt = Client::with_identity(&alice).get(server.address());
    assert_admitted(&server, &attempt, Some(&alice));
    let attempt = Client::with_identity(&mallory).get(server.address());
    assert_refused(&server, &attempt, &[44], "ClientCertRejected");
}

/// A reload that would let the revoked client in again changes nothing.
#[track_caller]
fn assert_keeps(server: &Server, revoked: &Identity, named: &[&str]) {
    let Reload::Refused(line) = server.reload() else {
        panic!("published, and not {named:?}")
    };
    for part in named {
        assert!(line.contains(part), "{line} lacks {part}");
    }
    let attempt = Client::with_identity(revoked).get(server.address());
    assert_refused(server, &attempt, &[44], "ClientCertRejected");
}

#[test]
fn a_crl_file_that_came_out_empty_keeps_the_old_state() {
    let revoked = Pki::shared().client("revoked");
    let crl = Pki::shared().issuing.crl(&[revoked.serial()]);
    let config = required(TrustStore::partners().revocations("partners.crl", crl.clone()));
    let server = Server::start(config);
    let nothing: [&[u8]; 5] = [b"", b"\n", b"\xef\xbb\xbf", b"# nobody\n", &[0; 512]];
    let other: [&[u8]; 4] = [
        b"<html>gone</html>",
        &crl[..1],
        &crl[..100],
        &[&crl[..], b"\n"].concat(),
    ];
    for contents in nothing.into_iter().chain(other) {
        server.write("partners.crl", contents);
        assert_keeps(&server, &revoked, &["partners.crl", "revocations[0]"]);
    }
}

#[test]
fn a_reload_that_would_leave_nobody_revoked_keeps_the_old_state_unless_it_is_allowed() {
    let revoked = Pki::shared().client("revoked");
    let list = "{ file = \"serials.txt\", may_be_empty = true }";
    let store = || TrustStore::partners().revocations_as(list, "serials.txt", revoked.serial_text());
    let server = Server::start(required(store()));
    server.write("serials.txt", "# all of them\n");
    let named = [
        "nobody would be revoked any more",
        "allow_losing_all_revocations = true",
    ];
    assert_keeps(&server, &revoked, &named);
    server.write_config(&required(TrustStore::partners()));
    assert_keeps(&server, &revoked, &named);

    server.write_config(&required(store().setting("allow_losing_all_revocations = true")));
    server.write("serials.txt", "# all of them\n");
    server.reload_published();
    let attempt = Client::with_identity(&revoked).get(server.address());
    assert_admitted(&server, &attempt, Some(&revoked));
}

#[test]
fn a_reload_that_loses_more_than_half_of_the_revocations_says_the_numbers() {
    let store = TrustStore::partners().revocations("serials.txt", "0a01\n0a02\n0a03\n0a04\n0a05\n");
    let server = Server::start(required(store));
    server.write("serials.txt", "0a01\n0a02\n");
    server.reload_published();
    let line = server.wait_for_log("more than half of the revocations are gone");
    for part in ["WARN", "before=5", "now=2"] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn a_serial_list_that_hits_a_ca_of_the_bundle_needs_an_issuer() {
    let ca = Authority::root("Home-made CA");
    let [ours, other] = ["ours", "other"].map(|name| ca.issue(Leaf::client(name)));
    let serials = [ca.serial(), ours.serial()]
        .map(|serial| hex(serial) + "\n")
        .concat();
    let store = || TrustStore::new("partners", &ca.pem());
    let refused = required(store().revocations("serials.txt", serials.clone()));
    let ended = bothways_tests::server::run_to_end("check", &refused, &refused.render());
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    for part in ["serials.txt: line 1 would revoke a CA of the bundle", "issuer = "] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
    let entry = "{ file = \"serials.txt\", issuer = \"O=Bothways tests, CN=Home-made CA\" }";
    let server = Server::start(required(store().revocations_as(entry, "serials.txt", serials)));
    let attempt = Client::with_identity(&other).get(server.address());
    assert_admitted(&server, &attempt, Some(&other));
    let attempt = Client::with_identity(&ours).get(server.address());
    assert_refused(&server, &attempt, &[44], "ClientCertRejected");
}

#[test]
fn what_openssl_prints_is_a_line_of_a_serial_list() {
    let revoked = Pki::shared().client("revoked");
    let printed = format!("serial={}\n", hex(revoked.serial()).to_uppercase());
    let server = Server::start(required(
        TrustStore::partners().revocations("serials.txt", printed),
    ));
    let attempt = Client::with_identity(&revoked).get(server.address());
    assert_refused(&server, &attempt, &[44], "ClientCertRejected");
}

#[test]
fn a_list_that_looks_decimal_is_told_of() {
    let list = "334128476293123479203487123098472316548\n";
    let server = Server::start(required(TrustStore::partners().revocations("serials.txt", list)));
    let line = server.wait_for_log("decimal digits only");
    for part in ["WARN", "serials.txt", "hexadecimal"] {
        assert!(line.contains(part), "{line}");
    }
}

fn hex(serial: &[u8]) -> String {
    serial.iter().map(|octet| format!("{octet:02x}")).collect()
}
