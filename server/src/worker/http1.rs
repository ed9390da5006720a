//! HTTP/1.1 on one connection, from its first request to its last, and its rest in between.
//!
//! hyper keeps 16 KiB of buffers for each connection. A connection that was quiet for a while gives them
//! back: hyper's state is taken apart, and made anew when the peer speaks or when the core wants something of
//! the connection. [`super::rest`] has the states.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bothways_config::{Limits, accepted};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::HttpService;

use super::core::Core;
use super::drive::{Driven, drive};
use super::registry::Open;
use crate::runtime::SignalKind;
use crate::tls::{ServerSide, TlsStream};

/// Settings of HTTP/1.1 on every listener. Time limits are those of the tick, not of hyper: a timer for each
/// request costs.
pub(super) fn settings(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .half_close(false)
        .max_buf_size(limits.header_bytes_max.max(BUFFER_MIN));
    // hyper has room for its own number of headers on the stack. Once it is told a number, be it the same, it
    // allocates that room for each head.
    if limits.header_fields_max != HEADER_FIELDS_INLINE {
        builder.max_headers(limits.header_fields_max);
    }
    builder
}

/// Serves `stream` to its end.
pub(super) async fn serve<S>(
    core: &Core,
    open: &Open,
    settings: http1::Builder,
    mut stream: Box<TlsStream<ServerSide>>,
    mut service: S,
) where
    S: HttpService<Incoming>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::ResBody: Body + 'static,
    <S::ResBody as Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let outbox = stream.outbox().clone();
    loop {
        let mut connection = Box::new(settings.serve_connection(stream, service));
        let driven = drive(Pin::new(&mut *connection), open, &outbox, |connection| {
            connection.graceful_shutdown()
        });
        if driven.await == Driven::Ended {
            return;
        }
        (stream, service) = taken_apart(*connection, open);
        core.counters.connection_rests.add(1);
        rest(open, &mut stream).await;
        open.rest.note_woken();
    }
}

/// Parts of HTTP that stay between two requests: the service, and the stream, which gives out first what
/// hyper has read ahead.
fn taken_apart<S>(
    connection: http1::Connection<Box<TlsStream<ServerSide>>, S>,
    open: &Open,
) -> (Box<TlsStream<ServerSide>>, S)
where
    S: HttpService<Incoming>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::ResBody: Body + 'static,
    <S::ResBody as Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let http1::Parts {
        io: mut stream,
        read_buf,
        service,
        ..
    } = connection.into_parts();
    // An empty one holds 8 KiB too; it is dropped here.
    if !read_buf.is_empty() {
        stream.put_back(read_buf);
    }
    if stream.holds_bytes() {
        // These bytes are the front of a head: the connection does not rest again before that is whole, and
        // has header_timeout_ms for it.
        open.activity.note_front();
    }
    (stream, service)
}

/// Waits until the peer has spoken or gone, or the core has something to say.
async fn rest(open: &Open, stream: &mut TlsStream<ServerSide>) {
    let mut seen = SignalKind::None;
    poll_fn(|cx| {
        if open.signal.follow(&mut seen, cx) > SignalKind::None {
            return Poll::Ready(());
        }
        let polled = stream.poll_readable(cx);
        stream.outbox().post(cx);
        polled
    })
    .await;
}

/// Headers for which hyper has room on its stack.
const HEADER_FIELDS_INLINE: usize = 100;
/// Least buffer that hyper takes.
const BUFFER_MIN: usize = 8_192;

const _: () = assert!(BUFFER_MIN as i64 <= *accepted::header_bytes_max.start());
