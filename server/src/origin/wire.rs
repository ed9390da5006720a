//! Facts about an origin's connection, learnt from its bytes: whether the request has gone out whole, and
//! whether the origin has spoken.
//!
//! The socket ([`OriginStream`]) and the request's body write these facts down; whoever waits for the answer
//! reads them. hyper knows all of this as well and tells none of it. Runs on the core that owns the
//! connection.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use hyper::rt::{Read, ReadBufCursor, Write};

use super::greeting::Greeting;
use super::plain::PlainStream;
use super::share::Taken;
use crate::runtime::{Duplex, Peephole, Unread};

/// Connection to an origin, as its bytes show it.
pub(super) struct Wire {
    peer: SocketAddr,
    peephole: Peephole,
    request: Cell<Progress>,
    /// Share of the client whose request it is, until the connection is idle again or gone.
    share: RefCell<Option<Rc<Taken>>>,
    has_body: Cell<bool>,
    /// True if the origin spoke before the request had gone out whole.
    is_early: Cell<bool>,
    /// Protocol of the first bytes that the origin ever sent here. Unset: it has sent none. None: neither
    /// HTTP/2 nor TLS.
    greeting: OnceCell<Option<Greeting>>,
    /// True if the origin has spoken since the request began.
    has_spoken: Cell<bool>,
    /// True once the origin has spoken on the idle connection. Never false again.
    is_unasked: Cell<bool>,
    /// True once the connection has ended or broken.
    is_over: Cell<bool>,
    moved_at: Cell<Instant>,
}

/// Progress of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// There is none: the connection is idle.
    Idle,
    /// Its body has not ended.
    Going,
    /// hyper holds the end of it.
    HandedOver,
    /// The kernel has all of it.
    Sent,
}

/// Proof that a request went out whole before the origin said anything in answer.
pub(super) struct SentWhole(());

impl Wire {
    /// Wire of `io`, which leads to `peer`.
    pub(super) fn new(io: &Duplex, peer: SocketAddr) -> Self {
        Self {
            peer,
            peephole: io.outbox().peephole(),
            request: Cell::new(Progress::Idle),
            share: RefCell::default(),
            has_body: Cell::default(),
            is_early: Cell::default(),
            greeting: OnceCell::new(),
            has_spoken: Cell::default(),
            is_unasked: Cell::default(),
            is_over: Cell::default(),
            moved_at: Cell::new(Instant::now()),
        }
    }

    /// The address that it leads to.
    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Notes that a request is about to be sent. It is part of `share`, which is held until the connection is
    /// idle again or gone.
    pub(super) fn begin(&self, has_body: bool, share: Option<&Rc<Taken>>) {
        self.share.replace(share.cloned());
        self.request.set(match has_body {
            true => Progress::Going,
            false => Progress::HandedOver,
        });
        self.has_body.set(has_body);
        self.is_early.set(false);
        self.has_spoken.set(false);
        self.moved();
    }

    /// Notes that the exchange was in order, and that none is under way.
    pub(super) fn rest(&self) {
        self.request.set(Progress::Idle);
        self.share.take();
    }

    /// Notes that hyper has taken the end of the request's body.
    pub(super) fn handed_over(&self) {
        if self.request.get() == Progress::Going {
            self.request.set(Progress::HandedOver);
        }
    }

    /// Notes that a byte of this exchange has moved, in either direction.
    pub(super) fn moved(&self) {
        self.moved_at.set(Instant::now());
    }

    /// Time at which a byte last moved.
    pub(super) fn moved_at(&self) -> Instant {
        self.moved_at.get()
    }

    /// The proof, if the exchange has been so; asked for when the answer has ended.
    pub(super) fn sent_whole(&self) -> Option<SentWhole> {
        let is_sent = self.request.get() == Progress::Sent;
        (is_sent && !self.is_early.get()).then_some(SentWhole(()))
    }

    /// True if the origin has said anything since the request began.
    pub(super) fn has_spoken(&self) -> bool {
        self.has_spoken.get()
    }

    /// The protocol that the origin speaks, where it is another than ours.
    pub(super) fn greeting(&self) -> Option<Greeting> {
        self.greeting.get().copied().flatten()
    }

    /// True if the connection has ended or broken.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// True if the kernel has bytes of the origin's, or an end, that hyper has not seen. Costs one system
    /// call.
    pub(super) fn has_unasked_bytes(&self) -> bool {
        let unread = self.peephole.look();
        let is_unasked = unread == Unread::Bytes && self.request.get() == Progress::Idle;
        self.is_unasked.set(self.is_unasked.get() || is_unasked);
        unread != Unread::Nothing
    }

    /// True if the origin has said something that nobody asked for.
    pub(super) fn is_unasked(&self) -> bool {
        self.is_unasked.get()
    }

    /// The last of a request with a body is about to be sent: what the kernel already has from the origin
    /// came before.
    fn look_before_the_last(&self) {
        let is_last = self.request.get() == Progress::HandedOver && self.has_body.get();
        if is_last && !self.is_early.get() && self.has_unasked_bytes() {
            self.is_early.set(true);
        }
    }

    fn flushed(&self) {
        if self.request.get() == Progress::HandedOver {
            self.request.set(Progress::Sent);
        }
    }

    fn heard(&self, octets: &[u8]) {
        self.greeting.get_or_init(|| Greeting::of(octets));
        match self.request.get() {
            Progress::Idle => self.is_unasked.set(true),
            Progress::Going | Progress::HandedOver => self.is_early.set(true),
            Progress::Sent => {}
        }
        self.has_spoken.set(true);
        self.moved();
    }
}

/// An origin's socket in hyper's hands.
pub(super) struct OriginStream {
    plain: PlainStream,
    wire: Rc<Wire>,
}

impl OriginStream {
    /// `io`, whose bytes are written down in `wire`.
    pub(super) fn new(io: Duplex, wire: Rc<Wire>) -> Self {
        let plain = PlainStream(io);
        Self { plain, wire }
    }
}

impl Read for OriginStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { plain, wire } = self.get_mut();
        let heard = |octets: &[u8]| {
            if !octets.is_empty() {
                wire.heard(octets);
            }
        };
        let taken = match ready!(plain.poll_take(cx, &mut cursor, heard)) {
            Ok(taken) => taken,
            Err(error) => {
                wire.is_over.set(true);
                return Poll::Ready(Err(error));
            }
        };
        if taken == 0 && cursor.remaining() > 0 {
            wire.is_over.set(true);
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for OriginStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { plain, wire } = self.get_mut();
        wire.look_before_the_last();
        let written = ready!(Pin::new(plain).poll_write(cx, bytes));
        wire.is_over.set(wire.is_over.get() || written.is_err());
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { plain, wire } = self.get_mut();
        let flushed = ready!(Pin::new(plain).poll_flush(cx));
        match &flushed {
            Ok(()) => wire.flushed(),
            Err(_) => wire.is_over.set(true),
        }
        Poll::Ready(flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().plain).poll_shutdown(cx)
    }
}
