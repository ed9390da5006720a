//! One request to one origin: over a kept connection if there is one, else over a new one.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Instant;

use http::{Method, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};

use super::body::RequestBody;
use super::origin::HttpOrigin;
use super::plain::PlainStream;
use super::pool::{Lease, OriginPool};
use crate::runtime::{Duplex, spawn_guarded, timeout};

/// Why an origin gave no response.
#[derive(Debug)]
pub enum ForwardError {
    /// No connection could be made in as many attempts as the origin is given.
    Connect(io::Error),
    /// The connection broke, or what came was not HTTP.
    Http(hyper::Error),
    /// No response within `origin_read_timeout`.
    Timeout,
}

impl fmt::Display for ForwardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Http(error) => write!(f, "bad response: {error}"),
            Self::Timeout => f.write_str("no response within origin_read_timeout"),
        }
    }
}

impl std::error::Error for ForwardError {}

/// Sends `request` (origin-form, hop-by-hop headers removed) and returns the head of the response with its body
/// still to be streamed.
///
/// # Errors
/// See [`ForwardError`].
pub async fn forward(
    pool: &Rc<OriginPool>,
    origin: &HttpOrigin,
    request: Request<Incoming>,
) -> Result<(Response<Incoming>, Lease), ForwardError> {
    let moved_at = Rc::new(Cell::new(Instant::now()));
    let mut request = request.map(|incoming| match incoming.is_end_stream() {
        true => RequestBody::Empty,
        false => RequestBody::Viewer {
            incoming,
            moved_at: moved_at.clone(),
        },
    });
    while let Some(sender) = pool.take(&origin.authority) {
        let again = replay(&request);
        request = match (send(pool, origin, sender, request, &moved_at).await, again) {
            (Ok(response), _) => return Ok(response),
            (Err(SendError::Unsent(unsent)), _) => *unsent,
            // The origin closed a kept connection under the request: with nothing lost, another may try.
            (Err(SendError::Failed(ForwardError::Http(_))), Some(again)) => again,
            (Err(SendError::Failed(error)), _) => return Err(error),
        };
    }
    let sender = connect(origin).await.map_err(ForwardError::Connect)?;
    match send(pool, origin, sender, request, &moved_at).await {
        Ok(response) => Ok(response),
        Err(SendError::Failed(error)) => Err(error),
        Err(SendError::Unsent(_)) => Err(ForwardError::Connect(io::ErrorKind::ConnectionReset.into())),
    }
}

enum SendError {
    /// The connection had closed before it took anything.
    Unsent(Box<Request<RequestBody>>),
    Failed(ForwardError),
}

async fn send(
    pool: &Rc<OriginPool>,
    origin: &HttpOrigin,
    mut sender: SendRequest<RequestBody>,
    request: Request<RequestBody>,
    moved_at: &Cell<Instant>,
) -> Result<(Response<Incoming>, Lease), SendError> {
    moved_at.set(Instant::now());
    let sent = pin!(sender.try_send_request(request));
    let response = match unless_stalled(sent, moved_at, origin).await {
        None => return Err(SendError::Failed(ForwardError::Timeout)),
        Some(Ok(response)) => response,
        Some(Err(mut error)) => {
            return Err(match error.take_message() {
                Some(request) => SendError::Unsent(Box::new(request)),
                None => SendError::Failed(ForwardError::Http(error.into_error())),
            });
        }
    };
    let lease = Lease {
        pool: pool.clone(),
        authority: origin.authority.clone(),
        keepalive: origin.keepalive_timeout,
        sender,
    };
    Ok((response, lease))
}

/// `future`'s output, or `None` when neither it came nor the request body moved for `origin_read_timeout`.
async fn unless_stalled<F: Future>(
    mut future: Pin<&mut F>,
    moved_at: &Cell<Instant>,
    origin: &HttpOrigin,
) -> Option<F::Output> {
    loop {
        let left = origin.read_timeout.saturating_sub(moved_at.get().elapsed());
        if left.is_zero() {
            return None;
        }
        if let Ok(output) = timeout(left, future.as_mut()).await {
            return Some(output);
        }
    }
}

/// A second copy of a request that may be sent twice: a safe method without a body (RFC 9110 §9.2.1).
fn replay(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe || !matches!(request.body(), RequestBody::Empty) {
        return None;
    }
    let mut copy = Request::new(RequestBody::Empty);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

async fn connect(origin: &HttpOrigin) -> io::Result<SendRequest<RequestBody>> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for attempt in 0..origin.connection_attempts as usize {
        let Some(address) = origin.addresses.get(attempt % origin.addresses.len().max(1)) else {
            break;
        };
        let connected = timeout(
            origin.connection_timeout,
            Duplex::connect(*address, Rc::default()),
        )
        .await;
        match connected {
            Ok(Ok(io)) => return start(io).await.map_err(io::Error::other),
            Ok(Err(error)) => last = error,
            Err(_elapsed) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// Speaks HTTP/1.1 over `io`; a task of its own moves its bytes until either side closes.
async fn start(io: Duplex) -> Result<SendRequest<RequestBody>, hyper::Error> {
    let (sender, connection) = http1::Builder::new().handshake(PlainStream(io)).await?;
    let driver = async move {
        // Whoever waits for a response on this connection gets the error; there is nobody else to tell.
        let _told_to_the_waiting_request = connection.await;
    };
    spawn_guarded(driver, |message| {
        tracing::error!(message, "an origin connection panicked")
    });
    Ok(sender)
}
