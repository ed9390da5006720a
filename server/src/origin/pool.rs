//! The connections of one core to its origins: the idle ones, and how many there are.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::Display;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::complaints::Complaints;
use super::destination::Destination;
use super::kinds::HttpOrigin;
use super::request_body::BodyStream;
use super::spare::Spare;
use crate::metrics::{CoreCounters, OriginFault};

/// Idle connections kept for one origin; further ones are closed.
const IDLE_PER_ORIGIN_MAX: usize = 256;

/// A core's connections, by destination. Those to addresses that a destination has no more are not given out,
/// and closed.
pub struct Pool<S> {
    destinations: RefCell<HashMap<Arc<Destination>, Connections<S>>>,
    complaints: Complaints,
    counters: Arc<CoreCounters>,
}

struct Connections<S> {
    idle: Vec<Idle<S>>,
    /// Idle, in use, being made and being closed.
    open: Rc<Cell<usize>>,
}

struct Idle<S> {
    spare: Spare<S>,
    expires_at: Instant,
}

impl<S: BodyStream> Pool<S> {
    /// A pool without connections.
    pub fn new(counters: Arc<CoreCounters>) -> Self {
        Self {
            destinations: RefCell::default(),
            complaints: Complaints::new(),
            counters,
        }
    }

    /// An idle connection that can take a request now, the most recently used first. One on which the origin
    /// has said something that nobody asked for is not given out: that would be read as the answer.
    pub(super) fn take(&self, destination: &Destination, now: Instant) -> Option<Spare<S>> {
        let mut destinations = self.destinations.borrow_mut();
        let idle = &mut destinations.get_mut(destination)?.idle;
        idle.retain(|connection| self.is_good(connection, destination, now));
        let ready = idle.iter().rposition(|connection| connection.spare.is_ready())?;
        Some(idle.swap_remove(ready).spare)
    }

    /// Room for one more connection to `destination`, unless it has `connections_max` of them.
    pub(super) fn room(&self, destination: &Arc<Destination>, connections_max: usize) -> Option<Room> {
        let mut destinations = self.destinations.borrow_mut();
        let open = &destinations.entry(destination.clone()).or_default().open;
        (open.get() < connections_max).then(|| Room::take(open))
    }

    /// Closes what has been idle for longer than its origin allows, and tells of failures that were not told
    /// one by one. Called from the core's tick.
    pub fn expire(&self, now: Instant) {
        self.destinations.borrow_mut().retain(|destination, connections| {
            connections
                .idle
                .retain(|connection| self.is_good(connection, destination, now));
            !connections.idle.is_empty() || connections.open.get() > 0
        });
        self.complaints.tell_remainder(now);
    }

    /// Notes that `origin` failed, and tells it to the operator in the words `failure`, but seldom.
    pub fn complain(
        &self,
        origin: &HttpOrigin,
        distribution: Option<&str>,
        error: &impl Display,
        failure: &str,
    ) {
        self.complaints.note(origin, distribution, error, failure);
    }

    /// Notes that a connection was given up, because its origin has answered before it had the whole request.
    pub(super) fn count_early_answer(&self) {
        self.counters.origin_faults.of(OriginFault::EarlyAnswer).add(1);
    }

    pub(super) fn put(&self, origin: &HttpOrigin, spare: Spare<S>) {
        let mut destinations = self.destinations.borrow_mut();
        let idle = &mut destinations.entry(origin.destination.clone()).or_default().idle;
        if idle.len() < IDLE_PER_ORIGIN_MAX {
            let expires_at = Instant::now() + origin.limits.keepalive_timeout;
            idle.push(Idle { spare, expires_at });
        }
    }

    /// True if the connection may be given out. This includes that it leads to where the origin is today.
    fn is_good(&self, connection: &Idle<S>, destination: &Destination, now: Instant) -> bool {
        let wire = connection.spare.wire();
        let is_unasked = wire.is_unasked();
        if is_unasked {
            self.counters.origin_faults.of(OriginFault::UnaskedBytes).add(1);
        }
        let is_there = destination.addresses().contains(wire.peer());
        !is_unasked && is_there && connection.expires_at > now && !connection.spare.is_closed()
    }
}

impl<S> Default for Connections<S> {
    fn default() -> Self {
        let (idle, open) = (Vec::new(), Rc::default());
        Self { idle, open }
    }
}

/// The place of one connection among those that its origin may have. Lives as long as the connection's
/// socket.
pub(super) struct Room(Rc<Cell<usize>>);

impl Room {
    fn take(open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Self(open.clone())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
