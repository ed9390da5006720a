//! Bodies on their way through: streamed, never gathered.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::beginning::{Beginning, First};
use super::exchange::Exchange;
use super::hop_by_hop::clean_trailers;
use super::pace::Pace;
use super::share::Taken;
use super::upload::{Reader, UploadError};
use super::wire::Wire;
use crate::runtime::sleep;

/// What a body yields when it is asked for more.
pub(super) type Polled<T, E> = Poll<Option<Result<Frame<T>, E>>>;

/// What is sent to the origin.
pub enum RequestBody {
    /// Nothing; the only body that can be sent twice.
    Empty,
    /// The viewer's body as it comes in.
    Viewer(ViewerBody),
}

/// A viewer's body on its way to an origin.
pub struct ViewerBody {
    reader: Reader,
    /// Wire of the connection that the body goes out on; none until a connection was chosen.
    wire: Option<Rc<Wire>>,
}

impl RequestBody {
    pub(super) fn viewer(reader: Reader) -> Self {
        Self::Viewer(ViewerBody { reader, wire: None })
    }

    /// Notes that the request, part of `share`, goes out on `wire` now.
    pub(super) fn begin(&mut self, wire: &Rc<Wire>, share: &Rc<Taken>) {
        match self {
            Self::Empty => wire.begin(false, share),
            Self::Viewer(body) => {
                wire.begin(true, share);
                body.wire = Some(wire.clone());
            }
        }
    }
}

impl ViewerBody {
    fn poll_frame(&self, cx: &mut Context<'_>) -> Polled<Bytes, UploadError> {
        let frame = ready!(self.reader.poll_frame(cx));
        if let Some(wire) = &self.wire {
            wire.moved();
            let is_end = match &frame {
                None => true,
                // hyper takes no more of a body whose length was said, also where the viewer has not yet said
                // that it ends.
                Some(Ok(_)) => self.reader.is_end_stream() || self.reader.size_hint().exact() == Some(0),
                Some(Err(_)) => false,
            };
            if is_end {
                wire.handed_over();
            }
        }
        Poll::Ready(frame)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<Bytes, UploadError> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Viewer(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Viewer(body) => body.reader.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Viewer(body) => body.reader.size_hint(),
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

/// The mark of a request in flight; dropped with the body of its response, whose pace it has.
pub trait Mark: Unpin {
    fn pace(&self) -> &Pace;

    /// True while the viewer still sends the request.
    fn is_uploading(&self) -> bool;

    /// The response has come to its end; ready when that may be told to a viewer which still sends the
    /// request.
    fn poll_release(&self, cx: &mut Context<'_>) -> Poll<()>;
}

/// Body of the response that is sent to the viewer.
pub struct ResponseBody<M> {
    source: Source,
    /// Taken from the source, and not given yet.
    rest: Bytes,
    /// Bytes that are given at a time, at most.
    piece_bytes_max: usize,
    /// The end is held back while the viewer sends the request.
    holds_end: bool,
    mark: M,
}

enum Source {
    Memory,
    Origin(OriginBody),
}

impl<M: Mark> ResponseBody<M> {
    /// A body that is there already.
    pub fn memory(bytes: Bytes, mark: M) -> Self {
        Self::new(Source::Memory, bytes, mark)
    }

    /// The origin's body; `exchange` gives the connection back to the pool once it was read to its end.
    pub fn origin(body: Beginning, exchange: Exchange, mark: M) -> Self {
        let (first, trailers) = match body.first {
            First::Nothing => (Bytes::new(), None),
            First::Frame(frame) => match frame.into_data() {
                Ok(data) => (data, None),
                Err(frame) => (Bytes::new(), frame.into_trailers().ok().map(Box::new)),
            },
            First::End => {
                exchange.end(ReadWhole(()));
                return Self::memory(Bytes::new(), mark);
            }
        };
        let source = Source::Origin(OriginBody::new(body.incoming, trailers, exchange));
        Self::new(source, first, mark)
    }

    fn new(source: Source, rest: Bytes, mark: M) -> Self {
        // Until it is asked for more, the viewer has to take what came before.
        mark.pace().viewer_is_waited_for();
        Self {
            source,
            rest,
            piece_bytes_max: usize::MAX,
            holds_end: false,
            mark,
        }
    }

    /// The same body for HTTP/2. In pieces: hyper and h2 hold one piece beyond a stream's window, and when
    /// its last piece has been taken the body is done with; so a stream whose window is closed holds little,
    /// and is seen to wait. Its end comes behind that of the request, or behind a lull in that: some clients
    /// stop reading once a response is whole, and would wait for ever for room to send the rest of the
    /// request.
    pub fn for_http2(mut self) -> Self {
        self.piece_bytes_max = PIECE_BYTES;
        self.holds_end = true;
        self
    }

    /// True if nothing of a response with this `status` is to be sent yet, not even its head. A successful
    /// answer to what the viewer still sends may begin (a stream of answers to a stream of requests). A
    /// response without a body is held, since its end comes with its head. An error is held, since at its
    /// sight some clients end their request where it is, short of the length that they gave: a broken stream
    /// (RFC 9113 §8.1.1).
    pub fn is_held(&self, status: StatusCode) -> bool {
        let may_begin =
            matches!(self.source, Source::Origin(_)) && status.is_success() && !self.is_end_stream();
        self.holds_end && !may_begin && self.mark.is_uploading()
    }

    /// Ready when the end may be sent.
    pub fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.holds_end {
            return Poll::Ready(());
        }
        let polled = self.mark.poll_release(cx);
        match polled {
            Poll::Ready(()) => self.holds_end = false,
            Poll::Pending => self.mark.pace().rests(),
        }
        polled
    }

    /// Gives what there is, which may be the last.
    fn poll_give(&mut self, cx: &mut Context<'_>) -> Polled<Bytes, BodyError> {
        let is_last = self.rest.len() <= self.piece_bytes_max && self.source.is_at_end();
        if is_last {
            ready!(self.poll_release(cx));
        }
        Poll::Ready(Some(Ok(self.give())))
    }

    fn give(&mut self) -> Frame<Bytes> {
        let length = self.rest.len().min(self.piece_bytes_max);
        let pace = self.mark.pace();
        pace.move_bytes(length);
        pace.viewer_is_waited_for();
        Frame::data(match length == self.rest.len() {
            true => std::mem::take(&mut self.rest),
            false => self.rest.split_to(length),
        })
    }
}

impl<M: Mark> Body for ResponseBody<M> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<Bytes, BodyError> {
        let this = self.get_mut();
        if this.rest.has_remaining() {
            return this.poll_give(cx);
        }
        let Source::Origin(body) = &mut this.source else {
            ready!(this.poll_release(cx));
            return Poll::Ready(None);
        };
        let Poll::Ready(frame) = body.poll_frame(cx) else {
            this.mark.pace().rests();
            return Poll::Pending;
        };
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    this.rest = data;
                    this.poll_give(cx)
                }
                Err(mut frame) => {
                    if let Some(trailers) = frame.trailers_mut() {
                        clean_trailers(trailers);
                    }
                    Poll::Ready(Some(Ok(frame)))
                }
            },
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => {
                this.source = Source::Memory;
                ready!(this.poll_release(cx));
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.source.is_at_end()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Memory => SizeHint::with_exact(self.rest.len() as u64),
            Source::Origin(body) => match body.incoming.size_hint().exact() {
                Some(exact) => SizeHint::with_exact(exact.saturating_add(self.rest.len() as u64)),
                None => SizeHint::default(),
            },
        }
    }
}

impl Source {
    fn is_at_end(&self) -> bool {
        match self {
            Self::Memory => true,
            Self::Origin(body) => body.trailers.is_none() && body.incoming.is_end_stream(),
        }
    }
}

/// Proof that a response was read to its end.
pub(super) struct ReadWhole(());

/// A response's body while it comes from the origin.
struct OriginBody {
    incoming: Incoming,
    /// Trailers that came before any data, and were not given yet.
    trailers: Option<Box<HeaderMap>>,
    /// Until the end of the body.
    exchange: Option<Exchange>,
    /// True if the viewer has taken all that came, so that silence is the origin's.
    waiting: bool,
    /// None for as long as the body comes without a wait.
    timer: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl OriginBody {
    fn new(incoming: Incoming, trailers: Option<Box<HeaderMap>>, exchange: Exchange) -> Self {
        let is_end = trailers.is_some() || incoming.is_end_stream();
        let mut body = Self {
            incoming,
            trailers,
            exchange: Some(exchange),
            waiting: false,
            timer: None,
        };
        if is_end {
            body.end();
        }
        body
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<Bytes, BodyError> {
        if let Some(trailers) = self.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(*trailers))));
        }
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
        match &frame {
            None => self.end(),
            // Nothing comes behind trailers, and who has them asks for no more.
            Some(Ok(frame)) if frame.is_trailers() || self.incoming.is_end_stream() => self.end(),
            Some(Ok(_)) => {}
            Some(Err(error)) => self.break_off(error),
        }
        Poll::Ready(frame)
    }

    /// Ready once nothing has moved for `origin_read_timeout`, counted from when the viewer began to wait.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(exchange) = &self.exchange else {
            return Poll::Pending;
        };
        if !std::mem::replace(&mut self.waiting, true) {
            exchange.wire.moved();
        }
        loop {
            let left = exchange.origin.read_timeout.saturating_sub(exchange.silence());
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

    fn end(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            exchange.end(ReadWhole(()));
        }
    }

    fn break_off(&mut self, error: &BodyError) {
        if let Some(exchange) = self.exchange.take()
            && let Some(untold) = exchange.pool.complain(Instant::now())
        {
            tracing::warn!(origin = &*exchange.origin.id, %error, untold, "a response of the origin broke off");
        }
    }
}

/// A frame of HTTP/2's ordinary size.
const PIECE_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::task::Waker;

    use http::{HeaderName, HeaderValue};
    use http_body_util::{BodyExt as _, Full};

    use super::super::upload::poll_data;
    use super::*;

    struct Unmarked(Pace);

    impl Mark for Unmarked {
        fn pace(&self) -> &Pace {
            &self.0
        }

        fn is_uploading(&self) -> bool {
            false
        }

        fn poll_release(&self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }

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

    #[test]
    fn a_body_for_http_2_is_in_pieces_the_same_body_and_counts_what_it_gives() {
        let bytes = Bytes::from(vec![7; 2 * PIECE_BYTES + 1]);
        let mut body = ResponseBody::memory(bytes.clone(), Unmarked(Pace::default())).for_http2();
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(body.size_hint().exact(), Some(bytes.len() as u64));
        let (mut lengths, mut all) = (Vec::new(), Vec::new());
        while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut cx) {
            let data = frame.into_data().expect("data");
            lengths.push(data.len());
            all.extend_from_slice(&data);
            assert!(body.mark.pace().waits_for_viewer());
        }
        assert_eq!(lengths, [PIECE_BYTES, PIECE_BYTES, 1]);
        assert!(all == bytes && body.is_end_stream());
        assert_eq!(body.mark.pace().moved(), bytes.len() as u64);
    }
}
