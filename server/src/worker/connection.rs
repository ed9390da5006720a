//! The life of one connection, top to bottom: handshake, requests, record.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use hyper::rt::Write as _;
use hyper::service::service_fn;

use super::attempt::Attempt;
use super::core::{Core, Handshake};
use super::drive::unless_closed;
use super::outcome::Outcome;
use super::registry::{Open, Phase};
use super::sweep;
use super::{hearing, http1, http2};
use crate::config::HostName;
use crate::http::{Viewer, ViewerFacts, respond};
use crate::logs::ConnectionId;
use crate::metrics::MemoResult;
use crate::runtime::{Duplex, Stream, timeout};
use crate::snapshot::{Distribution, Snapshot};
use crate::tls::{self, Accepted, ClientPolicy, Entrance, HandshakeFacts, HandshakeNotes, Refusal};

/// Serves one client from accept to close.
pub async fn serve(core: Rc<Core>, stream: Stream, peer: SocketAddr, mut attempt: Attempt) {
    let (id, open) = (attempt.connection_id(), attempt.entry().open().clone());
    let mut facts = HandshakeFacts::default();
    let mut notes = HandshakeNotes::default();
    let mut chosen: Option<Chosen> = None;
    let mut under_way: Option<Handshake> = None;
    // A system call, made only where somebody may ask.
    let is_asked_for = core.snapshot().functions.has_viewer_functions();
    let server_ip = is_asked_for
        .then(|| stream.local_addr().ok())
        .flatten()
        .map(|address| address.ip());

    let accepting = tls::accept(
        Duplex::new(stream, open.stats.clone()),
        &core.shared.vault,
        &mut facts,
        &mut notes,
        |name| {
            let found = chosen.insert(choose(&core, name).ok_or(Refusal::UnknownName)?);
            under_way = Some(core.begin_handshake().ok_or(Refusal::Busy)?);
            Ok(Entrance {
                config: found.distribution.tls.clone(),
                gate: hearing::gate(&core, id, peer.ip().to_canonical(), found, name),
            })
        },
    );
    let limit = core.snapshot().limits.handshake_timeout;
    // Boxed, as HTTP is below: a connection then takes the room of what it is doing, not of all that it ever does.
    let handshake = unless_closed(&open, Box::pin(timeout(limit, accepting))).await;
    drop(under_way);

    count_notes(&core, &notes);
    if let Some(chosen) = &chosen {
        attempt.serve(&chosen.distribution.id);
    }
    if let Some(decision) = notes.candidate.take() {
        attempt.compare(decision);
    }
    attempt.remark(&mut notes);
    match (handshake, chosen) {
        (Some(Ok(Ok(accepted))), Some(chosen)) => {
            attempt.succeed(&accepted, facts);
            open.activity.settle();
            if !sweep::admit(&core, &open, &chosen, &accepted.client) {
                let mut stream = accepted.stream;
                let ending = poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx));
                // Whether or not the client hears it, it is closed.
                let _ended = Box::pin(timeout(sweep::CLOSE_GRACE, ending)).await;
                return;
            }
            let facts = viewer_facts(id, &chosen, server_ip);
            Box::pin(serve_http(&core, &open, chosen, accepted, peer, facts)).await;
        }
        (Some(Ok(Err(error))), _) => {
            let outcome = Outcome::of_handshake(&error.kind, &facts, &notes);
            attempt.fail(outcome, facts, notes);
            if let Some(farewell) = error.farewell {
                unless_closed(&open, Box::pin(farewell.say())).await;
            }
        }
        (Some(Err(_elapsed)), _) => attempt.fail(Outcome::timed_out(&facts), facts, notes),
        (None, _) => attempt.fail(Outcome::cut(), facts, notes),
        // `tls::accept` succeeds only with a chosen distribution's configuration; the attempt keeps its first outcome.
        (Some(Ok(Ok(_))), None) => debug_assert!(false, "a handshake without a distribution"),
    }
}

/// What a ClientHello's name led to, under the snapshot of that moment.
pub struct Chosen {
    /// What the client called us.
    pub name: Option<HostName>,
    pub snapshot: Arc<Snapshot>,
    pub distribution: Arc<Distribution>,
}

/// The distribution for a ClientHello's name. A name that is no host name gets none, not the default.
fn choose(core: &Core, name: Option<&str>) -> Option<Chosen> {
    let host = name.map(HostName::parse).transpose().ok()?;
    let snapshot = core.snapshot();
    let distribution = snapshot.distribution_for(host.as_ref())?.clone();
    Some(Chosen {
        name: host,
        snapshot,
        distribution,
    })
}

fn count_notes(core: &Core, notes: &HandshakeNotes) {
    let counters = &core.counters;
    if let Some(memo) = notes.memo {
        let result = if memo.hit {
            MemoResult::Hit
        } else {
            MemoResult::Miss
        };
        counters.verdicts.of(result).add(1);
        counters.verdicts_evicted.add(memo.evicted as u64);
    }
    counters.tickets_issued.add(u64::from(notes.issued.is_some()));
    counters.tickets_redeemed.add(u64::from(notes.tickets_redeemed));
    for reason in &notes.declined {
        counters.tickets_declined.of(*reason).add(1);
    }
}

/// What viewer functions are told about a connection.
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

async fn serve_http(
    core: &Rc<Core>,
    open: &Rc<Open>,
    chosen: Chosen,
    accepted: Accepted,
    peer: SocketAddr,
    facts: ViewerFacts,
) {
    let site = chosen.distribution.site.clone();
    let is_http2 = accepted.stream.connection().alpn_protocol() == Some(b"h2");
    let Ok(client_ip) = HeaderValue::try_from(peer.ip().to_canonical().to_string()) else {
        return;
    };
    let http1 = http1::settings(&chosen.snapshot.limits);
    let http2 = http2::Settings::new(&chosen.snapshot.limits, core.counters.clone());
    // From here on nothing of this connection keeps a trust store or a revocation set of an old snapshot in memory.
    drop(chosen);
    let viewer = Rc::new(Viewer {
        edge: core.edge.clone(),
        site,
        client: accepted.client,
        client_ip,
        activity: open.activity.clone(),
        facts,
        known_host: Default::default(),
    });
    let service = service_fn(move |request| respond(&viewer, request));
    if is_http2 {
        open.phase.set(Phase::Http2);
        http2::serve(open, &http2, accepted.stream, service).await;
    } else {
        open.phase.set(Phase::Http1);
        http1::serve(core, open, &http1, accepted.stream, service).await;
    }
}
