//! Client for origins: one request, over a kept connection if there is one, else over a new one.
//!
//! Knows no viewer: whoever has a request calls it, with a body of any kind. Owns which connection a request
//! goes over, how often it is sent, and how long the origin may be silent. Does not own the request's fields:
//! they are sent as they are, `Host` among them, without hop-by-hop fields.
//!
//! A connection goes back to the pool by two proofs alone ([`super::spare`]). Runs on the core that owns the
//! pool.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::{Method, Request, Response};

use super::dial::dial;
use super::fetch_error::FetchError;
use super::fetched_body::FetchedBody;
use super::incoming::IncomingBody;
use super::kinds::{HttpOrigin, ResponseBounds};
use super::lease::Lease;
use super::pool::Pool;
use super::request_body::{BodyStream, OutgoingBody, RequestBody};
use super::share::Taken;
use super::spare::Spare;
use super::wire::Wire;
use crate::runtime::timeout;

/// The way to one origin: where its kept connections are, and the bounds of a request.
pub(super) struct Client<'a, S> {
    pub(super) pool: &'a Rc<Pool<S>>,
    pub(super) origin: &'a Arc<HttpOrigin>,
    /// To this origin, on this core.
    pub(super) connections_max: usize,
    pub(super) bounds: ResponseBounds,
}

/// Ways in which a request fails on one connection.
enum SendError<S> {
    /// The connection had closed before it took anything.
    Unsent(Box<Request<OutgoingBody<S>>>),
    /// The connection has ended, in whichever way, before the first byte of an answer: as a kept one may at
    /// any time.
    Ended(FetchError),
    /// Any other failure. The origin may have seen the request, and may fail at the next in the same way: it
    /// is not sent again.
    Failed(FetchError),
}

impl<S: BodyStream> Client<'_, S> {
    /// Sends `request`, and returns the head of the response with its body still to be streamed. `share` is
    /// held for as long as the connection has anything of the request.
    ///
    /// A request is sent once more at most, and over a new connection: where many kept ones fail, the origin
    /// does, and trying them all would multiply its load.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub(super) async fn fetch(
        &self,
        request: Request<RequestBody<S>>,
        share: Option<Rc<Taken>>,
    ) -> Result<Response<FetchedBody<S>>, FetchError> {
        let mut request = request.map(OutgoingBody::new);
        while let Some(spare) = self.pool.take(&self.origin.destination, Instant::now()) {
            let again = replay(&request);
            match (self.send(spare, request, share.as_ref()).await, again) {
                (Ok(response), _) => return Ok(response),
                (Err(SendError::Unsent(unsent)), _) => request = *unsent,
                (Err(SendError::Ended(_)), Some(again)) => {
                    request = again;
                    break;
                }
                (Err(SendError::Ended(error) | SendError::Failed(error)), _) => return Err(error),
            }
        }
        let spare = self.connect().await?;
        let address = spare.wire().peer();
        match self.send(spare, request, share.as_ref()).await {
            Ok(response) => Ok(response),
            Err(SendError::Ended(error) | SendError::Failed(error)) => Err(error),
            Err(SendError::Unsent(_)) => {
                let error = io::ErrorKind::ConnectionReset.into();
                Err(FetchError::Connect(address, error))
            }
        }
    }

    async fn connect(&self) -> Result<Spare<S>, FetchError> {
        let room = self.pool.room(&self.origin.destination, self.connections_max);
        dial(self.origin, room.ok_or(FetchError::Full)?, self.bounds).await
    }

    async fn send(
        &self,
        spare: Spare<S>,
        mut request: Request<OutgoingBody<S>>,
        share: Option<&Rc<Taken>>,
    ) -> Result<Response<FetchedBody<S>>, SendError<S>> {
        let (mut sender, wire) = spare.take();
        request.body_mut().begin(&wire, share);
        let sent = pin!(sender.try_send_request(request));
        let response = match unless_silent(sent, &wire, self.origin).await {
            None => return Err(SendError::Failed(FetchError::Timeout)),
            Some(Ok(response)) => response,
            Some(Err(mut error)) => {
                return Err(match (wire.greeting(), error.take_message()) {
                    (Some(greeting), _) => SendError::Failed(FetchError::Protocol(greeting)),
                    (None, Some(request)) => SendError::Unsent(Box::new(request)),
                    (None, None) => failed(error.into_error(), &wire),
                });
            }
        };
        if response.status().is_informational() {
            return Err(SendError::Failed(FetchError::Interim(response.status())));
        }
        let (head, incoming) = response.into_parts();
        let (first, incoming) = match IncomingBody::look(incoming).await {
            Ok(body) => body,
            Err(error) => return Err(SendError::Failed(FetchError::Body(error))),
        };
        let lease = Lease {
            pool: self.pool.clone(),
            origin: self.origin.clone(),
            wire,
            sender,
        };
        Ok(Response::from_parts(
            head,
            FetchedBody::new(first, incoming, lease),
        ))
    }
}

fn failed<S>(error: hyper::Error, wire: &Wire) -> SendError<S> {
    match !wire.has_spoken() && (wire.is_over() || is_ended(&error)) {
        true => SendError::Ended(FetchError::Http(error)),
        false => SendError::Failed(FetchError::Http(error)),
    }
}

/// `future`'s output, or `None` when no byte moved on `wire` for `origin_read_timeout`.
async fn unless_silent<F: Future>(
    mut future: Pin<&mut F>,
    wire: &Wire,
    origin: &HttpOrigin,
) -> Option<F::Output> {
    loop {
        let left = origin
            .limits
            .read_timeout
            .saturating_sub(wire.moved_at().elapsed());
        if left.is_zero() {
            return None;
        }
        if let Ok(output) = timeout(left, future.as_mut()).await {
            return Some(output);
        }
    }
}

/// True if hyper found the connection at its end before the socket said so.
fn is_ended(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_closed() || error.is_canceled()
}

/// A second copy of a request that may be sent twice: an idempotent method (RFC 9110 §9.2.2) with a body that
/// is still there.
fn replay<S>(request: &Request<OutgoingBody<S>>) -> Option<Request<OutgoingBody<S>>> {
    let is_idempotent = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    );
    let body = is_idempotent.then(|| request.body().copy())??;
    let mut copy = Request::new(body);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
