//! The three witnesses of one connection: its peer, its record, and the counters.

use bothways_tests::tls_client::{Attempt, Ending};
use bothways_tests::{Identity, Outcome, Record, Server};

/// The client got its 200, and the record says who it was. Returns the record.
pub fn assert_admitted(server: &Server, attempt: &Attempt, identity: Option<&Identity>) -> Record {
    assert_eq!(attempt.outcome.response().status, 200, "{attempt:?}");
    let record = server.record_of(attempt.port);
    assert_eq!(record.status(), "Success", "{}", record.line);
    // Only a CRL that is missing or out of date leaves a word about a client that was admitted.
    let caveat = record.text("reason");
    assert!(
        caveat.is_none_or(|caveat| caveat.contains("CRL")),
        "{}",
        record.line
    );
    assert_eq!(
        record.resumed(),
        Some(attempt.outcome.resumed()),
        "{}",
        record.line
    );
    let serial = identity.map(Identity::serial_text);
    assert_eq!(
        record.text("clientLeafCertSerialNumber"),
        serial.as_deref(),
        "{}",
        record.line
    );
    record
}

/// The client got one of these alerts, and got it whole: nothing reset the connection on top of it. The
/// record has the status code and a reason, and a counter has counted it. Returns the record.
pub fn assert_refused(server: &Server, attempt: &Attempt, alerts: &[u8], code: &str) -> Record {
    match attempt.outcome {
        Outcome::Alert(alert, Ending::Eof) if alerts.contains(&alert) => {}
        ref other => panic!("expected one of the alerts {alerts:?} and an orderly end: {other:?}"),
    }
    let record = server.record_of(attempt.port);
    assert_failed(server, &record, code);
    record
}

/// The record has this status code and a reason, and a counter has counted it.
pub fn assert_failed(server: &Server, record: &Record, code: &str) {
    let status = format!("Failed:{code}");
    assert_eq!(record.status(), status, "{}", record.line);
    assert!(
        record.text("reason").is_some_and(|reason| !reason.is_empty()),
        "{}",
        record.line
    );
    assert_ne!(
        server.metrics().connections(&status),
        0,
        "{status} is not counted"
    );
}
