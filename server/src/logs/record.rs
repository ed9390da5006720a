//! One connection attempt, as the connection log tells it.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::{ConnectionId, ConnectionStatus};
use crate::trust::CertificateFacts;

/// What is known of a connection when it ends. Boxed once by its core, freed by the shipper.
///
/// Field names are those of the managed service's connection log (`json.rs` spells them); the last eight are
/// ours. What never became known is `None` and is left out of the line.
#[derive(Clone, Debug)]
pub struct ConnectionRecord {
    /// Start of the connection, in milliseconds since the Unix epoch.
    pub event_timestamp_ms: u64,
    pub connection_id: ConnectionId,
    pub status: ConnectionStatus,
    pub client: SocketAddr,
    pub server_ip: IpAddr,
    pub distribution_id: Option<Arc<str>>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub tls_protocol: Option<&'static str>,
    /// `TLS_AES_128_GCM_SHA256` (IANA) under TLS 1.3, `ECDHE-ECDSA-AES128-GCM-SHA256` (OpenSSL) under TLS
    /// 1.2.
    pub tls_cipher: Option<&'static str>,
    pub tls_handshake_duration: Option<Duration>,
    /// As the client sent it.
    pub tls_sni: Option<Box<str>>,
    pub leaf: Option<Arc<CertificateFacts>>,
    pub custom_data: Option<Box<str>>,
    /// Finer than the status. Of a successful one: why it was closed while it was open, or what it was
    /// admitted in spite of.
    pub reason: Option<Cow<'static, str>>,
    /// Why the connection was closed while it was open: its client was no longer admitted, or it did not keep
    /// a time limit.
    pub closed_by: Option<&'static str>,
    /// What a candidate trust store would have decided.
    pub candidate_decision: Option<ConnectionStatus>,
    /// Why it would have refused.
    pub candidate_reason: Option<Box<str>>,
    pub resumed: bool,
    /// From the client, TLS included.
    pub bytes_in: u64,
    /// To the client, TLS included.
    pub bytes_out: u64,
    pub requests: u64,
}

impl ConnectionRecord {
    /// A record of which only the connection's ends are known yet.
    pub fn new(
        event_timestamp_ms: u64,
        connection_id: ConnectionId,
        status: ConnectionStatus,
        client: SocketAddr,
        server_ip: IpAddr,
    ) -> Self {
        Self {
            event_timestamp_ms,
            connection_id,
            status,
            client,
            server_ip,
            distribution_id: None,
            tls_protocol: None,
            tls_cipher: None,
            tls_handshake_duration: None,
            tls_sni: None,
            leaf: None,
            custom_data: None,
            reason: None,
            closed_by: None,
            candidate_decision: None,
            candidate_reason: None,
            resumed: false,
            bytes_in: 0,
            bytes_out: 0,
            requests: 0,
        }
    }
}
