//! Where responses come from.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// One origin of a distribution.
#[derive(Debug)]
pub enum Origin {
    /// The edge answers by itself.
    Fixed(FixedResponse),
    /// An HTTP/1.1 server.
    Http(Arc<HttpOrigin>),
}

/// A response kept in memory.
#[derive(Clone, Debug)]
pub struct FixedResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// An `http://` origin. Time limits bear the managed service's names.
#[derive(Debug)]
pub struct HttpOrigin {
    pub id: Arc<str>,
    /// `host:port`; names the pool.
    pub authority: Arc<str>,
    /// Tried in order; never empty.
    pub addresses: Vec<SocketAddr>,
    /// Connections tried before the viewer is told 502.
    pub connection_attempts: u32,
    /// For each of them.
    pub connection_timeout: Duration,
    /// From the last byte of the request to the first of the response.
    pub read_timeout: Duration,
    /// How long an idle connection is kept.
    pub keepalive_timeout: Duration,
}
