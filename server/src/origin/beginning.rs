//! The beginning of a response's body, where it came together with the head: looked at before the head is
//! passed on.
//!
//! Owns one look, which never waits: a response that streams (server-sent events) begins with its head alone,
//! and that goes on at once. In return a body that is broken from its first octet on is told as such (502),
//! and not as a response that broke off.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use http_body::{Body as _, Frame};
use hyper::body::Incoming;

/// A response's body of which the first bytes may have been taken already.
pub struct Beginning {
    pub(super) incoming: Incoming,
    pub(super) first: First,
}

/// Part of the body that was there when the head had come.
pub(super) enum First {
    /// Nothing yet.
    Nothing,
    /// Data, or the trailers of a body without data.
    Frame(Frame<Bytes>),
    /// The end: there is no body.
    End,
}

impl Beginning {
    /// Takes what is there.
    ///
    /// # Errors
    /// The part that is there is no body, or not all of the body will come.
    pub(super) async fn look(mut incoming: Incoming) -> Result<Self, hyper::Error> {
        // The task that reads the connection goes on to the body in the turn in which it has read the head.
        let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut incoming).poll_frame(cx))).await;
        let first = match polled {
            Poll::Pending => First::Nothing,
            Poll::Ready(None) => First::End,
            Poll::Ready(Some(frame)) => First::Frame(frame?),
        };
        Ok(Self { incoming, first })
    }
}
