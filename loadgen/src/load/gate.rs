//! When the next operation may start, on one thread.
//!
//! Closed loop: at once, as long as the run lasts. Open loop: when the schedule says so; a connection that is free
//! waits for its turn, and arrivals that find no free connection wait in the backlog, none is dropped. Free connections
//! are served in the order in which they became free.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use monoio::net::UnixStream;

use crate::schedule::Arrivals;
use crate::sys;

/// The times of a run, the same for all threads.
#[derive(Debug)]
pub struct Clock {
    pub epoch: Instant,
    /// Offset from the epoch at which measuring begins.
    pub window_start: Duration,
    /// Nanoseconds from the epoch at which no more operations start and measuring ends.
    window_end: AtomicU64,
}

impl Clock {
    pub fn new(epoch: Instant, warm_up: Duration, duration: Option<Duration>) -> Self {
        let end = duration.map_or(u64::MAX, |duration| nanos(warm_up + duration));
        Clock {
            epoch,
            window_start: warm_up,
            window_end: AtomicU64::new(end),
        }
    }

    pub fn at(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.epoch)
    }

    pub fn window_end(&self) -> Duration {
        Duration::from_nanos(self.window_end.load(Ordering::Relaxed))
    }

    /// When the run is to end, where a time was set for it.
    pub fn planned_end(&self) -> Option<Duration> {
        let end = self.window_end.load(Ordering::Relaxed);
        (end < u64::MAX).then(|| Duration::from_nanos(end))
    }

    /// Ends the run at `now` unless it ends earlier.
    pub fn stop(&self, now: Duration) {
        self.window_end.fetch_min(nanos(now), Ordering::Relaxed);
    }
}

/// The start of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// When it was due; the same as `began` in a closed loop. Latency counts from here.
    pub due: Instant,
    /// When a connection took it.
    pub began: Instant,
    /// Whether a connection was free when it was due: then the time from `due` to `began` is our own doing.
    pub connection_was_free: bool,
}

pub struct Gate {
    clock: Arc<Clock>,
    /// Operations that may still start.
    budget: Cell<u64>,
    closed: Cell<bool>,
    arrivals: Option<RefCell<Arrivals>>,
    waiting: RefCell<VecDeque<Rc<Seat>>>,
    dispatcher: RefCell<Option<Waker>>,
}

/// A free connection's place in the queue.
struct Seat {
    /// When the connection became free.
    since: Instant,
    start: Cell<Option<Start>>,
    waker: RefCell<Option<Waker>>,
}

impl Gate {
    pub fn new(clock: Arc<Clock>, budget: u64, arrivals: Option<Arrivals>) -> Self {
        Gate {
            clock,
            budget: Cell::new(budget),
            closed: Cell::new(false),
            arrivals: arrivals.map(RefCell::new),
            waiting: RefCell::default(),
            dispatcher: RefCell::default(),
        }
    }

    /// Waits for the next operation. `None`: the run is over.
    pub async fn next(&self) -> Option<Start> {
        let now = Instant::now();
        if self.over(now) {
            return None;
        }
        let Some(arrivals) = &self.arrivals else {
            return self.spend().then_some(Start {
                due: now,
                began: now,
                connection_was_free: true,
            });
        };
        let nobody_waits = self.waiting.borrow().is_empty();
        let due = if nobody_waits {
            arrivals.borrow_mut().take(self.clock.at(now))
        } else {
            None
        };
        match due {
            Some(due) => self.spend().then_some(self.start(due, now, false)),
            None => self.wait(now).await,
        }
    }

    /// Arrivals that are due and not started, and how long the oldest has been waiting.
    pub fn backlog(&self, now: Instant) -> (u64, Duration) {
        let now = self.clock.at(now);
        self.arrivals.as_ref().map_or((0, Duration::ZERO), |arrivals| {
            let arrivals = arrivals.borrow();
            let backlog = arrivals.backlog(now);
            (
                backlog,
                if backlog == 0 {
                    Duration::ZERO
                } else {
                    arrivals.oldest_wait(now)
                },
            )
        })
    }

    /// Lets nobody start any more; those who wait are told.
    pub fn close(&self) {
        self.closed.set(true);
        for seat in self.waiting.borrow_mut().drain(..) {
            seat.wake();
        }
    }

    /// Hands arrivals to waiting connections at the time they are due. Runs as a task of its own in an open loop.
    pub async fn dispatch(self: Rc<Self>, timer: Timer) {
        while !self.closed.get() {
            self.someone_waits().await;
            let now = self.clock.at(Instant::now());
            self.release(now);
            let Some(arrivals) = &self.arrivals else { return };
            let next = arrivals.borrow().next_after(now);
            timer.wait(next.saturating_sub(now)).await;
        }
    }

    /// Whether no operation will start any more.
    pub fn is_over(&self) -> bool {
        self.over(Instant::now())
    }

    fn over(&self, now: Instant) -> bool {
        self.closed.get() || self.budget.get() == 0 || self.clock.at(now) >= self.clock.window_end()
    }

    /// Takes one from the budget; the last one closes the gate for those who wait.
    fn spend(&self) -> bool {
        let left = self.budget.get();
        self.budget.set(left.saturating_sub(1));
        if left <= 1 {
            self.close();
        }
        left > 0
    }

    fn start(&self, due: Duration, now: Instant, connection_was_free: bool) -> Start {
        Start {
            due: self.clock.epoch + due,
            began: now,
            connection_was_free,
        }
    }

    async fn wait(&self, since: Instant) -> Option<Start> {
        let seat = Rc::new(Seat {
            since,
            start: Cell::default(),
            waker: RefCell::default(),
        });
        self.waiting.borrow_mut().push_back(seat.clone());
        if let Some(dispatcher) = self.dispatcher.borrow_mut().take() {
            dispatcher.wake();
        }
        poll_fn(|cx| {
            if let Some(start) = seat.start.take() {
                return Poll::Ready(Some(start));
            }
            if self.closed.get() {
                return Poll::Ready(None);
            }
            *seat.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    async fn someone_waits(&self) {
        poll_fn(|cx| {
            if self.closed.get() || !self.waiting.borrow().is_empty() {
                return Poll::Ready(());
            }
            *self.dispatcher.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Gives every arrival that is due to a connection that waits, as long as there are both.
    fn release(&self, now: Duration) {
        let Some(arrivals) = &self.arrivals else { return };
        while !self.closed.get() && !self.waiting.borrow().is_empty() {
            let Some(due) = arrivals.borrow_mut().take(now) else {
                return;
            };
            let Some(seat) = self.waiting.borrow_mut().pop_front() else {
                return;
            };
            let was_free = self.clock.at(seat.since) <= due;
            seat.start.set(Some(self.start(due, Instant::now(), was_free)));
            seat.wake();
            self.spend();
        }
    }
}

impl Seat {
    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// Waits with the precision of the kernel's timers; monoio's own have one millisecond, which is the latency of several
/// operations.
pub struct Timer(UnixStream);

impl Timer {
    /// Must be called within a runtime. The stream type stands only for "a descriptor that can be polled".
    pub fn new() -> std::io::Result<Self> {
        UnixStream::from_std(StdUnixStream::from(sys::timer()?)).map(Timer)
    }

    async fn wait(&self, time: Duration) {
        if sys::arm(&self.0, time).is_ok() {
            let _ = self.0.readable(false).await;
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
