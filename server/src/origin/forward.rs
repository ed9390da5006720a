//! One request to one origin: over a kept connection if there is one, else over a new one.

use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::{Method, Request, Response, StatusCode};
use hyper::client::conn::http1;

use super::beginning::Beginning;
use super::body::RequestBody;
use super::exchange::{Exchange, Spare};
use super::framing::BadFraming;
use super::greeting::Greeting;
use super::kinds::{HttpOrigin, ResponseBounds};
use super::pool::{OriginPool, Room};
use super::share::{Share, Taken};
use super::upload::Upload;
use super::wire::{OriginStream, Wire};
use crate::runtime::{Duplex, spawn_guarded, timeout};

/// Why an origin gave no response.
#[derive(Debug)]
pub enum ForwardError {
    /// No connection could be made in as many attempts as the origin is given; the address is the last that
    /// was tried.
    Connect(SocketAddr, io::Error),
    /// The connection broke, or what came was not HTTP.
    Http(hyper::Error),
    /// Nobody could rely on where the response ends.
    Framing(BadFraming),
    /// The origin speaks another protocol.
    Protocol(Greeting),
    /// An interim response where the final one belongs: 101, though nobody asked for another protocol.
    Interim(StatusCode),
    /// No byte of a response within `origin_read_timeout`.
    Timeout,
    /// `origin_connections_per_core` connections to this origin are in use.
    Full,
    /// `origin_requests_per_client` requests of this client are at origins.
    Share,
    /// The viewer's body broke off or was none. The origin has no part in it.
    Viewer(hyper::Error),
    /// The viewer's body came too slowly, or nothing more of it came.
    ViewerTimeout,
}

impl fmt::Display for ForwardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(address, error) => write!(f, "cannot connect to {address}: {error}"),
            Self::Http(error) if error.is_parse_too_large() => f.write_str(
                "bad response: its head has more fields than origin_header_fields_max, or more bytes than origin_buffer_bytes",
            ),
            Self::Http(error) => match error.source() {
                Some(source) => write!(f, "bad response: {error}: {source}"),
                None => write!(f, "bad response: {error}"),
            },
            Self::Framing(why) => write!(f, "bad response: {why}"),
            Self::Protocol(greeting) => write!(f, "{greeting}"),
            Self::Interim(status) => write!(f, "bad response: {status}, unasked for"),
            Self::Timeout => f.write_str("no response within origin_read_timeout"),
            Self::Full => f.write_str("origin_connections_per_core is reached"),
            Self::Share => f.write_str("the client has reached origin_requests_per_client"),
            Self::Viewer(error) => write!(f, "bad request body: {error}"),
            Self::ViewerTimeout => f.write_str("the request's body came too slowly"),
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
    /// The client's, and how many requests that may be.
    pub share: &'a Share,
    pub requests_max: usize,
}

/// Sends `request` (origin-form, hop-by-hop headers removed) with the body `upload`, and returns the head of
/// the response with its body still to be streamed.
///
/// What was sent is sent once more at most, and over a new connection: where many kept ones fail, the origin does, and
/// trying them all would multiply its load.
///
/// # Errors
/// See [`ForwardError`].
pub async fn forward(
    exit: Exit<'_>,
    request: Request<()>,
    upload: Option<&Upload>,
) -> Result<(Response<Beginning>, Exchange), ForwardError> {
    let share = exit.share.take(exit.requests_max).ok_or(ForwardError::Share)?;
    let body = upload.map_or(RequestBody::Empty, |upload| RequestBody::viewer(upload.read()));
    let mut request = request.map(|()| body);
    while let Some(spare) = exit.pool.take(&exit.origin.destination, Instant::now()) {
        let again = replay(&request);
        match (exit.send(spare, request, upload, &share).await, again) {
            (Ok(response), _) => return Ok(response),
            (Err(SendError::Unsent(unsent)), _) => request = *unsent,
            (Err(SendError::Ended(_)), Some(again)) => {
                request = again;
                break;
            }
            (Err(SendError::Ended(error) | SendError::Failed(error)), _) => return Err(error),
        }
    }
    let spare = exit.connect().await?;
    let address = spare.wire().peer();
    match exit.send(spare, request, upload, &share).await {
        Ok(response) => Ok(response),
        Err(SendError::Ended(error) | SendError::Failed(error)) => Err(error),
        Err(SendError::Unsent(_)) => {
            let error = io::ErrorKind::ConnectionReset.into();
            Err(ForwardError::Connect(address, error))
        }
    }
}

enum SendError {
    /// The connection had closed before it took anything.
    Unsent(Box<Request<RequestBody>>),
    /// The connection has ended, in whichever way, before the first byte of an answer: as a kept one may at
    /// any time.
    Ended(ForwardError),
    /// After anything else the origin has seen the request, and may do the same with the next.
    Failed(ForwardError),
}

impl Exit<'_> {
    async fn send(
        &self,
        spare: Spare,
        mut request: Request<RequestBody>,
        upload: Option<&Upload>,
        share: &Rc<Taken>,
    ) -> Result<(Response<Beginning>, Exchange), SendError> {
        let (mut sender, wire) = spare.take();
        request.body_mut().begin(&wire, share);
        let sent = pin!(sender.try_send_request(request));
        let response = match unless_stalled(sent, &wire, self.origin).await {
            None => return Err(SendError::Failed(stalled(upload))),
            Some(Ok(response)) => response,
            Some(Err(mut error)) => {
                return Err(match (wire.greeting(), error.take_message()) {
                    (Some(greeting), _) => SendError::Failed(ForwardError::Protocol(greeting)),
                    (None, Some(request)) => SendError::Unsent(Box::new(request)),
                    (None, None) => failed(error.into_error(), &wire, upload),
                });
            }
        };
        if response.status().is_informational() {
            return Err(SendError::Failed(ForwardError::Interim(response.status())));
        }
        let (head, incoming) = response.into_parts();
        let body = match Beginning::look(incoming).await {
            Ok(body) => body,
            Err(error) => return Err(SendError::Failed(ForwardError::Http(error))),
        };
        let exchange = Exchange {
            pool: self.pool.clone(),
            origin: self.origin.clone(),
            wire,
            sender,
        };
        Ok((Response::from_parts(head, body), exchange))
    }

    async fn connect(&self) -> Result<Spare, ForwardError> {
        let room = self.pool.room(&self.origin.destination, self.connections_max);
        let room = room.ok_or(ForwardError::Full)?;
        let (io, address) = dial(self.origin).await?;
        start(io, address, room, self.bounds)
            .await
            .map_err(ForwardError::Http)
    }
}

/// Why nothing has moved: whoever was waited for.
fn stalled(upload: Option<&Upload>) -> ForwardError {
    match upload.is_some_and(|upload| upload.pace().waits_for_viewer()) {
        true => ForwardError::ViewerTimeout,
        false => ForwardError::Timeout,
    }
}

fn failed(error: hyper::Error, wire: &Wire, upload: Option<&Upload>) -> SendError {
    if upload.is_some_and(Upload::is_broken) {
        SendError::Failed(ForwardError::Viewer(error))
    } else if upload.is_some_and(Upload::is_late) {
        SendError::Failed(ForwardError::ViewerTimeout)
    } else if !wire.has_spoken() && (wire.is_over() || is_ended(&error)) {
        SendError::Ended(ForwardError::Http(error))
    } else {
        SendError::Failed(ForwardError::Http(error))
    }
}

/// `future`'s output, or `None` when no byte moved on `wire` for `origin_read_timeout`.
async fn unless_stalled<F: Future>(
    mut future: Pin<&mut F>,
    wire: &Wire,
    origin: &HttpOrigin,
) -> Option<F::Output> {
    loop {
        let left = origin.read_timeout.saturating_sub(wire.moved_at().elapsed());
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

/// A second copy of a request that may be sent twice: an idempotent method (RFC 9110 §9.2.2) without a body.
fn replay(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let is_idempotent = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    );
    if !is_idempotent || !matches!(request.body(), RequestBody::Empty) {
        return None;
    }
    let mut copy = Request::new(RequestBody::Empty);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// Connects in as many attempts as the origin is given, one address after the other.
async fn dial(origin: &HttpOrigin) -> Result<(Duplex, SocketAddr), ForwardError> {
    let mut last = ForwardError::Connect(UNSPECIFIED, io::ErrorKind::AddrNotAvailable.into());
    let addresses = origin.destination.addresses().current();
    for attempt in 0..origin.connection_attempts as usize {
        let Some(address) = addresses.get(attempt % addresses.len().max(1)) else {
            break;
        };
        let connecting = Duplex::connect(*address, Rc::default());
        last = match timeout(origin.connection_timeout, connecting).await {
            Ok(Ok(io)) => return Ok((io, *address)),
            Ok(Err(error)) => ForwardError::Connect(*address, error),
            Err(_elapsed) => ForwardError::Connect(*address, io::ErrorKind::TimedOut.into()),
        };
    }
    origin.destination.addresses().doubt();
    Err(last)
}

/// Speaks HTTP/1.1 over `io`; a task of its own moves its bytes until either side closes, and then gives `room` back.
async fn start(
    io: Duplex,
    peer: SocketAddr,
    room: Room,
    bounds: ResponseBounds,
) -> Result<Spare, hyper::Error> {
    let wire = Rc::new(Wire::new(&io, peer));
    let stream = OriginStream::new(io, wire.clone());
    let (sender, connection) = http1::Builder::new()
        .max_headers(bounds.header_fields_max)
        .max_buf_size(bounds.buffer_bytes)
        .handshake(stream)
        .await?;
    let driver = async move {
        let _room = room;
        // Whoever waits for a response on this connection gets the error; there is nobody else to tell.
        let _told_to_the_waiting_request = connection.await;
    };
    spawn_guarded(driver, |message| {
        tracing::error!(message, "an origin connection panicked")
    });
    Ok(Spare::fresh(sender, wire))
}

/// Address to which an origin without addresses would be connected.
const UNSPECIFIED: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
