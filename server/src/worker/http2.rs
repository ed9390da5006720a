//! HTTP/2 on one connection, and the order in which its streams are answered.
//!
//! Owns the bounds of the protocol and how often hyper is polled in a row. Does not own the streams' answers
//! ([`super::streams`]), nor time limits ([`super::tick`]).

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bothways_config::Limits;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http2;
use hyper::service::HttpService;
use pin_project_lite::pin_project;

use super::drive::drive;
use super::registry::Open;
use super::streams::Streams;
use crate::http::Activity;
use crate::metrics::CoreCounters;
use crate::tls::{ServerSide, TlsStream};

/// Settings of hyper for one connection, and the place where hyper leaves that connection's streams.
pub(super) struct Settings {
    builder: http2::Builder<Streams>,
    streams: Streams,
}

impl Settings {
    /// Makes the settings that follow from `limits`.
    pub(super) fn new(limits: &Limits, activity: Rc<Activity>, counters: Arc<CoreCounters>) -> Self {
        let header_list = u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX);
        let streams = Streams::new(activity, counters);
        let mut builder = http2::Builder::new(streams.clone());
        builder
            .max_concurrent_streams(limits.streams_per_connection_max)
            .max_header_list_size(header_list)
            .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
            .max_local_error_reset_streams(LOCAL_RESETS_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(SEND_BYTES_MAX);
        Self { builder, streams }
    }
}

/// Serves `stream` to its end.
pub(super) async fn serve<S>(open: &Open, settings: Settings, stream: Box<TlsStream<ServerSide>>, service: S)
where
    S: HttpService<Incoming>,
    S::Future: 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::ResBody: Body + 'static,
    <S::ResBody as Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let outbox = stream.outbox().clone();
    let mut answering = Box::pin(Answering {
        connection: settings.builder.serve_connection(stream, service),
        streams: &settings.streams,
    });
    let driving = drive(answering.as_mut(), open, &outbox, |answering| {
        answering.project().connection.graceful_shutdown()
    });
    driving.await;
}

pin_project! {
    /// Connection of hyper, polled until each request that it has taken up had a turn and the answers are
    /// written.
    struct Answering<'a, C> {
        #[pin]
        connection: C,
        streams: &'a Streams,
    }
}

impl<C: Future> Future for Answering<'_, C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let mut this = self.project();
        for _ in 0..ROUNDS_MAX {
            let polled = this.connection.as_mut().poll(cx);
            if polled.is_ready() || !this.streams.answer() {
                return polled;
            }
        }
        // The client asks faster than it is answered: others have their turn now.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Times in one poll that hyper may take up requests. A ring brings no more bytes within a poll, but a socket
/// that is read at once (epoll) does.
const ROUNDS_MAX: usize = 16;
/// CVE-2023-44487 (rapid reset): streams reset before they were taken up, before the connection is ended.
const PENDING_RESETS_MAX: usize = 20;
/// CVE-2025-8671 (made you reset): streams that this side had to reset, before the connection is ended.
const LOCAL_RESETS_MAX: usize = 100;
/// Bytes that one stream may send ahead.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Bytes that all streams of a connection may send ahead together.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

// One stream that nobody reads must not hold up the others.
const _: () = assert!(STREAM_WINDOW_BYTES < CONNECTION_WINDOW_BYTES);

/// Bytes of a response that are kept while the window of its stream is closed.
const SEND_BYTES_MAX: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{poll_fn, ready};
    use std::pin::pin;
    use std::task::Waker;

    use hyper::rt::Executor;

    use super::*;

    fn streams() -> Streams {
        let activity = Activity::new(Rc::default(), Rc::default());
        Streams::new(Rc::new(activity), Arc::default())
    }

    fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn streams_are_answered_before_the_poll_is_over() {
        let (streams, polls) = (streams(), Cell::new(0));
        let connection = poll_fn(|_| {
            polls.set(polls.get() + 1);
            if polls.get() == 1 {
                (0..3).for_each(|_| streams.execute(ready(())));
            }
            Poll::<()>::Pending
        });
        let polled = poll_once(Answering {
            connection,
            streams: &streams,
        });
        // Once more for what the answers have left to be written.
        assert_eq!((polled, polls.get()), (Poll::Pending, 2));
    }

    #[test]
    fn a_client_that_never_stops_asking_does_not_keep_the_core() {
        let (streams, polls) = (streams(), Cell::new(0));
        let connection = poll_fn(|_| {
            polls.set(polls.get() + 1);
            streams.execute(ready(()));
            Poll::<()>::Pending
        });
        let polled = poll_once(Answering {
            connection,
            streams: &streams,
        });
        assert_eq!((polled, polls.get()), (Poll::Pending, ROUNDS_MAX));
    }
}
