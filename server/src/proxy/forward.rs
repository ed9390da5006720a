//! One request to one origin: over a kept connection if there is one, else over a new one.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};

use super::body::{Progress, RequestBody};
use super::framing::BadFraming;
use super::origin::{HttpOrigin, ResponseBounds};
use super::plain::PlainStream;
use super::pool::{Lease, OriginPool, Room};
use crate::runtime::{Duplex, DuplexStats, spawn_guarded, timeout};

/// Why an origin gave no response.
#[derive(Debug)]
pub enum ForwardError {
    /// No connection could be made in as many attempts as the origin is given.
    Connect(io::Error),
    /// The connection broke, or what came was not HTTP.
    Http(hyper::Error),
    /// Nobody could rely on where the response ends.
    Framing(BadFraming),
    /// An interim response where the final one belongs: 101, though nobody asked for another protocol.
    Interim(StatusCode),
    /// No response within `origin_read_timeout`.
    Timeout,
    /// `origin_connections_per_core` connections to this origin are in use.
    Full,
    /// The viewer's body broke off or was none. The origin has no part in it.
    Viewer(hyper::Error),
}

impl fmt::Display for ForwardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Http(error) if error.is_parse_too_large() => f.write_str(
                "bad response: its head has more fields than origin_header_fields_max, or more bytes than origin_buffer_bytes",
            ),
            Self::Http(error) => write!(f, "bad response: {error}"),
            Self::Framing(why) => write!(f, "bad response: {why}"),
            Self::Interim(status) => write!(f, "bad response: {status}, unasked for"),
            Self::Timeout => f.write_str("no response within origin_read_timeout"),
            Self::Full => f.write_str("origin_connections_per_core is reached"),
            Self::Viewer(error) => write!(f, "bad request body: {error}"),
        }
    }
}

impl std::error::Error for ForwardError {}

/// Where [`forward`] finds connections, and how many there may be.
pub struct Exit<'a> {
    pub pool: &'a Rc<OriginPool>,
    pub origin: &'a Arc<HttpOrigin>,
    /// To this origin, on this core.
    pub connections_max: usize,
    pub bounds: ResponseBounds,
}

/// Sends `request` (origin-form, hop-by-hop headers removed) and returns the head of the response with its body
/// still to be streamed. `stats` are those of the viewer's connection.
///
/// What was sent is sent once more at most, and over a new connection: where many kept ones fail, the origin does, and
/// trying them all would multiply its load.
///
/// # Errors
/// See [`ForwardError`].
pub async fn forward(
    exit: Exit<'_>,
    request: Request<Incoming>,
    stats: &Rc<DuplexStats>,
) -> Result<(Response<Incoming>, Lease), ForwardError> {
    let progress = Rc::new(Progress::default());
    let mut request = request.map(|incoming| match incoming.is_end_stream() {
        true => RequestBody::Empty,
        false => RequestBody::Viewer {
            incoming,
            progress: progress.clone(),
            stats: stats.clone(),
        },
    });
    while let Some(sender) = exit.pool.take(exit.origin, Instant::now()) {
        let again = replay(&request);
        match (exit.send(sender, request, &progress).await, again) {
            (Ok(response), _) => return Ok(response),
            (Err(SendError::Unsent(unsent)), _) => request = *unsent,
            (Err(SendError::Failed(ForwardError::Http(error))), Some(again)) if is_ended(&error) => {
                request = again;
                break;
            }
            (Err(SendError::Failed(error)), _) => return Err(error),
        }
    }
    let sender = exit.connect().await?;
    match exit.send(sender, request, &progress).await {
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

impl Exit<'_> {
    async fn send(
        &self,
        mut sender: SendRequest<RequestBody>,
        request: Request<RequestBody>,
        progress: &Rc<Progress>,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        progress.moved();
        let sent = pin!(sender.try_send_request(request));
        let response = match unless_stalled(sent, progress, self.origin).await {
            None => return Err(SendError::Failed(ForwardError::Timeout)),
            Some(Ok(response)) => response,
            Some(Err(mut error)) => {
                return Err(match error.take_message() {
                    Some(request) => SendError::Unsent(Box::new(request)),
                    None if progress.viewer_failed.get() => {
                        SendError::Failed(ForwardError::Viewer(error.into_error()))
                    }
                    None => SendError::Failed(ForwardError::Http(error.into_error())),
                });
            }
        };
        if response.status().is_informational() {
            return Err(SendError::Failed(ForwardError::Interim(response.status())));
        }
        let lease = Lease {
            pool: self.pool.clone(),
            origin: self.origin.clone(),
            progress: progress.clone(),
            sender,
        };
        Ok((response, lease))
    }

    async fn connect(&self) -> Result<SendRequest<RequestBody>, ForwardError> {
        let room = self.pool.room(self.origin, self.connections_max);
        let room = room.ok_or(ForwardError::Full)?;
        let io = dial(self.origin).await.map_err(ForwardError::Connect)?;
        start(io, room, self.bounds).await.map_err(ForwardError::Http)
    }
}

/// `future`'s output, or `None` when neither it came nor the request body moved for `origin_read_timeout`.
async fn unless_stalled<F: Future>(
    mut future: Pin<&mut F>,
    progress: &Progress,
    origin: &HttpOrigin,
) -> Option<F::Output> {
    loop {
        let left = origin
            .read_timeout
            .saturating_sub(progress.moved_at.get().elapsed());
        if left.is_zero() {
            return None;
        }
        if let Ok(output) = timeout(left, future.as_mut()).await {
            return Some(output);
        }
    }
}

/// Whether the origin closed a kept connection under the request, as it may at any time. After anything else it has
/// seen the request, and may do the same with the next.
fn is_ended(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_closed() || error.is_canceled()
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

/// Connects in as many attempts as the origin is given, one address after the other.
async fn dial(origin: &HttpOrigin) -> io::Result<Duplex> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for attempt in 0..origin.connection_attempts as usize {
        let Some(address) = origin.addresses.get(attempt % origin.addresses.len().max(1)) else {
            break;
        };
        let connecting = Duplex::connect(*address, Rc::default());
        match timeout(origin.connection_timeout, connecting).await {
            Ok(Ok(io)) => return Ok(io),
            Ok(Err(error)) => last = error,
            Err(_elapsed) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// Speaks HTTP/1.1 over `io`; a task of its own moves its bytes until either side closes, and then gives `room` back.
async fn start(
    io: Duplex,
    room: Room,
    bounds: ResponseBounds,
) -> Result<SendRequest<RequestBody>, hyper::Error> {
    let (sender, connection) = http1::Builder::new()
        .max_headers(bounds.header_fields_max)
        .max_buf_size(bounds.buffer_bytes)
        .handshake(PlainStream(io))
        .await?;
    let driver = async move {
        let _room = room;
        // Whoever waits for a response on this connection gets the error; there is nobody else to tell.
        let _told_to_the_waiting_request = connection.await;
    };
    spawn_guarded(driver, |message| {
        tracing::error!(message, "an origin connection panicked")
    });
    Ok(sender)
}
