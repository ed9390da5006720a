//! Kept-alive connections to origins, of one core.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;

use super::body::RequestBody;

/// Idle connections kept for one origin; further ones are closed.
const IDLE_PER_ORIGIN_MAX: usize = 256;

/// The idle origin connections of a core, by `host:port`.
#[derive(Default)]
pub struct OriginPool {
    idle: RefCell<HashMap<Arc<str>, Vec<Idle>>>,
}

struct Idle {
    sender: SendRequest<RequestBody>,
    expires_at: Instant,
}

impl OriginPool {
    /// An idle connection that can take a request now, the most recently used first.
    pub fn take(&self, authority: &Arc<str>) -> Option<SendRequest<RequestBody>> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(authority)?;
        connections.retain(|connection| !connection.sender.is_closed());
        let ready = connections
            .iter()
            .rposition(|connection| connection.sender.is_ready())?;
        Some(connections.swap_remove(ready).sender)
    }

    /// Closes what has been idle for longer than its origin allows. Called from the core's tick.
    pub fn expire(&self, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|_, connections| {
            connections.retain(|connection| connection.expires_at > now && !connection.sender.is_closed());
            !connections.is_empty()
        });
    }

    fn put(&self, authority: Arc<str>, connection: Idle) {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.entry(authority).or_default();
        if connections.len() < IDLE_PER_ORIGIN_MAX {
            connections.push(connection);
        }
    }
}

/// A connection in use. Dropped: closed. Released: back in the pool.
pub struct Lease {
    pub(super) pool: Rc<OriginPool>,
    pub(super) authority: Arc<str>,
    pub(super) keepalive: Duration,
    pub(super) sender: SendRequest<RequestBody>,
}

impl Lease {
    pub(super) fn release(self) {
        if !self.sender.is_closed() {
            let idle = Idle {
                sender: self.sender,
                expires_at: Instant::now() + self.keepalive,
            };
            self.pool.put(self.authority, idle);
        }
    }
}
