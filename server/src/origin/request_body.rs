//! Bodies of requests on their way out: from nowhere, from memory, or from a stream of the caller's.
//!
//! Owns what hyper is given to send. Each frame is noted on the wire, so that the wire knows when hyper holds
//! the end of the request. Streamed bodies are never gathered.

use std::error::Error;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::share::Taken;
use super::wire::Wire;

/// Result of asking a body for more.
pub(super) type Polled<E> = Poll<Option<Result<Frame<Bytes>, E>>>;

/// A body that its owner makes while it is being sent. Its size hint is of what is still to come.
pub trait BodyStream:
    Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + 'static
{
}

impl<S> BodyStream for S where
    S: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + 'static
{
}

/// Body of a request.
pub enum RequestBody<S> {
    Empty,
    /// A body in memory. Like an empty one it may be sent twice.
    Bytes(Bytes),
    Stream(S),
}

impl<S> From<Bytes> for RequestBody<S> {
    fn from(bytes: Bytes) -> Self {
        match bytes.is_empty() {
            true => Self::Empty,
            false => Self::Bytes(bytes),
        }
    }
}

impl<S> RequestBody<S> {
    /// A second copy, where the body can be sent twice.
    fn copy(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Bytes(bytes) => Some(Self::Bytes(bytes.clone())),
            Self::Stream(_) => None,
        }
    }
}

/// A body in hyper's hands.
pub(super) struct OutgoingBody<S> {
    body: RequestBody<S>,
    /// Wire of the connection that the body goes out on; none until a connection was chosen, and none where
    /// there is no body.
    wire: Option<Rc<Wire>>,
}

impl<S> OutgoingBody<S> {
    pub(super) fn new(body: RequestBody<S>) -> Self {
        Self { body, wire: None }
    }

    pub(super) fn copy(&self) -> Option<Self> {
        self.body.copy().map(Self::new)
    }

    /// Notes that the request goes out on `wire` now. `share`: see [`Wire::begin`].
    pub(super) fn begin(&mut self, wire: &Rc<Wire>, share: Option<&Rc<Taken>>) {
        let has_body = !matches!(self.body, RequestBody::Empty);
        wire.begin(has_body, share);
        if has_body {
            self.wire = Some(wire.clone());
        }
    }
}

impl<S: BodyStream> OutgoingBody<S> {
    fn note<E>(&self, frame: Option<&Result<Frame<Bytes>, E>>) {
        let Some(wire) = &self.wire else { return };
        wire.moved();
        let is_end = match frame {
            None => true,
            // hyper takes no more of a body whose length was said, also where its owner has not yet said that
            // it ends.
            Some(Ok(_)) => self.is_end_stream() || self.size_hint().exact() == Some(0),
            Some(Err(_)) => false,
        };
        if is_end {
            wire.handed_over();
        }
    }
}

impl<S: BodyStream> Body for OutgoingBody<S> {
    type Data = Bytes;
    type Error = S::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<S::Error> {
        let this = self.get_mut();
        let frame = match &mut this.body {
            RequestBody::Empty => return Poll::Ready(None),
            RequestBody::Bytes(bytes) if bytes.is_empty() => None,
            RequestBody::Bytes(bytes) => Some(Ok(Frame::data(std::mem::take(bytes)))),
            RequestBody::Stream(stream) => ready!(Pin::new(stream).poll_frame(cx)),
        };
        this.note(frame.as_ref());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            RequestBody::Empty => true,
            RequestBody::Bytes(bytes) => bytes.is_empty(),
            RequestBody::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            RequestBody::Stream(stream) => stream.size_hint(),
        }
    }
}
