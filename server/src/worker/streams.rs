//! HTTP/2 streams of one connection, from hyper's hands to their answers.
//!
//! hyper takes up all requests that have come before it gives any of them a turn, and wants a task for each.
//! Most are answered without waiting. A task of their own would put them behind those of other connections,
//! and their memory out of the processor's caches. So they wait here until hyper's poll is over and are
//! answered then, in one go, whose bytes are one send. A stream that has to wait, for an origin or for room
//! in its window, becomes a task.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::Executor;
use pin_project_lite::pin_project;

use crate::http::{Activity, Stalling};
use crate::metrics::CoreCounters;
use crate::runtime::run_guarded;

type Stream = Pin<Box<dyn Future<Output = ()>>>;

/// Streams that hyper has taken up and nobody has looked at yet. HTTP/2's own limit on streams bounds their
/// number.
#[derive(Clone)]
pub(super) struct Streams {
    fresh: Rc<RefCell<Vec<Stream>>>,
    activity: Rc<Activity>,
    counters: Arc<CoreCounters>,
}

impl Streams {
    /// Makes an empty list for a connection with this `activity`.
    pub(super) fn new(activity: Rc<Activity>, counters: Arc<CoreCounters>) -> Self {
        Self {
            fresh: Rc::default(),
            activity,
            counters,
        }
    }

    /// Answers all that have come, in their order. True if there were any: hyper then has something to write.
    pub(super) fn answer(&self) -> bool {
        let mut streams = self.fresh.take();
        let any = !streams.is_empty();
        for stream in streams.drain(..) {
            let counters = self.counters.clone();
            run_guarded(stream, move |message| {
                counters.panics.add(1);
                tracing::error!(message, "a stream panicked; its connection goes on");
            });
        }
        // The room serves the next ones, unless a stream has brought some itself.
        if any && self.fresh.borrow().is_empty() {
            self.fresh.replace(streams);
        }
        any
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let judged = Judged {
            stream,
            activity: self.activity.clone(),
            stalling: None,
        };
        self.fresh.borrow_mut().push(Box::pin(judged));
    }
}

pin_project! {
    /// Stream whose viewer has a limited time to take what it is sent. Once the tick has ended it, it is
    /// dropped: that resets it (RST_STREAM) and gives up what it has of the origin.
    struct Judged<F> {
        #[pin]
        stream: F,
        activity: Rc<Activity>,
        // Set from the first wait on.
        stalling: Option<Rc<Stalling>>,
    }
}

impl<F: Future<Output = ()>> Future for Judged<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.stalling.as_ref().is_some_and(|stalling| stalling.is_ended()) {
            return Poll::Ready(());
        }
        this.activity.response().begin_turn();
        let polled = this.stream.poll(cx);
        if polled.is_pending() {
            let stalling = this.stalling.get_or_insert_with(|| this.activity.watch_stream());
            stalling.note(this.activity.response(), cx);
        }
        polled
    }
}
