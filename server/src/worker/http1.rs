//! HTTP/1.1 on one connection, from its first request to its last, and its rest in between.
//!
//! hyper keeps 16 KiB of buffers for each connection. One that has been quiet for a while gives them back: hyper's state is taken apart, and
//! made anew when the peer speaks, or when the core wants something of the connection.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bothways_config::Limits;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::HttpService;

use super::core::Core;
use super::drive::{Driven, drive};
use super::registry::Open;
use crate::runtime::SignalKind;
use crate::tls::{ServerSide, TlsStream};

/// HTTP/1.1 as every listener speaks it. Time limits are the tick's, not hyper's: a timer for each request costs.
pub(super) fn settings(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .half_close(false)
        .max_buf_size(limits.header_bytes_max.max(BUFFER_MIN));
    // hyper's own number has room on its stack; when it is told one, even that, the room is made for each
    // head.
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

/// What is left of HTTP on a connection between two requests: the stream, which comes first at what hyper has read ahead, and the service.
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
    // An empty one holds 8 KiB all the same.
    if !read_buf.is_empty() {
        stream.put_back(read_buf);
    }
    if stream.holds_bytes() {
        // So it does not rest again, and has header_timeout_ms for the rest of its head.
        open.activity.note_front();
    }
    (stream, service)
}

/// Ends when the peer has spoken or gone, or the core has something to say.
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

/// hyper's own maximum.
const HEADER_FIELDS_INLINE: usize = 100;
/// hyper's own minimum.
const BUFFER_MIN: usize = 8_192;
