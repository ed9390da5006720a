//! One request to one response: which host, which behaviour, which origin, and what the origin may know of the client.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, VIA};
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;

use super::activity::{Activity, InFlight};
use super::authority::authority;
use super::certificate_headers::{add_certificate_headers, remove_identity_headers};
use crate::config::Authority;
use crate::metrics::CoreCounters;
use crate::proxy::{ForwardError, HttpOrigin, Origin, OriginPool, ResponseBody, forward, remove_hop_by_hop};
use crate::snapshot::{Behavior, Site};
use crate::tls::ClientAuth;

/// A response's body, marked as in flight until it is gone.
pub type Body = ResponseBody<Option<InFlight>>;

/// What all connections of a core share when they answer.
pub struct Edge {
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
    let in_flight = viewer.activity.begin();
    if viewer.activity.is_refused() {
        return now(viewer, failure(StatusCode::FORBIDDEN, in_flight));
    }
    if let Err(status) = check_host(viewer, &request) {
        return now(viewer, failure(status, in_flight));
    }
    let Some(behavior) = viewer.site.behavior_for(request.uri().path()) else {
        return now(viewer, failure(StatusCode::NOT_FOUND, in_flight));
    };
    match &*behavior.origin {
        Origin::Fixed(fixed) => {
            let mut response = Response::new(Body::memory(fixed.body.clone(), Some(in_flight)));
            *response.status_mut() = fixed.status;
            response.headers_mut().clone_from(&fixed.headers);
            now(viewer, response)
        }
        Origin::Http(origin) => {
            let (viewer, behavior, origin) = (viewer.clone(), behavior.clone(), origin.clone());
            Responding::Later(Box::pin(async move {
                let response = proxy(&viewer, &behavior, &origin, request, in_flight).await;
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
    origin: &HttpOrigin,
    mut request: Request<Incoming>,
    in_flight: InFlight,
) -> Response<Body> {
    let version = request.version();
    if let Err(status) = prepare(viewer, behavior, &mut request) {
        return failure(status, in_flight);
    }
    match forward(&viewer.edge.pool, origin, request).await {
        Ok((response, lease)) => {
            let (mut head, incoming) = response.into_parts();
            remove_hop_by_hop(&mut head.headers);
            append_via(&mut head.headers, Version::HTTP_11);
            head.version = version;
            Response::from_parts(head, Body::origin(incoming, lease, Some(in_flight)))
        }
        Err(error) => {
            tracing::warn!(origin = &*origin.id, distribution = &*viewer.site.distribution_id, %error, "no response from the origin");
            failure(status_of(&error), in_flight)
        }
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
    headers.append(X_FORWARDED_FOR, viewer.client_ip.clone());
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
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
        ForwardError::Connect(_) | ForwardError::Http(_) => StatusCode::BAD_GATEWAY,
    }
}

/// A response of our own: short, and silent about what is behind.
fn failure(status: StatusCode, in_flight: InFlight) -> Response<Body> {
    let text = match status {
        StatusCode::BAD_REQUEST => "400 Bad Request\n",
        StatusCode::FORBIDDEN => "403 Forbidden: this client is no longer admitted\n",
        StatusCode::MISDIRECTED_REQUEST => {
            "421 Misdirected Request: this host is not served on this connection\n"
        }
        StatusCode::BAD_GATEWAY => "502 Bad Gateway: the origin gave no usable response\n",
        StatusCode::GATEWAY_TIMEOUT => "504 Gateway Timeout: the origin did not answer in time\n",
        _ => "404 Not Found\n",
    };
    let mut response = Response::new(Body::memory(Bytes::from_static(text.as_bytes()), Some(in_flight)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    response
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
