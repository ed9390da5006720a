//! Life of one connection, top to bottom: handshake, requests, record.
//!
//! Owns the order of the parts and what the requests of a client are answered from. Does not own the parts:
//! the handshake ([`super::handshake`]), HTTP ([`super::http1`], [`super::http2`], [`crate::http`]), the
//! record ([`super::attempt`]), which is written when the attempt is dropped.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use hyper::service::service_fn;

use super::attempt::Attempt;
use super::core::Core;
use super::entrance::Entrance;
use super::grounds::Chosen;
use super::handshake::{Admitted, handshake};
use super::registry::{Open, Phase};
use super::{http1, http2};
use crate::admission::ClientPolicy;
use crate::http::{Viewer, ViewerFacts, respond};
use crate::logs::ConnectionId;
use crate::runtime::Stream;
use crate::snapshot::Snapshot;
use crate::tls::{ServerSide, TlsStream};

/// Begins with one client, in a task of its own.
pub(super) fn begin(core: &Rc<Core>, stream: Stream, peer: SocketAddr, entrance: Entrance) {
    let attempt = Attempt::begin(core.clone(), peer, entrance.server_ip(&stream));
    core.spawn(serve(core.clone(), stream, peer, attempt));
}

/// Serves one client to the end.
async fn serve(core: Rc<Core>, stream: Stream, peer: SocketAddr, mut attempt: Attempt) {
    let open = attempt.entry().open().clone();
    // Each part boxed: a connection then takes the room of what it is doing, not of all that it ever does.
    let handshake = Box::pin(handshake(&core, &open, stream, peer, &mut attempt));
    let parts = handshake.await.and_then(|admitted| parts(&core, &open, admitted));
    if let Some(parts) = parts {
        serve_http(&core, &open, parts).await;
    }
}

/// Parts of which HTTP on a connection is made.
struct HttpParts {
    stream: Box<TlsStream<ServerSide>>,
    viewer: Rc<Viewer>,
    snapshot: Arc<Snapshot>,
}

fn parts(core: &Core, open: &Open, admitted: Admitted) -> Option<HttpParts> {
    let Admitted {
        accepted,
        contact,
        server_ip,
    } = admitted;
    let chosen = accepted.chosen;
    let client_address = contact.client.ip().to_canonical();
    let viewer = Viewer {
        core: core.resources.clone(),
        site: chosen.distribution.site.clone(),
        client: accepted.client,
        client_address,
        share: Default::default(),
        client_ip: HeaderValue::try_from(client_address.to_string()).ok()?,
        activity: open.activity.clone(),
        facts: viewer_facts(contact.id, &chosen, server_ip),
        known_host: Default::default(),
    };
    Some(HttpParts {
        stream: accepted.stream,
        viewer: Rc::new(viewer),
        snapshot: chosen.snapshot,
    })
}

/// Facts about a connection that viewer functions are told.
fn viewer_facts(connection_id: ConnectionId, chosen: &Chosen, server_ip: Option<IpAddr>) -> ViewerFacts {
    let distribution = &chosen.distribution;
    ViewerFacts {
        connection_id,
        domain_name: match &distribution.domain_name {
            Some(name) => name.clone(),
            None => distribution.called(chosen.name.as_ref()).into(),
        },
        server_ip,
        asks_for_certificate: !matches!(distribution.client_policy, ClientPolicy::Off(_)),
        edge_location: Default::default(),
        id_text: Default::default(),
    }
}

/// Serves requests for as long as the connection lives. Not `async`, which would hold the snapshot for as
/// long, and with it trust stores and revocation sets of the past.
fn serve_http<'a>(
    core: &'a Core,
    open: &'a Open,
    parts: HttpParts,
) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
    let HttpParts {
        stream,
        viewer,
        snapshot,
    } = parts;
    let limits = &snapshot.limits;
    let service = service_fn(move |request| respond(&viewer, request));
    if stream.connection().alpn_protocol() == Some(b"h2") {
        open.phase.set(Phase::Http2);
        let settings = http2::Settings::new(limits, open.activity.clone(), core.counters.clone());
        Box::pin(http2::serve(open, settings, stream, service))
    } else {
        open.phase.set(Phase::Http1);
        Box::pin(http1::serve(core, open, http1::settings(limits), stream, service))
    }
}
