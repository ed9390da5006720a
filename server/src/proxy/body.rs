//! Bodies on their way through: streamed, never gathered.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::pool::Lease;

/// What is sent to the origin.
pub enum RequestBody {
    /// Nothing; the only body that can be sent twice.
    Empty,
    /// The viewer's body as it comes in. `moved_at` follows it, so that a slow upload is not taken for a slow origin.
    Viewer {
        incoming: Incoming,
        moved_at: Rc<Cell<Instant>>,
    },
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Viewer { incoming, moved_at } => {
                let polled = Pin::new(incoming).poll_frame(cx);
                if polled.is_ready() {
                    moved_at.set(Instant::now());
                }
                // Trailers are not sent on: `Trailer` is removed, and they could carry a forged identity.
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Viewer { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Viewer { incoming, .. } => incoming.size_hint(),
        }
    }
}

/// What is sent to the viewer. `T` is dropped with it: the mark of a request in flight.
pub struct ResponseBody<T> {
    source: Source,
    _in_flight: T,
}

enum Source {
    Memory(Bytes),
    Origin {
        incoming: Incoming,
        lease: Option<Lease>,
    },
}

impl<T> ResponseBody<T> {
    /// A body that is there already.
    pub fn memory(bytes: Bytes, in_flight: T) -> Self {
        Self {
            source: Source::Memory(bytes),
            _in_flight: in_flight,
        }
    }

    /// The origin's body; `lease` gives the connection back to the pool once it was read to its end.
    pub fn origin(incoming: Incoming, lease: Lease, in_flight: T) -> Self {
        let mut source = Source::Origin {
            incoming,
            lease: Some(lease),
        };
        source.release_at_end();
        Self {
            source,
            _in_flight: in_flight,
        }
    }
}

impl Source {
    fn release_at_end(&mut self) {
        if let Self::Origin { incoming, lease } = self
            && incoming.is_end_stream()
            && let Some(lease) = lease.take()
        {
            lease.release();
        }
    }
}

impl<T: Unpin> Body for ResponseBody<T> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let source = &mut self.get_mut().source;
        let polled = match source {
            Source::Memory(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Source::Memory(bytes) => {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))));
            }
            Source::Origin { incoming, .. } => Pin::new(incoming).poll_frame(cx),
        };
        source.release_at_end();
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Memory(bytes) => bytes.is_empty(),
            Source::Origin { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Memory(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Origin { incoming, .. } => incoming.size_hint(),
        }
    }
}
