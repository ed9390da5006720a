//! The service on a connection: from a request as hyper has it to a response as hyper wants it.
//!
//! Owns the three parts of every request: it begins ([`super::exchange`]), passes the stages
//! ([`super::stages`]), and ends ([`super::end`]). Decides nothing else.

use std::convert::Infallible;
use std::future::{Future, Ready, poll_fn, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;

use super::end::end;
use super::exchange::Exchange;
use super::pending::{Answer, Body};
use super::stages::{self, Step};
use super::viewer::Viewer;
use crate::origin::HttpOrigin;
use crate::snapshot::Behavior;

/// Response to come, made by [`respond`]. An answer from memory needs no allocation.
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
    let mut exchange = Exchange::begin(viewer, request);
    let answered = match stages::before_origin(&mut exchange) {
        Ok(Step::Answer(response)) => Ok(Answer::Memory(response)),
        Ok(Step::Ask(behavior, origin)) => return later(exchange, behavior.clone(), origin.clone()),
        Err(why) => Err(why),
    };
    let response = end(exchange, answered);
    match response.body().is_held(response.status()) {
        true => Responding::Later(Box::pin(released(response))),
        false => Responding::Now(ready(response)),
    }
}

/// Answers with what an origin is yet to say.
fn later(exchange: Exchange<'_>, behavior: Arc<Behavior>, origin: Arc<HttpOrigin>) -> Responding {
    let viewer = exchange.viewer.clone();
    let Exchange {
        request,
        pending,
        calls,
        asked: _,
        viewer: _,
    } = exchange;
    Responding::Later(Box::pin(async move {
        let mut exchange = Exchange {
            viewer: &viewer,
            request,
            pending,
            calls,
            asked: None,
        };
        let answered = stages::from_origin(&mut exchange, &behavior, &origin).await;
        let response = end(exchange, answered);
        match response.body().is_held(response.status()) {
            true => released(response).await,
            false => response,
        }
    }))
}

/// The response, when its end may be told.
async fn released(mut response: Response<Body>) -> Response<Body> {
    poll_fn(|cx| response.body_mut().poll_release(cx)).await;
    response
}
