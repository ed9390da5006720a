//! Reasons for which an origin gives no response, in the words that the operator reads.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use http::StatusCode;

use super::greeting::Greeting;

/// Reason for which a request got no response.
#[derive(Debug)]
pub enum FetchError {
    /// No connection could be made in as many attempts as the origin is given; the address is the last that
    /// was tried.
    Connect(SocketAddr, io::Error),
    /// The connection broke before the head of a response, or what came was not HTTP.
    Http(hyper::Error),
    /// The bytes that came together with the head are no body.
    Body(hyper::Error),
    /// The origin speaks another protocol.
    Protocol(Greeting),
    /// An interim response where the final one belongs: 101, though nobody asked for another protocol.
    Interim(StatusCode),
    /// No byte moved within `origin_read_timeout`.
    Timeout,
    /// The bound on connections to the origin is reached.
    Full,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(address, error) => write!(f, "cannot connect to {address}: {error}"),
            Self::Http(error) | Self::Body(error) if error.is_parse_too_large() => f.write_str(
                "bad response: its head has more fields than origin_header_fields_max, or more bytes than \
                 origin_buffer_bytes",
            ),
            Self::Http(error) | Self::Body(error) => match error.source() {
                Some(source) => write!(f, "bad response: {error}: {source}"),
                None => write!(f, "bad response: {error}"),
            },
            Self::Protocol(greeting) => write!(f, "{greeting}"),
            Self::Interim(status) => write!(f, "bad response: {status}, unasked for"),
            Self::Timeout => f.write_str("no response within origin_read_timeout"),
            Self::Full => f.write_str("origin_connections_per_core is reached"),
        }
    }
}

impl std::error::Error for FetchError {}
