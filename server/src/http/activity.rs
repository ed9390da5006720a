//! What a connection's requests tell its core: how many are in flight, and since which byte none has been.
//!
//! Plain cells: a connection and its core share one thread. The core's tick reads them, so that no request pays for
//! a timer of its own.

use std::cell::Cell;
use std::rc::Rc;

use crate::runtime::DuplexStats;

/// One connection's requests.
pub struct Activity {
    in_flight: Cell<u32>,
    requests: Cell<u64>,
    /// Bytes received when the last response had ended: any byte beyond belongs to a next request's head.
    settled_bytes_in: Cell<u64>,
    /// The client is no longer admitted: it gets no further request answered.
    refused: Cell<bool>,
    stats: Rc<DuplexStats>,
}

impl Activity {
    /// No request yet; `stats` counts the same connection's bytes.
    pub fn new(stats: Rc<DuplexStats>) -> Self {
        Self {
            in_flight: Cell::new(0),
            requests: Cell::new(0),
            settled_bytes_in: Cell::new(stats.bytes_in.get()),
            refused: Cell::new(false),
            stats,
        }
    }

    /// A request has begun; it is in flight until the mark is dropped.
    pub fn begin(self: &Rc<Self>) -> InFlight {
        self.in_flight.set(self.in_flight.get() + 1);
        self.requests.set(self.requests.get() + 1);
        InFlight(self.clone())
    }

    /// Whether the request that begins now has a body still to be read. Until it is read to its end, or a next request
    /// begins, a close has to linger. Concurrent HTTP/2 requests share the mark: there it is only set in doubt.
    pub fn expect_body(&self, unread: bool) {
        if unread || !self.is_busy() {
            self.stats.linger.set(unread);
        }
    }

    /// The bytes of the same connection.
    pub fn stats(&self) -> &Rc<DuplexStats> {
        &self.stats
    }

    /// Requests begun so far.
    pub fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Requests being answered.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// Whether a request is being answered.
    pub fn is_busy(&self) -> bool {
        self.in_flight.get() > 0
    }

    /// Whether the last request has been answered and, as far as is known here, read to its end. An origin may answer before it has read
    /// the body, which then goes on behind the response.
    pub fn is_between_requests(&self) -> bool {
        !self.is_busy() && !self.stats.linger.get()
    }

    /// Whether bytes of a next request have come, but not yet its whole head. Meant for HTTP/1.
    pub fn is_head_pending(&self) -> bool {
        !self.is_busy() && self.stats.bytes_in.get() > self.settled_bytes_in.get()
    }

    /// From here on, no new request is served: an HTTP/2 client may open streams until it has heard the GOAWAY.
    pub fn refuse(&self) {
        self.refused.set(true);
    }

    /// Whether the client is no longer admitted.
    pub fn is_refused(&self) -> bool {
        self.refused.get()
    }

    /// Bytes moved in both directions.
    pub fn bytes_moved(&self) -> u64 {
        self.stats.bytes_in.get() + self.stats.bytes_out.get()
    }

    /// From here on, bytes count as a next request's. To be called when the handshake has ended.
    pub fn settle(&self) {
        self.settled_bytes_in.set(self.stats.bytes_in.get());
    }
}

/// The mark of a request in flight.
pub struct InFlight(Rc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
        self.0.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_pending_only_between_requests() {
        let stats = Rc::new(DuplexStats::default());
        let activity = Rc::new(Activity::new(stats.clone()));
        assert!(!activity.is_head_pending());
        stats.bytes_in.set(10);
        assert!(activity.is_head_pending());
        let request = activity.begin();
        assert!(activity.is_busy() && !activity.is_head_pending());
        drop(request);
        assert!(!activity.is_busy() && !activity.is_head_pending());
        assert_eq!(activity.requests(), 1);
    }

    #[test]
    fn an_unread_body_asks_for_lingering_until_the_next_request() {
        let stats = Rc::new(DuplexStats::default());
        let activity = Rc::new(Activity::new(stats.clone()));
        activity.expect_body(true);
        let first = activity.begin();
        assert!(stats.linger.get());
        activity.expect_body(false);
        assert!(stats.linger.get(), "another request's body may still be coming");
        drop(first);
        assert!(stats.linger.get() && !activity.is_between_requests());
        activity.expect_body(false);
        assert!(!stats.linger.get() && activity.is_between_requests());
    }
}
