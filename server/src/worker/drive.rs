//! Loop that polls an HTTP connection: posts what was written, passes on signals, and notices when the
//! connection may rest.
//!
//! Owns the order of these within one poll. Does not own HTTP (hyper), nor sending (`runtime::Outbox`). Runs
//! in the connection's own task.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use super::registry::{Open, Phase};
use crate::runtime::{Outbox, SignalKind};

/// End of driving a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Driven {
    /// The connection has ended.
    Ended,
    /// Nothing is under way. HTTP may give its memory back until the peer speaks again.
    Resting,
}

/// Polls `connection` to its end or to its rest. Posts what each poll has written, and passes on the core's
/// signals meanwhile.
///
/// An HTTP/1 connection that is told to drain before its first request still gets that one answered: its
/// client may have been waiting in the accept queue when the order came.
pub(super) async fn drive<C: Future<Output = Result<(), hyper::Error>>>(
    mut connection: Pin<&mut C>,
    open: &Open,
    outbox: &Outbox,
    graceful_shutdown: impl Fn(Pin<&mut C>),
) -> Driven {
    let mut seen = SignalKind::None;
    let mut finishing = false;
    let driven = poll_fn(|cx| {
        loop {
            if open.signal.follow(&mut seen, cx) == SignalKind::Close {
                return Poll::Ready(Driven::Ended);
            }
            if !finishing && must_finish(open, seen) {
                finishing = true;
                graceful_shutdown(connection.as_mut());
            }
            let polled = connection.as_mut().poll(cx);
            // Looked at again, since this poll may have begun the first request.
            if polled.is_pending() && !finishing && must_finish(open, seen) {
                // The first request came while draining. hyper is told now that it is the last: the signal
                // was seen before and wakes this task no more.
                continue;
            }
            open.activity.poll_leftovers(cx);
            // Behind everything that may have written in this poll: it all goes out in one send.
            outbox.post(cx);
            // Behind the post, without which the outbox is not idle.
            if polled.is_pending() && !finishing && may_rest(open, outbox) {
                return Poll::Ready(Driven::Resting);
            }
            return polled.map(|result| {
                result.unwrap_or_else(|error| tracing::debug!(%error, "the connection ended early"));
                Driven::Ended
            });
        }
    })
    .await;
    // Before the socket goes: what waits behind a send in flight would be lost. Most often nothing does.
    if driven == Driven::Ended {
        let _ended_anyway = unless_closed(open, poll_fn(|cx| outbox.poll_flush(cx))).await;
    }
    driven
}

/// True if a connection that the tick has found quiet still is. Then hyper has handed over all that it had to
/// write, and is not in the middle of a body, whose rest would be taken for a request of its own. So hyper
/// holds nothing that is not also elsewhere, apart from what it gives back.
fn may_rest(open: &Open, outbox: &Outbox) -> bool {
    if !open.rest.is_due() {
        return false;
    }
    let quiet = open.activity.is_between_requests() && !open.activity.is_head_pending();
    let rests = quiet && outbox.is_idle();
    open.rest.note_look(rests);
    rests
}

fn must_finish(open: &Open, seen: SignalKind) -> bool {
    let may_drain = open.phase.get() == Phase::Http2 || open.activity.requests() > 0;
    seen >= SignalKind::Finish || (seen == SignalKind::Drain && may_drain)
}

/// Output of `future`, or `None` once the core has told the connection to close.
pub(super) async fn unless_closed<F: Future + Unpin>(open: &Open, mut future: F) -> Option<F::Output> {
    let mut seen = SignalKind::None;
    poll_fn(|cx| {
        if open.signal.follow(&mut seen, cx) == SignalKind::Close {
            return Poll::Ready(None);
        }
        Pin::new(&mut future).poll(cx).map(Some)
    })
    .await
}
