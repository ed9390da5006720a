//! Kinds of origins: a response in memory, or a server that is asked.
//!
//! Plain values of a snapshot.

use std::sync::Arc;

use bothways_config::{Limits, OriginLimits};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};

use super::destination::Destination;

/// Origin of a distribution.
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

impl FixedResponse {
    pub fn response(&self) -> Response<Bytes> {
        let mut response = Response::new(self.body.clone());
        *response.status_mut() = self.status;
        response.headers_mut().clone_from(&self.headers);
        response
    }
}

/// Bounds of what an origin sends. A connection keeps those that it was made with.
#[derive(Clone, Copy, Debug)]
pub struct ResponseBounds {
    pub header_fields_max: usize,
    /// Buffer of a connection, and so the longest head; 8,192 at least.
    pub buffer_bytes: usize,
}

impl ResponseBounds {
    /// Bounds for every origin.
    pub fn of(limits: &Limits) -> Self {
        Self {
            header_fields_max: limits.origin_header_fields_max,
            buffer_bytes: limits.origin_buffer_bytes,
        }
    }
}

/// An `http://` origin.
#[derive(Debug)]
pub struct HttpOrigin {
    pub id: Arc<str>,
    pub destination: Arc<Destination>,
    pub limits: OriginLimits,
}
