//! A connection to an origin while it carries a request and its answer.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;

use super::incoming::ReadWhole;
use super::kinds::HttpOrigin;
use super::pool::Pool;
use super::request_body::{BodyStream, OutgoingBody};
use super::spare::Spare;
use super::wire::Wire;

/// A connection in use. Dropped: closed. Ended: back in the pool, if everything was in order.
pub(super) struct Lease<S> {
    pub(super) pool: Rc<Pool<S>>,
    pub(super) origin: Arc<HttpOrigin>,
    pub(super) wire: Rc<Wire>,
    pub(super) sender: SendRequest<OutgoingBody<S>>,
}

impl<S: BodyStream> Lease<S> {
    /// The answer was read to its end.
    pub(super) fn end(self, read: ReadWhole) {
        if self.sender.is_closed() {
            return;
        }
        let Self {
            pool,
            origin,
            wire,
            sender,
        } = self;
        match wire.sent_whole() {
            Some(sent) => pool.put(&origin, Spare::used(sender, wire, (sent, read))),
            None => pool.count_early_answer(),
        }
    }

    /// Time for which nothing has moved.
    pub(super) fn silence(&self) -> Duration {
        self.wire.moved_at().elapsed()
    }
}
