//! Body of a response as it comes from a connection: its beginning, its end, and the proof of the end.
//!
//! Owns one look at what came together with the head, which never waits: a response that streams (server-sent
//! events) begins with its head alone, and that goes on at once. In return a body that is broken from its
//! first octet on is told as such, and not as a response that broke off.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::request_body::Polled;

/// A response's body behind the data that came together with the head.
pub(super) struct IncomingBody {
    incoming: Incoming,
    /// Trailers that came before any data, and were not given yet.
    trailers: Option<Box<HeaderMap>>,
    /// The end has come, or trailers, behind which nothing comes.
    is_over: bool,
}

/// Proof that a response was read to its end.
pub(super) struct ReadWhole(());

impl IncomingBody {
    /// Takes the data that is there.
    ///
    /// # Errors
    /// The part that is there is no body, or not all of the body will come.
    pub(super) async fn look(mut incoming: Incoming) -> Result<(Bytes, Self), hyper::Error> {
        // The task that reads the connection goes on to the body in the turn in which it has read the head.
        let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut incoming).poll_frame(cx))).await;
        let (mut data, mut trailers, mut is_over) = (Bytes::new(), None, false);
        match polled {
            Poll::Pending => {}
            Poll::Ready(None) => is_over = true,
            Poll::Ready(Some(frame)) => match frame?.into_data() {
                Ok(first) => data = first,
                Err(frame) => {
                    trailers = frame.into_trailers().ok().map(Box::new);
                    is_over = true;
                }
            },
        }
        let body = Self {
            incoming,
            trailers,
            is_over,
        };
        Ok((data, body))
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<hyper::Error> {
        if let Some(trailers) = self.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(*trailers))));
        }
        if self.is_over {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        self.is_over = match &frame {
            None => true,
            // Whoever has the trailers asks for no more.
            Some(Ok(frame)) => frame.is_trailers(),
            Some(Err(_)) => false,
        };
        Poll::Ready(frame)
    }

    /// The proof, if there is nothing left to read.
    pub(super) fn read_whole(&self) -> Option<ReadWhole> {
        (self.is_over || self.incoming.is_end_stream()).then_some(ReadWhole(()))
    }

    /// True if the end has come, and nothing is left to give.
    pub(super) fn is_done(&self) -> bool {
        self.is_over && self.trailers.is_none()
    }

    /// True if nothing is left to give, as far as that is known without another look.
    pub(super) fn is_end_stream(&self) -> bool {
        self.trailers.is_none() && self.incoming.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
