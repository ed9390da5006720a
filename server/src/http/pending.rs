//! A request that has begun and has no response yet: its mark, and the form that any response to it takes.
//!
//! Owns the beginning of every request, whichever listener it came to, and the rules for responses that
//! depend on the request alone: no body for HEAD, the end of a connection that cannot be used again, HTTP/2's
//! pieces. Does not own the content of a response.

use std::rc::Rc;

use bothways_config::Lingering;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;

use super::activity::{Activity, InFlight};
use crate::origin::{OriginBody, ResponseBody, Upload};

/// Body of a response, marked as in flight until it is gone.
pub(super) type Body = ResponseBody<InFlight>;

/// Response of which the form is still to be settled.
pub(super) enum Answer {
    /// A response in memory.
    Memory(Response<Bytes>),
    /// An origin's response, whose body is still to be streamed.
    Origin(Response<OriginBody>),
}

/// The mark of a request, and what of the request any response depends on.
pub(super) struct PendingRequest {
    pub(super) head_only: bool,
    /// Version in which the request came.
    pub(super) version: Version,
    pub(super) in_flight: InFlight,
}

impl PendingRequest {
    /// Marks `request` as begun. Every request passes here before anything can answer it, and each answer
    /// takes the mark along with its body.
    #[inline(always)]
    pub(super) fn begin(
        activity: &Rc<Activity>,
        lingering: Lingering,
        request: Request<Incoming>,
    ) -> (Request<()>, Self) {
        let (head, incoming) = request.into_parts();
        let awaits_continue = awaits_continue(head.version, &head.headers);
        let upload = Upload::new(incoming, awaits_continue, activity.stats(), lingering);
        let request = Request::from_parts(head, ());
        let pending = Self {
            head_only: request.method() == Method::HEAD,
            version: request.version(),
            in_flight: activity.begin(upload),
        };
        (request, pending)
    }

    /// Body that the viewer sends, where there is one.
    pub(super) fn upload(&self) -> Option<&Upload> {
        self.in_flight.upload()
    }

    /// The response to the request.
    #[inline(always)]
    pub(super) fn respond(self, answer: Answer) -> Response<Body> {
        match answer {
            Answer::Memory(response) => self.remembered(response),
            Answer::Origin(response) => {
                let Self {
                    version, in_flight, ..
                } = self;
                response.map(|body| framed(Body::origin(body, in_flight), version))
            }
        }
    }

    #[inline(always)]
    fn remembered(self, mut response: Response<Bytes>) -> Response<Body> {
        if self.head_only {
            leave_out_body(&mut response);
        }
        // Nobody can tell whether the body will come: the connection cannot be used again (RFC 9110 §10.1.1).
        let is_cut_off = response.status() == StatusCode::REQUEST_TIMEOUT && self.version < Version::HTTP_2;
        if is_cut_off || self.upload().is_some_and(Upload::awaits_continue) {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        let Self {
            version, in_flight, ..
        } = self;
        response.map(|body| framed(Body::memory(body, in_flight), version))
    }
}

impl Answer {
    /// Status of the response.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Memory(response) => response.status(),
            Self::Origin(response) => response.status(),
        }
    }
}

/// True if the client may send its body only when it was told to (RFC 9110 §10.1.1). Over HTTP/2 the client
/// knows this by its window.
pub(super) fn awaits_continue(version: Version, headers: &HeaderMap) -> bool {
    let expectation = headers.get(EXPECT).filter(|_| version == Version::HTTP_11);
    expectation.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Makes `response` one to HEAD: with the length that GET would get (RFC 9110 §8.6), and without a body.
/// hyper leaves the body out over HTTP/1 only.
fn leave_out_body(response: &mut Response<Bytes>) {
    let body = std::mem::take(response.body_mut());
    if ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&response.status()) {
        response.headers_mut().insert(CONTENT_LENGTH, body.len().into());
    }
}

/// The body in the pieces that HTTP/2 wants, where that is spoken.
fn framed(body: Body, version: Version) -> Body {
    match version {
        Version::HTTP_2 => body.for_http2(),
        _ => body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::DuplexStats;

    fn pending(method: &Method, version: Version) -> PendingRequest {
        let activity = Rc::new(Activity::new(Rc::new(DuplexStats::default()), Rc::default()));
        PendingRequest {
            head_only: method == Method::HEAD,
            version,
            in_flight: activity.begin(None),
        }
    }

    fn answered(method: &Method, version: Version, status: StatusCode) -> Response<Body> {
        let mut response = Response::new(Bytes::from_static(b"abc"));
        *response.status_mut() = status;
        pending(method, version).respond(Answer::Memory(response))
    }

    #[test]
    fn head_gets_the_length_that_get_would_and_no_body() {
        for (method, status, length, is_empty) in [
            (Method::GET, 200, None, false),
            (Method::HEAD, 200, Some("3"), true),
            (Method::HEAD, 404, Some("3"), true),
            (Method::HEAD, 204, None, true),
            (Method::HEAD, 304, None, true),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            let response = answered(&method, Version::HTTP_11, status);
            let given = response.headers().get(CONTENT_LENGTH);
            assert_eq!(
                given.map(HeaderValue::as_bytes),
                length.map(str::as_bytes),
                "{method} {status}"
            );
            assert_eq!(
                http_body::Body::is_end_stream(response.body()),
                is_empty,
                "{method} {status}"
            );
        }
    }

    #[test]
    fn a_connection_whose_body_came_too_slowly_ends_over_http_1_alone() {
        for (version, status, closes) in [
            (Version::HTTP_11, 408, true),
            (Version::HTTP_10, 408, true),
            (Version::HTTP_2, 408, false),
            (Version::HTTP_11, 400, false),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            let response = answered(&Method::POST, version, status);
            assert_eq!(
                response.headers().contains_key(CONNECTION),
                closes,
                "{version:?} {status}"
            );
        }
    }

    #[test]
    fn only_http_1_1_clients_wait_for_a_word() {
        for (version, value, waits) in [
            (Version::HTTP_11, "100-continue", true),
            (Version::HTTP_11, "100-Continue", true),
            (Version::HTTP_11, "something", false),
            (Version::HTTP_10, "100-continue", false),
            (Version::HTTP_2, "100-continue", false),
        ] {
            let headers = HeaderMap::from_iter([(EXPECT, HeaderValue::from_static(value))]);
            assert_eq!(awaits_continue(version, &headers), waits, "{version:?} {value}");
        }
    }
}
