//! A record as one line of JSON. The key order is part of the format; what is unknown is left out, never null.

use std::net::IpAddr;

use serde::Serialize;

use super::{ConnectionId, ConnectionRecord, ConnectionStatus};

/// Appends the record and a line feed. No other byte of the line is a line feed: JSON escapes control characters.
pub fn encode(record: &ConnectionRecord, lines: &mut Vec<u8>) {
    serde_json::to_writer(&mut *lines, &Line::of(record))
        .expect("strings, numbers and booleans always encode, and a Vec takes every write");
    lines.push(b'\n');
}

/// `distributionTenantId` is between `distributionId` and `tlsProtocol` where tenants exist.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    event_timestamp: u64,
    connection_id: ConnectionId,
    connection_status: &'static str,
    client_ip: IpAddr,
    client_port: u16,
    server_ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    distribution_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_protocol: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cipher: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_handshake_duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_sni: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_leaf_cert_serial_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_leaf_cert_subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_leaf_cert_issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_leaf_cert_validity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_log_custom_data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate_decision: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate_reason: Option<&'a str>,
    resumed: bool,
    bytes_in: u64,
    bytes_out: u64,
    requests: u64,
}

impl<'a> Line<'a> {
    fn of(record: &'a ConnectionRecord) -> Self {
        let leaf = record.leaf.as_deref();
        Self {
            event_timestamp: record.event_timestamp_ms,
            connection_id: record.connection_id,
            connection_status: record.status.as_str(),
            client_ip: record.client.ip().to_canonical(),
            client_port: record.client.port(),
            server_ip: record.server_ip.to_canonical(),
            distribution_id: record.distribution_id.as_deref(),
            tls_protocol: record.tls_protocol,
            tls_cipher: record.tls_cipher,
            tls_handshake_duration: record
                .tls_handshake_duration
                .map(|duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
            tls_sni: record.tls_sni.as_deref(),
            client_leaf_cert_serial_number: leaf.map(|leaf| leaf.serial_number.as_str()),
            client_leaf_cert_subject: leaf.map(|leaf| leaf.subject.as_str()),
            client_leaf_cert_issuer: leaf.map(|leaf| leaf.issuer.as_str()),
            client_leaf_cert_validity: leaf.map(|leaf| leaf.validity.as_str()),
            connection_log_custom_data: record.custom_data.as_deref(),
            reason: record.reason.as_deref(),
            closed_by: record.closed_by,
            candidate_decision: record.candidate_decision.map(ConnectionStatus::as_str),
            candidate_reason: record.candidate_reason.as_deref(),
            resumed: record.resumed,
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            requests: record.requests,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::logs::FailureCode;
    use crate::trust::CertificateFacts;

    fn bare() -> ConnectionRecord {
        ConnectionRecord::new(
            1_731_620_046_814,
            ConnectionId::from_bytes([0; 40]),
            ConnectionStatus::Failed(FailureCode::TcpTimeout),
            "192.0.2.7:12137".parse().unwrap(),
            "99.84.71.136".parse().unwrap(),
        )
    }

    fn line(record: &ConnectionRecord) -> String {
        let mut lines = Vec::new();
        encode(record, &mut lines);
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn a_full_record_has_every_key_in_the_documented_order() {
        let record = ConnectionRecord {
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
        };
        assert_eq!(
            line(&record),
            concat!(
                r#"{"eventTimestamp":1731620046814,"#,
                r#""connectionId":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==","#,
                r#""connectionStatus":"Failed:ClientCertRejected","#,
                r#""clientIp":"2001:db8:85a3::8a2e:370:7334","clientPort":12137,"serverIp":"99.84.71.136","#,
                r#""distributionId":"E2DX1SLDPK0123","tlsProtocol":"TLSv1.3","tlsCipher":"TLS_AES_128_GCM_SHA256","#,
                r#""tlsHandshakeDuration":153,"tlsSni":"edge.example.com","#,
                r#""clientLeafCertSerialNumber":"00:b1:43:ed","clientLeafCertSubject":"C=US, O=Acme, CN=client","#,
                r#""clientLeafCertIssuer":"CN=ca","#,
                r#""clientLeafCertValidity":"NotBefore=2025-06-05T23:28:21Z;NotAfter=2125-05-12T23:28:21Z","#,
                r#""connectionLogCustomData":"REVOKED:00:b1:43:ed","#,
                r#""reason":"certificate 00:b1:43:ed is revoked","#,
                r#""closedBy":"revocation","candidateDecision":"Failed:ClientCertUntrusted","candidateReason":"not in new","resumed":true,"bytesIn":1834,"bytesOut":2951,"requests":3}"#,
                "\n"
            )
        );
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        assert_eq!(
            line(&bare()),
            concat!(
                r#"{"eventTimestamp":1731620046814,"#,
                r#""connectionId":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==","#,
                r#""connectionStatus":"Failed:TcpTimeout","#,
                r#""clientIp":"192.0.2.7","clientPort":12137,"serverIp":"99.84.71.136","#,
                r#""resumed":false,"bytesIn":0,"bytesOut":0,"requests":0}"#,
                "\n"
            )
        );
    }

    #[test]
    fn an_ipv4_client_of_a_dual_stack_listener_is_shown_as_ipv4() {
        let record = ConnectionRecord {
            client: "[::ffff:192.0.2.7]:1".parse().unwrap(),
            ..bare()
        };
        assert!(line(&record).contains(r#""clientIp":"192.0.2.7""#));
    }

    proptest! {
        #[test]
        fn no_text_of_a_client_can_break_its_line(text in any::<String>()) {
            let record = ConnectionRecord {
                tls_sni: Some(text.as_str().into()),
                leaf: Some(Arc::new(CertificateFacts::of_texts("", &text, &format!("\"}}\n{{\"{text}"), ""))),
                ..bare()
            };
            let line = line(&record);
            prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
            let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(&parsed["tlsSni"], &text);
            prop_assert_eq!(&parsed["clientLeafCertSubject"], &text);
            prop_assert_eq!(parsed.as_object().unwrap().len(), 15);
        }
    }
}
