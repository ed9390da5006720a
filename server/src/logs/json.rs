//! A record as one line of JSON. The key order is that of the table and part of the format. An unknown value
//! is left out, never null.

use super::field::Field;

/// Appends the record as an object of these fields, and a line feed. No other byte of the line is a line
/// feed: JSON escapes control characters.
pub(super) fn encode<R>(fields: &[Field<R>], record: &R, lines: &mut Vec<u8>) {
    let mut before: &[u8] = b"{\"";
    for field in fields {
        let Some(value) = field.value(record) else {
            continue;
        };
        lines.extend_from_slice(before);
        lines.extend_from_slice(field.name.as_bytes());
        lines.extend_from_slice(b"\":");
        serde_json::to_writer(&mut *lines, &value)
            .expect("strings, numbers and booleans always encode, and a Vec takes every write");
        before = b",\"";
    }
    lines.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::logs::record::ConnectionRecord;
    use crate::logs::record::tests::{bare, full};
    use bothways_trust::CertificateFacts;

    fn line(record: &ConnectionRecord) -> String {
        let mut lines = Vec::new();
        encode(ConnectionRecord::FIELDS, record, &mut lines);
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn a_full_record_has_every_key_in_the_documented_order() {
        assert_eq!(
            line(&full()),
            concat!(
                r#"{"eventTimestamp":1731620046814,"#,
                r#""connectionId":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==","#,
                r#""connectionStatus":"Failed:ClientCertRejected","#,
                r#""clientIp":"2001:db8:85a3::8a2e:370:7334","clientPort":12137,"serverIp":"99.84.71.136","#,
                r#""distributionId":"E2DX1SLDPK0123","tlsProtocol":"TLSv1.3","#,
                r#""tlsCipher":"TLS_AES_128_GCM_SHA256","#,
                r#""tlsHandshakeDuration":153,"tlsSni":"edge.example.com","#,
                r#""clientLeafCertSerialNumber":"00:b1:43:ed","#,
                r#""clientLeafCertSubject":"C=US, O=Acme, CN=client","#,
                r#""clientLeafCertIssuer":"CN=ca","#,
                r#""clientLeafCertValidity":"NotBefore=2025-06-05T23:28:21Z;NotAfter=2125-05-12T23:28:21Z","#,
                r#""connectionLogCustomData":"REVOKED:00:b1:43:ed","#,
                r#""reason":"certificate 00:b1:43:ed is revoked","#,
                r#""closedBy":"revocation","candidateDecision":"Failed:ClientCertUntrusted","#,
                r#""candidateReason":"not in new","#,
                r#""resumed":true,"bytesIn":1834,"bytesOut":2951,"requests":3}"#,
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
