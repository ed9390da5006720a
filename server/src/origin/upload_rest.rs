//! The rest of a viewer's request behind its answer: read by the origin, or read on and thrown away.
//!
//! Closing with the answer (or RST_STREAM) would destroy it for every client that sends first and reads
//! later. So what an answer leaves unread is read on, within [`Lingering`] (RFC 9112 §9.6, RFC 9113 §8.1). An
//! origin that goes on reading behind its own answer gets the rest as long as it takes it.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bothways_config::Lingering;
use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;

use super::upload::{Ended, Upload, poll_data};
use crate::runtime::{sleep, timeout};

impl Upload {
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
}

/// Progress of throwing a body away.
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

/// Time for which an origin that has answered may take nothing of the request before the rest is thrown away.
const READER_PATIENCE: Duration = Duration::from_millis(500);
/// Silence after which the end of an answer is not held back any more for a body that still comes.
const LULL: Duration = Duration::from_millis(200);
/// Time between an answer and the reset of its stream.
const FAREWELL: Duration = Duration::from_millis(500);
/// Frames thrown away before others have their turn.
const DISCARDED_AT_ONCE: usize = 32;
