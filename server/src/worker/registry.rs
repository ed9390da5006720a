//! Open connections of a core, for those that walk over all of them: tick, sweep, census, drain.
//!
//! Owns what each of them may read and set of a connection, and when a draining core has come to its end.
//! Plain cells: everything is on the core's own thread.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use slab::Slab;

use super::grounds::{Closing, Grounds};
use super::rest::Rest;
use crate::http::Activity;
use crate::metrics::CutReason;
use crate::runtime::{DuplexStats, Signal, SignalKind};

/// Phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// TLS, which has a timer of its own.
    Handshake,
    Http1,
    Http2,
    /// HTTP without TLS, on an `http` listener.
    Plain,
}

/// Connection that is open.
pub(super) struct Open {
    pub(super) signal: Rc<Signal>,
    pub(super) stats: Rc<DuplexStats>,
    pub(super) activity: Rc<Activity>,
    pub(super) phase: Cell<Phase>,
    pub(super) watch: Cell<Watch>,
    /// State of the buffers of HTTP between two requests.
    pub(super) rest: Rest,
    /// Set when the handshake has succeeded.
    pub(super) grounds: OnceCell<Grounds>,
    /// Set when the client is no longer admitted.
    pub(super) closing: OnceCell<Closing>,
    /// Set when a time limit has ended it.
    pub(super) cut: OnceCell<CutReason>,
}

/// Reason in the record of a connection that was cut.
pub(super) const fn reason_of(cut: CutReason) -> &'static str {
    match cut {
        CutReason::Head => "closed: a request's head was not complete within header_timeout_ms",
        CutReason::Response => {
            "closed: the client did not read a response, or not at body_bytes_per_s_min, \
             within idle_timeout_ms"
        }
        CutReason::Idle => "closed: nothing moved for idle_timeout_ms, and it did not end when asked to",
    }
}

/// Connection as the tick saw it last.
#[derive(Clone, Copy)]
pub(super) struct Watch {
    /// Time of that look.
    pub(super) looked_at: Instant,
    pub(super) bytes_moved: u64,
    pub(super) requests: u64,
    /// Time since which nothing has moved.
    pub(super) quiet_since: Instant,
    /// Time since which a request's head has been incomplete.
    pub(super) head_since: Option<Instant>,
}

impl Open {
    fn new(phase: Phase) -> Self {
        let stats = Rc::new(DuplexStats::default());
        let signal = Rc::new(Signal::default());
        let activity = Rc::new(Activity::new(stats.clone(), signal.clone()));
        let now = Instant::now();
        let watch = Watch {
            looked_at: now,
            bytes_moved: 0,
            requests: 0,
            quiet_since: now,
            head_since: None,
        };
        Self {
            signal,
            stats,
            activity,
            phase: Cell::new(phase),
            watch: Cell::new(watch),
            rest: Rest::default(),
            grounds: OnceCell::new(),
            closing: OnceCell::new(),
            cut: OnceCell::new(),
        }
    }
}

impl Open {
    /// True if it keeps buffers of HTTP that a quiet connection does not need.
    pub(super) fn may_rest(&self) -> bool {
        self.rest.is_awake() && self.activity.is_between_requests()
    }

    /// True if it was asked to finish and not yet told to close.
    pub(super) fn is_finishing(&self) -> bool {
        self.signal.kind() == SignalKind::Finish
    }
}

/// All open connections of a core.
#[derive(Default)]
pub(super) struct ConnectionRegistry {
    open: RefCell<Slab<Rc<Open>>>,
    draining: Cell<bool>,
    /// Accept loops that may still bring connections.
    held: Cell<usize>,
    empty: Signal,
}

impl ConnectionRegistry {
    /// Notes a new connection; it is forgotten when the entry is dropped.
    pub(super) fn enter(self: &Rc<Self>, phase: Phase) -> Entry {
        let open = Rc::new(Open::new(phase));
        let key = self.open.borrow_mut().insert(open.clone());
        if self.draining.get() {
            open.signal.raise(SignalKind::Drain);
        }
        Entry {
            registry: self.clone(),
            key,
            open,
        }
    }

    /// Keeps [`ConnectionRegistry::drained`] waiting while the hold lives.
    pub(super) fn hold(self: &Rc<Self>) -> Hold {
        self.held.set(self.held.get() + 1);
        Hold(self.clone())
    }

    /// Number of open connections.
    pub(super) fn len(&self) -> usize {
        self.open.borrow().len()
    }

    /// Up to `count` connections from slab position `from` on, and the position to go on from; `None` at the
    /// end.
    pub(super) fn slice(&self, from: usize, count: usize) -> (Vec<Rc<Open>>, Option<usize>) {
        let open = self.open.borrow();
        let end = from.saturating_add(count);
        let slice = (from..end).filter_map(|key| open.get(key).cloned()).collect();
        (slice, (end < open.capacity()).then_some(end))
    }

    /// Number of slab positions to look at. A connection keeps its position for life.
    pub(super) fn positions(&self) -> usize {
        self.open.borrow().capacity()
    }

    /// The connection at a slab position.
    pub(super) fn at(&self, position: usize) -> Option<Rc<Open>> {
        self.open.borrow().get(position).cloned()
    }

    /// Tells every connection, present and future, to finish.
    pub(super) fn drain(&self) {
        self.draining.set(true);
        self.raise(SignalKind::Drain);
        self.note_if_empty();
    }

    /// Tells every connection to end now.
    pub(super) fn close(&self) {
        self.raise(SignalKind::Close);
    }

    /// True once [`ConnectionRegistry::drain`] was called.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Ends once no connection is left after [`ConnectionRegistry::drain`].
    pub(super) async fn drained(&self) {
        std::future::poll_fn(|cx| self.empty.poll_above(SignalKind::None, cx)).await;
    }

    fn raise(&self, kind: SignalKind) {
        self.open
            .borrow()
            .iter()
            .for_each(|(_, open)| open.signal.raise(kind));
    }

    fn note_if_empty(&self) {
        if self.draining.get() && self.held.get() == 0 && self.open.borrow().is_empty() {
            self.empty.raise(SignalKind::Close);
        }
    }
}

/// Mark of an accept loop that has not ended.
pub(super) struct Hold(Rc<ConnectionRegistry>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.held.set(self.0.held.get() - 1);
        self.0.note_if_empty();
    }
}

/// Place of a connection in the registry, which it leaves when this is dropped.
pub(super) struct Entry {
    registry: Rc<ConnectionRegistry>,
    key: usize,
    open: Rc<Open>,
}

impl Entry {
    /// Connection in this place.
    pub(super) fn open(&self) -> &Rc<Open> {
        &self.open
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let left = self.registry.open.borrow_mut().try_remove(self.key);
        debug_assert!(left.is_some(), "an entry is removed once");
        self.registry.note_if_empty();
    }
}
