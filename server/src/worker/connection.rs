//! The life of one connection, top to bottom: handshake, requests, record.

use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;
use hyper::rt::Write as _;
use hyper::service::service_fn;

use super::attempt::Attempt;
use super::core::{Core, HandshakeSlot};
use super::drive::unless_closed;
use super::entrance::Entrance;
use super::grounds::{Chosen, Contact};
use super::outcome::Outcome;
use super::registry::{Open, Phase};
use super::sweep;
use super::{hearing, http1, http2};
use crate::admission::{
    self, Accepted, ClientPolicy, HandshakeErrorKind, HandshakeFacts, HandshakeNotes, Refusal,
};
use crate::config::HostName;
use crate::http::{Viewer, ViewerFacts, respond};
use crate::logs::ConnectionId;
use crate::metrics::MemoResult;
use crate::runtime::{Duplex, Stream, timeout};
use crate::snapshot::Snapshot;
use crate::tls::TlsStream;

/// Begins with one client, in a task of its own.
pub(super) fn begin(core: &Rc<Core>, stream: Stream, peer: SocketAddr, entrance: Entrance) {
    let attempt = Attempt::begin(core.clone(), peer, entrance.server_ip(&stream));
    core.spawn(serve(core.clone(), stream, peer, attempt));
}

/// Serves one client to the end.
async fn serve(core: Rc<Core>, stream: Stream, peer: SocketAddr, mut attempt: Attempt) {
    let open = attempt.entry().open().clone();
    // Each part boxed: a connection then takes the room of what it is doing, not of all that it ever does.
    let admitting = Box::pin(admit(&core, &open, stream, peer, &mut attempt));
    if let Some(admitted) = admitting.await {
        serve_http(&core, &open, admitted).await;
    }
}

/// A client that has come in, and what it is served.
struct Admitted {
    stream: Box<TlsStream>,
    viewer: Rc<Viewer>,
    snapshot: Arc<Snapshot>,
}

/// The handshake, to its end or to the end of what there is to say to a client that is refused.
async fn admit(
    core: &Rc<Core>,
    open: &Rc<Open>,
    stream: Stream,
    peer: SocketAddr,
    attempt: &mut Attempt,
) -> Option<Admitted> {
    let id = attempt.connection_id();
    let mut facts = HandshakeFacts::default();
    let mut notes = HandshakeNotes::default();
    let mut chosen: Option<Chosen> = None;
    let mut under_way: Option<HandshakeSlot> = None;
    // A system call, made only where somebody may ask.
    let is_asked_for = core.snapshot().functions.has_viewer_functions();
    let server_ip = is_asked_for
        .then(|| stream.local_addr().ok())
        .flatten()
        .map(|address| address.ip());

    let accepting = admission::accept(
        Duplex::new(stream, open.stats.clone()),
        &core.shared.vault,
        &mut facts,
        &mut notes,
        || {
            under_way = Some(core.begin_handshake().ok_or(Refusal::Busy)?);
            Ok(())
        },
        |host, sni| {
            let found = chosen.insert(choose(core, host).ok_or(Refusal::UnknownName)?);
            Ok(admission::Entrance {
                config: found.distribution.tls.clone(),
                gate: hearing::gate(core, id, peer.ip().to_canonical(), found, sni),
            })
        },
    );
    let limit = core.snapshot().limits.handshake_timeout;
    let handshake = unless_closed(open, pin!(timeout(limit, accepting))).await;
    drop(under_way);

    count_notes(core, &notes);
    if let Some(chosen) = &chosen {
        attempt.serve(&chosen.distribution);
    }
    if let Some(decision) = notes.candidate.take() {
        attempt.compare(decision);
    }
    attempt.remark(&mut notes);
    match (handshake, chosen) {
        (Some(Ok(Ok(accepted))), Some(chosen)) => {
            attempt.succeed(&accepted, facts);
            open.activity.settle();
            let contact = Contact {
                id,
                client: peer,
                since: SystemTime::now(),
            };
            if sweep::note_grounds(core, open, &chosen, &accepted.client, contact) {
                return admitted(core, open, chosen, accepted, peer, server_ip, id);
            }
            let mut stream = accepted.stream;
            let ending = poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx));
            // Whether or not the client hears it, it is closed.
            let _ended = timeout(sweep::CLOSE_GRACE, ending).await;
        }
        (Some(Ok(Err(error))), _) if matches!(error.kind, HandshakeErrorKind::Unused) => attempt.forget(),
        (Some(Ok(Err(error))), _) => {
            let outcome = Outcome::of_handshake(&error.kind, &facts, &notes);
            attempt.fail(outcome, facts, notes);
            if let Some(farewell) = error.farewell {
                unless_closed(open, pin!(farewell.say())).await;
            }
        }
        (Some(Err(_elapsed)), _) => attempt.fail(Outcome::timed_out(&facts), facts, notes),
        (None, _) => attempt.fail(Outcome::cut(), facts, notes),
        // `admission::accept` succeeds only with a chosen distribution's configuration; the attempt keeps its first outcome.
        (Some(Ok(Ok(_))), None) => debug_assert!(false, "a handshake without a distribution"),
    }
    None
}

/// The distribution for the host that a ClientHello names.
fn choose(core: &Core, host: Option<HostName>) -> Option<Chosen> {
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

fn admitted(
    core: &Core,
    open: &Open,
    chosen: Chosen,
    accepted: Accepted,
    peer: SocketAddr,
    server_ip: Option<IpAddr>,
    id: ConnectionId,
) -> Option<Admitted> {
    let viewer = Viewer {
        core: core.resources.clone(),
        site: chosen.distribution.site.clone(),
        client: accepted.client,
        client_address: peer.ip().to_canonical(),
        share: Default::default(),
        client_ip: HeaderValue::try_from(peer.ip().to_canonical().to_string()).ok()?,
        activity: open.activity.clone(),
        facts: viewer_facts(id, &chosen, server_ip),
        known_host: Default::default(),
    };
    Some(Admitted {
        stream: accepted.stream,
        viewer: Rc::new(viewer),
        snapshot: chosen.snapshot,
    })
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

/// Not `async`, which would hold the snapshot, and with it the trust stores and revocation sets of the past, for as long as the connection
/// lives.
fn serve_http<'a>(
    core: &'a Core,
    open: &'a Open,
    admitted: Admitted,
) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
    let Admitted {
        stream,
        viewer,
        snapshot,
    } = admitted;
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
