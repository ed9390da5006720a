//! Stages of a request, from top to bottom in the order in which it passes them.
//!
//! Owns that order, and one function for each stage. A stage reads and changes the [`Exchange`]; one that
//! refuses the request ends it with a [`Refusal`]. Does not own the beginning and the end of a request
//! ([`super::service`], [`super::end`]), the pool of connections to origins (`origin`), the functions'
//! engine.
//!
//! ```text
//! admitted → route → clean → viewer-request ─┬─ fixed response ───────────────────┬→ viewer-response
//!                     origin-request ◀───────┘                                    │
//!                           └→ origin → origin-response ──────────────────────────┘
//! ```

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response, StatusCode, response};

use super::exchange::{Exchange, OriginAsked};
use super::other_protocol::OtherProtocol;
use super::pending::Answer;
use super::refusal::Refusal;
use super::request_head::{self, add_server_headers, append_via, check};
use super::route;
use super::viewer_functions::{Asked, Failed, FunctionCalls, apply};
use crate::origin::{
    Exit, ForwardError, HttpOrigin, Origin, OriginBody, ResponseBounds, Upload, forward, frame_request,
    remove_hop_by_hop, settle_response,
};
use crate::snapshot::Behavior;

/// Result of the stages that wait for nothing.
pub(super) enum Step<'v> {
    /// The response is there.
    Answer(Response<Bytes>),
    /// The origin of the behavior is to be asked.
    Ask(&'v Arc<Behavior>, &'v Arc<HttpOrigin>),
}

/// Stages before the origin. They wait for nothing, and allocate nothing where the answer is a fixed response
/// without functions.
#[inline(always)]
pub(super) fn before_origin<'v>(exchange: &mut Exchange<'v>) -> Result<Step<'v>, Refusal<'v>> {
    admitted(exchange)?;
    let behavior = route(exchange)?;
    if let (Origin::Fixed(fixed), false) = (&*behavior.origin, behavior.has_functions()) {
        // Nobody is going to read the request, so it need not be clean.
        return Ok(Step::Answer(fixed.response()));
    }
    clean(exchange, behavior)?;
    if let Some(generated) = viewer_request(exchange, behavior)? {
        return Ok(Step::Answer(generated));
    }
    match &*behavior.origin {
        Origin::Http(origin) => Ok(Step::Ask(behavior, origin)),
        Origin::Fixed(fixed) => {
            let (mut head, body) = fixed.response().into_parts();
            let replaced = viewer_response(exchange, behavior, &mut head)?;
            let response = Response::from_parts(head, replaced.unwrap_or(body));
            Ok(Step::Answer(response))
        }
    }
}

/// Stages from the origin on.
pub(super) async fn from_origin<'v>(
    exchange: &mut Exchange<'v>,
    behavior: &'v Behavior,
    to: &'v Arc<HttpOrigin>,
) -> Result<Answer, Refusal<'v>> {
    origin_request(exchange, behavior);
    let asked = Instant::now();
    let came = origin(exchange, to).await;
    let elapsed = asked.elapsed();
    let settled = came.and_then(|response| origin_response(exchange, response));
    exchange.asked = Some(OriginAsked::new(behavior, settled.as_ref().err(), elapsed));
    let response = settled.map_err(|error| Refusal::NoResponse(to, error))?;
    let (mut head, body) = response.into_parts();
    Ok(match viewer_response(exchange, behavior, &mut head)? {
        None => Answer::Origin(Response::from_parts(head, body)),
        // With its body the origin's connection is given up: what is left on it is nobody's.
        Some(body) => Answer::Memory(Response::from_parts(head, body)),
    })
}

/// Refuses the requests of a client that is no longer admitted. HTTP/2 clients may send some until they have
/// heard the GOAWAY.
fn admitted<'v>(exchange: &Exchange<'v>) -> Result<(), Refusal<'v>> {
    match exchange.viewer.activity.is_refused() {
        true => Err(Refusal::Status(StatusCode::FORBIDDEN)),
        false => Ok(()),
    }
}

/// Finds the behavior that the request is for.
fn route<'v>(exchange: &Exchange<'v>) -> Result<&'v Arc<Behavior>, Refusal<'v>> {
    let (viewer, request) = (exchange.viewer, &exchange.request);
    check(request, &viewer.site)?;
    route::route(viewer, request)
}

/// Removes from the request what goes no further. From here on there is no claim in it that is not ours.
fn clean<'v>(exchange: &mut Exchange<'v>, behavior: &Behavior) -> Result<(), Refusal<'v>> {
    let request = &mut exchange.request;
    // Cleaning takes away by what such a request is known.
    if let (Origin::Http(_), Some(protocol)) = (&*behavior.origin, OtherProtocol::of(request)) {
        return Err(Refusal::Protocol(protocol));
    }
    request_head::clean(request, &exchange.viewer.site.identity_headers)?;
    Ok(())
}

/// Calls the viewer-request function, if there is one. `Some`: the response that it has made, which no
/// further function sees.
fn viewer_request<'v>(
    exchange: &mut Exchange<'v>,
    behavior: &Behavior,
) -> Result<Option<Response<Bytes>>, Refusal<'v>> {
    if !behavior.has_functions() {
        return Ok(None);
    }
    let viewer = exchange.viewer;
    let calls = exchange.calls.insert(FunctionCalls::new(viewer));
    if let Some(function) = &behavior.viewer_request {
        let (mut head, ()) = std::mem::take(&mut exchange.request).into_parts();
        let called = calls.call_request(viewer, function, &mut head);
        exchange.request = Request::from_parts(head, ());
        match called {
            Ok(Asked::Continue(certificates)) => calls.certificates = certificates,
            Ok(Asked::Respond(response)) => return Ok(Some(response)),
            Err(Failed) => return Err(Refusal::Function),
        }
    }
    if behavior.viewer_response.is_some() {
        calls.remember(&exchange.request);
    }
    Ok(None)
}

/// Makes the request the origin's: adds what the origin is to know of the way here and of the client, and
/// says where the body ends.
fn origin_request(exchange: &mut Exchange<'_>, behavior: &Behavior) {
    let calls = exchange.calls.as_ref();
    let request = &mut exchange.request;
    add_server_headers(
        request,
        exchange.viewer,
        behavior,
        calls.map(|calls| &calls.certificates),
    );
    let upload = exchange.pending.upload();
    let length = upload.map_or(Some(0), Upload::exact_length);
    frame_request(request.headers_mut(), upload.is_some(), length);
}

/// Sends the request to the origin, and waits for the head of its response.
async fn origin(
    exchange: &mut Exchange<'_>,
    to: &Arc<HttpOrigin>,
) -> Result<Response<OriginBody>, ForwardError> {
    let viewer = exchange.viewer;
    let limits = &viewer.site.limits;
    let exit = Exit {
        pool: &viewer.core.pool,
        origin: to,
        connections_max: limits.origin_connections_per_core,
        bounds: ResponseBounds::of(limits),
        share: viewer.share(),
        requests_max: limits.origin_requests_per_client,
    };
    let upload = exchange.pending.upload();
    if let Some(upload) = upload {
        viewer.activity.watch_upload(upload);
    }
    forward(exit, std::mem::take(&mut exchange.request), upload).await
}

/// Makes the origin's response one of ours.
///
/// # Errors
/// Nobody could rely on where it ends.
fn origin_response<B>(exchange: &Exchange<'_>, response: Response<B>) -> Result<Response<B>, ForwardError> {
    let (mut head, body) = response.into_parts();
    settle_response(&mut head, exchange.pending.head_only).map_err(ForwardError::Framing)?;
    remove_hop_by_hop(&mut head.headers);
    append_via(&mut head.headers, head.version);
    head.version = exchange.pending.version;
    Ok(Response::from_parts(head, body))
}

/// Calls the viewer-response function, if there is one. `Some`: the body that it wants instead. The managed
/// service does not ask about errors of the origin.
fn viewer_response<'v>(
    exchange: &Exchange<'v>,
    behavior: &Behavior,
    head: &mut response::Parts,
) -> Result<Option<Bytes>, Refusal<'v>> {
    let (Some(calls), Some(function)) = (&exchange.calls, &behavior.viewer_response) else {
        return Ok(None);
    };
    if head.status >= StatusCode::BAD_REQUEST {
        return Ok(None);
    }
    let called = calls.call_response(exchange.viewer, function, head);
    let edits = called.map_err(|Failed| Refusal::Function)?;
    Ok(apply(head, edits))
}
