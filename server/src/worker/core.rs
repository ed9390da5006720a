//! State of one core, and what every part of it does with that state.
//!
//! Owns the values that live as long as the core, the way of a record to its queue, the count of handshakes,
//! and how tasks are spawned. Does not own the core's life ([`super::life`]), nor what its connections do.
//! Everything here stays on the core's own thread.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::{ArcSwap, Cache};

use super::balance::Neighbours;
use super::registry::ConnectionRegistry;
use crate::admission::SessionVault;
use crate::http::{CoreResources, Refusals};
use crate::logs::{ConnectionIds, ConnectionRecord, RecordSender};
use crate::metrics::{CoreCounters, ShedReason};
use crate::origin::{OriginPool, Shares};
use crate::runtime::{Signal, SignalKind, spawn_guarded};
use crate::snapshot::Snapshot;

/// Values that all cores share.
#[derive(Clone)]
pub struct Shared {
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub vault: Arc<SessionVault>,
    pub records: RecordSender,
}

/// State of one core.
pub(super) struct Core {
    /// Number of the core, from 0; its thread is named by it.
    pub(super) index: usize,
    pub(super) shared: Shared,
    pub(super) counters: Arc<CoreCounters>,
    pub(super) resources: Rc<CoreResources>,
    pub(super) registry: Rc<ConnectionRegistry>,
    pub(super) ids: RefCell<ConnectionIds>,
    pub(super) sweeps: SweepRequests,
    /// `None` where connections stay on the core that has accepted them.
    pub(super) neighbours: Option<Neighbours>,
    /// Connections that have ended, each of which has freed memory.
    pub(super) ended: Cell<u64>,
    handshakes: Cell<usize>,
    /// Raised when something vital has panicked.
    broken: Signal,
    snapshot: RefCell<Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>>,
}

/// Marks of the walks over all connections ([`super::sweep`]).
#[derive(Default)]
pub(super) struct SweepRequests {
    /// A walk is to follow.
    pub(super) wanted: Cell<bool>,
    /// A walk is going on.
    pub(super) walking: Cell<bool>,
}

impl Core {
    pub(super) fn new(
        index: usize,
        shared: Shared,
        counters: Arc<CoreCounters>,
        neighbours: Option<Neighbours>,
    ) -> Self {
        Self {
            index,
            snapshot: RefCell::new(Cache::new(shared.snapshot.clone())),
            resources: Rc::new(CoreResources {
                index,
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
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.borrow_mut().load().clone()
    }

    /// Counts a finished record by its status and sends it off.
    pub(super) fn finish(&self, record: Box<ConnectionRecord>) {
        self.counters.connections.of(record.status).add(1);
        self.shared.records.send(record);
    }

    /// Takes one of the `handshakes_per_core` slots; `None` where all are taken.
    pub(super) fn begin_handshake(self: &Rc<Self>) -> Option<HandshakeSlot> {
        let under_way = self.handshakes.get();
        if under_way >= self.snapshot().limits.handshakes_per_core {
            self.counters.shed.of(ShedReason::Handshakes).add(1);
            return None;
        }
        self.handshakes.set(under_way + 1);
        self.counters.handshakes_open.increment();
        Some(HandshakeSlot(self.clone()))
    }

    /// Spawns a task that the core cannot do without. Without an accept loop clients would hang in the queue;
    /// without the tick no time limit would hold. If it panics, the core drains and ends, and the process
    /// with it.
    pub(super) fn spawn_vital(self: &Rc<Self>, what: &'static str, task: impl Future<Output = ()> + 'static) {
        let core = self.clone();
        spawn_guarded(task, move |message| {
            tracing::error!(what, message, "panicked; the core ends");
            core.broken.raise(SignalKind::Close);
        });
    }

    /// Spawns the task of one connection. If it panics, that connection alone ends.
    pub(super) fn spawn(self: &Rc<Self>, connection: impl Future<Output = ()> + 'static) {
        let counters = self.counters.clone();
        spawn_guarded(connection, move |message| {
            counters.panics.add(1);
            tracing::error!(message, "a connection panicked; it was closed, the core goes on");
        });
    }

    /// Ready once a vital task has panicked.
    pub(super) fn poll_broken(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.broken.poll_above(SignalKind::None, cx).map(|_| ())
    }
}

/// Slot of a handshake in progress, from its first octet on: before that a client costs next to nothing.
pub(super) struct HandshakeSlot(Rc<Core>);

impl Drop for HandshakeSlot {
    fn drop(&mut self) {
        self.0.handshakes.set(self.0.handshakes.get() - 1);
        self.0.counters.handshakes_open.decrement();
    }
}

/// Name of this machine, which viewer functions see as `cf.edgeLocation`.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
