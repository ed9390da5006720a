//! Way of a socket into a core: accepted, handed over to another core or taken on here, served as a task.
//!
//! Owns the accept loops and the decision what becomes of each socket, in the order of this file. Does not
//! own which core should have it ([`super::balance`]), nor anything after its task was spawned
//! ([`super::connection`], [`super::plain`]). Nothing here waits for a client.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bothways_config::Protocol;

use super::attempt::close_at_once;
use super::balance::{CoreLink, HandedOver};
use super::core::Core;
use super::entrance::{Entrance, ListenerSetup};
use super::registry::Hold;
use super::{connection, plain};
use crate::logs::Throttle;
use crate::metrics::ShedReason;
use crate::runtime::{Listener, Stream, sleep};

/// Begins to accept on every listener of `core`.
pub(super) fn listen(core: &Rc<Core>, setups: Vec<ListenerSetup>) -> io::Result<Vec<Rc<Listener>>> {
    let mut listeners = Vec::with_capacity(setups.len());
    for ListenerSetup {
        socket,
        address,
        protocol,
        https_port,
    } in setups
    {
        let listener = Rc::new(Listener::adopt(socket)?);
        let entrance = Entrance {
            address,
            protocol,
            https_port,
        };
        let accepting = accept(core.clone(), listener.clone(), entrance, core.registry.hold());
        core.spawn_vital("the accept loop", accepting);
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Accepts until stopped, then takes what was queued meanwhile: closing the socket over it would reset those
/// clients.
async fn accept(core: Rc<Core>, listener: Rc<Listener>, entrance: Entrance, _until_done: Hold) {
    let mut warnings = Throttle::every(ACCEPT_WARN_INTERVAL);
    loop {
        match listener.accept().await {
            Ok(Some((stream, peer))) => welcome(&core, stream, peer, entrance),
            Ok(None) => break,
            Err(error) => {
                if warnings.note(Instant::now()).is_some() {
                    tracing::warn!(%error, address = %entrance.address, "cannot accept");
                }
                sleep(ACCEPT_RETRY).await;
            }
        }
    }
    let queued = std::iter::from_fn(|| listener.take_queued()).take(QUEUED_MAX);
    queued.for_each(|(stream, peer)| take_on(&core, stream, peer, entrance));
}

/// Takes on a connection that this core has accepted, or hands it over to a core that holds noticeably fewer.
fn welcome(core: &Rc<Core>, stream: Stream, peer: SocketAddr, entrance: Entrance) {
    let Some(link) = better_placed(core, entrance) else {
        return take_on(core, stream, peer, entrance);
    };
    let connection = HandedOver {
        socket: stream.detach(),
        peer,
        entrance,
    };
    match link.hand_over(connection) {
        Ok(()) => core.counters.connections_handed_over.add(1),
        Err(come_back) => adopt(core, come_back),
    }
}

fn better_placed(core: &Core, entrance: Entrance) -> Option<&CoreLink> {
    // A plain connection is over after a word or two.
    let may_be_handed_over = entrance.protocol == Protocol::Https && !core.registry.is_draining();
    core.neighbours.as_ref().filter(|_| may_be_handed_over)?.choose()
}

/// Takes in a connection that another core has accepted and handed over.
pub(super) fn take_in(core: &Rc<Core>, connection: HandedOver) {
    adopt(core, connection);
    if let Some(neighbours) = &core.neighbours {
        neighbours.arrived();
    }
}

fn adopt(core: &Rc<Core>, connection: HandedOver) {
    let HandedOver {
        socket,
        peer,
        entrance,
    } = connection;
    match socket.adopt() {
        Ok(stream) => take_on(core, stream, peer, entrance),
        Err(error) => {
            core.counters.connections_accepted.add(1);
            let why = format!("closed at once: the core cannot take the socket over: {error}");
            close_at_once(core, peer, entrance.address.ip(), why.into());
        }
    }
}

/// Takes on a connection, or sheds it where `connections_per_core` are open.
fn take_on(core: &Rc<Core>, stream: Stream, peer: SocketAddr, entrance: Entrance) {
    if entrance.protocol == Protocol::Https {
        // Each of these ends in a record; a plain connection, which is only told where to go, does not.
        core.counters.connections_accepted.add(1);
    }
    if core.registry.len() >= core.snapshot().limits.connections_per_core {
        return shed(core, &stream, peer, entrance);
    }
    match entrance.protocol {
        Protocol::Https => connection::begin(core, stream, peer, entrance),
        Protocol::Http => plain::begin(core, stream, entrance.https_port),
    }
}

fn shed(core: &Core, stream: &Stream, peer: SocketAddr, entrance: Entrance) {
    core.counters.shed.of(ShedReason::Connections).add(1);
    if entrance.protocol == Protocol::Https {
        let why = "closed at once: connections_per_core is reached";
        close_at_once(core, peer, entrance.server_ip(stream), why.into());
    }
}

/// Pause after a failed accept (out of descriptors, most likely): long enough for a connection to end.
const ACCEPT_RETRY: Duration = Duration::from_millis(20);
/// Time between two warnings of one listener.
const ACCEPT_WARN_INTERVAL: Duration = Duration::from_secs(5);
/// Connections taken from the queue when accepting has stopped: more than a listener's backlog holds.
pub const QUEUED_MAX: usize = 8_192;
