//! Connection records: every key, its type, its place; and the file that they go to.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use bothways_tests::config::{EDGE, EDGE_NAME};
use bothways_tests::record::KEYS;
use bothways_tests::{Client, Config, Pki, Record, Server};

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// The keys are known ones, in the documented order, and none is null.
fn assert_well_formed(record: &Record) {
    let keys = record.keys();
    let places: Vec<Option<usize>> = keys
        .iter()
        .map(|key| KEYS.iter().position(|known| known == key))
        .collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{}",
        record.line
    );
    assert!(
        keys.iter().all(|key| !record.value(key).unwrap().is_null()),
        "{}",
        record.line
    );
}

#[test]
fn the_record_of_an_admitted_client_has_every_field() {
    let server = Server::start(Config::edge("required"));
    let identity = Pki::shared().client("alice");
    let client = Client::with_identity(&identity);
    let before = now_ms();
    let mut connection = client.connect(server.address()).unwrap();
    for _ in 0..3 {
        assert!(connection.exchange(&client.request("GET", "/", "")).is_ok());
    }
    connection.close();
    let record = server.record_of(connection.port);
    assert_well_formed(&record);

    let unused = [
        "distributionTenantId",
        "connectionLogCustomData",
        "reason",
        "closedBy",
        "candidateDecision",
        "candidateReason",
    ];
    let expected: Vec<&str> = KEYS.into_iter().filter(|key| !unused.contains(key)).collect();
    assert_eq!(record.keys(), expected);
    assert!(
        (before..=now_ms()).contains(&record.number("eventTimestamp").unwrap()),
        "{}",
        record.line
    );
    assert_eq!(record.status(), "Success");
    assert_eq!(record.text("clientIp"), Some("127.0.0.1"));
    assert_eq!(record.client_port(), Some(connection.port));
    assert_eq!(record.text("serverIp"), Some("127.0.0.1"));
    assert_eq!(record.text("distributionId"), Some(EDGE));
    assert_eq!(record.text("tlsProtocol"), Some("TLSv1.3"));
    assert!(
        record.text("tlsCipher").unwrap().starts_with("TLS_"),
        "{}",
        record.line
    );
    assert!(record.number("tlsHandshakeDuration").is_some(), "{}", record.line);
    assert_eq!(record.text("tlsSni"), Some(EDGE_NAME));
    assert_eq!(
        record.text("clientLeafCertSerialNumber"),
        Some(&*identity.serial_text())
    );
    assert_eq!(
        record.text("clientLeafCertSubject"),
        Some(&*identity.subject_in_records())
    );
    assert_eq!(
        record.text("clientLeafCertIssuer"),
        Some("O=Bothways tests, CN=Partners Issuing CA")
    );
    assert_eq!(
        record.text("clientLeafCertValidity"),
        Some(&*identity.validity_text())
    );
    assert_eq!(record.resumed(), Some(false));
    assert_eq!(record.number("requests"), Some(3));
    assert!(
        record.number("bytesIn").unwrap() > 500 && record.number("bytesOut").unwrap() > 500,
        "{}",
        record.line
    );
}

#[test]
fn the_record_of_a_refused_client_says_who_it_was_and_why() {
    let server = Server::start(Config::edge("required"));
    let identity = Pki::shared()
        .strangers
        .issue(bothways_tests::pki::Leaf::client("mallory"));
    let attempt = Client::with_identity(&identity).get(server.address());
    let record = server.record_of(attempt.port);
    assert_well_formed(&record);
    assert_eq!(record.status(), "Failed:ClientCertUntrusted");
    assert_eq!(
        record.text("clientLeafCertSubject"),
        Some(&*identity.subject_in_records())
    );
    assert_eq!(
        record.text("clientLeafCertIssuer"),
        Some("O=Bothways tests, CN=Strangers Root CA")
    );
    assert_eq!(
        (record.text("distributionId"), record.text("tlsSni")),
        (Some(EDGE), Some(EDGE_NAME))
    );
    assert!(
        record.text("reason").is_some_and(|reason| !reason.is_empty()),
        "{}",
        record.line
    );
    assert_eq!(record.number("requests").unwrap_or(0), 0);
}

#[test]
fn a_subject_with_every_kind_of_character_stays_one_line_of_json() {
    let server = Server::start(Config::edge("required"));
    let wild = "quote\" back\\slash, new\nline \u{1b}[31m \u{202e}rtl ünï";
    let leaf = bothways_tests::pki::Leaf::client("").subject(&[("O", "x"), ("CN", wild)]);
    let attempt = Client::with_identity(&Pki::shared().issuing.issue(leaf)).get(server.address());
    assert!(attempt.outcome.is_ok(), "{attempt:?}");
    let record = server.record_of(attempt.port);
    assert_well_formed(&record);
    assert!(
        record.text("clientLeafCertSubject").unwrap().contains("ünï"),
        "{}",
        record.line
    );
}

#[test]
fn every_connection_has_an_id_of_its_own() {
    const CONNECTIONS: usize = 20;
    let server = Server::start(Config::edge("none").cores(2));
    for _ in 0..CONNECTIONS {
        assert!(Client::new().get(server.address()).outcome.is_ok());
    }
    let records = server.stop();
    let ids: BTreeSet<&str> = records
        .iter()
        .map(|record| record.text("connectionId").unwrap())
        .collect();
    assert_eq!(ids.len(), CONNECTIONS);
    assert!(ids.iter().all(|id| id.len() >= 16 && id.is_ascii()), "{ids:?}");
}

#[test]
fn a_renamed_file_is_opened_anew_on_sighup() {
    let server = Server::start(Config::edge("none").records_to("connection.log"));
    let (current, old) = (
        server.path().join("connection.log"),
        server.path().join("connection.log.1"),
    );
    let client = Client::new();
    let first = client.get(server.address());
    assert!(first.outcome.is_ok());
    server.wait_for_metrics("the record is written", |metrics| {
        metrics.get("bothways_records_written_total") == 1
    });

    std::fs::rename(&current, &old).unwrap();
    server.reload_published();
    let second = client.get(server.address());
    server.wait_for_metrics("the second record is written", |metrics| {
        metrics.get("bothways_records_written_total") == 2
    });

    let port = |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1, "{text}");
        Record::parse(lines[0]).client_port()
    };
    assert_eq!(
        (port(&old), port(&current)),
        (Some(first.port), Some(second.port))
    );
}

#[test]
fn a_file_is_appended_to_when_the_server_starts_again() {
    let config = || {
        Config::edge("none")
            .records_to("connection.log")
            .file("connection.log", "{\"connectionStatus\":\"Success\"}\n")
    };
    let server = Server::start(config());
    let path = server.path().join("connection.log");
    assert!(Client::new().get(server.address()).outcome.is_ok());
    server.wait_for_metrics("the record is written", |metrics| {
        metrics.get("bothways_records_written_total") == 1
    });
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
}

#[test]
fn written_records_are_counted_and_none_is_dropped() {
    let server = Server::start(Config::edge("none"));
    for _ in 0..5 {
        let attempt = Client::new().get(server.address());
        server.record_of(attempt.port);
    }
    let metrics = server.wait_for_metrics("five records", |m| m.get("bothways_records_written_total") == 5);
    assert_eq!(metrics.sum("bothways_records_dropped_total"), 0, "{metrics:#?}");
}
