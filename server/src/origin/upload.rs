//! The body of a viewer's request, for whoever reads it: an origin first, and behind an answer nobody.
//!
//! Owns how such a body ends. An answer may come while the viewer still sends: closing then (or RST_STREAM)
//! would destroy the answer for every client that sends first and reads later. So what an answer leaves
//! unread is read on and thrown away, within [`Lingering`] (RFC 9112 §9.6, RFC 9113 §8.1). An origin that
//! goes on reading behind its own answer gets the rest as long as it takes it. Over HTTP/2 the end of the
//! answer waits meanwhile ([`Upload::poll_lull`]): clients are known that read nothing more, not even
//! WINDOW_UPDATE, once they have the whole answer.
//! Does not own: framing (hyper), the viewer's time limits (`worker::tick`, by way of [`Upload::pace`]).

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bothways_config::Lingering;
use bytes::Bytes;
use http_body::{Body, SizeHint};
use hyper::body::Incoming;

use super::body::Polled;
use super::pace::Pace;
use crate::runtime::{DuplexStats, sleep, timeout};

/// Body of one request.
#[derive(Clone)]
pub struct Upload(Rc<Inner>);

struct Inner {
    /// None once nobody may read it any more.
    incoming: RefCell<Option<Incoming>>,
    ended: Cell<Option<Ended>>,
    /// True if the viewer waits for 100 (Continue), which hyper sends when the body is first asked for.
    awaits_continue: Cell<bool>,
    /// True while the body is on its way to an origin.
    has_reader: Cell<bool>,
    pace: Pace,
    /// Behind its answer: it has ended, or nothing more has come for a moment.
    has_lulled: Cell<bool>,
    reader: Slot,
    watcher: Slot,
    holder: Slot,
    /// Counts of the viewer's connection. They are told when the body has been read to its end.
    stats: Rc<DuplexStats>,
    lingering: Lingering,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Whole,
    /// The viewer broke off, or sent what is no body.
    Broken,
    /// The viewer was too slow.
    Late,
    /// It was thrown away.
    Discarded,
}

/// Why a request's body did not come to its end.
#[derive(Debug)]
pub enum UploadError {
    Viewer(hyper::Error),
    Late,
    Discarded,
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Viewer(error) => error.fmt(f),
            Self::Late => f.write_str("the viewer sends too slowly"),
            Self::Discarded => f.write_str("the answer came before its end"),
        }
    }
}

impl std::error::Error for UploadError {}

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
    pub fn is_broken(&self) -> bool {
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

    /// Gives it to an origin.
    pub(super) fn read(&self) -> Reader {
        self.0.has_reader.set(true);
        Reader(self.clone())
    }

    /// Handles the rest of the body once the request has been answered: the rest is read by its origin, or is
    /// read and thrown away.
    pub async fn leave(self) {
        self.until_nobody_reads().await;
        self.discard().await;
    }

    async fn until_nobody_reads(&self) {
        let is_over = || self.is_over() || !self.0.has_reader.get();
        while !is_over() {
            let before = self.0.pace.moved();
            let change = poll_fn(|cx| {
                self.0.watcher.set(cx);
                if is_over() { Poll::Ready(()) } else { Poll::Pending }
            });
            // The viewer's own slowness is the tick's business.
            let stalled = timeout(READER_PATIENCE, change).await.is_err() && self.0.pace.moved() == before;
            match self.0.pace.waits_for_viewer() {
                true if stalled => self.lull(),
                false if stalled => return,
                _ => {}
            }
        }
    }

    async fn discard(&self) {
        if self.is_over() {
            return;
        }
        // Whoever still reads it hears of that.
        let Some(mut incoming) = self.0.incoming.take() else {
            return;
        };
        self.finish(Ended::Discarded);
        if self.read_away(&mut incoming).await {
            self.read_to_end();
            self.lull();
        } else {
            self.lull();
            // The reset is to come behind the answer, and not with it.
            sleep(FAREWELL).await;
        }
    }

    /// True if the end has come within the bounds.
    async fn read_away(&self, incoming: &mut Incoming) -> bool {
        let Lingering {
            time,
            silence,
            bytes_max,
        } = self.0.lingering;
        let (until, mut left) = (Instant::now() + time, bytes_max);
        let mut patience = LULL;
        loop {
            let patience_left = until.saturating_duration_since(Instant::now()).min(patience);
            let next = poll_fn(|cx| poll_away(incoming, &mut left, cx));
            match timeout(patience_left, next).await {
                Ok(Discarding::GoesOn) => patience = if self.0.has_lulled.get() { silence } else { LULL },
                Ok(Discarding::Whole) => return true,
                Ok(Discarding::Over) => return false,
                Err(_) if self.0.has_lulled.get() || silence <= LULL || Instant::now() >= until => {
                    return false;
                }
                Err(_) => {
                    self.lull();
                    patience = silence.saturating_sub(LULL);
                }
            }
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

    fn lull(&self) {
        self.0.has_lulled.set(true);
        self.0.holder.wake();
    }

    fn read_to_end(&self) {
        self.0.stats.linger.set(false);
        self.0.stats.settle();
    }

    fn finish(&self, ended: Ended) {
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

/// The right to read an upload; when it is dropped, nobody does any more.
pub(super) struct Reader(Upload);

impl Reader {
    pub(super) fn poll_frame(&self, cx: &mut Context<'_>) -> Polled<Bytes, UploadError> {
        let inner = &self.0.0;
        inner.awaits_continue.set(false);
        match inner.ended.get() {
            None => {}
            Some(Ended::Late) => return Poll::Ready(Some(Err(UploadError::Late))),
            Some(Ended::Whole) => return Poll::Ready(None),
            Some(Ended::Broken | Ended::Discarded) => {
                return Poll::Ready(Some(Err(UploadError::Discarded)));
            }
        }
        let mut incoming = inner.incoming.borrow_mut();
        let Some(body) = incoming.as_mut() else {
            return Poll::Ready(Some(Err(UploadError::Discarded)));
        };
        let Poll::Ready(frame) = poll_data(body, cx) else {
            inner.pace.viewer_is_waited_for();
            inner.reader.set(cx);
            return Poll::Pending;
        };
        let is_last = body.is_end_stream();
        drop(incoming);
        inner.pace.rests();
        match &frame {
            Some(Ok(frame)) => {
                inner.pace.move_bytes(frame.data_ref().map_or(0, Bytes::len));
                if is_last {
                    self.0.finish(Ended::Whole);
                }
            }
            Some(Err(_)) => self.0.finish(Ended::Broken),
            None => self.0.finish(Ended::Whole),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(UploadError::Viewer)))
    }

    /// True if the body has come to its end, as opposed to having been ended.
    pub(super) fn is_end_stream(&self) -> bool {
        match self.0.0.ended.get() {
            Some(ended) => ended == Ended::Whole,
            None => self.0.is_over(),
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let incoming = self.0.0.incoming.borrow();
        incoming.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.0.has_reader.set(false);
        self.0.0.pace.rests();
        self.0.0.watcher.wake();
    }
}

/// The next frame with data. A viewer's trailers end here: no header rule has seen them, so they could carry
/// a forged identity to an origin that takes trailers for headers.
pub(super) fn poll_data<B: Body + Unpin>(body: &mut B, cx: &mut Context<'_>) -> Polled<B::Data, B::Error> {
    loop {
        match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            Some(Ok(frame)) if !frame.is_data() => {}
            other => return Poll::Ready(other),
        }
    }
}

/// How throwing a body away gets on.
enum Discarding {
    GoesOn,
    Whole,
    /// Broken, or more than is borne.
    Over,
}

/// Takes what has come, [`DISCARDED_AT_ONCE`] frames at most.
fn poll_away(incoming: &mut Incoming, left: &mut u64, cx: &mut Context<'_>) -> Poll<Discarding> {
    for turn in 0..DISCARDED_AT_ONCE {
        let frame = match poll_data(incoming, cx) {
            Poll::Pending if turn == 0 => return Poll::Pending,
            Poll::Pending => break,
            Poll::Ready(None) => return Poll::Ready(Discarding::Whole),
            Poll::Ready(Some(Err(_))) => return Poll::Ready(Discarding::Over),
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length as u64) {
            Some(rest) => *left = rest,
            None => return Poll::Ready(Discarding::Over),
        }
        if incoming.is_end_stream() {
            return Poll::Ready(Discarding::Whole);
        }
    }
    Poll::Ready(Discarding::GoesOn)
}

/// A task to be woken.
#[derive(Default)]
struct Slot(RefCell<Option<Waker>>);

impl Slot {
    fn set(&self, cx: &Context<'_>) {
        let mut waker = self.0.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}

/// How long an origin that has answered may take nothing of the request before the rest is thrown away.
const READER_PATIENCE: Duration = Duration::from_millis(500);
/// Silence after which the end of an answer is not held back any more for a body that still comes.
const LULL: Duration = Duration::from_millis(200);
/// Between an answer and the reset of its stream.
const FAREWELL: Duration = Duration::from_millis(500);
/// Frames thrown away before others have their turn.
const DISCARDED_AT_ONCE: usize = 32;
