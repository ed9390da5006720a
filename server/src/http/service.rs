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
use http::header::{CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderValue, VIA};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;

use super::activity::{Activity, InFlight};
use super::authority::authority;
use super::certificate_headers::{add_certificate_headers, remove_identity_headers};
use super::forwarded_headers::set_forwarded_headers;
use super::response::refusal;
use crate::config::Authority;
use crate::logs::Console;
use crate::metrics::CoreCounters;
use crate::proxy::{
    Exit, ForwardError, HttpOrigin, Origin, OriginPool, ResponseBody, forward, remove_hop_by_hop,
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
}

/// One connection's view: who the client is and what it is served.
pub struct Viewer {
    pub edge: Rc<Edge>,
    pub site: Arc<Site>,
    pub client: ClientAuth,
    /// As text, for `X-Forwarded-For`.
    pub client_ip: HeaderValue,
    pub activity: Rc<Activity>,
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
pub fn respond(viewer: &Rc<Viewer>, request: Request<Incoming>) -> Responding {
    viewer.activity.expect_body(!request.body().is_end_stream());
    let pending = PendingRequest {
        head_only: request.method() == Method::HEAD,
        in_flight: viewer.activity.begin(),
    };
    if viewer.activity.is_refused() {
        return now(viewer, pending.refuse(StatusCode::FORBIDDEN));
    }
    let behavior = match route(viewer, &request) {
        Ok(behavior) => behavior,
        Err(status) => return now(viewer, pending.refuse(status)),
    };
    match &*behavior.origin {
        Origin::Fixed(fixed) => {
            let mut response = Response::new(fixed.body.clone());
            *response.status_mut() = fixed.status;
            response.headers_mut().clone_from(&fixed.headers);
            now(viewer, pending.answer(response))
        }
        Origin::Http(origin) => {
            let (viewer, behavior, origin) = (viewer.clone(), behavior.clone(), origin.clone());
            Responding::Later(Box::pin(async move {
                let response = proxy(&viewer, &behavior, &origin, request, pending).await;
                viewer.edge.counters.count_request(response.status());
                response
            }))
        }
    }
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
        self.answer(refusal(status).map(|text| Bytes::from_static(text.as_bytes())))
    }
}

/// The behaviour for `request`, or the status with which it is refused.
fn route<'a>(viewer: &'a Viewer, request: &Request<Incoming>) -> Result<&'a Arc<Behavior>, StatusCode> {
    // CONNECT asks for a tunnel, and any 2xx would grant it; TRACE would show a client what we add for the origin.
    if [Method::CONNECT, Method::TRACE].contains(request.method()) {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    check_host(viewer, request)?;
    let path = path(request)?;
    viewer.site.behavior_for(path).ok_or(StatusCode::NOT_FOUND)
}

/// The path by which a behaviour is chosen. `OPTIONS *` is about the whole server and goes where its root does.
fn path(request: &Request<Incoming>) -> Result<&str, StatusCode> {
    match request.uri().path() {
        "*" if request.method() == Method::OPTIONS => Ok("/"),
        path if path.starts_with('/') => Ok(path),
        // The asterisk with another method, or an authority, which is for CONNECT alone (RFC 9112 §3.2).
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

/// The request's host must be one that this connection's distribution serves: a client admitted to one must not reach
/// another through it (RFC 9110 §15.5.20).
fn check_host(viewer: &Viewer, request: &Request<Incoming>) -> Result<(), StatusCode> {
    let Some(text) = authority(request).map_err(|_| StatusCode::BAD_REQUEST)? else {
        return Ok(());
    };
    if viewer
        .known_host
        .borrow()
        .as_ref()
        .is_some_and(|known| known.as_bytes() == text.as_bytes())
    {
        return Ok(());
    }
    let host = Authority::parse(text).map_err(|_| StatusCode::BAD_REQUEST)?.host;
    if !viewer.site.serves(&host) {
        return Err(StatusCode::MISDIRECTED_REQUEST);
    }
    *viewer.known_host.borrow_mut() = HeaderValue::from_str(text).ok();
    Ok(())
}

async fn proxy(
    viewer: &Viewer,
    behavior: &Behavior,
    origin: &Arc<HttpOrigin>,
    mut request: Request<Incoming>,
    pending: PendingRequest,
) -> Response<Body> {
    let version = request.version();
    if let Err(status) = prepare(viewer, behavior, &mut request) {
        return pending.refuse(status);
    }
    let exit = Exit {
        pool: &viewer.edge.pool,
        origin,
        connections_max: viewer.site.origin_connections_max,
    };
    match forward(exit, request, viewer.activity.stats()).await {
        Ok((response, lease)) => {
            let (mut head, incoming) = response.into_parts();
            remove_hop_by_hop(&mut head.headers);
            append_via(&mut head.headers, Version::HTTP_11);
            head.version = version;
            Response::from_parts(head, Body::origin(incoming, lease, Some(pending.in_flight)))
        }
        Err(error) => {
            complain(viewer, origin, &error);
            pending.refuse(status_of(&error))
        }
    }
}

fn complain(viewer: &Viewer, origin: &HttpOrigin, error: &ForwardError) {
    if matches!(error, ForwardError::Viewer(_)) {
        tracing::debug!(%error, "a request was not sent whole");
    } else if let Some(untold) = viewer.edge.pool.complain(Instant::now()) {
        tracing::warn!(origin = &*origin.id, distribution = &*viewer.site.distribution_id, %error, untold, "no response from the origin");
    }
}

/// Makes the viewer's request the origin's.
fn prepare(viewer: &Viewer, behavior: &Behavior, request: &mut Request<Incoming>) -> Result<(), StatusCode> {
    let host = authority(request)
        .map_err(|_| StatusCode::BAD_REQUEST)?
        .map(HeaderValue::from_str);
    let host = host.transpose().map_err(|_| StatusCode::BAD_REQUEST)?;
    let version = request.version();
    *request.uri_mut() = origin_form(request.uri());
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    remove_hop_by_hop(headers);
    remove_identity_headers(headers);
    headers.remove(EXPECT);
    if let Some(host) = host {
        headers.insert(HOST, host);
    } else {
        headers.insert(HOST, HeaderValue::from_static(""));
    }
    set_forwarded_headers(headers, &viewer.client_ip);
    append_via(headers, version);
    add_certificate_headers(headers, &behavior.certificate_headers, &viewer.client);
    Ok(())
}

fn origin_form(uri: &Uri) -> Uri {
    let path = uri
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    Uri::from(path)
}

fn append_via(headers: &mut HeaderMap, version: Version) {
    let via = if version == Version::HTTP_2 {
        "2.0 bothways"
    } else {
        "1.1 bothways"
    };
    headers.append(VIA, HeaderValue::from_static(via));
}

fn status_of(error: &ForwardError) -> StatusCode {
    match error {
        ForwardError::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ForwardError::Full => StatusCode::SERVICE_UNAVAILABLE,
        ForwardError::Viewer(_) => StatusCode::BAD_REQUEST,
        ForwardError::Connect(_) | ForwardError::Http(_) | ForwardError::Interim(_) => {
            StatusCode::BAD_GATEWAY
        }
    }
}
