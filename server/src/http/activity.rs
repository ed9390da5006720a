//! State of a connection's requests, as the connection tells it to its core: how many requests are in flight,
//! how their bodies move, and since which byte no request has been in flight.
//!
//! Plain cells: a connection and its core share one thread. The core's tick reads them, so that no request
//! pays for a timer of its own. What an answer leaves of its request is read to its end here, by the task
//! that polls the connection ([`Activity::poll_leftovers`]), and is in flight for as long.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::origin::{Mark, Pace, Upload};
use crate::runtime::{DuplexStats, Signal};

/// Requests of one connection.
pub struct Activity {
    in_flight: Cell<u32>,
    requests: Cell<u64>,
    /// hyper holds the front of a next request's head.
    has_front: Cell<bool>,
    /// The client is no longer admitted: it gets no further request answered.
    refused: Cell<bool>,
    /// Pace of the response that is being sent. HTTP/2 has several responses: each stream takes from here
    /// what was noted in its turn.
    response: Pace,
    /// Bodies on their way to an origin, as far as they are not over.
    uploads: RefCell<Vec<Upload>>,
    /// HTTP/2 streams that could not be answered at once.
    streams: RefCell<Vec<Weak<Stalling>>>,
    leftovers: RefCell<Vec<Leftover>>,
    stats: Rc<DuplexStats>,
    /// Wakes the connection's task.
    signal: Rc<Signal>,
}

/// The rest of a request that has been answered.
type Leftover = Pin<Box<dyn Future<Output = ()>>>;

/// Bounds on how slow a viewer may be with a body.
#[derive(Clone, Copy)]
pub struct Patience {
    pub time: Duration,
    pub bytes_per_s_min: u64,
}

/// Bodies that a look has found too slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stalled {
    /// Request bodies, which have been ended.
    pub uploads: u64,
    /// HTTP/2 streams whose response is not read, which have been ended.
    pub streams: u64,
    /// The response of an HTTP/1 connection is not read.
    pub response: bool,
}

impl Activity {
    /// No request yet; `stats` counts the same connection's bytes, `signal` wakes its task.
    pub fn new(stats: Rc<DuplexStats>, signal: Rc<Signal>) -> Self {
        Self {
            in_flight: Cell::new(0),
            requests: Cell::new(0),
            has_front: Cell::new(false),
            refused: Cell::new(false),
            response: Pace::default(),
            uploads: RefCell::default(),
            streams: RefCell::default(),
            leftovers: RefCell::default(),
            stats,
            signal,
        }
    }

    /// A request has begun; it is in flight until the mark is dropped, and until `upload`, if it has a body,
    /// has come to an end.
    pub fn begin(self: &Rc<Self>, upload: Option<Upload>) -> InFlight {
        // The order matters. `expect_body` asks whether requests before this one are in flight, so it comes
        // before the mark. Whoever begins a request asks `is_refused` after the mark was made: the core
        // closes a connection without a request in flight at once, and this one is to get its answer first.
        self.expect_body(upload.is_some());
        self.has_front.set(false);
        if upload.is_none() {
            self.settle();
        }
        self.in_flight.set(self.in_flight.get() + 1);
        self.requests.set(self.requests.get() + 1);
        InFlight {
            activity: self.clone(),
            upload,
            has_left: Cell::new(false),
        }
    }

    fn end(&self) {
        self.in_flight.set(self.in_flight.get() - 1);
    }

    /// Notes whether the request that begins now has a body still to be read. Until it is read to its end, or
    /// a next request begins, a close has to linger. Concurrent HTTP/2 requests share the mark: there it is
    /// only set in doubt.
    fn expect_body(&self, unread: bool) {
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

    /// Requests being answered, or of which the rest is being read.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// True while a request is being answered, or while the rest of an answered request is being read.
    pub fn is_busy(&self) -> bool {
        self.in_flight.get() > 0
    }

    /// True if the last request has been answered and, as far as is known here, read to its end.
    pub fn is_between_requests(&self) -> bool {
        !self.is_busy() && !self.stats.linger.get()
    }

    /// True if bytes of a next request have come, but not yet its whole head. The bytes may have come before
    /// the last response had ended. Meant for HTTP/1.
    pub fn is_head_pending(&self) -> bool {
        !self.is_busy() && (self.stats.unsettled() > 0 || self.has_front.get())
    }

    /// hyper was found to hold the front of a next head, which came together with the end of the last
    /// request.
    pub fn note_front(&self) {
        self.has_front.set(true);
    }

    /// Refuses every new request from here on: an HTTP/2 client may open streams until it has heard the
    /// GOAWAY.
    pub fn refuse(&self) {
        self.refused.set(true);
    }

    /// True if the client is no longer admitted.
    pub fn is_refused(&self) -> bool {
        self.refused.get()
    }

    /// Bytes moved in both directions.
    pub fn bytes_moved(&self) -> u64 {
        self.stats.bytes_in.get() + self.stats.bytes_out.get()
    }

    /// Counts further bytes as a next request's. To be called when the handshake has ended.
    pub fn settle(&self) {
        self.stats.settle();
    }

    /// Judges the viewer's pace from now on: `upload` goes to an origin.
    pub fn watch_upload(&self, upload: &Upload) {
        self.uploads.borrow_mut().push(upload.clone());
    }

    /// The pace of the response that is being sent.
    pub fn response(&self) -> &Pace {
        &self.response
    }

    /// An HTTP/2 stream that waits: its response is judged for as long as the value lives.
    pub fn watch_stream(&self) -> Rc<Stalling> {
        let stalling = Rc::new(Stalling::default());
        self.streams.borrow_mut().push(Rc::downgrade(&stalling));
        stalling
    }

    /// Judges all bodies by what has happened for `elapsed`, and ends those whose viewer is too slow.
    /// `is_http2`: the responses are the streams'.
    pub fn end_stalled(&self, elapsed: Duration, patience: Patience, is_http2: bool) -> Stalled {
        let overdue = |pace: &Pace| pace.is_overdue(elapsed, patience.time, patience.bytes_per_s_min);
        let mut stalled = Stalled::default();
        self.uploads.borrow_mut().retain(|upload| {
            if upload.is_over() || !overdue(upload.pace()) {
                return !upload.is_over();
            }
            upload.expire();
            stalled.uploads += 1;
            false
        });
        self.streams.borrow_mut().retain(|stream| {
            let Some(stream) = stream.upgrade() else {
                return false;
            };
            let is_late = overdue(&stream.pace);
            if is_late {
                stream.end();
                stalled.streams += 1;
            }
            !is_late
        });
        stalled.response = !is_http2 && overdue(&self.response);
        stalled
    }

    /// Reads on what answers have left of their requests. To be called by the connection's task, whenever it
    /// is polled.
    pub fn poll_leftovers(&self, cx: &mut Context<'_>) {
        if self.leftovers.borrow().is_empty() {
            return;
        }
        let mut leftovers = self.leftovers.take();
        leftovers.retain_mut(|leftover| leftover.as_mut().poll(cx).is_pending());
        self.leftovers.borrow_mut().append(&mut leftovers);
    }

    fn leave(&self, leftover: Leftover) {
        self.leftovers.borrow_mut().push(leftover);
        self.signal.nudge();
    }
}

/// The mark of a request in flight.
pub struct InFlight {
    activity: Rc<Activity>,
    /// The request's body.
    upload: Option<Upload>,
    /// Its rest is being read.
    has_left: Cell<bool>,
}

impl InFlight {
    /// The request's body, where it has one.
    pub fn upload(&self) -> Option<&Upload> {
        self.upload.as_ref()
    }

    /// Begins to read the rest of the request, if there is any.
    fn leave(&self) {
        // Who was told neither to go on nor to leave off sends nothing or all of it: that connection closes
        // behind the answer.
        let unread = |upload: &&Upload| !upload.is_over() && !upload.awaits_continue();
        let Some(upload) = self.upload.clone().filter(|upload| unread(&upload)) else {
            return;
        };
        if self.has_left.replace(true) {
            return;
        }
        let activity = &self.activity;
        activity.in_flight.set(activity.in_flight.get() + 1);
        let left = Left(Rc::downgrade(activity));
        activity.leave(Box::pin(async move {
            upload.leave().await;
            drop(left);
        }));
    }
}

impl Mark for InFlight {
    fn pace(&self) -> &Pace {
        &self.activity.response
    }

    fn is_uploading(&self) -> bool {
        self.upload.as_ref().is_some_and(|upload| !upload.is_over())
    }

    fn poll_release(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.leave();
        self.upload
            .as_ref()
            .map_or(Poll::Ready(()), |upload| upload.poll_lull(cx))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.activity.response.reset();
        self.leave();
        self.activity.end();
    }
}

/// The mark of a request of which only its rest is in flight. Does not hold the activity, which holds it.
struct Left(Weak<Activity>);

impl Drop for Left {
    fn drop(&mut self) {
        if let Some(activity) = self.0.upgrade() {
            activity.end();
        }
    }
}

/// An HTTP/2 stream that waits, as its connection's tick sees it.
#[derive(Default)]
pub struct Stalling {
    pace: Pace,
    is_ended: Cell<bool>,
    task: RefCell<Option<Waker>>,
}

impl Stalling {
    /// Notes what one turn of the stream's task has left in `turn`, and by what the task is woken.
    pub fn note(&self, turn: &Pace, cx: &Context<'_>) {
        self.pace.take_turn(turn);
        let mut task = self.task.borrow_mut();
        if !task.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *task = Some(cx.waker().clone());
        }
    }

    /// True if the stream is to end now, its response unfinished.
    pub fn is_ended(&self) -> bool {
        self.is_ended.get()
    }

    fn end(&self) {
        self.is_ended.set(true);
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity() -> (Rc<Activity>, Rc<DuplexStats>) {
        let stats = Rc::new(DuplexStats::default());
        (Rc::new(Activity::new(stats.clone(), Rc::default())), stats)
    }

    #[test]
    fn a_head_is_pending_only_between_requests() {
        let (activity, stats) = activity();
        assert!(!activity.is_head_pending());
        stats.bytes_in.set(10);
        assert!(activity.is_head_pending());
        let request = activity.begin(None);
        assert!(activity.is_busy() && !activity.is_head_pending());
        drop(request);
        assert!(!activity.is_busy() && !activity.is_head_pending());
        assert_eq!(activity.requests(), 1);
    }

    #[test]
    fn the_front_of_a_next_head_counts_although_it_came_before_the_response_had_ended() {
        let (activity, stats) = activity();
        stats.bytes_in.set(10);
        let request = activity.begin(None);
        stats.bytes_in.set(13);
        drop(request);
        assert!(activity.is_head_pending(), "it came alone");
        drop(activity.begin(None));
        assert!(!activity.is_head_pending());
        activity.note_front();
        assert!(activity.is_head_pending(), "it came with the last request");
        drop(activity.begin(None));
        assert!(!activity.is_head_pending());
    }

    #[test]
    fn an_unread_body_asks_for_lingering_until_the_next_request() {
        let (activity, stats) = activity();
        activity.expect_body(true);
        let first = activity.begin(None);
        activity.expect_body(true);
        activity.expect_body(false);
        assert!(stats.linger.get(), "another request's body may still be coming");
        drop(first);
        assert!(stats.linger.get() && !activity.is_between_requests());
        activity.expect_body(false);
        assert!(!stats.linger.get() && activity.is_between_requests());
    }

    #[test]
    fn a_stream_is_ended_when_its_own_turns_move_nothing_whatever_others_do() {
        let (activity, _) = activity();
        let patience = Patience {
            time: Duration::from_secs(2),
            bytes_per_s_min: 240,
        };
        let cx = Context::from_waker(Waker::noop());
        let (still, moving) = (activity.watch_stream(), activity.watch_stream());
        let look = || activity.end_stalled(Duration::from_secs(1), patience, true);
        for _ in 0..2 {
            activity.response.begin_turn();
            activity.response.viewer_is_waited_for();
            still.note(&activity.response, &cx);
            activity.response.begin_turn();
            activity.response.move_bytes(1_000);
            activity.response.viewer_is_waited_for();
            moving.note(&activity.response, &cx);
            let _stalled = look();
        }
        assert!(still.is_ended() && !moving.is_ended());
        drop(moving);
        assert_eq!(look(), Stalled::default());
        assert!(activity.streams.borrow().is_empty());
    }
}
