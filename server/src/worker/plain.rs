//! A connection on a plain `http` listener: it is told to come back over https, or that it may not.

use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;

use bothways_config::Authority;
use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;

use super::core::Core;
use super::drive::drive;
use super::http1;
use super::registry::{Entry, Phase};
use crate::http::{Body, Refusal, authority, awaits_continue, redirect, refusal};
use crate::origin::{PlainStream, Upload};
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
        let mut response = answer(&core, &request, https_port);
        core.counters.count_request(response.status());
        let lingering = core.snapshot().limits.lingering();
        let awaits_continue = awaits_continue(request.version(), request.headers());
        if awaits_continue {
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let (stats, body) = (open.activity.stats(), request.into_body());
        let upload = Upload::new(body, awaits_continue, stats, lingering);
        let in_flight = open.activity.begin(upload);
        let response = response.map(|text| Body::memory(Bytes::from_static(text.as_bytes()), in_flight));
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let connection = pin!(http1::settings(&core.snapshot().limits).serve_connection(io, service));
    drive(connection, &open, &outbox, |connection| {
        connection.graceful_shutdown()
    })
    .await;
}

fn answer(core: &Core, request: &Request<Incoming>, https_port: u16) -> Response<&'static str> {
    let host = authority(request)
        .ok()
        .and_then(|text| Authority::parse(text).ok());
    let Some(host) = host else {
        return refusal(StatusCode::BAD_REQUEST);
    };
    let snapshot = core.snapshot();
    let Some(distribution) = snapshot.distribution_for(Some(&host.host)) else {
        return refusal(StatusCode::MISDIRECTED_REQUEST);
    };
    match distribution.site.behavior_for(request.uri().path()) {
        Ok(behavior) => redirect(request, &host, behavior.viewer_protocol_policy, https_port),
        Err(unroutable) => Refusal::from(unroutable).response(),
    }
}
