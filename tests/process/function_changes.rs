//! Connection functions over time: on resumed sessions, on every core, and when their code changes.

use bothways_tests::server::{Reload, run_to_end};
use bothways_tests::tls_client::Version::{self, Tls12, Tls13};
use bothways_tests::{Client, Config, Distribution, Outcome, Pki, Server, TrustStore};

use crate::witnesses::{assert_admitted, assert_failed, assert_refused};

const DENIED: &str = "ConnectionFunctionDenied";
const ALLOW: &str = "function connectionHandler(connection) { connection.allow(); }";
const DENY: &str = "function connectionHandler(connection) { connection.deny(); }";
const NOT_RESUMED: &str = "function connectionHandler(connection) {
    connection.logCustomData(`resumed: ${connection.tls.resumed}`);
    if (!connection.tls.resumed) { connection.allow(); }
}";
const BROKEN: &str = "function connectionHandler(connection) {\n    connection.allow(;\n}";

fn edge(mode: &str, code: &str) -> Config {
    Config::new()
        .trust_store(TrustStore::partners().revocations("serials.txt", ""))
        .connection_function("gate", code, None)
        .distribution(Distribution::edge(mode).mtls_setting("connection_function = \"gate\""))
}

fn calls(server: &Server, result: &str) -> u64 {
    let series = format!("bothways_connection_function_calls_total{{result=\"{result}\"}}");
    server.metrics().get(&series)
}

/// A session that the function does not want resumed is closed before a byte is passed on, and its ticket is
/// used up.
fn a_resumed_session_is_heard(mode: &str, has_certificate: bool, version: Version, cores: u16) {
    const ROUNDS: u64 = 4;
    let server = Server::start(edge(mode, NOT_RESUMED).cores(cores));
    let alice = Pki::shared().client("alice");
    let identity = has_certificate.then_some(&alice);
    let client = Client::speaking(version, identity);
    for _ in 0..ROUNDS {
        let full = client.get(server.address());
        let record = assert_admitted(&server, &full, identity);
        assert!(!full.outcome.resumed(), "{full:?}");
        assert_eq!(
            record.text("connectionLogCustomData"),
            Some("resumed: false"),
            "{}",
            record.line
        );
        let resumed = client.get(server.address());
        assert_eq!(resumed.outcome, Outcome::Closed);
        let record = server.record_of(resumed.port);
        assert_failed(&server, &record, DENIED);
        assert_eq!(record.resumed(), Some(true), "{}", record.line);
        assert_eq!(
            record.text("connectionLogCustomData"),
            Some("resumed: true"),
            "{}",
            record.line
        );
        let serial = identity.map(|identity| identity.serial_text());
        assert_eq!(record.text("clientLeafCertSerialNumber"), serial.as_deref());
        assert_eq!(record.number("requests"), Some(0));
    }
    assert_eq!(
        (calls(&server, "allow"), calls(&server, "deny")),
        (ROUNDS, ROUNDS)
    );
    let metrics = server.metrics();
    assert_eq!(metrics.get("bothways_tickets_redeemed_total"), ROUNDS);
    assert_eq!(
        (metrics.handshakes("full"), metrics.handshakes("resumed")),
        (ROUNDS, 0),
        "{metrics:#?}"
    );
}

#[test]
fn the_function_is_called_for_a_resumed_session_tls13() {
    a_resumed_session_is_heard("required", true, Tls13, 1);
}

#[test]
fn the_function_is_called_for_a_resumed_session_tls12() {
    a_resumed_session_is_heard("required", true, Tls12, 1);
}

#[test]
fn the_function_is_called_for_a_resumed_session_on_whichever_core_it_lands() {
    a_resumed_session_is_heard("required", true, Tls13, 2);
    a_resumed_session_is_heard("required", true, Tls12, 2);
}

#[test]
fn the_function_is_called_for_resumed_sessions_of_the_other_modes_and_without_a_certificate() {
    for (mode, has_certificate) in [
        ("optional", true),
        ("optional", false),
        ("passthrough", true),
        ("passthrough", false),
    ] {
        a_resumed_session_is_heard(mode, has_certificate, Tls13, 1);
        a_resumed_session_is_heard(mode, has_certificate, Tls12, 1);
    }
}

#[test]
fn as_many_connections_so_many_calls_resumed_or_not_on_two_cores() {
    const CLIENTS: usize = 4;
    const EACH: usize = 25;
    for version in [Tls12, Tls13] {
        let server = Server::start(edge("required", ALLOW).cores(2));
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let server = &server;
                scope.spawn(move || {
                    let identity = Pki::shared().client(&format!("client {number}"));
                    let client = Client::speaking(version, Some(&identity));
                    for _ in 0..EACH {
                        assert_admitted(server, &client.get(server.address()), Some(&identity));
                    }
                });
            }
        });
        let metrics = server.metrics();
        assert!(
            metrics.handshakes("resumed") > metrics.handshakes("full"),
            "{metrics:#?}"
        );
        assert_eq!(
            (
                calls(&server, "allow"),
                metrics.sum("bothways_connection_function_calls_total")
            ),
            ((CLIENTS * EACH) as u64, (CLIENTS * EACH) as u64)
        );
    }
}

#[test]
fn a_reload_swaps_the_function_and_touches_no_connection() {
    for version in [Tls12, Tls13] {
        let server = Server::start(edge("required", ALLOW));
        let alice = Pki::shared().client("alice");
        let client = Client::speaking(version, Some(&alice));
        let mut open = client.connect(server.address()).unwrap();
        assert!(open.exchange(&client.request("GET", "/", "")).is_ok());

        server.write("gate.js", DENY);
        server.reload_published();
        server.wait_for_metrics("the sweep", |metrics| metrics.get("bothways_sweeps_total") > 0);

        // With a ticket of the version before: a full handshake, so that an alert can tell.
        assert_ne!(client.tickets(), 0);
        let attempt = client.get(server.address());
        assert_refused(&server, &attempt, &[49], DENIED);
        let declined = "bothways_tickets_declined_total{reason=\"policy\"}";
        assert_eq!(server.metrics().get(declined), 1);
        assert!(
            open.exchange(&client.request("GET", "/", "")).is_ok(),
            "{version:?}"
        );
        open.close();
        let record = server.record_of(open.port);
        assert_eq!((record.status(), record.has("closedBy")), ("Success", false));
    }
}

#[test]
fn a_reload_about_something_else_keeps_the_sessions_of_a_function() {
    for version in [Tls12, Tls13] {
        let server = Server::start(edge("required", ALLOW));
        let alice = Pki::shared().client("alice");
        let client = Client::speaking(version, Some(&alice));
        assert_admitted(&server, &client.get(server.address()), Some(&alice));
        server.write("serials.txt", "4a:00:01\n");
        server.reload_published();
        let again = client.get(server.address());
        assert!(again.outcome.resumed(), "{again:?}");
        assert_admitted(&server, &again, Some(&alice));
        assert_eq!(calls(&server, "allow"), 2);
    }
}

#[test]
fn a_reload_with_a_broken_function_keeps_the_old_one_and_says_where_it_is_broken() {
    let server = Server::start(edge("required", DENY));
    server.write("gate.js", BROKEN);
    let Reload::Refused(line) = server.reload() else {
        panic!("a broken function was published")
    };
    assert!(line.contains("connection_functions[0].code"), "{line}");
    assert!(line.contains("gate.js:2:"), "{line}");
    let attempt = Client::with_identity(&Pki::shared().client("alice")).get(server.address());
    assert_refused(&server, &attempt, &[49], DENIED);
    assert_eq!(
        server.metrics().get("bothways_reloads_total{result=\"refused\"}"),
        1
    );
}

#[test]
fn a_handshake_that_began_before_a_reload_comes_to_the_function_of_today() {
    let server = Server::start(edge("required", ALLOW));
    let alice = Pki::shared().client("alice");
    let began = Client::speaking(Tls12, Some(&alice)).begin(server.address());
    let port = began.port;
    server.write("gate.js", DENY);
    server.reload_published();
    assert!(matches!(began.finish().err(), Some(Outcome::Alert(49, _))));
    assert_failed(&server, &server.record_of(port), DENIED);
}

#[test]
fn a_function_that_a_reload_brings_is_asked_in_handshakes_that_began_without_one() {
    let without = Config::new()
        .trust_store(TrustStore::partners().revocations("serials.txt", ""))
        .distribution(Distribution::edge("required"));
    let server = Server::start(without);
    let alice = Pki::shared().client("alice");
    let began = Client::speaking(Tls12, Some(&alice)).begin(server.address());
    let port = began.port;
    // The key and certificate of the edge would be others: only what is told about the function is new.
    server.write_config(&edge("required", DENY));
    server.reload_published();
    assert!(matches!(began.finish().err(), Some(Outcome::Alert(49, _))));
    assert_failed(&server, &server.record_of(port), DENIED);
}

/// The launch article's, but for its comments.
const REVOCATION: &str = "import cf from 'cloudfront';

async function connectionHandler(connection) {
    const kvsHandle = cf.kvs();
    const serialNumber = connection.clientCertificate.certificates.leaf.serialNumber.replaceAll(':', '');
    if (await kvsHandle.exists(serialNumber)) {
        connection.logCustomData(`REVOKED:${serialNumber}`);
        return connection.deny();
    }
    connection.allow();
}
";

fn import(keys: &[&str]) -> String {
    let items: Vec<String> = keys
        .iter()
        .map(|key| format!(r#"{{"key":"{key}","value":""}}"#))
        .collect();
    format!(r#"{{"data":[{}]}}"#, items.join(","))
}

#[test]
fn a_serial_number_in_the_key_value_store_is_denied_from_the_next_connection_on_resumed_or_not() {
    let distribution = Distribution::edge("required").mtls_setting("connection_function = \"revoked\"");
    let config = Config::new()
        .trust_store(TrustStore::partners())
        .key_value_store("serials", import(&["00ff"]))
        .connection_function("revoked", REVOCATION, Some("serials"))
        .distribution(distribution);
    for version in [Tls12, Tls13] {
        let server = Server::start(config.clone());
        let (alice, bob) = (Pki::shared().client("alice"), Pki::shared().client("bob"));
        let [of_alice, of_bob] = [&alice, &bob].map(|who| Client::speaking(version, Some(who)));
        for (client, who) in [(&of_alice, &alice), (&of_bob, &bob)] {
            assert_admitted(&server, &client.get(server.address()), Some(who));
        }
        let key = alice.serial_text().replace(':', "");
        server.write("serials.json", import(&["00ff", &key]));
        server.reload_published();
        let resumed = of_alice.get(server.address());
        assert_eq!(resumed.outcome, Outcome::Closed);
        let record = server.record_of(resumed.port);
        assert_failed(&server, &record, DENIED);
        let full = of_alice.get(server.address());
        let told = assert_refused(&server, &full, &[49], DENIED);
        for record in [record, told] {
            let revoked = format!("REVOKED:{key}");
            assert_eq!(record.text("connectionLogCustomData"), Some(&*revoked));
        }
        let undisturbed = of_bob.get(server.address());
        assert!(undisturbed.outcome.resumed(), "{undisturbed:?}");
        assert_admitted(&server, &undisturbed, Some(&bob));
    }
}

#[test]
fn every_function_is_checked_used_or_not() {
    let config = edge("required", ALLOW);
    for (broken, parts) in [
        (
            config.clone().connection_function("spare", BROKEN, None),
            &["connection_functions[1].code: ", "spare.js:2:"][..],
        ),
        (
            config.clone().connection_function("spare", "const a = 1;", None),
            &["spare.js: ", "connectionHandler"],
        ),
        (
            config
                .clone()
                .viewer_function("spare", "function handle(e) {}", None),
            &["functions[0].code: ", "spare.js: ", "handler"],
        ),
        (
            config.clone().viewer_function("spare", &" ".repeat(10_241), None),
            &["longer than the 10240 bytes", "function_code_bytes"],
        ),
    ] {
        let ended = run_to_end("check", &broken, &broken.render());
        assert_eq!(ended.code, Some(2), "{ended:?}");
        for part in parts {
            assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
        }
    }
}
