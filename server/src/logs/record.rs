//! Record of one connection attempt, and the table of its fields.
//!
//! A field that is added stands in the struct and in the table [`ConnectionRecord::FIELDS`], and nowhere else
//! but where it is set: encoders walk the table. `config/records.md` documents the table, held by a test.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bothways_trust::CertificateFacts;

use super::connection_id::ConnectionId;
use super::field::Field;
use crate::metrics::ConnectionStatus;

/// Declares the record and its `new`, which takes the fields of the first group. Those of the second group
/// begin as `Default` says: unknown, false or zero.
macro_rules! record {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            known { $($(#[$known_meta:meta])* pub $known:ident: $known_type:ty,)+ }
            later { $($(#[$later_meta:meta])* pub $later:ident: $later_type:ty,)+ }
        }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[$known_meta])* pub $known: $known_type,)+
            $($(#[$later_meta])* pub $later: $later_type,)+
        }

        impl $name {
            /// A record of which only the connection's ends are known yet.
            pub fn new($($known: $known_type),+) -> Self {
                Self { $($known,)+ $($later: Default::default(),)+ }
            }
        }
    };
}

record! {
    /// Everything that is known of a connection when it ends. Boxed once by its core, freed by the shipper.
    #[derive(Clone, Debug)]
    pub struct ConnectionRecord {
        known {
            /// Start of the connection, in milliseconds since the Unix epoch.
            pub event_timestamp_ms: u64,
            pub connection_id: ConnectionId,
            pub status: ConnectionStatus,
            pub client: SocketAddr,
            pub server_ip: IpAddr,
        }
        later {
            pub distribution_id: Option<Arc<str>>,
            /// `TLSv1.2` or `TLSv1.3`.
            pub tls_protocol: Option<&'static str>,
            /// `TLS_AES_128_GCM_SHA256` (IANA) under TLS 1.3, `ECDHE-ECDSA-AES128-GCM-SHA256` (OpenSSL)
            /// under TLS 1.2.
            pub tls_cipher: Option<&'static str>,
            pub tls_handshake_duration: Option<Duration>,
            /// The name as the client sent it.
            pub tls_sni: Option<Box<str>>,
            pub leaf: Option<Arc<CertificateFacts>>,
            pub custom_data: Option<Box<str>>,
            /// Finer than the status. A successful connection has a reason where it was closed while it was
            /// open, or admitted in spite of something.
            pub reason: Option<Cow<'static, str>>,
            /// Cause for closing an open connection: its client was no longer admitted, or it did not keep a
            /// time limit.
            pub closed_by: Option<&'static str>,
            /// Decision that a candidate trust store would have made.
            pub candidate_decision: Option<ConnectionStatus>,
            /// Reason for which it would have refused.
            pub candidate_reason: Option<Box<str>>,
            pub resumed: bool,
            /// Bytes from the client, TLS included.
            pub bytes_in: u64,
            /// Bytes to the client, TLS included.
            pub bytes_out: u64,
            pub requests: u64,
        }
    }
}

impl ConnectionRecord {
    /// All fields, in the order of the line.
    ///
    /// Up to `connectionLogCustomData` they are the managed service's, the others are ours. Its
    /// `distributionTenantId` would stand behind `distributionId` if there were tenants.
    pub(super) const FIELDS: &[Field<Self>] = &[
        Field::timestamp("eventTimestamp", |record| Some(record.event_timestamp_ms)),
        Field::id("connectionId", |record| Some(&record.connection_id)),
        Field::text("connectionStatus", |record| Some(record.status.as_str())),
        Field::address("clientIp", |record| Some(record.client.ip().to_canonical())),
        Field::number("clientPort", |record| Some(record.client.port().into())),
        Field::address("serverIp", |record| Some(record.server_ip.to_canonical())),
        Field::text("distributionId", |record| record.distribution_id.as_deref()),
        Field::text("tlsProtocol", |record| record.tls_protocol),
        Field::text("tlsCipher", |record| record.tls_cipher),
        Field::number("tlsHandshakeDuration", |record| {
            record.tls_handshake_duration.map(whole_ms)
        }),
        Field::text("tlsSni", |record| record.tls_sni.as_deref()),
        Field::text("clientLeafCertSerialNumber", |record| {
            Some(&record.leaf()?.serial_number)
        }),
        Field::text("clientLeafCertSubject", |record| Some(&record.leaf()?.subject)),
        Field::text("clientLeafCertIssuer", |record| Some(&record.leaf()?.issuer)),
        Field::text("clientLeafCertValidity", |record| Some(&record.leaf()?.validity)),
        Field::text("connectionLogCustomData", |record| record.custom_data.as_deref()),
        Field::text("reason", |record| record.reason.as_deref()),
        Field::text("closedBy", |record| record.closed_by),
        Field::text("candidateDecision", |record| {
            Some(record.candidate_decision?.as_str())
        }),
        Field::text("candidateReason", |record| record.candidate_reason.as_deref()),
        Field::flag("resumed", |record| Some(record.resumed)),
        Field::number("bytesIn", |record| Some(record.bytes_in)),
        Field::number("bytesOut", |record| Some(record.bytes_out)),
        Field::number("requests", |record| Some(record.requests)),
    ];

    fn leaf(&self) -> Option<&CertificateFacts> {
        self.leaf.as_deref()
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "record_tests.rs"]
pub(super) mod tests;
