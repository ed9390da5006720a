//! Messages about open connections: the question, and a row of the answer. Names are those of the connection
//! records.

use serde::{Deserialize, Serialize};

/// Conditions, all of which a connection has to meet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionsWanted {
    /// Serial number of the client's certificate, hexadecimal, in any spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// Part of the subject, in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The client's IP address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<String>,
    /// Rows wanted at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// The open connections of a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connections {
    /// The oldest first.
    pub connections: Vec<Connection>,
    /// Number of those that meet the conditions; more than there are rows where the limit was met.
    pub matched: u64,
    /// Connections still in their handshake, which have no client yet.
    pub handshakes: u64,
    /// Cores that have not answered in time: what they hold is missing here.
    pub cores_missing: usize,
}

/// Row of the answer: an open connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    pub connection_id: String,
    pub client_ip: String,
    pub client_port: u16,
    pub distribution_id: String,
    /// End of the handshake: RFC 3339, UTC.
    pub since: String,
    pub http_version: String,
    pub requests: u64,
    pub requests_in_flight: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_leaf_cert_serial_number: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_leaf_cert_subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_leaf_cert_issuer: Option<String>,
    /// Reason why it is being closed, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<String>,
}

/// Rows where no limit is asked for.
pub const ROWS_DEFAULT: usize = 1_000;
/// Rows in one answer, some 500 bytes each.
pub const ROWS_MAX: usize = 100_000;

const _: () = assert!(ROWS_DEFAULT <= ROWS_MAX);
