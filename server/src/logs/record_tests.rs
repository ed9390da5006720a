#![allow(clippy::unwrap_used)]

use super::*;
use crate::logs::field::Value;
use crate::metrics::FailureCode;

/// A record of which nothing is known but the connection's ends.
pub(in crate::logs) fn bare() -> ConnectionRecord {
    ConnectionRecord::new(
        1_731_620_046_814,
        ConnectionId::from_bytes([0; 40]),
        ConnectionStatus::Failed(FailureCode::TcpTimeout),
        "192.0.2.7:12137".parse().unwrap(),
        "99.84.71.136".parse().unwrap(),
    )
}

/// A record with a value for every field.
pub(in crate::logs) fn full() -> ConnectionRecord {
    ConnectionRecord {
        status: ConnectionStatus::Failed(FailureCode::ClientCertRejected),
        client: "[2001:db8:85a3::8a2e:370:7334]:12137".parse().unwrap(),
        distribution_id: Some(Arc::from("E2DX1SLDPK0123")),
        tls_protocol: Some("TLSv1.3"),
        tls_cipher: Some("TLS_AES_128_GCM_SHA256"),
        tls_handshake_duration: Some(Duration::from_micros(153_999)),
        tls_sni: Some(Box::from("edge.example.com")),
        leaf: Some(Arc::new(CertificateFacts::of_texts(
            "00:b1:43:ed",
            "C=US, O=Acme, CN=client",
            "CN=ca",
            "NotBefore=2025-06-05T23:28:21Z;NotAfter=2125-05-12T23:28:21Z",
        ))),
        custom_data: Some(Box::from("REVOKED:00:b1:43:ed")),
        reason: Some("certificate 00:b1:43:ed is revoked".into()),
        closed_by: Some("revocation"),
        candidate_decision: Some(ConnectionStatus::Failed(FailureCode::ClientCertUntrusted)),
        candidate_reason: Some("not in new".into()),
        resumed: true,
        bytes_in: 1_834,
        bytes_out: 2_951,
        requests: 3,
        ..bare()
    }
}

fn kind(value: Value<'_>) -> &'static str {
    match value {
        Value::Timestamp(_) => "timestamp",
        Value::Number(_) => "number",
        Value::Flag(_) => "boolean",
        Value::Address(_) => "address",
        Value::Id(_) => "id",
        Value::Text(_) => "text",
    }
}

/// Fields of the reference documentation as it lists them: "- `name` (kind)" or "- `name` (kind, always)".
fn documented() -> Vec<String> {
    let document = include_str!("../../../config/records.md");
    let items = document.lines().filter(|line| line.starts_with("- `"));
    items
        .map(|item| item.split_inclusive(')').next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_field_is_documented_with_its_kind_and_whether_each_record_has_it() {
    let (full, bare) = (full(), bare());
    let fields = ConnectionRecord::FIELDS.iter().map(|field| {
        let kind = kind(field.value(&full).expect(field.name));
        let always = match field.value(&bare) {
            Some(_) => ", always",
            None => "",
        };
        format!("- `{}` ({kind}{always})", field.name)
    });
    assert_eq!(documented(), fields.collect::<Vec<_>>());
}

#[test]
fn a_record_of_which_nothing_is_known_has_the_ends_of_its_connection_and_counts_alone() {
    let bare = bare();
    let fields = ConnectionRecord::FIELDS.iter();
    let known = fields.filter(|field| field.value(&bare).is_some());
    let names: Vec<_> = known.map(|field| field.name).collect();
    assert_eq!(
        names,
        [
            "eventTimestamp",
            "connectionId",
            "connectionStatus",
            "clientIp",
            "clientPort",
            "serverIp",
            "resumed",
            "bytesIn",
            "bytesOut",
            "requests",
        ]
    );
}

#[test]
fn names_need_no_escapes_in_any_format_and_none_is_there_twice() {
    let mut names: Vec<_> = ConnectionRecord::FIELDS.iter().map(|field| field.name).collect();
    assert!(
        names
            .iter()
            .all(|name| name.bytes().all(|byte| byte.is_ascii_alphabetic()))
    );
    names.sort_unstable();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
}
