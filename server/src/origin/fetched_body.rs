//! Body of a response on its way from an origin: streamed, timed, and the end of its connection's use.
//!
//! Owns how long the origin may be silent, and that the connection goes back to the pool once the body was
//! read to its end. A body that is dropped before closes its connection.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::incoming::IncomingBody;
use super::lease::Lease;
use super::request_body::{BodyStream, Polled};
use crate::runtime::sleep;

/// Body of a fetched response.
pub struct FetchedBody<S> {
    /// Data that came together with the head, as far as it was not given yet.
    pub(super) first: Bytes,
    pub(super) rest: FetchedRest<S>,
}

/// The part of a body that comes behind its head.
pub(super) struct FetchedRest<S> {
    incoming: IncomingBody,
    /// Until the end of the body.
    lease: Option<Lease<S>>,
    /// True if whoever asks has taken all that came, so that silence is the origin's.
    waiting: bool,
    /// None for as long as the body comes without a wait.
    timer: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

/// Reasons for which a response ends before its end.
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

impl<S> FetchedBody<S> {
    /// A body of which `first` came together with the head, over the connection of `lease`.
    pub(super) fn new(first: Bytes, incoming: IncomingBody, lease: Lease<S>) -> Self {
        let rest = FetchedRest {
            incoming,
            lease: Some(lease),
            waiting: false,
            timer: None,
        };
        Self { first, rest }
    }
}

impl<S: BodyStream> Body for FetchedBody<S> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<BodyError> {
        let this = self.get_mut();
        if !this.first.is_empty() {
            this.rest.settle();
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.first)))));
        }
        this.rest.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.rest.size_hint(self.first.len())
    }
}

impl<S: BodyStream> FetchedRest<S> {
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<BodyError> {
        let frame = match self.incoming.poll_frame(cx) {
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
            Some(Err(error)) => self.break_off(error),
            _ => self.settle(),
        }
        Poll::Ready(frame)
    }

    /// Gives the connection back if the body was read to its end.
    pub(super) fn settle(&mut self) {
        if let Some(read) = self.incoming.read_whole()
            && let Some(lease) = self.lease.take()
        {
            lease.end(read);
        }
    }

    /// True if the end has come, and nothing is left to give.
    pub(super) fn is_done(&self) -> bool {
        self.incoming.is_done()
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    /// Size of the rest together with `first` bytes before it.
    pub(super) fn size_hint(&self, first: usize) -> SizeHint {
        match self.incoming.size_hint().exact() {
            Some(exact) => SizeHint::with_exact(exact.saturating_add(first as u64)),
            None => SizeHint::default(),
        }
    }

    /// Ready once nothing has moved for `origin_read_timeout`, counted from when the reader began to wait.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Without a lease the body is over: nobody waits for the origin any more.
        let Some(lease) = &self.lease else {
            return Poll::Pending;
        };
        // Until now the reader was busy with what it had: that time is not the origin's silence.
        if !std::mem::replace(&mut self.waiting, true) {
            lease.wire.moved();
        }
        loop {
            // Asked anew each time: a timer for each byte that moves would cost more than one that is set
            // again when it has rung too early.
            let left = lease.origin.limits.read_timeout.saturating_sub(lease.silence());
            if left.is_zero() {
                return Poll::Ready(());
            }
            ready!(
                self.timer
                    .get_or_insert_with(|| Box::pin(sleep(left)))
                    .as_mut()
                    .poll(cx)
            );
            // It was set when an earlier byte had come, and rang too early if more have come since.
            self.timer = None;
        }
    }

    fn break_off(&mut self, error: &BodyError) {
        if let Some(lease) = self.lease.take() {
            let failure = "a response of the origin broke off";
            lease.pool.complain(&lease.origin, None, error, failure);
        }
    }
}
