//! Exchange of one request and its answer on a connection to an origin, and the proof that the connection may
//! serve another request.
//!
//! An origin that answers before it has read the whole of a request may take what is left of it for a next
//! request: its answer to that would reach whichever client comes next (response queue poisoning). So a
//! connection goes back to the pool as a [`Spare`], and only two proofs together make one of a used
//! connection: the request had gone out whole when the origin began to speak ([`SentWhole`]), and the answer
//! was read to its end ([`ReadWhole`]).
//!
//! Not to be seen from here: an origin that answers without having read what had been sent whole. Its further
//! answer is noticed where it comes while the connection is idle, and costs it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;

use super::body::{ReadWhole, RequestBody};
use super::kinds::HttpOrigin;
use super::pool::OriginPool;
use super::wire::{SentWhole, Wire};

/// A connection on which nothing is under way, and nothing left over.
pub(super) struct Spare {
    sender: SendRequest<RequestBody>,
    wire: Rc<Wire>,
}

impl Spare {
    /// A connection that was just made: nobody has said anything on it.
    pub(super) fn fresh(sender: SendRequest<RequestBody>, wire: Rc<Wire>) -> Self {
        Self { sender, wire }
    }

    fn after(exchange: Exchange, _sent: SentWhole, _read: ReadWhole) -> Self {
        exchange.wire.rest();
        Self::fresh(exchange.sender, exchange.wire)
    }

    /// The connection for its next exchange.
    pub(super) fn take(self) -> (SendRequest<RequestBody>, Rc<Wire>) {
        (self.sender, self.wire)
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// True if a request can be sent on the connection now. Costs one system call where hyper says so.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready() && !self.wire.has_unasked_bytes()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

/// A connection in use. Dropped: closed. Ended: back in the pool, if everything was in order.
pub struct Exchange {
    pub(super) pool: Rc<OriginPool>,
    pub(super) origin: Arc<HttpOrigin>,
    pub(super) wire: Rc<Wire>,
    pub(super) sender: SendRequest<RequestBody>,
}

impl Exchange {
    /// The answer was read to its end.
    pub(super) fn end(self, read: ReadWhole) {
        if self.sender.is_closed() {
            return;
        }
        let (pool, origin) = (self.pool.clone(), self.origin.clone());
        match self.wire.sent_whole() {
            Some(sent) => {
                let spare = Spare::after(self, sent, read);
                pool.put(&origin.destination, spare, origin.keepalive_timeout);
            }
            None => pool.count_early_answer(),
        }
    }

    /// How long nothing has moved.
    pub(super) fn silence(&self) -> Duration {
        self.wire.moved_at().elapsed()
    }
}
