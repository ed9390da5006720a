//! A connection to an origin on which nothing is under way, and the proofs that it takes to be one again.
//!
//! An origin that answers before it has read the whole of a request may take what is left of it for a next
//! request: its answer to that would reach whichever client comes next (response queue poisoning). So only
//! two proofs together make a spare connection of a used one: the request had gone out whole when the origin
//! began to speak ([`SentWhole`]), and the answer was read to its end ([`ReadWhole`]).
//!
//! Not to be seen from here: an origin that answers without having read what had been sent whole. Its further
//! answer is noticed where it comes while the connection is idle, and costs the origin that connection.

use std::rc::Rc;

use hyper::client::conn::http1::SendRequest;

use super::incoming::ReadWhole;
use super::request_body::{BodyStream, OutgoingBody};
use super::wire::{SentWhole, Wire};

/// A connection on which nothing is under way, and nothing left over.
pub(super) struct Spare<S> {
    sender: SendRequest<OutgoingBody<S>>,
    wire: Rc<Wire>,
}

impl<S> Spare<S> {
    /// A connection that was just made: nobody has said anything on it.
    pub(super) fn fresh(sender: SendRequest<OutgoingBody<S>>, wire: Rc<Wire>) -> Self {
        Self { sender, wire }
    }

    /// A connection that has carried a request and its answer.
    pub(super) fn used(
        sender: SendRequest<OutgoingBody<S>>,
        wire: Rc<Wire>,
        _proofs: (SentWhole, ReadWhole),
    ) -> Self {
        wire.rest();
        Self::fresh(sender, wire)
    }

    /// The connection for its next request.
    pub(super) fn take(self) -> (SendRequest<OutgoingBody<S>>, Rc<Wire>) {
        (self.sender, self.wire)
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }
}

impl<S: BodyStream> Spare<S> {
    /// True if a request can be sent on the connection now. Costs one system call where hyper says so.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready() && !self.wire.has_unasked_bytes()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}
