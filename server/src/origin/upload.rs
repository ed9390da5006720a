//! The body of a viewer's request, for whoever reads it: an origin first, and behind an answer nobody.
//!
//! Owns the state of such a body: whether somebody reads it, and how it has ended. An answer may come while
//! the viewer still sends; then the rest is read on (`upload_rest`). Over HTTP/2 the end of the answer waits
//! meanwhile ([`Upload::poll_lull`]): clients are known that read nothing more, not even WINDOW_UPDATE, once
//! they have the whole answer.
//! Does not own: framing (hyper), the viewer's time limits (`worker::tick`, by way of [`Upload::pace`]).

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bothways_config::Lingering;
use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;

use super::pace::Pace;
use super::request_body::Polled;
use crate::runtime::DuplexStats;

/// Body of one request.
#[derive(Clone)]
pub struct Upload(pub(super) Rc<Inner>);

pub(super) struct Inner {
    /// None once nobody may read it any more.
    pub(super) incoming: RefCell<Option<Incoming>>,
    pub(super) ended: Cell<Option<Ended>>,
    /// True if the viewer waits for 100 (Continue), which hyper sends when the body is first asked for.
    pub(super) awaits_continue: Cell<bool>,
    /// True while the body is on its way to an origin.
    pub(super) has_reader: Cell<bool>,
    pub(super) pace: Pace,
    /// True once, after the answer, the body has ended or nothing more of it has come for a moment.
    pub(super) has_lulled: Cell<bool>,
    pub(super) reader: Slot,
    pub(super) watcher: Slot,
    holder: Slot,
    /// Counts of the viewer's connection. They are told when the body has been read to its end.
    stats: Rc<DuplexStats>,
    pub(super) lingering: Lingering,
}

/// Ends of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Whole,
    /// The viewer broke off, or sent what is no body.
    Broken,
    /// The viewer was too slow.
    Late,
    /// It was thrown away.
    Discarded,
}

impl Upload {
    /// `None` where there is nothing to come. `awaits_continue`: the viewer sends nothing before it was told
    /// to.
    pub fn new(
        incoming: Incoming,
        awaits_continue: bool,
        stats: &Rc<DuplexStats>,
        lingering: Lingering,
    ) -> Option<Self> {
        if incoming.is_end_stream() {
            return None;
        }
        Some(Self(Rc::new(Inner {
            incoming: RefCell::new(Some(incoming)),
            ended: Cell::default(),
            awaits_continue: Cell::new(awaits_continue),
            has_reader: Cell::default(),
            pace: Pace::default(),
            has_lulled: Cell::default(),
            reader: Slot::default(),
            watcher: Slot::default(),
            holder: Slot::default(),
            stats: stats.clone(),
            lingering,
        })))
    }

    /// Length that is still to come, where the viewer has said it.
    pub fn exact_length(&self) -> Option<u64> {
        let incoming = self.0.incoming.borrow();
        incoming
            .as_ref()
            .and_then(|incoming| incoming.size_hint().exact())
    }

    /// The viewer's pace, for the tick.
    pub fn pace(&self) -> &Pace {
        &self.0.pace
    }

    /// True if nothing of the body is to come any more.
    pub fn is_over(&self) -> bool {
        let has_ended = || {
            self.0
                .incoming
                .borrow()
                .as_ref()
                .is_none_or(Incoming::is_end_stream)
        };
        self.0.ended.get().is_some() || has_ended()
    }

    /// True if the viewer broke off, or sent what is no body.
    pub(super) fn is_broken(&self) -> bool {
        self.0.ended.get() == Some(Ended::Broken)
    }

    /// True if the viewer was too slow.
    pub fn is_late(&self) -> bool {
        self.0.ended.get() == Some(Ended::Late)
    }

    /// True if the viewer has not been told to go on.
    pub fn awaits_continue(&self) -> bool {
        self.0.awaits_continue.get()
    }

    /// Ends it: the viewer was too slow.
    pub fn expire(&self) {
        if !self.is_over() {
            self.finish(Ended::Late);
        }
    }

    /// Ready when the end of the answer may be sent.
    pub fn poll_lull(&self, cx: &mut Context<'_>) -> Poll<()> {
        let is_discarded = self.0.ended.get() == Some(Ended::Discarded);
        if self.0.has_lulled.get() || (!is_discarded && self.is_over()) {
            return Poll::Ready(());
        }
        self.0.holder.set(cx);
        Poll::Pending
    }

    pub(super) fn lull(&self) {
        self.0.has_lulled.set(true);
        self.0.holder.wake();
    }

    pub(super) fn read_to_end(&self) {
        self.0.stats.linger.set(false);
        self.0.stats.settle();
    }

    pub(super) fn finish(&self, ended: Ended) {
        self.0.ended.set(Some(ended));
        self.0.pace.rests();
        if ended == Ended::Whole {
            self.read_to_end();
        }
        self.0.reader.wake();
        self.0.watcher.wake();
        self.0.holder.wake();
    }
}

/// The next frame with data. A viewer's trailers end here: no header rule has seen them, so they could carry
/// a forged identity to an origin that takes trailers for headers.
pub(super) fn poll_data<B: Body<Data = Bytes> + Unpin>(
    body: &mut B,
    cx: &mut Context<'_>,
) -> Polled<B::Error> {
    loop {
        match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            Some(Ok(frame)) if !frame.is_data() => {}
            other => return Poll::Ready(other),
        }
    }
}

/// A task to be woken.
#[derive(Default)]
pub(super) struct Slot(RefCell<Option<Waker>>);

impl Slot {
    pub(super) fn set(&self, cx: &Context<'_>) {
        let mut waker = self.0.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}
