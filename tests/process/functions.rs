//! Connection functions: asked once for each connection, after everything else has passed, and never passed
//! by.

use bothways_tests::config::{EDGE, EDGE_NAME};
use bothways_tests::pki::Leaf;
use bothways_tests::tls_client::Attempt;
use bothways_tests::tls_client::Version::{self, Tls12, Tls13};
use bothways_tests::{Client, Config, Distribution, Identity, Outcome, Pki, Record, Server, TrustStore};

use crate::witnesses::{assert_admitted, assert_refused};

const DENIED: &str = "ConnectionFunctionDenied";
const ERROR: &str = "ConnectionFunctionError";

const ALLOW: &str =
    "function connectionHandler(connection) { connection.logCustomData('seen'); connection.allow(); }";
const DENY: &str =
    "function connectionHandler(connection) { connection.logCustomData('REFUSED'); connection.deny(); }";
const SAYS_NOTHING: &str = "function connectionHandler(connection) { }";
const THROWS: &str = "function connectionHandler(connection) {\n    const none = null;\n    connection.logCustomData('before');\n    none.of();\n}";
const NEVER_ENDS: &str =
    "function connectionHandler(connection) {\n    connection.allow();\n    for (;;) { }\n}";

/// The usual edge in this mode with a connection function "gate".
fn edge(mode: &str, code: &str) -> Config {
    with_function(Config::new(), mode, code)
}

fn with_function(config: Config, mode: &str, code: &str) -> Config {
    config
        .trust_store(TrustStore::partners().revocations("serials.txt", ""))
        .connection_function("gate", code, None)
        .distribution(Distribution::edge(mode).mtls_setting("connection_function = \"gate\""))
}

fn calls(server: &Server, result: &str) -> u64 {
    let series = format!("bothways_connection_function_calls_total{{result=\"{result}\"}}");
    server.metrics().get(&series)
}

fn all_calls(server: &Server) -> u64 {
    let metrics = server.metrics();
    let calls = metrics.sum("bothways_connection_function_calls_total");
    assert_eq!(calls, metrics.get("bothways_connection_function_seconds_count"));
    calls
}

fn alice() -> Identity {
    Pki::shared().client("alice")
}

/// A client that its certificate authority has nothing against, but its mode does not ask for.
fn stranger() -> Identity {
    Pki::shared().strangers.issue(Leaf::client("stranger"))
}

/// The client was let in by TLS and sent away before a byte was passed on: no response, an orderly end.
fn assert_closed(server: &Server, attempt: &Attempt, code: &str) -> Record {
    assert_eq!(attempt.outcome, Outcome::Closed, "{attempt:?}");
    let record = server.record_of(attempt.port);
    crate::witnesses::assert_failed(server, &record, code);
    assert_eq!(record.number("requests"), Some(0), "{}", record.line);
    record
}

fn denied_in_the_handshake(mode: &str, version: Version, identity: &Identity) {
    let server = Server::start(edge(mode, DENY));
    let client = Client::speaking(version, Some(identity));
    for _ in 0..2 {
        let record = assert_refused(&server, &client.get(server.address()), &[49], DENIED);
        assert_eq!(
            record.text("reason"),
            Some("connection function \"gate\" denied the client")
        );
        assert_eq!(
            record.text("connectionLogCustomData"),
            Some("REFUSED"),
            "{}",
            record.line
        );
        let serial = identity.serial_text();
        assert_eq!(record.text("clientLeafCertSerialNumber"), Some(&*serial));
    }
    assert_eq!((calls(&server, "deny"), all_calls(&server)), (2, 2));
    assert_eq!(client.tickets(), 0, "who is denied gets no ticket");
    assert_eq!(server.metrics().sum("bothways_handshakes_total"), 0);
}

#[test]
fn a_denied_client_gets_alert_49_tls13() {
    denied_in_the_handshake("required", Tls13, &alice());
}

#[test]
fn a_denied_client_gets_alert_49_tls12() {
    denied_in_the_handshake("required", Tls12, &alice());
}

#[test]
fn a_denied_client_gets_alert_49_in_optional_mode_too() {
    denied_in_the_handshake("optional", Tls13, &alice());
    denied_in_the_handshake("optional", Tls12, &alice());
}

#[test]
fn a_denied_client_gets_alert_49_in_mode_passthrough_too() {
    denied_in_the_handshake("passthrough", Tls13, &stranger());
    denied_in_the_handshake("passthrough", Tls12, &stranger());
}

#[test]
fn a_denied_client_of_version_1_gets_alert_49() {
    let v1 = Pki::shared().issuing.issue_v1(Leaf::client("old"));
    for mode in ["required", "passthrough"] {
        denied_in_the_handshake(mode, Tls13, &v1);
        denied_in_the_handshake(mode, Tls12, &v1);
    }
}

#[test]
fn an_allowed_client_is_admitted_in_every_mode_with_what_the_function_wants_in_the_record() {
    for (mode, identity) in [
        ("required", alice()),
        ("optional", alice()),
        ("passthrough", stranger()),
    ] {
        let server = Server::start(edge(mode, ALLOW));
        for version in [Tls12, Tls13] {
            let client = Client::speaking(version, Some(&identity));
            let record = assert_admitted(&server, &client.get(server.address()), Some(&identity));
            assert_eq!(
                record.text("connectionLogCustomData"),
                Some("seen"),
                "{}",
                record.line
            );
        }
        assert_eq!((calls(&server, "allow"), all_calls(&server)), (2, 2), "{mode}");
    }
}

#[test]
fn a_client_without_a_certificate_is_heard_too_where_none_is_needed() {
    const WITHOUT: &str = "function connectionHandler(connection) {
        connection.logCustomData(`${'clientCertificate' in connection} ${connection.clientIp}`);
        if (connection.clientCertificate) { connection.allow(); }
    }";
    for mode in ["optional", "passthrough"] {
        let server = Server::start(edge(mode, WITHOUT));
        for version in [Tls12, Tls13] {
            let client = Client::speaking(version, None);
            let record = assert_closed(&server, &client.get(server.address()), DENIED);
            assert_eq!(
                record.text("connectionLogCustomData"),
                Some("false 127.0.0.1"),
                "{}",
                record.line
            );
            assert!(!record.has("clientLeafCertSerialNumber"), "{}", record.line);
            // Whatever ticket it got on the way is worth nothing.
            let again = assert_closed(&server, &client.get(server.address()), DENIED);
            assert_eq!(again.resumed(), Some(false), "{}", again.line);
        }
        assert_eq!((calls(&server, "deny"), all_calls(&server)), (4, 4), "{mode}");
        assert_eq!(server.metrics().get("bothways_tickets_redeemed_total"), 0);
    }
}

#[test]
fn in_required_mode_a_client_without_a_certificate_never_comes_to_the_function() {
    let server = Server::start(edge("required", ALLOW));
    for version in [Tls12, Tls13] {
        let attempt = Client::speaking(version, None).get(server.address());
        assert_refused(&server, &attempt, &[116, 40], "ClientCertMissing");
    }
    assert_eq!(all_calls(&server), 0);
}

#[test]
fn who_fails_any_other_check_never_comes_to_the_function() {
    let pki = Pki::shared();
    let revoked = pki.client("revoked");
    for mode in ["required", "optional"] {
        let server = Server::start(edge(mode, ALLOW));
        server.write("serials.txt", revoked.serial_text());
        server.reload_published();
        for (identity, alert, code) in [
            (stranger(), 48, "ClientCertUntrusted"),
            (
                pki.issuing.issue(Leaf::client("old").expired()),
                45,
                "ClientCertExpired",
            ),
            (revoked.clone(), 44, "ClientCertRejected"),
        ] {
            for version in [Tls12, Tls13] {
                let attempt = Client::speaking(version, Some(&identity)).get(server.address());
                let record = assert_refused(&server, &attempt, &[alert], code);
                assert!(!record.has("connectionLogCustomData"), "{}", record.line);
            }
        }
        assert_eq!(all_calls(&server), 0, "{mode}");
    }
}

#[test]
fn who_does_not_hold_the_key_never_comes_to_the_function() {
    let victims = [alice(), Pki::shared().issuing.issue_v1(Leaf::client("old"))];
    for mode in ["required", "optional", "passthrough"] {
        let server = Server::start(edge(mode, ALLOW));
        for victim in &victims {
            let thief = Identity::with_stolen_certificate(victim, Pki::shared().client("thief"));
            for version in [Tls12, Tls13] {
                let attempt = Client::speaking(version, Some(&thief)).get(server.address());
                assert!(matches!(attempt.outcome, Outcome::Alert(..)), "{attempt:?}");
                assert_eq!(
                    server.record_of(attempt.port).status(),
                    "Failed:ClientCertInvalid"
                );
            }
        }
        assert_eq!(all_calls(&server), 0, "{mode}");
    }
}

#[test]
fn a_function_that_says_neither_denies() {
    let server = Server::start(edge("required", SAYS_NOTHING));
    let attempt = Client::with_identity(&alice()).get(server.address());
    let record = assert_refused(&server, &attempt, &[49], DENIED);
    assert_eq!(
        record.text("reason"),
        Some("connection function \"gate\" called neither allow() nor deny()")
    );
    assert_eq!((calls(&server, "deny"), all_calls(&server)), (1, 1));
}

/// The client is refused with alert 49 where it has a certificate and closed where it has none; the record's
/// reason and a line of the operator's log have all `parts`.
fn errs(code: &str, custom_data: Option<&str>, parts: &[&str]) {
    errs_in(edge("optional", code), custom_data, parts);
}

fn errs_in(config: Config, custom_data: Option<&str>, parts: &[&str]) {
    let server = Server::start(config);
    let identity = alice();
    for version in [Tls12, Tls13] {
        let attempt = Client::speaking(version, Some(&identity)).get(server.address());
        let refused = assert_refused(&server, &attempt, &[49], ERROR);
        let attempt = Client::speaking(version, None).get(server.address());
        let closed = assert_closed(&server, &attempt, ERROR);
        for record in [refused, closed] {
            let reason = record.text("reason").unwrap();
            assert_eq!(
                record.text("connectionLogCustomData"),
                custom_data,
                "{}",
                record.line
            );
            let id = record.text("connectionId").unwrap();
            let line = server.wait_for_log(id);
            for part in parts {
                assert!(reason.contains(part), "{part}: {reason}");
                assert!(line.contains(part), "{part}: {line}");
            }
        }
    }
    assert_eq!((calls(&server, "error"), all_calls(&server)), (4, 4));
}

#[test]
fn a_function_that_throws_denies_and_the_record_says_where() {
    errs(THROWS, Some("before"), &["gate:4:5: TypeError"]);
}

#[test]
fn a_function_that_does_not_end_in_time_denies_whatever_it_said_before() {
    let config = edge("optional", NEVER_ENDS).limit("function_time_ms", 5);
    errs_in(config, None, &["gate", "5 ms"]);
}

#[test]
fn the_next_call_after_one_that_did_not_end_is_answered() {
    const MOODY: &str = "function connectionHandler(connection) {
        if (connection.clientCertificate) { for (;;) { } }
        connection.allow();
    }";
    let server = Server::start(edge("optional", MOODY).limit("function_time_ms", 200));
    for _ in 0..3 {
        let attempt = Client::with_identity(&alice()).get(server.address());
        assert_refused(&server, &attempt, &[49], ERROR);
        assert_admitted(&server, &Client::new().get(server.address()), None);
    }
}

/// Everything that the function sees, in the record: 800 octets are enough for a digest of each part.
const TELLS: &str = "function connectionHandler(connection) {
    const chain = connection.clientCertificate.certificates;
    const leaf = chain.leaf;
    const told = [
        connection.connectionId, connection.clientIp, connection.endpoint, connection.distributionId,
        leaf.serialNumber, leaf.subject, leaf.issuer, leaf.validity.notBefore, leaf.validity.notAfter,
        chain.intermediates.map((one) => one.subject).join('|'),
        connection.tls.protocol, connection.tls.cipher, connection.tls.sni, connection.tls.resumed,
    ];
    connection.logCustomData(told.join('\\n'));
    connection.allow();
}";

#[test]
fn the_function_is_told_what_the_record_tells() {
    let server = Server::start(edge("required", TELLS));
    // Only what lies on the path to the trust store is told, whatever else was sent.
    let mut identity = Pki::shared()
        .issuing
        .intermediate("Below CA")
        .issue(Leaf::client("alice"));
    identity
        .chain
        .insert(1, Pki::shared().strangers.certificate().clone());
    for version in [Tls12, Tls13] {
        let client = Client::speaking(version, Some(&identity));
        for resumed in [false, true] {
            let record = assert_admitted(&server, &client.get(server.address()), Some(&identity));
            let told: Vec<_> = record
                .text("connectionLogCustomData")
                .unwrap()
                .split('\n')
                .collect();
            let resumed = resumed.to_string();
            let [id, protocol, cipher] =
                ["connectionId", "tlsProtocol", "tlsCipher"].map(|key| record.text(key).unwrap());
            let serial = identity.serial_text();
            let subject = identity.subject_in_records();
            let expected = [
                id,
                "127.0.0.1",
                EDGE_NAME,
                EDGE,
                &serial,
                &subject,
                record.text("clientLeafCertIssuer").unwrap(),
                "2024-01-01T00:00:00Z",
                "2045-01-01T00:00:00Z",
                "O=Bothways tests, CN=Below CA",
                protocol,
                cipher,
                EDGE_NAME,
                &resumed,
            ];
            assert_eq!(told, expected, "{version:?}");
        }
    }
}

#[test]
fn in_mode_passthrough_the_function_is_told_the_chain_as_it_was_presented() {
    let server = Server::start(edge("passthrough", TELLS));
    let far = Pki::shared().strangers.intermediate("Far CA");
    let identity = far.intermediate("Near CA").issue(Leaf::client("stranger"));
    let client = Client::with_identity(&identity);
    for _ in 0..2 {
        let record = assert_admitted(&server, &client.get(server.address()), Some(&identity));
        let told = record.text("connectionLogCustomData").unwrap();
        assert!(told.contains("CN=Near CA|"), "{told}");
        assert!(told.contains("CN=Far CA\n"), "{told}");
    }
    assert_eq!(server.metrics().handshakes("resumed"), 1);
}

#[test]
fn what_a_function_says_on_its_console_is_in_the_operators_log_under_the_connections_id() {
    const CHATTY: &str = "function connectionHandler(connection) {
        console.log('two\\nlines');
        connection.allow();
    }";
    let server = Server::start(edge("required", CHATTY));
    let identity = alice();
    let record = assert_admitted(
        &server,
        &Client::with_identity(&identity).get(server.address()),
        Some(&identity),
    );
    let line = server.wait_for_log(record.text("connectionId").unwrap());
    assert!(
        line.contains(r"two\nlines") && line.contains("gate"),
        "on one line: {line}"
    );
}

#[test]
fn what_a_candidate_trust_store_says_is_about_the_trust_store_whatever_the_function_says() {
    let strangers = TrustStore::new("next", &Pki::shared().strangers.pem());
    let config = Config::new()
        .trust_store(TrustStore::partners())
        .trust_store(strangers)
        .connection_function("gate", DENY, None)
        .distribution(
            Distribution::edge("required")
                .mtls_setting("connection_function = \"gate\"")
                .mtls_setting("candidate_trust_store = \"next\""),
        );
    let server = Server::start(config);
    let attempt = Client::with_identity(&alice()).get(server.address());
    let record = assert_refused(&server, &attempt, &[49], DENIED);
    let candidate = record.text("candidateDecision");
    assert_eq!(candidate, Some("Failed:ClientCertUntrusted"), "{}", record.line);
    let series = "bothways_candidate_decisions_total{decision=\"candidate_would_refuse\"}";
    assert_eq!(server.metrics().get(series), 1);
}

#[test]
fn a_distribution_without_a_name_of_its_own_is_called_what_the_client_calls_it_or_else_by_its_id() {
    const CALLED: &str = "function connectionHandler(connection) {
        connection.logCustomData(`${connection.endpoint} ${connection.tls.sni}`);
        connection.allow();
    }";
    let distribution = |aliases: &[&'static str]| {
        Distribution::new(EDGE, aliases, "optional")
            .default(true)
            .mtls_setting("connection_function = \"gate\"")
    };
    for (aliases, sni, expected) in [
        (
            &["*.example.net", "edge.example.com"][..],
            Some("a.example.net"),
            "edge.example.com a.example.net",
        ),
        (
            &["*.example.net"],
            Some("a.example.net"),
            "a.example.net a.example.net",
        ),
        (&["*.example.net"], None, "E2DX1SLDPK0123 undefined"),
    ] {
        let config = Config::new()
            .trust_store(TrustStore::partners())
            .connection_function("gate", CALLED, None)
            .distribution(distribution(aliases));
        let server = Server::start(config);
        let client = match sni {
            Some(name) => Client::new().sni(name),
            None => Client::new().without_sni(),
        };
        let attempt = client.get(server.address());
        let record = server.record_of(attempt.port);
        assert_eq!(
            record.text("connectionLogCustomData"),
            Some(expected),
            "{}",
            record.line
        );
    }
}
