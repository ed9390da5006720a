//! Body of a response on its way to a viewer: streamed, never gathered, at the viewer's pace.
//!
//! Owns how much is given at a time, when the end may be told to a viewer that still sends its request, and
//! which trailers go on. Notes on the request's [`Mark`] whom the body waits for.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};

use super::fetched_body::{BodyError, FetchedBody, FetchedRest};
use super::hop_by_hop::clean_trailers;
use super::pace::Pace;
use super::request_body::Polled;
use super::upload_reader::UploadReader;

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
    Origin(FetchedRest<UploadReader>),
}

impl<M: Mark> ResponseBody<M> {
    /// A body that is there already.
    pub fn memory(bytes: Bytes, mark: M) -> Self {
        Self::new(Source::Memory, bytes, mark)
    }

    /// An origin's body.
    pub fn origin(body: FetchedBody<UploadReader>, mark: M) -> Self {
        let FetchedBody { first, mut rest } = body;
        rest.settle();
        let source = match first.is_empty() && rest.is_done() {
            true => Source::Memory,
            false => Source::Origin(rest),
        };
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
    fn poll_give(&mut self, cx: &mut Context<'_>) -> Polled<BodyError> {
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

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<BodyError> {
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
            Source::Origin(body) => body.size_hint(self.rest.len()),
        }
    }
}

impl Source {
    fn is_at_end(&self) -> bool {
        match self {
            Self::Memory => true,
            Self::Origin(body) => body.is_end_stream(),
        }
    }
}

/// A frame of HTTP/2's ordinary size.
const PIECE_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::task::Waker;

    use http::{HeaderMap, HeaderName, HeaderValue};
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
