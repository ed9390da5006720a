//! Certificates for keys that nobody here can use: a client of such a key, or under a CA of such a key, is
//! refused like any other, in bounded time, and the next one is served.

use bothways_tests::odd_keys::{
    ED448, ML_DSA_65, NOBODYS, X25519, by_name, dsa, endless_curve, explicit_p256, gost, nothing,
    off_the_curve, rsa,
};
use bothways_tests::pki::{Leaf, Pki};
use bothways_tests::tls_client::Version::{Tls12, Tls13};
use bothways_tests::{Client, Config, Identity, Record, Server};

use crate::witnesses::{assert_admitted, assert_refused};

/// Alert and status code of a leaf with such a key.
type Refused = (u8, &'static str);

const MALFORMED: Refused = (42, "ClientCertInvalid");
const UNSUPPORTED: Refused = (43, "ClientCertTypeUnsupported");
/// Its type is fine; that its holder has the key cannot be shown.
const UNPROVED: Refused = (51, "ClientCertInvalid");

fn explicit() -> Vec<(&'static str, Vec<u8>, Refused)> {
    vec![
        ("explicit parameters of P-256", explicit_p256(), UNSUPPORTED),
        (
            "explicit parameters of an endless curve",
            endless_curve(),
            UNSUPPORTED,
        ),
    ]
}

fn unusual() -> Vec<(&'static str, Vec<u8>, Refused)> {
    vec![
        ("DSA", dsa(), UNSUPPORTED),
        ("GOST", gost(), UNSUPPORTED),
        ("RSA with 1 bit", rsa(1), UNSUPPORTED),
        ("RSA with 512 bits", rsa(512), UNSUPPORTED),
        ("RSA with 16384 bits", rsa(16_384), UNSUPPORTED),
        ("RSA with 2048 bits, all set", rsa(2048), UNPROVED),
        ("X25519", by_name(X25519, 32), UNSUPPORTED),
        ("Ed448", by_name(ED448, 57), UNSUPPORTED),
        ("ML-DSA-65", by_name(ML_DSA_65, 1952), UNPROVED),
        ("nobody's type", by_name(NOBODYS, 32), UNSUPPORTED),
        ("a point off P-256", off_the_curve(), UNPROVED),
        ("an empty BIT STRING", nothing(), MALFORMED),
    ]
}

fn refused(server: &Server, identity: &Identity, what: &str, (alert, code): Refused) -> Vec<Record> {
    let versions = [Tls12, Tls13].into_iter();
    let attempts = versions.map(|version| Client::speaking(version, Some(identity)).get(server.address()));
    let records = attempts.map(|attempt| {
        println!("{what}: {attempt:?}");
        assert_refused(server, &attempt, &[alert], code)
    });
    records.collect()
}

fn as_leaf(server: &Server, keys: Vec<(&str, Vec<u8>, Refused)>) {
    for (what, key, expected) in keys {
        let identity = Pki::shared().issuing.issue_for_key(Leaf::client(what), &key);
        // What cannot be read names nobody.
        let serial = (expected != MALFORMED).then(|| identity.serial_text());
        for record in refused(server, &identity, what, expected) {
            let told = record.text("clientLeafCertSerialNumber");
            assert_eq!(told, serial.as_deref(), "{}", record.line);
        }
    }
}

/// Nothing that it signed can be checked, so its clients are a stranger's.
fn as_intermediate(server: &Server, keys: Vec<(&str, Vec<u8>, Refused)>) {
    for (what, key, _) in keys {
        let odd = Pki::shared().root.intermediate_for_key(what, &key);
        let identity = odd.issue(Leaf::client("client"));
        refused(server, &identity, what, (48, "ClientCertUntrusted"));
    }
}

fn serves_the_next(server: &Server) {
    let alice = Pki::shared().client("alice");
    let attempt = Client::with_identity(&alice).get(server.address());
    assert_admitted(server, &attempt, Some(&alice));
    assert_eq!(server.metrics().get("bothways_panics_total"), 0);
}

#[test]
fn a_key_with_explicit_curve_parameters_is_refused_and_costs_nothing() {
    let server = Server::start(Config::edge("required"));
    as_leaf(&server, explicit());
    as_intermediate(&server, explicit());
    serves_the_next(&server);
}

#[test]
fn a_key_of_an_unknown_type_or_an_absurd_size_is_refused() {
    let server = Server::start(Config::edge("required"));
    as_leaf(&server, unusual());
    as_intermediate(&server, unusual());
    serves_the_next(&server);
}

#[test]
fn a_key_that_nobody_can_check_proves_nothing_in_passthrough_either() {
    let server = Server::start(Config::edge("passthrough"));
    as_leaf(&server, explicit());
    as_leaf(&server, unusual());
    serves_the_next(&server);
}
