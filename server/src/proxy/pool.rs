//! The connections of one core to its origins: the idle ones, and how many there are.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use hyper::client::conn::http1::SendRequest;

use super::body::{Progress, RequestBody};
use super::complaint::Complaint;
use super::origin::HttpOrigin;

/// Idle connections kept for one origin; further ones are closed.
const IDLE_PER_ORIGIN_MAX: usize = 256;

/// A core's connections, by origin: the same authority at the same addresses. A reload that moves an origin therefore
/// leaves the connections to where it was behind, and they expire.
#[derive(Default)]
pub struct OriginPool {
    origins: RefCell<HashMap<Arc<HttpOrigin>, Connections>>,
    complaint: RefCell<Complaint>,
}

#[derive(Default)]
struct Connections {
    idle: Vec<Idle>,
    /// Idle, in use, being made and being closed.
    open: Rc<Cell<usize>>,
}

struct Idle {
    sender: SendRequest<RequestBody>,
    expires_at: Instant,
}

impl OriginPool {
    /// An idle connection that can take a request now, the most recently used first.
    pub(super) fn take(&self, origin: &HttpOrigin, now: Instant) -> Option<SendRequest<RequestBody>> {
        let mut origins = self.origins.borrow_mut();
        let idle = &mut origins.get_mut(origin)?.idle;
        idle.retain(|connection| connection.is_good(now));
        let ready = idle.iter().rposition(|connection| connection.sender.is_ready())?;
        Some(idle.swap_remove(ready).sender)
    }

    /// Room for one more connection to `origin`, unless it has `connections_max` of them.
    pub(super) fn room(&self, origin: &Arc<HttpOrigin>, connections_max: usize) -> Option<Room> {
        let mut origins = self.origins.borrow_mut();
        let open = &origins.entry(origin.clone()).or_default().open;
        (open.get() < connections_max).then(|| Room::take(open))
    }

    /// Closes what has been idle for longer than its origin allows, and tells of failures that were not told one by
    /// one. Called from the core's tick.
    pub fn expire(&self, now: Instant) {
        self.origins.borrow_mut().retain(|_, connections| {
            connections.idle.retain(|connection| connection.is_good(now));
            !connections.idle.is_empty() || connections.open.get() > 0
        });
        if let Some(untold) = self.complaint.borrow_mut().remainder(now) {
            tracing::warn!(untold, "further responses of origins failed");
        }
    }

    /// Notes that an origin failed. If that is to be told now: how many failures before it were not.
    pub fn complain(&self, now: Instant) -> Option<u64> {
        self.complaint.borrow_mut().note(now)
    }

    fn put(&self, origin: Arc<HttpOrigin>, connection: Idle) {
        let mut origins = self.origins.borrow_mut();
        let idle = &mut origins.entry(origin).or_default().idle;
        if idle.len() < IDLE_PER_ORIGIN_MAX {
            idle.push(connection);
        }
    }
}

impl Idle {
    fn is_good(&self, now: Instant) -> bool {
        self.expires_at > now && !self.sender.is_closed()
    }
}

/// The place of one connection among those that its origin may have. Lives as long as the connection's socket.
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

/// A connection in use. Dropped: closed. Released: back in the pool.
pub struct Lease {
    pub(super) pool: Rc<OriginPool>,
    pub(super) origin: Arc<HttpOrigin>,
    pub(super) progress: Rc<Progress>,
    pub(super) sender: SendRequest<RequestBody>,
}

impl Lease {
    pub(super) fn release(self) {
        if !self.sender.is_closed() {
            let idle = Idle {
                sender: self.sender,
                expires_at: Instant::now() + self.origin.keepalive_timeout,
            };
            self.pool.put(self.origin, idle);
        }
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
