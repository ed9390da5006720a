//! One request to one response: which host, which behaviour, which origin, and what the origin may know of the client.

use std::convert::Infallible;
use std::future::{Future, Ready, poll_fn, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version, request};
use hyper::body::Incoming;

use super::activity::InFlight;
use super::certificate_headers::CertificateEdits;
use super::other_protocol::OtherProtocol;
use super::refusal::Refusal;
use super::request_head::{append_via, check, clean, dress};
use super::response::{function_failure, refusal};
use super::route::route;
use super::viewer::Viewer;
use super::viewer_functions::{Asked, Failed, FunctionCalls, apply};
use crate::metrics::{OriginResult, RequestLimit};
use crate::origin::{
    Exit, FetchError, ForwardError, HttpOrigin, Origin, ResponseBody, Upload, forward, frame_request,
    remove_hop_by_hop, settle_response,
};
use crate::snapshot::Behavior;

/// A response's body, marked as in flight until it is gone.
pub type Body = ResponseBody<InFlight>;

/// What [`respond`] returns: answers from memory need no allocation.
#[expect(
    clippy::large_enum_variant,
    reason = "boxing the common case is what this enum avoids"
)]
pub enum Responding {
    Now(Ready<Response<Body>>),
    Later(Pin<Box<dyn Future<Output = Response<Body>>>>),
}

impl Future for Responding {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Now(response) => Pin::new(response).poll(cx).map(Ok),
            Self::Later(response) => response.as_mut().poll(cx).map(Ok),
        }
    }
}

/// Answers `request`.
pub fn respond(viewer: &Rc<Viewer>, request: Request<Incoming>) -> Responding {
    let (head, incoming) = request.into_parts();
    let awaits_continue = awaits_continue(head.version, &head.headers);
    let lingering = viewer.site.lingering;
    let upload = Upload::new(incoming, awaits_continue, viewer.activity.stats(), lingering);
    let mut request = Request::from_parts(head, ());
    let pending = PendingRequest {
        head_only: request.method() == Method::HEAD,
        version: request.version(),
        in_flight: viewer.activity.begin(upload),
    };
    if viewer.activity.is_refused() {
        return now(viewer, pending.refuse(StatusCode::FORBIDDEN));
    }
    let routed = check(&request, &viewer.site).and_then(|()| route(viewer, &request));
    let behavior = match routed {
        Ok(behavior) => behavior,
        Err(why) => return refused(viewer, &request, pending, &why),
    };
    if let (Origin::Fixed(fixed), false) = (&*behavior.origin, behavior.has_functions()) {
        return now(viewer, pending.answer(fixed.response()));
    }
    if let (Origin::Http(_), Some(protocol)) = (&*behavior.origin, OtherProtocol::of(&request)) {
        return refused(viewer, &request, pending, &Refusal::Protocol(protocol));
    }
    if let Err(status) = clean(&mut request, &viewer.site.identity_headers) {
        return now(viewer, pending.refuse(status));
    }
    let (mut head, ()) = request.into_parts();
    let mut errand = Errand {
        exchange: behavior.has_functions().then(|| FunctionCalls::new(viewer)),
        viewer: viewer.clone(),
        behavior: behavior.clone(),
        certificates: CertificateEdits::default(),
        pending,
    };
    match errand.ask(&mut head) {
        Ok(None) => {}
        Ok(Some(response)) => return now(viewer, errand.pending.answer(response)),
        Err(Failed) => return now(viewer, errand.pending.fail()),
    }
    match &*behavior.origin {
        Origin::Fixed(fixed) => now(viewer, errand.finish(fixed.response())),
        Origin::Http(origin) => {
            let origin = origin.clone();
            let request = Request::from_parts(head, ());
            let viewer = viewer.clone();
            Responding::Later(Box::pin(async move {
                let response = errand.proxy(&origin, request).await;
                viewer.count(response.status());
                match response.body().is_held(response.status()) {
                    true => released(response).await,
                    false => response,
                }
            }))
        }
    }
}

/// The answer to a request that is refused for what it is.
fn refused<B>(
    viewer: &Viewer,
    request: &Request<B>,
    pending: PendingRequest,
    why: &Refusal<'_>,
) -> Responding {
    let (core, id) = (&viewer.core, &viewer.site.distribution_id);
    core.refusals.note(why, &core.counters, id, request.uri().path());
    now(viewer, pending.tell(why.response()))
}

/// True if the client may send its body only when it was told to (RFC 9110 §10.1.1). Over HTTP/2 the client
/// knows this by its window.
pub fn awaits_continue(version: Version, headers: &HeaderMap) -> bool {
    let expectation = headers.get(EXPECT).filter(|_| version == Version::HTTP_11);
    expectation.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

fn now(viewer: &Viewer, response: Response<Body>) -> Responding {
    viewer.count(response.status());
    match response.body().is_held(response.status()) {
        true => Responding::Later(Box::pin(released(response))),
        false => Responding::Now(ready(response)),
    }
}

/// The response, when its end may be told.
async fn released(mut response: Response<Body>) -> Response<Body> {
    poll_fn(|cx| response.body_mut().poll_release(cx)).await;
    response
}

/// A request without its response: what any response to it depends on.
struct PendingRequest {
    head_only: bool,
    version: Version,
    in_flight: InFlight,
}

impl PendingRequest {
    /// The response, from memory. HEAD gets the length that GET would (RFC 9110 §8.6) and no body: hyper leaves that
    /// out over HTTP/1 only.
    fn answer(self, response: Response<Bytes>) -> Response<Body> {
        let (mut head, mut body) = response.into_parts();
        if self.head_only {
            if ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&head.status) {
                head.headers.insert(CONTENT_LENGTH, body.len().into());
            }
            body = Bytes::new();
        }
        // Nobody can tell whether the body will come: the connection cannot be used again (RFC 9110 §10.1.1).
        let is_cut_off = head.status == StatusCode::REQUEST_TIMEOUT && self.version < Version::HTTP_2;
        if is_cut_off || self.in_flight.upload().is_some_and(Upload::awaits_continue) {
            head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let body = Body::memory(body, self.in_flight);
        Response::from_parts(head, framed(body, self.version))
    }

    fn refuse(self, status: StatusCode) -> Response<Body> {
        self.tell(refusal(status))
    }

    /// A function of the behavior has failed.
    fn fail(self) -> Response<Body> {
        self.tell(function_failure())
    }

    fn tell(self, response: Response<&'static str>) -> Response<Body> {
        self.answer(response.map(|text| Bytes::from_static(text.as_bytes())))
    }
}

/// As HTTP/2 wants it, where that is spoken.
fn framed(body: Body, version: Version) -> Body {
    match version {
        Version::HTTP_2 => body.for_http2(),
        _ => body,
    }
}

/// A clean request on its way: through the functions of its behavior, to the origin, and back.
struct Errand {
    viewer: Rc<Viewer>,
    behavior: Arc<Behavior>,
    /// Where the behavior has functions.
    exchange: Option<FunctionCalls>,
    certificates: CertificateEdits,
    pending: PendingRequest,
}

impl Errand {
    /// Asks the viewer-request function, if there is one; `Some`: it has made the response, which no further function sees.
    fn ask(&mut self, head: &mut request::Parts) -> Result<Option<Response<Bytes>>, Failed> {
        let Some(exchange) = &mut self.exchange else {
            return Ok(None);
        };
        if let Some(function) = &self.behavior.viewer_request {
            match exchange.call_request(&self.viewer, function, head)? {
                Asked::Continue(certificates) => self.certificates = certificates,
                Asked::Respond(response) => return Ok(Some(response)),
            }
        }
        if self.behavior.viewer_response.is_some() {
            exchange.remember(head);
        }
        Ok(None)
    }

    /// The response to the viewer of one that is in memory.
    fn finish(self, response: Response<Bytes>) -> Response<Body> {
        let (mut head, body) = response.into_parts();
        match self.review(&mut head) {
            Ok(replaced) => {
                let body = replaced.unwrap_or(body);
                self.pending.answer(Response::from_parts(head, body))
            }
            Err(Failed) => self.pending.fail(),
        }
    }

    /// Asks the viewer-response function, if there is one; `Some`: the body that it wants. The managed service does not ask about errors of
    /// the origin.
    fn review(&self, head: &mut http::response::Parts) -> Result<Option<Bytes>, Failed> {
        match (&self.exchange, &self.behavior.viewer_response) {
            (Some(exchange), Some(function)) if head.status < StatusCode::BAD_REQUEST => {
                let edits = exchange.call_response(&self.viewer, function, head)?;
                Ok(apply(head, edits))
            }
            _ => Ok(None),
        }
    }

    async fn proxy(self, origin: &Arc<HttpOrigin>, request: Request<()>) -> Response<Body> {
        let viewer = &self.viewer;
        let (mut head, ()) = request.into_parts();
        let version = head.version;
        let upload = self.pending.in_flight.upload();
        dress(&mut head, viewer, &self.behavior, &self.certificates);
        let length = upload.map_or(Some(0), Upload::exact_length);
        frame_request(&mut head.headers, upload.is_some(), length);
        let exit = Exit {
            pool: &viewer.core.pool,
            origin,
            connections_max: viewer.site.origin_connections_max,
            bounds: viewer.site.response_bounds,
            share: viewer.share(),
            requests_max: viewer.site.origin_requests_per_client,
        };
        if let Some(upload) = upload {
            viewer.activity.watch_upload(upload);
        }
        let asked = Instant::now();
        let forwarded = forward(exit, Request::from_parts(head, ()), upload).await;
        match forwarded {
            Ok(response) => {
                let elapsed = asked.elapsed();
                let (mut head, incoming) = response.into_parts();
                if let Err(why) = settle_response(&mut head, self.pending.head_only) {
                    return self.give_up(origin, &ForwardError::Framing(why));
                }
                self.count_origin(OriginResult::Response, Some(elapsed));
                remove_hop_by_hop(&mut head.headers);
                append_via(&mut head.headers, head.version);
                head.version = version;
                match self.review(&mut head) {
                    Ok(None) => {
                        let body = Body::origin(incoming, self.pending.in_flight);
                        Response::from_parts(head, framed(body, version))
                    }
                    Ok(Some(body)) => self.pending.answer(Response::from_parts(head, body)),
                    Err(Failed) => self.pending.fail(),
                }
            }
            Err(error) => self.give_up(origin, &error),
        }
    }

    /// Counts what came of the request; `elapsed`: until the head of the response.
    fn count_origin(&self, result: OriginResult, elapsed: Option<Duration>) {
        let counters = self.behavior.origin_counters.as_ref();
        if let Some(cells) = counters.and_then(|counters| counters.of(self.viewer.core.index)) {
            cells.requests.of(result).add(1);
            elapsed
                .into_iter()
                .for_each(|elapsed| cells.response_head.record(elapsed));
        }
    }

    /// The answer where the origin gave none.
    fn give_up(self, origin: &HttpOrigin, error: &ForwardError) -> Response<Body> {
        complain(&self.viewer, origin, error);
        self.count_origin(result_of(error), None);
        if let Some(limit) = limit_of(error) {
            self.viewer.core.counters.requests_limited.of(limit).add(1);
        }
        self.pending.refuse(status_of(error))
    }
}

fn complain(viewer: &Viewer, origin: &HttpOrigin, error: &ForwardError) {
    if matches!(error, ForwardError::Viewer(_) | ForwardError::ViewerTimeout) {
        tracing::debug!(%error, "a request was not sent whole");
    } else {
        let (pool, distribution) = (&viewer.core.pool, &*viewer.site.distribution_id);
        pool.complain(origin, Some(distribution), error, "no response from the origin");
    }
}

/// The bound that the request ran into.
fn limit_of(error: &ForwardError) -> Option<RequestLimit> {
    match error {
        ForwardError::Fetch(FetchError::Full) => Some(RequestLimit::Origin),
        ForwardError::Share => Some(RequestLimit::Client),
        _ => None,
    }
}

fn result_of(error: &ForwardError) -> OriginResult {
    match error {
        ForwardError::Fetch(error) => match error {
            FetchError::Connect(..) => OriginResult::ConnectFailed,
            FetchError::Http(_) | FetchError::Body(_) | FetchError::Protocol(_) | FetchError::Interim(_) => {
                OriginResult::BadResponse
            }
            FetchError::Timeout => OriginResult::Timeout,
            FetchError::Full => OriginResult::NoConnectionFree,
        },
        ForwardError::Framing(_) => OriginResult::BadResponse,
        ForwardError::Share => OriginResult::ClientLimited,
        ForwardError::Viewer(_) | ForwardError::ViewerTimeout => OriginResult::ClientFailed,
    }
}

fn status_of(error: &ForwardError) -> StatusCode {
    match error {
        ForwardError::Fetch(FetchError::Timeout) => StatusCode::GATEWAY_TIMEOUT,
        ForwardError::Fetch(FetchError::Full) | ForwardError::Share => StatusCode::SERVICE_UNAVAILABLE,
        ForwardError::Fetch(_) | ForwardError::Framing(_) => StatusCode::BAD_GATEWAY,
        ForwardError::Viewer(_) => StatusCode::BAD_REQUEST,
        ForwardError::ViewerTimeout => StatusCode::REQUEST_TIMEOUT,
    }
}
