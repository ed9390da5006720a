//! One request to one response: which host, which behaviour, which origin, and what the origin may know of the client.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Method, Request, Response, StatusCode, request};
use http_body::Body as _;
use hyper::body::Incoming;

use super::activity::{Activity, InFlight};
use super::certificate_headers::CertificateEdits;
use super::other_protocol::OtherProtocol;
use super::refusal::{Refusal, Refusals};
use super::request_head::{append_via, check, clean, dress};
use super::response::{function_failure, refusal};
use super::route::route;
use super::viewer_functions::{Asked, Exchange, Failed, ViewerFacts, apply};
use crate::logs::Console;
use crate::metrics::CoreCounters;
use crate::proxy::{
    Exit, ForwardError, HttpOrigin, Origin, OriginPool, ResponseBody, forward, frame_request,
    remove_hop_by_hop, settle_response,
};
use crate::snapshot::{Behavior, Site};
use crate::tls::ClientAuth;

/// A response's body, marked as in flight until it is gone.
pub type Body = ResponseBody<Option<InFlight>>;

/// What all connections of a core share when they answer.
pub struct Edge {
    /// What functions have to say to the operator.
    pub console: RefCell<Console>,
    pub pool: Rc<OriginPool>,
    pub counters: Arc<CoreCounters>,
    /// What was told of requests that were refused.
    pub refusals: Refusals,
    /// What this machine is called.
    pub host_name: String,
}

/// One connection's view: who the client is and what it is served.
pub struct Viewer {
    pub edge: Rc<Edge>,
    pub site: Arc<Site>,
    pub client: ClientAuth,
    /// As text, for `X-Forwarded-For`.
    pub client_ip: HeaderValue,
    pub activity: Rc<Activity>,
    pub facts: ViewerFacts,
    /// The last `Host` that was found to be this distribution's: the next request most often has the same.
    pub known_host: RefCell<Option<HeaderValue>>,
}

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
pub fn respond(viewer: &Rc<Viewer>, mut request: Request<Incoming>) -> Responding {
    viewer.activity.expect_body(!request.body().is_end_stream());
    let pending = PendingRequest {
        head_only: request.method() == Method::HEAD,
        in_flight: viewer.activity.begin(),
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
    let (mut head, body) = request.into_parts();
    let mut errand = Errand {
        exchange: behavior.has_functions().then(|| Exchange::new(viewer)),
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
            let request = Request::from_parts(head, body);
            let counters = viewer.edge.counters.clone();
            Responding::Later(Box::pin(async move {
                let response = errand.proxy(&origin, request).await;
                counters.count_request(response.status());
                response
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
    let (edge, id) = (&viewer.edge, &viewer.site.distribution_id);
    edge.refusals.note(why, &edge.counters, id, request.uri().path());
    now(viewer, pending.tell(why.response()))
}

fn now(viewer: &Viewer, response: Response<Body>) -> Responding {
    viewer.edge.counters.count_request(response.status());
    Responding::Now(ready(response))
}

/// A request without its response: what any response to it depends on.
struct PendingRequest {
    head_only: bool,
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
        Response::from_parts(head, Body::memory(body, Some(self.in_flight)))
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

/// A clean request on its way: through the functions of its behavior, to the origin, and back.
struct Errand {
    viewer: Rc<Viewer>,
    behavior: Arc<Behavior>,
    /// Where the behavior has functions.
    exchange: Option<Exchange>,
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
            match exchange.ask(&self.viewer, function, head)? {
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
                let edits = exchange.review(&self.viewer, function, head)?;
                Ok(apply(head, edits))
            }
            _ => Ok(None),
        }
    }

    async fn proxy(self, origin: &Arc<HttpOrigin>, request: Request<Incoming>) -> Response<Body> {
        let viewer = &self.viewer;
        let (mut head, body) = request.into_parts();
        let version = head.version;
        dress(&mut head, viewer, &self.behavior, &self.certificates);
        frame_request(&mut head.headers, !body.is_end_stream(), body.size_hint().exact());
        let exit = Exit {
            pool: &viewer.edge.pool,
            origin,
            connections_max: viewer.site.origin_connections_max,
            bounds: viewer.site.response_bounds,
        };
        match forward(exit, Request::from_parts(head, body), viewer.activity.stats()).await {
            Ok((response, lease)) => {
                let (mut head, incoming) = response.into_parts();
                if let Err(why) = settle_response(&mut head, self.pending.head_only) {
                    return self.give_up(origin, &ForwardError::Framing(why));
                }
                remove_hop_by_hop(&mut head.headers);
                append_via(&mut head.headers, head.version);
                head.version = version;
                match self.review(&mut head) {
                    Ok(None) => {
                        let body = Body::origin(incoming, lease, Some(self.pending.in_flight));
                        Response::from_parts(head, body)
                    }
                    Ok(Some(body)) => self.pending.answer(Response::from_parts(head, body)),
                    Err(Failed) => self.pending.fail(),
                }
            }
            Err(error) => self.give_up(origin, &error),
        }
    }

    /// The answer where the origin gave none.
    fn give_up(self, origin: &HttpOrigin, error: &ForwardError) -> Response<Body> {
        complain(&self.viewer, origin, error);
        self.pending.refuse(status_of(error))
    }
}

fn complain(viewer: &Viewer, origin: &HttpOrigin, error: &ForwardError) {
    if matches!(error, ForwardError::Viewer(_)) {
        tracing::debug!(%error, "a request was not sent whole");
    } else if let Some(untold) = viewer.edge.pool.complain(Instant::now()) {
        tracing::warn!(origin = &*origin.id, distribution = &*viewer.site.distribution_id, %error, untold, "no response from the origin");
    }
}

fn status_of(error: &ForwardError) -> StatusCode {
    match error {
        ForwardError::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ForwardError::Full => StatusCode::SERVICE_UNAVAILABLE,
        ForwardError::Viewer(_) => StatusCode::BAD_REQUEST,
        ForwardError::Connect(_)
        | ForwardError::Http(_)
        | ForwardError::Framing(_)
        | ForwardError::Interim(_) => StatusCode::BAD_GATEWAY,
    }
}
