//! Bodies on their way through: streamed, never gathered.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::hop_by_hop::clean_trailers;
use super::pool::Lease;
use crate::runtime::{DuplexStats, sleep};

/// What a body yields when it is asked for more.
type Polled<T, E> = Poll<Option<Result<Frame<T>, E>>>;

/// What is sent to the origin.
pub enum RequestBody {
    /// Nothing; the only body that can be sent twice.
    Empty,
    /// The viewer's body as it comes in.
    Viewer {
        incoming: Incoming,
        progress: Rc<Progress>,
        /// Of the viewer's connection: is told when the body has been read to its end.
        stats: Rc<DuplexStats>,
    },
}

/// What the request's body tells those who wait for the response.
pub struct Progress {
    /// When a byte last moved, so that a slow upload is not taken for a slow origin.
    pub(super) moved_at: Cell<Instant>,
    /// The viewer broke off, or sent what is no body: the request then fails through no fault of the origin.
    pub(super) viewer_failed: Cell<bool>,
}

impl Progress {
    pub(super) fn moved(&self) {
        self.moved_at.set(Instant::now());
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            moved_at: Cell::new(Instant::now()),
            viewer_failed: Cell::default(),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<Bytes, hyper::Error> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Viewer {
                incoming,
                progress,
                stats,
            } => {
                let frame = ready!(poll_data(incoming, cx));
                progress.moved();
                match &frame {
                    Some(Err(_)) => progress.viewer_failed.set(true),
                    None => stats.linger.set(false),
                    Some(Ok(_)) if incoming.is_end_stream() => stats.linger.set(false),
                    Some(Ok(_)) => {}
                }
                Poll::Ready(frame)
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

/// The next frame with data. A viewer's trailers end here: no header rule has seen them, so they could carry a forged
/// identity to an origin that takes trailers for headers.
fn poll_data<B: Body + Unpin>(body: &mut B, cx: &mut Context<'_>) -> Polled<B::Data, B::Error> {
    loop {
        match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            Some(Ok(frame)) if !frame.is_data() => {}
            other => return Poll::Ready(other),
        }
    }
}

/// Why a response ended before its end.
#[derive(Debug)]
pub enum BodyError {
    /// The origin's connection broke, or what came was no body.
    Http(hyper::Error),
    /// The origin sent nothing for `origin_read_timeout`.
    Timeout,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(error) => write!(f, "bad body: {error}"),
            Self::Timeout => f.write_str("nothing more within origin_read_timeout"),
        }
    }
}

impl std::error::Error for BodyError {}

/// What is sent to the viewer. `T` is dropped with it: the mark of a request in flight.
pub struct ResponseBody<T> {
    source: Source,
    _in_flight: T,
}

enum Source {
    Memory(Bytes),
    Origin(OriginBody),
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
        Self {
            source: Source::Origin(OriginBody::new(incoming, lease)),
            _in_flight: in_flight,
        }
    }
}

impl<T: Unpin> Body for ResponseBody<T> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<Bytes, BodyError> {
        match &mut self.get_mut().source {
            Source::Memory(bytes) if bytes.is_empty() => Poll::Ready(None),
            Source::Memory(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Source::Origin(body) => body.poll_frame(cx).map_ok(|mut frame| {
                if let Some(trailers) = frame.trailers_mut() {
                    clean_trailers(trailers);
                }
                frame
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Memory(bytes) => bytes.is_empty(),
            Source::Origin(body) => body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Memory(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Origin(body) => body.incoming.size_hint(),
        }
    }
}

/// A response's body while it comes from the origin.
struct OriginBody {
    incoming: Incoming,
    /// Until the end of the body.
    lease: Option<Lease>,
    /// Whether the viewer has taken all that came, so that silence is the origin's.
    waiting: bool,
    /// None for as long as the body comes without a wait.
    timer: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl OriginBody {
    fn new(incoming: Incoming, lease: Lease) -> Self {
        let mut body = Self {
            incoming,
            lease: Some(lease),
            waiting: false,
            timer: None,
        };
        body.release_at_end();
        body
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<Bytes, BodyError> {
        let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.waiting = false;
                frame.map(|frame| frame.map_err(BodyError::Http))
            }
            Poll::Pending => {
                ready!(self.poll_silence(cx));
                Some(Err(BodyError::Timeout))
            }
        };
        if let Some(Err(error)) = &frame {
            self.complain(error);
        }
        self.release_at_end();
        Poll::Ready(frame)
    }

    /// Ready once nothing has moved for `origin_read_timeout`, counted from when the viewer began to wait.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(Lease { origin, progress, .. }) = &self.lease else {
            return Poll::Pending;
        };
        if !std::mem::replace(&mut self.waiting, true) {
            progress.moved();
        }
        loop {
            let left = origin
                .read_timeout
                .saturating_sub(progress.moved_at.get().elapsed());
            if left.is_zero() {
                return Poll::Ready(());
            }
            ready!(
                self.timer
                    .get_or_insert_with(|| Box::pin(sleep(left)))
                    .as_mut()
                    .poll(cx)
            );
            // It was set when an earlier byte had come.
            self.timer = None;
        }
    }

    fn complain(&self, error: &BodyError) {
        if let Some(lease) = &self.lease
            && let Some(untold) = lease.pool.complain(Instant::now())
        {
            tracing::warn!(origin = &*lease.origin.id, %error, untold, "a response of the origin broke off");
        }
    }

    fn release_at_end(&mut self) {
        if self.incoming.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::task::Waker;

    use http::{HeaderMap, HeaderName, HeaderValue};
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    #[test]
    fn a_viewers_trailers_go_no_further() {
        let trailers = HeaderMap::from_iter([(
            HeaderName::from_static("client-cert"),
            HeaderValue::from_static("x"),
        )]);
        let mut body =
            Full::new(Bytes::from_static(b"abc"))
                .with_trailers(std::future::ready(Some(Ok::<_, Infallible>(trailers))));
        let mut cx = Context::from_waker(Waker::noop());
        let mut frames = Vec::new();
        while let Poll::Ready(Some(Ok(frame))) = poll_data(&mut body, &mut cx) {
            frames.push(frame.into_data().expect("data"));
        }
        assert_eq!(frames, ["abc"]);
    }
}
