//! A connection on a plain `http` listener: it is told to come back over https, or that it may not.

use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;

use super::core::Core;
use super::drive::drive;
use super::http1;
use super::registry::{Entry, Phase};
use crate::http::redirect;
use crate::origin::PlainStream;
use crate::runtime::{Duplex, Stream};

/// Begins with one client of an `http` listener, in a task of its own. It leaves no record: the connection
/// log is about TLS connections.
pub(super) fn begin(core: &Rc<Core>, stream: Stream, https_port: u16) {
    let entry = core.registry.enter(Phase::Plain);
    core.spawn(serve(core.clone(), stream, entry, https_port));
}

async fn serve(core: Rc<Core>, stream: Stream, entry: Entry, https_port: u16) {
    let open = entry.open().clone();
    let io = PlainStream(Duplex::new(stream, open.stats.clone()));
    let outbox = io.0.outbox().clone();
    let service = service_fn(|request: Request<Incoming>| {
        let response = redirect(
            &core.resources,
            &open.activity,
            &core.snapshot(),
            https_port,
            request,
        );
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let connection = pin!(http1::settings(&core.snapshot().limits).serve_connection(io, service));
    drive(connection, &open, &outbox, |connection| {
        connection.graceful_shutdown()
    })
    .await;
}
