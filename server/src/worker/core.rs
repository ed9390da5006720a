//! A core's life: built on its own thread, accepting until told to drain, ending when its connections have.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};

use super::attempt::{Attempt, record};
use super::outcome::Outcome;
use super::registry::{Hold, Registry};
use super::{connection, plain, tick};
use crate::config::Protocol;
use crate::http::Edge;
use crate::logs::{ConnectionIds, ConnectionRecord, RecordSender};
use crate::metrics::{CoreCounters, FailureCode, ShedReason};
use crate::runtime::{
    CoreRuntime, Driver, DriverChoice, Listener, Mailbox, Stream, sleep, spawn_guarded, timeout,
};
use crate::snapshot::Snapshot;
use crate::tls::SessionVault;

/// What control asks of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreMessage {
    /// Stop accepting, finish what is open, end.
    Drain,
}

/// What all cores share.
#[derive(Clone)]
pub struct Shared {
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub vault: Arc<SessionVault>,
    pub records: RecordSender,
}

/// One socket of one core: bound and listening, all in core order before any core starts.
pub struct ListenerSetup {
    pub socket: TcpListener,
    pub address: SocketAddr,
    pub protocol: Protocol,
    /// Where `http` listeners send their clients.
    pub https_port: u16,
}

/// What a core is made of.
pub struct CoreSetup {
    pub index: usize,
    pub cpu: Option<usize>,
    pub driver: DriverChoice,
    pub shared: Shared,
    pub counters: Arc<CoreCounters>,
    pub listeners: Vec<ListenerSetup>,
    pub mailbox: Mailbox<CoreMessage>,
}

/// Everything on one core.
pub struct Core {
    pub shared: Shared,
    pub counters: Arc<CoreCounters>,
    pub edge: Rc<Edge>,
    pub registry: Rc<Registry>,
    pub ids: RefCell<ConnectionIds>,
    pub handshakes: Cell<usize>,
    snapshot: RefCell<Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>>,
}

/// Runs a core on the calling thread until it has drained. `started` hears which driver it got.
///
/// # Errors
/// The core could not be set up; nothing was accepted.
pub fn run(setup: CoreSetup, started: impl FnOnce(Driver)) -> io::Result<()> {
    let CoreSetup {
        index,
        cpu,
        driver,
        shared,
        counters,
        listeners,
        mailbox,
    } = setup;
    let mut runtime = CoreRuntime::build(cpu, driver)?;
    let driver = runtime.driver();
    runtime.block_on(async move {
        let core = Rc::new(Core::new(shared, counters));
        let listeners = core.listen(listeners)?;
        started(driver);
        core.live(&listeners, mailbox).await;
        tracing::debug!(core = index, "drained");
        Ok(())
    })
}

impl Core {
    fn new(shared: Shared, counters: Arc<CoreCounters>) -> Self {
        Self {
            snapshot: RefCell::new(Cache::new(shared.snapshot.clone())),
            edge: Rc::new(Edge {
                pool: Rc::default(),
                counters: counters.clone(),
            }),
            registry: Rc::default(),
            ids: RefCell::default(),
            handshakes: Cell::new(0),
            shared,
            counters,
        }
    }

    /// Today's snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.borrow_mut().load().clone()
    }

    /// Sends a finished record off and counts it.
    pub fn finish(&self, record: Box<ConnectionRecord>) {
        self.counters.connections.of(record.status).add(1);
        self.shared.records.send(record);
    }

    fn listen(self: &Rc<Self>, setups: Vec<ListenerSetup>) -> io::Result<Vec<Rc<Listener>>> {
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
            let accepting = accept(self.clone(), listener.clone(), entrance, self.registry.hold());
            spawn_guarded(accepting, |message| {
                tracing::error!(message, "an accept loop panicked")
            });
            listeners.push(listener);
        }
        Ok(listeners)
    }

    async fn live(self: &Rc<Self>, listeners: &[Rc<Listener>], mut mailbox: Mailbox<CoreMessage>) {
        spawn_guarded(tick::tick(self.clone()), |message| {
            tracing::error!(message, "the tick panicked")
        });
        // Every sender gone means that control is gone: drain as well.
        let _drain_either_way = mailbox.receive().await;
        listeners.iter().for_each(|listener| listener.stop());
        self.registry.drain();
        if timeout(self.snapshot().limits.drain_timeout, self.registry.drained())
            .await
            .is_err()
        {
            tracing::warn!(
                open = self.registry.len(),
                "drain_timeout_ms is over: closing what is open"
            );
            self.registry.close();
            let _ended_or_abandoned = timeout(CLOSE_TIME, self.registry.drained()).await;
        }
    }

    fn admit(self: &Rc<Self>, stream: Stream, peer: SocketAddr, entrance: Entrance) {
        if entrance.protocol == Protocol::Https {
            // Each of these ends in a record; a plain connection, which is only told where to go, does not.
            self.counters.connections_accepted.add(1);
        }
        let snapshot = self.snapshot();
        let limits = &snapshot.limits;
        let shed = if self.registry.len() >= limits.connections_per_core {
            Some(ShedReason::Connections)
        } else if self.handshakes.get() >= limits.handshakes_per_core {
            Some(ShedReason::Handshakes)
        } else {
            None
        };
        match (shed, entrance.protocol) {
            (Some(reason), protocol) => self.shed(&stream, peer, &entrance, reason, protocol),
            (None, Protocol::Https) => {
                let attempt = Attempt::begin(self.clone(), peer, server_ip(&stream, &entrance));
                self.spawn(connection::serve(self.clone(), stream, peer, attempt));
            }
            (None, Protocol::Http) => self.spawn(plain::serve(self.clone(), stream, entrance.https_port)),
        }
    }

    fn spawn(self: &Rc<Self>, connection: impl Future<Output = ()> + 'static) {
        let counters = self.counters.clone();
        spawn_guarded(connection, move |message| {
            counters.panics.add(1);
            tracing::error!(message, "a connection panicked; it was closed, the core goes on");
        });
    }

    fn shed(
        &self,
        stream: &Stream,
        peer: SocketAddr,
        entrance: &Entrance,
        reason: ShedReason,
        protocol: Protocol,
    ) {
        self.counters.shed.of(reason).add(1);
        if protocol == Protocol::Http {
            return;
        }
        let text = match reason {
            ShedReason::Connections => "closed at once: connections_per_core is reached",
            ShedReason::Handshakes => "closed at once: handshakes_per_core is reached",
        };
        let outcome = Outcome::failed(FailureCode::Internal, text);
        self.finish(record(self, peer, server_ip(stream, entrance), outcome));
    }
}

/// Where a connection came in.
#[derive(Clone, Copy)]
struct Entrance {
    address: SocketAddr,
    protocol: Protocol,
    https_port: u16,
}

/// The address that the client connected to: known for a bound socket, asked for where one listens on all.
fn server_ip(stream: &Stream, entrance: &Entrance) -> IpAddr {
    let bound = entrance.address.ip();
    if !bound.is_unspecified() {
        return bound;
    }
    stream
        .local_addr()
        .map_or(bound, |address| address.ip().to_canonical())
}

/// Accepts until stopped, then takes what was queued meanwhile: closing the socket over it would reset those clients.
async fn accept(core: Rc<Core>, listener: Rc<Listener>, entrance: Entrance, _until_done: Hold) {
    loop {
        match listener.accept().await {
            Ok(Some((stream, peer))) => core.admit(stream, peer, entrance),
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(%error, address = %entrance.address, "cannot accept");
                sleep(ACCEPT_RETRY).await;
            }
        }
    }
    while let Some((stream, peer)) = listener.take_queued() {
        core.admit(stream, peer, entrance);
    }
}

/// After a failed accept (out of descriptors, most likely): long enough for a connection to end.
const ACCEPT_RETRY: Duration = Duration::from_millis(20);
/// For connections that were told to close to do so.
const CLOSE_TIME: Duration = Duration::from_secs(1);
