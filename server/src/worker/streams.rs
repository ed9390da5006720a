//! The HTTP/2 streams of one connection, from hyper's hands to their answers.
//!
//! hyper takes up all requests that have come before it gives any of them a turn, and wants a task for each. Most are answered without
//! waiting; a task of their own would only put them behind those of other connections, and their memory out of the processor's caches. So
//! they wait here until hyper's poll is over and are answered then, all in one go whose bytes are one send. One that does have to wait, for an
//! origin or for room in its window, becomes a task.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use hyper::rt::Executor;

use crate::metrics::CoreCounters;
use crate::runtime::run_guarded;

type Stream = Pin<Box<dyn Future<Output = ()>>>;

/// What hyper has taken up and nobody has looked at yet. HTTP/2's own limit on streams bounds it.
#[derive(Clone)]
pub struct Streams {
    fresh: Rc<RefCell<Vec<Stream>>>,
    counters: Arc<CoreCounters>,
}

impl Streams {
    /// None yet.
    pub fn new(counters: Arc<CoreCounters>) -> Self {
        Self {
            fresh: Rc::default(),
            counters,
        }
    }

    /// Answers all that have come, in their order. Whether there were any: if so, hyper has something to write.
    pub fn answer(&self) -> bool {
        let mut streams = self.fresh.take();
        let any = !streams.is_empty();
        for stream in streams.drain(..) {
            let counters = self.counters.clone();
            run_guarded(stream, move |message| {
                counters.panics.add(1);
                tracing::error!(message, "a stream panicked; its connection goes on");
            });
        }
        // For the next ones, unless a stream has brought some itself.
        if any && self.fresh.borrow().is_empty() {
            self.fresh.replace(streams);
        }
        any
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.fresh.borrow_mut().push(Box::pin(stream));
    }
}
