//! Requests that are refused for what they are: answered in words, counted by reason, and told to the
//! operator once in a while.

use std::cell::RefCell;
use std::fmt;
use std::time::{Duration, Instant};

use http::header::{CONNECTION, HeaderValue};
use http::{Response, StatusCode};

use super::no_response::status_of;
use super::other_protocol::OtherProtocol;
use super::response::{function_failure, refusal, text_response};
use crate::logs::Throttle;
use crate::metrics::{CoreCounters, Label as _, RequestRefusal};
use crate::origin::{BadFraming, ForwardError, HttpOrigin};
use crate::snapshot::Ambiguity;

/// Reason not to serve a request.
#[derive(Debug)]
pub(super) enum Refusal<'a> {
    /// The status says it all.
    Status(StatusCode),
    /// Origins would not agree about which path it is for.
    Path(Ambiguity<'a>),
    /// It is for a protocol that is not passed on.
    Protocol(OtherProtocol),
    /// It has more header fields than this limit.
    HeaderFields(usize),
    /// Nobody behind us could rely on where its body ends.
    Framing(BadFraming),
    /// A function of its behavior has failed, which is counted and told already.
    Function,
    /// The origin gave no usable response to it.
    NoResponse(&'a HttpOrigin, ForwardError),
}

impl Refusal<'_> {
    /// The answer to it.
    pub(super) fn response(&self) -> Response<&'static str> {
        match self {
            Self::Status(status) => refusal(*status),
            Self::Path(_) => text_response(
                StatusCode::BAD_REQUEST,
                "400 Bad Request: this path can be read in more than one way\n",
            ),
            Self::Protocol(protocol) => protocol.response(),
            Self::HeaderFields(_) => text_response(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "431 Request Header Fields Too Large: there are too many\n",
            ),
            Self::Framing(why) => {
                let mut response = match why {
                    // RFC 9112 §6.1.
                    BadFraming::Coding => text_response(
                        StatusCode::NOT_IMPLEMENTED,
                        "501 Not Implemented: no transfer coding but chunked\n",
                    ),
                    BadFraming::Chunked | BadFraming::Length => refusal(StatusCode::BAD_REQUEST),
                };
                // What follows on the connection is what the client takes for the end of this request, or is
                // not.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
                response
            }
            Self::Function => function_failure(),
            Self::NoResponse(_, error) => refusal(status_of(error)),
        }
    }

    /// The label under which it counts; `None`: it counts as its status alone.
    fn reason(&self) -> Option<RequestRefusal> {
        match self {
            Self::Status(_) | Self::Function | Self::NoResponse(..) => None,
            Self::Path(_) => Some(RequestRefusal::AmbiguousPath),
            Self::HeaderFields(_) => Some(RequestRefusal::HeaderFields),
            Self::Protocol(OtherProtocol::WebSocket) => Some(RequestRefusal::WebSocket),
            Self::Protocol(_) => Some(RequestRefusal::Grpc),
            Self::Framing(_) => Some(RequestRefusal::Framing),
        }
    }
}

impl From<StatusCode> for Refusal<'_> {
    fn from(status: StatusCode) -> Self {
        Self::Status(status)
    }
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Protocol(protocol) => f.write_str(protocol.as_str()),
            Self::HeaderFields(max) => write!(f, "it has more header fields than header_fields_max, {max}"),
            Self::Framing(why) => write!(f, "{why}"),
            Self::Function => f.write_str("a function of its behavior has failed"),
            Self::NoResponse(origin, error) => {
                write!(f, "no response from the origin {}: {error}", origin.id)
            }
            Self::Path(ambiguity) => write!(f, "its path can be read in more than one way: {ambiguity}"),
        }
    }
}

/// Complaints of a core about refused requests: each reason is told at once, then every five seconds at most.
#[derive(Debug)]
pub struct Refusals {
    complaints: [RefCell<Throttle>; RequestRefusal::COUNT],
}

impl Default for Refusals {
    fn default() -> Self {
        let complaints = std::array::from_fn(|_| RefCell::new(Throttle::every(INTERVAL)));
        Self { complaints }
    }
}

impl Refusals {
    /// Counts `refusal` of a request for `path`, and tells it if it is time.
    pub(super) fn note(
        &self,
        refusal: &Refusal<'_>,
        counters: &CoreCounters,
        distribution_id: &str,
        path: &str,
    ) {
        let Some(reason) = refusal.reason() else {
            return;
        };
        counters.requests_refused.of(reason).add(1);
        let complaint = self.complaints.get(reason.index());
        if let Some(untold) = complaint.and_then(|complaint| complaint.borrow_mut().note(Instant::now())) {
            let path: String = path.chars().take(PATH_CHARACTERS_TOLD).collect();
            let (reason, distribution) = (reason.as_str(), distribution_id);
            tracing::warn!(
                reason,
                distribution,
                ?path,
                untold,
                "a request was refused: {refusal}"
            );
        }
    }
}

/// Time between two complaints about one reason.
const INTERVAL: Duration = Duration::from_secs(5);
/// Characters of a path that are told. The client chooses the path, so not all of it is told.
const PATH_CHARACTERS_TOLD: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Unroutable;

    #[test]
    fn every_refusal_has_its_status_and_those_for_what_a_request_is_count_by_their_reason() {
        let unmatched = Refusal::from(Unroutable::Unmatched);
        let framing = |why| Refusal::Framing(why);
        for (refusal, status, reason, closes) in [
            (Refusal::Status(StatusCode::FORBIDDEN), 403, None, false),
            (Refusal::Status(StatusCode::MISDIRECTED_REQUEST), 421, None, false),
            (unmatched, 404, None, false),
            (Refusal::Function, 502, None, false),
            (
                Refusal::HeaderFields(100),
                431,
                Some(RequestRefusal::HeaderFields),
                false,
            ),
            (
                Refusal::Protocol(OtherProtocol::WebSocket),
                501,
                Some(RequestRefusal::WebSocket),
                false,
            ),
            (
                Refusal::Protocol(OtherProtocol::Grpc),
                200,
                Some(RequestRefusal::Grpc),
                false,
            ),
            (
                Refusal::Protocol(OtherProtocol::GrpcOverHttp1),
                501,
                Some(RequestRefusal::Grpc),
                false,
            ),
            (
                framing(BadFraming::Coding),
                501,
                Some(RequestRefusal::Framing),
                true,
            ),
            (
                framing(BadFraming::Chunked),
                400,
                Some(RequestRefusal::Framing),
                true,
            ),
            (
                framing(BadFraming::Length),
                400,
                Some(RequestRefusal::Framing),
                true,
            ),
        ] {
            let response = refusal.response();
            assert_eq!(response.status().as_u16(), status, "{refusal}");
            assert_eq!(refusal.reason(), reason, "{refusal}");
            assert_eq!(response.headers().contains_key(CONNECTION), closes, "{refusal}");
        }
    }
}
