//! A core's life: built on its own thread, accepting until told to drain, ending when its connections have.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Cache};

use super::attempt::{Attempt, record};
use super::balance::{Door, HandedOver, Neighbours, Place};
use super::census::{self, Census};
use super::outcome::Outcome;
use super::registry::{Hold, Phase, Registry};
use super::sweep::{self, SweepRequests};
use super::{connection, plain, tick};
use crate::admission::SessionVault;
use crate::config::Protocol;
use crate::functions;
use crate::http::{Edge, Refusals};
use crate::logs::{ConnectionIds, ConnectionRecord, RecordSender};
use crate::metrics::{CoreCounters, FailureCode, ShedReason};
use crate::origin::{OriginPool, Shares};
use crate::runtime::{
    CoreRuntime, Driver, DriverChoice, Listener, Mailbox, Signal, SignalKind, Stream, sleep, spawn_guarded,
    timeout,
};
use crate::snapshot::Snapshot;

/// What control asks of a core.
#[derive(Clone, Debug)]
pub enum CoreMessage {
    /// A new snapshot was published: close the connections whose clients it does not admit.
    Sweep,
    /// A new version of a function was published: have its engine ready.
    PrepareFunctions,
    /// Tell which clients are connected.
    Census(Arc<Census>),
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
    /// `None` where connections stay on the core that has accepted them.
    pub place: Option<Place>,
}

/// Everything on one core.
pub struct Core {
    /// From 0; the thread is named by it.
    pub index: usize,
    pub shared: Shared,
    pub counters: Arc<CoreCounters>,
    pub edge: Rc<Edge>,
    pub registry: Rc<Registry>,
    pub ids: RefCell<ConnectionIds>,
    pub sweeps: SweepRequests,
    neighbours: Option<Neighbours>,
    handshakes: Cell<usize>,
    /// Connections that have ended, each of which has freed memory.
    pub ended: Cell<u64>,
    /// Raised when something vital has panicked.
    broken: Signal,
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
        place,
    } = setup;
    let (neighbours, arrivals) = place.map(|place| (place.neighbours, place.arrivals)).unzip();
    let inbox = Inbox { mailbox, arrivals };
    let mut runtime = CoreRuntime::build(cpu, driver)?;
    let driver = runtime.driver();
    runtime.block_on(async move {
        let core = Rc::new(Core::new(index, shared, counters, neighbours));
        let listeners = core.listen(listeners)?;
        core.prepare_functions();
        started(driver);
        let ended = core.live(listeners, inbox).await;
        tracing::debug!(core = index, "drained");
        ended
    })
}

impl Core {
    fn new(
        index: usize,
        shared: Shared,
        counters: Arc<CoreCounters>,
        neighbours: Option<Neighbours>,
    ) -> Self {
        Self {
            index,
            snapshot: RefCell::new(Cache::new(shared.snapshot.clone())),
            edge: Rc::new(Edge {
                core: index,
                refusals: Refusals::default(),
                console: RefCell::default(),
                pool: Rc::new(OriginPool::new(counters.clone())),
                shares: Shares::default(),
                counters: counters.clone(),
                host_name: host_name(),
            }),
            registry: Rc::default(),
            ids: RefCell::default(),
            sweeps: SweepRequests::default(),
            neighbours,
            handshakes: Cell::new(0),
            ended: Cell::new(0),
            broken: Signal::default(),
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
            self.spawn_vital("the accept loop", accepting);
            listeners.push(listener);
        }
        Ok(listeners)
    }

    async fn live(self: &Rc<Self>, listeners: Vec<Rc<Listener>>, mut inbox: Inbox) -> io::Result<()> {
        self.spawn_vital("the tick", tick::tick(self.clone()));
        self.spawn_vital("the watch over expiry", sweep::expire(self.clone()));
        let broken = self.told_or_broken(&mut inbox).await;
        listeners.iter().for_each(|listener| listener.stop());
        // With its accept loop, each socket closes: from then on the kernel sends new clients to others.
        drop(listeners);
        let arriving = self.registry.hold();
        self.registry.drain();
        self.take_in_the_last(inbox.arrivals.as_mut()).await;
        drop(arriving);
        let limit = self.snapshot().limits.drain_timeout;
        if timeout(limit, self.registry.drained()).await.is_err() {
            self.cut().await;
        }
        match broken {
            false => Ok(()),
            true => Err(io::Error::other(
                "a task that the core cannot do without panicked",
            )),
        }
    }

    /// Serves the mailbox until the order to drain comes. Every sender gone means that control is gone, which is an
    /// order too. `true`: the core broke instead.
    async fn told_or_broken(self: &Rc<Self>, inbox: &mut Inbox) -> bool {
        loop {
            match self.next_event(inbox).await {
                Event::Told(Some(CoreMessage::Sweep)) => {
                    self.prepare_functions();
                    sweep::begin(self);
                }
                Event::Told(Some(CoreMessage::PrepareFunctions)) => self.prepare_functions(),
                Event::Told(Some(CoreMessage::Census(census))) => census::begin(self, census),
                Event::Told(Some(CoreMessage::Drain) | None) => return false,
                Event::Arrived(connection) => self.take_in(connection),
                Event::Broken => return true,
            }
        }
    }

    /// Takes in what other cores have handed over before they could know that this one drains. What they would hand over now comes back to
    /// them; who is in the middle of it has a few instructions to go, so this waits for no time worth a limit.
    async fn take_in_the_last(self: &Rc<Self>, arrivals: Option<&mut Mailbox<HandedOver>>) {
        let Some(arrivals) = arrivals else { return };
        arrivals.close();
        while let Some(connection) = arrivals.receive().await {
            self.take_in(connection);
        }
    }

    /// Makes the engines that are missing, a millisecond or two each, so that no client has to wait for one. Those of versions that
    /// have been changed or taken away are only memory now.
    fn prepare_functions(&self) {
        let live: Vec<_> = self.snapshot().functions.live().collect();
        functions::retire(|version| live.iter().any(|function| function.version() == version));
        live.iter().for_each(|function| function.warm());
    }

    async fn next_event(&self, inbox: &mut Inbox) -> Event {
        let mut told = pin!(inbox.mailbox.receive());
        let mut arrived = pin!(inbox.arrivals.as_mut().map(Mailbox::receive));
        poll_fn(|cx| {
            if let Poll::Ready(message) = told.as_mut().poll(cx) {
                return Poll::Ready(Event::Told(message));
            }
            let arrived = arrived.as_mut().as_pin_mut().map(|arrived| arrived.poll(cx));
            if let Some(Poll::Ready(Some(connection))) = arrived {
                return Poll::Ready(Event::Arrived(connection));
            }
            self.broken
                .poll_above(SignalKind::None, cx)
                .map(|_| Event::Broken)
        })
        .await
    }

    async fn cut(&self) {
        tracing::warn!(
            open = self.registry.len(),
            "drain_timeout_ms is over: closing what is open"
        );
        self.registry.close();
        if timeout(CLOSE_TIME, self.registry.drained()).await.is_err() {
            let lost = self.registry.len() as u64;
            tracing::error!(lost, "connections did not end; their records are lost");
            self.shared.records.count_lost(lost);
        }
    }

    /// Serves a connection that this core has accepted, or has another do it that holds noticeably fewer.
    fn welcome(self: &Rc<Self>, stream: Stream, peer: SocketAddr, entrance: Entrance) {
        let Some(door) = self.better_placed(entrance) else {
            return self.admit(stream, peer, entrance);
        };
        let connection = HandedOver {
            socket: stream.detach(),
            peer,
            entrance,
        };
        match door.hand_over(connection) {
            Ok(()) => self.counters.connections_handed_over.add(1),
            Err(come_back) => self.adopt(come_back),
        }
    }

    fn better_placed(&self, entrance: Entrance) -> Option<&Door> {
        // A plain connection is over after a word or two.
        let may_be_handed_over = entrance.protocol == Protocol::Https && !self.registry.is_draining();
        self.neighbours.as_ref().filter(|_| may_be_handed_over)?.choose()
    }

    /// Serves a connection that another core has accepted.
    fn take_in(self: &Rc<Self>, connection: HandedOver) {
        self.adopt(connection);
        if let Some(neighbours) = &self.neighbours {
            neighbours.arrived();
        }
    }

    fn adopt(self: &Rc<Self>, connection: HandedOver) {
        let HandedOver {
            socket,
            peer,
            entrance,
        } = connection;
        match socket.adopt() {
            Ok(stream) => self.admit(stream, peer, entrance),
            Err(error) => {
                self.counters.connections_accepted.add(1);
                let text = format!("closed at once: the core cannot take the socket over: {error}");
                let outcome = Outcome::failed(FailureCode::Internal, text);
                self.finish(record(self, peer, entrance.address.ip(), outcome));
            }
        }
    }

    fn admit(self: &Rc<Self>, stream: Stream, peer: SocketAddr, entrance: Entrance) {
        if entrance.protocol == Protocol::Https {
            // Each of these ends in a record; a plain connection, which is only told where to go, does not.
            self.counters.connections_accepted.add(1);
        }
        let full = self.registry.len() >= self.snapshot().limits.connections_per_core;
        match (full, entrance.protocol) {
            (true, protocol) => self.shed(&stream, peer, &entrance, protocol),
            (false, Protocol::Https) => {
                let attempt = Attempt::begin(self.clone(), peer, server_ip(&stream, &entrance));
                self.spawn(connection::serve(self.clone(), stream, peer, attempt));
            }
            (false, Protocol::Http) => {
                let entry = self.registry.enter(Phase::Plain);
                self.spawn(plain::serve(self.clone(), stream, entry, entrance.https_port));
            }
        }
    }

    /// The right to work on one more handshake, while it lives; `None` at `handshakes_per_core`.
    pub fn begin_handshake(self: &Rc<Self>) -> Option<Handshake> {
        let under_way = self.handshakes.get();
        if under_way >= self.snapshot().limits.handshakes_per_core {
            self.counters.shed.of(ShedReason::Handshakes).add(1);
            return None;
        }
        self.handshakes.set(under_way + 1);
        self.counters.handshakes_open.increment();
        Some(Handshake(self.clone()))
    }

    /// Runs what the core cannot do without: without its accept loops clients would hang in the queue, without its tick
    /// no limit would hold. Should it panic, the core drains and ends, and the process with it.
    pub fn spawn_vital(self: &Rc<Self>, what: &'static str, task: impl Future<Output = ()> + 'static) {
        let core = self.clone();
        spawn_guarded(task, move |message| {
            tracing::error!(what, message, "panicked; the core ends");
            core.broken.raise(SignalKind::Close);
        });
    }

    fn spawn(self: &Rc<Self>, connection: impl Future<Output = ()> + 'static) {
        let counters = self.counters.clone();
        spawn_guarded(connection, move |message| {
            counters.panics.add(1);
            tracing::error!(message, "a connection panicked; it was closed, the core goes on");
        });
    }

    fn shed(&self, stream: &Stream, peer: SocketAddr, entrance: &Entrance, protocol: Protocol) {
        self.counters.shed.of(ShedReason::Connections).add(1);
        if protocol == Protocol::Https {
            let text = "closed at once: connections_per_core is reached";
            let outcome = Outcome::failed(FailureCode::Internal, text);
            self.finish(record(self, peer, server_ip(stream, entrance), outcome));
        }
    }
}

/// The mark of a handshake in progress, from its first octet on: before that a client costs next to nothing.
pub struct Handshake(Rc<Core>);

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.handshakes.set(self.0.handshakes.get() - 1);
        self.0.counters.handshakes_open.decrement();
    }
}

/// What others have for a core.
struct Inbox {
    mailbox: Mailbox<CoreMessage>,
    arrivals: Option<Mailbox<HandedOver>>,
}

/// What a core does next, beside what its connections do.
enum Event {
    /// `None`: nobody is left who could tell it anything.
    Told(Option<CoreMessage>),
    Arrived(HandedOver),
    Broken,
}

/// Where a connection came in.
#[derive(Clone, Copy)]
pub struct Entrance {
    pub address: SocketAddr,
    pub protocol: Protocol,
    pub https_port: u16,
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
    let mut warned_at: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok(Some((stream, peer))) => core.welcome(stream, peer, entrance),
            Ok(None) => break,
            Err(error) => {
                if warned_at.is_none_or(|at| at.elapsed() >= ACCEPT_WARN_INTERVAL) {
                    warned_at = Some(Instant::now());
                    tracing::warn!(%error, address = %entrance.address, "cannot accept");
                }
                sleep(ACCEPT_RETRY).await;
            }
        }
    }
    let mut queued = std::iter::from_fn(|| listener.take_queued()).take(QUEUED_MAX);
    queued
        .by_ref()
        .for_each(|(stream, peer)| core.admit(stream, peer, entrance));
}

/// What `cf.edgeLocation` is called.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// After a failed accept (out of descriptors, most likely): long enough for a connection to end.
const ACCEPT_RETRY: Duration = Duration::from_millis(20);
/// Between two warnings of one listener.
const ACCEPT_WARN_INTERVAL: Duration = Duration::from_secs(5);
/// Connections taken from the queue when accepting has stopped: more than a listener's backlog holds.
const QUEUED_MAX: usize = 8_192;
/// For connections that were told to close to do so.
const CLOSE_TIME: Duration = Duration::from_secs(1);
