//! Answers to a client that does not speak TLS, or not as the standards have it: the alert that is due, and a
//! reason in plain words.

use bothways_tests::client_hello::{
    ALPN, Hello, KEY_SHARE, RENEGOTIATION_INFO, SIGNATURE_ALGORITHMS, SUPPORTED_GROUPS, SUPPORTED_VERSIONS,
    record,
};
use bothways_tests::pki::Leaf;
use bothways_tests::raw_client::Raw;
use bothways_tests::tls_client::{Ending, Version};
use bothways_tests::{Client, Config, Distribution, Outcome, Pki, Record, Server, TrustStore};

use crate::witnesses::assert_failed;

/// Content type and contents of a record.
type Encrypted<'a> = (u8, &'a [u8]);

/// Starts a server with one distribution, which is not the default.
fn server() -> Server {
    let distribution = Distribution::edge("required").default(false);
    let config = Config::new().trust_store(TrustStore::partners());
    Server::start(config.distribution(distribution))
}

fn exchange(server: &Server, octets: &[u8]) -> (Vec<u8>, Record) {
    let mut raw = Raw::connect(server.address());
    raw.send(octets);
    raw.finish();
    let (answer, ending) = raw.read_to_end();
    assert_eq!(ending, Ending::Eof, "{octets:02x?}");
    let record = server.record_of(raw.port);
    assert_failed(server, &record, "UnmappedConnectionError");
    (answer, record)
}

/// The client gets this alert and an orderly end, and the record's reason has these words.
fn refused(server: &Server, octets: &[u8], alert: u8, words: &str) -> Record {
    let (answer, record) = exchange(server, octets);
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, alert], "{words}");
    let reason = record.text("reason").expect("a reason");
    assert!(reason.contains(words), "no {words:?}: {reason}");
    record
}

#[test]
fn what_begins_no_handshake_gets_the_alert_that_is_due_and_a_reason() {
    let server = server();
    let hello = Hello::new().named("edge.example.com");
    let begun = record(22, &hello.message()[..20]);
    let then = |next: &[u8]| [&begun[..], next].concat();
    let cases: [(&[u8], u8, &str); 14] = [
        (&record(22, &[20, 0, 0, 0]), 10, "none of type client_hello"),
        (&record(23, b"x"), 10, "application data"),
        (&record(20, &[1]), 10, "change_cipher_spec"),
        (&record(24, &[1, 0, 0]), 10, "heartbeat"),
        (&record(99, &[0]), 10, "speak TLS"),
        (&record(21, &[]), 10, "an empty record"),
        (&record(22, &[]), 10, "an empty record"),
        (&[22, 3, 1, 0x40, 1, 1], 22, "16385 octets"),
        (&[22, 3, 1, 0x48, 1, 1], 22, "18433 octets"),
        (&record(22, &[1, 0, 0x40, 1]), 47, "16385 octets"),
        (&record(22, &[1, 0, 0, 0]), 50, "malformed"),
        (&then(&record(23, &[])), 10, "between the pieces"),
        (&then(&record(20, &[1])), 10, "between the pieces"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 10, "SSH"),
    ];
    for (octets, alert, words) in cases {
        refused(&server, octets, alert, words);
    }
    assert_eq!(server.metrics().connections("Failed:UnmappedConnectionError"), 14);
}

#[test]
fn a_client_that_gives_up_first_is_told_nothing_and_the_record_says_its_alert() {
    let server = server();
    for (alert, name) in [([1, 0], "close_notify"), ([2, 40], "handshake_failure")] {
        let (answer, record) = exchange(&server, &record(21, &alert));
        assert!(answer.is_empty(), "{answer:?}");
        assert!(
            record.text("reason").is_some_and(|reason| reason.contains(name)),
            "{}",
            record.line
        );
    }
}

#[test]
fn plain_http_is_told_in_http_that_the_port_speaks_tls() {
    let server = server();
    let (answer, record) = exchange(&server, b"GET / HTTP/1.1\r\nHost: edge.example.com\r\n\r\n");
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(
        head.starts_with("HTTP/1.1 400 ") && head.contains("Connection: close"),
        "{head}"
    );
    assert!(
        head.contains(&format!("Content-Length: {}", body.len())),
        "{head}"
    );
    assert!(body.contains("speaks TLS"), "{body}");
    assert!(
        record
            .text("reason")
            .is_some_and(|reason| reason.contains("plain HTTP")),
        "{}",
        record.line
    );
}

#[test]
fn a_hello_that_breaks_a_rule_gets_the_alert_of_that_rule() {
    let server = server();
    let name = "edge.example.com";
    let cases = [
        (Hello::new().legacy_version(0x0300), 70, "SSL 3.0"),
        (
            Hello::tls12()
                .legacy_version(0x0302)
                .without(SIGNATURE_ALGORITHMS),
            70,
            "TLS 1.1 at most",
        ),
        (Hello::tls12().legacy_version(0x0301), 70, "TLS 1.0 at most"),
        (
            Hello::new().with(SUPPORTED_VERSIONS, [2, 3, 2]),
            70,
            "TLS 1.1 at most",
        ),
        (
            Hello::new().without(KEY_SHARE),
            109,
            "lacks the extension key_share",
        ),
        (
            Hello::new().without(SUPPORTED_GROUPS),
            109,
            "lacks the extension supported_groups",
        ),
        (
            Hello::new().without(SIGNATURE_ALGORITHMS),
            109,
            "lacks the extension signature_algorithms",
        ),
        (Hello::new().with(RENEGOTIATION_INFO, [1, 7]), 40, "renegotiation"),
        (Hello::tls12().suites(&[0xc02b, 0xc02f, 0x5600]), 86, "fell back"),
    ];
    for (hello, alert, words) in cases {
        let record = refused(&server, &hello.named(name).record(), alert, words);
        assert_eq!(record.text("tlsSni"), Some(name), "{}", record.line);
    }
}

#[test]
fn what_is_not_in_common_is_named_with_what_the_client_offers() {
    let server = server();
    let cases = [
        (
            Hello::tls12().suites(&[0x002f, 0xc013]).without(SUPPORTED_GROUPS),
            40,
            "no cipher suite in common for TLS 1.2: the client offers TLS_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        ),
        (
            Hello::new().suites(&[0x1304, 0xc02f]),
            40,
            "no cipher suite in common for TLS 1.3",
        ),
        (
            Hello::tls12().with_numbers(SUPPORTED_GROUPS, &[0x0100]),
            40,
            "no key exchange group in common: the client offers FFDHE2048",
        ),
        (
            Hello::tls12().protocols(&["spdy/3.1", "foo"]),
            120,
            "no protocol in common (ALPN): the client offers spdy/3.1, foo",
        ),
        // The server's key is of P-256, which goes with SHA-256 here.
        (
            Hello::tls12().with_numbers(SIGNATURE_ALGORITHMS, &[0x0503, 0x0603]),
            40,
            "no signature algorithm in common",
        ),
    ];
    for (hello, alert, words) in cases {
        refused(&server, &hello.named("edge.example.com").record(), alert, words);
    }
    let newest = Distribution::edge("required").security_policy("TLSv1.3_2025");
    let server = Server::start(
        Config::new()
            .trust_store(TrustStore::partners())
            .distribution(newest),
    );
    refused(
        &server,
        &Hello::tls12().record(),
        70,
        "TLS 1.2 at most; the security policy of the distribution asks for TLS 1.3",
    );
}

#[test]
fn ml_kem_without_a_curve_is_not_spoken() {
    let server = server();
    let hello = Hello::new().named("edge.example.com");
    for group in [0x0201, 0x0202] {
        refused(
            &server,
            &hello.clone().with_numbers(SUPPORTED_GROUPS, &[group]).record(),
            40,
            "no key exchange group in common",
        );
    }
    for group in [0x11ec, 0x11eb, 29, 23, 24] {
        let mut raw = Raw::connect(server.address());
        raw.send(hello.clone().with_numbers(SUPPORTED_GROUPS, &[group]).record());
        raw.finish();
        let (answer, _) = raw.read_to_end();
        assert_eq!(answer.first(), Some(&22), "{group:#06x}: {answer:02x?}");
    }
}

#[test]
fn encrypted_records_that_may_not_come_end_with_the_alert_that_is_due() {
    let server = Server::start(Config::edge("none"));
    let long = vec![7; 16_385];
    let much_too_long = vec![7; 16_384 + 256];
    let half_a_key_update: Encrypted<'_> = (22, &[24, 0]);
    let cases: [(&str, &[Encrypted<'_>], u8); 9] = [
        ("no content type", &[(0, &[])], 10),
        ("no content type behind padding", &[(0, &[0; 100])], 10),
        ("an unknown content type", &[(99, b"x")], 10),
        ("a heartbeat", &[(24, &[1, 0, 0])], 10),
        ("an empty alert", &[(21, &[])], 10),
        ("an empty handshake record", &[(22, &[])], 10),
        ("a record in between", &[half_a_key_update, (23, b"x")], 10),
        ("a long record", &[(23, &long)], 22),
        ("a much too long record", &[(23, &much_too_long)], 22),
    ];
    for (what, records, alert) in cases {
        let connection = Client::speaking(Version::Tls13, None)
            .connect(server.address())
            .unwrap();
        assert_eq!(connection.answer_to_records(records), Some(alert), "{what}");
    }
    let headers: [(&str, &[u8], u8); 6] = [
        ("an unknown content type", &[99, 3, 3, 0, 1, 0], 10),
        ("a heartbeat in the clear", &[24, 3, 3, 0, 3, 1, 0, 0], 10),
        ("an empty alert in the clear", &[21, 3, 3, 0, 0], 10),
        ("an empty record", &[23, 3, 3, 0, 0], 10),
        ("a record that is announced too long", &[23, 3, 3, 0x41, 1, 0], 22),
        ("one that is announced much too long", &[23, 3, 3, 0xff, 0xff], 22),
    ];
    for (what, octets, alert) in headers {
        let client = Client::speaking(Version::Tls13, None);
        let connection = client.connect(server.address()).unwrap();
        assert_eq!(connection.answer_to_octets(octets), Some(alert), "{what}");
    }
    let identity = Pki::shared().client("alice");
    assert!(
        Client::with_identity(&identity)
            .get(server.address())
            .outcome
            .is_ok()
    );
    assert_eq!(server.metrics().get("bothways_panics_total"), 0);
}

#[test]
fn a_certificate_message_above_64_kib_ends_with_an_alert_under_either_version() {
    let server = server();
    let mut identity = Pki::shared().client("long");
    let filler = Pki::shared().issuing.issue(Leaf::client("filler").padded(9_000));
    identity
        .chain
        .extend(std::iter::repeat_n(filler.chain[0].clone(), 10));
    for (version, due) in [(Version::Tls12, 47), (Version::Tls13, 50)] {
        let attempt = Client::speaking(version, Some(&identity)).get(server.address());
        assert!(
            matches!(attempt.outcome, Outcome::Alert(alert, _) if alert == due),
            "{attempt:?}"
        );
        let record = server.record_of(attempt.port);
        assert_failed(&server, &record, "ClientCertMaxSizeExceeded");
    }
}

#[test]
fn a_name_that_is_none_is_told_as_it_was_sent_and_never_served_by_the_default() {
    let with_default = Server::start(Config::edge("none"));
    let without = server();
    let cases: [(&[u8], u8, &str); 6] = [
        (
            b"a..b",
            47,
            "\"a..b\" (SNI), which is no host name: a label is empty",
        ),
        (b"a b", 47, "only letters"),
        (b"m\xc3\xbcller.example", 47, "m\\xc3\\xbcller.example"),
        (b"\xff", 47, "\\xff"),
        (&[b'a'; 300], 47, "longer than"),
        (b"", 50, "an empty name"),
    ];
    for (name, alert, words) in cases {
        for server in [&with_default, &without] {
            let record = refused(server, &Hello::new().named(name).record(), alert, words);
            assert!(!record.has("distributionId"), "{}", record.line);
        }
    }
    for address in ["127.0.0.1", "::1"] {
        let hello = Hello::new().named(address);
        let record = refused(
            &without,
            &hello.record(),
            112,
            "an address where a host name belongs",
        );
        assert_eq!(record.text("tlsSni"), Some(address), "{}", record.line);
        let mut raw = Raw::connect(with_default.address());
        raw.send(hello.record());
        raw.finish();
        assert_eq!(
            raw.read_to_end().0.first(),
            Some(&22),
            "the default distribution answers"
        );
    }
    refused(&without, &Hello::new().record(), 112, "named no host");
    refused(
        &without,
        &Hello::new().named("other.example").record(),
        112,
        "no distribution serves \"other.example\"",
    );
    refused(
        &without,
        &Hello::new().with(ALPN, [0, 0]).record(),
        112,
        "named no host",
    );
}

#[test]
fn names_with_underscores_are_served_by_alias_wildcard_and_host() {
    let distribution = Distribution::new("E1", &["my_app.example.com", "*.example.net"], "none");
    let server = Server::start(
        Config::new()
            .trust_store(TrustStore::partners())
            .distribution(distribution),
    );
    for name in ["my_app.example.com", "other_app.example.net", "_a.b_.example.net"] {
        let attempt = Client::new().sni(name).get(server.address());
        assert_eq!(attempt.outcome.response().status, 200, "{name}: {attempt:?}");
        let record = server.record_of(attempt.port);
        assert_eq!(
            (record.status(), record.text("tlsSni")),
            ("Success", Some(name)),
            "{}",
            record.line
        );
    }
    refused(
        &server,
        &Hello::new().named("my_other.example.com").record(),
        112,
        "no distribution serves \"my_other.example.com\"",
    );
}
