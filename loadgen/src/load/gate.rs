//! When the next operation may start, on one thread.
//!
//! Clients that are not at work in the current phase wait for one in which they are. Closed loop: a client starts at once.
//! Open loop: when the schedule says so; a client that is free waits for its turn, and arrivals that find no free client
//! wait in the backlog; none is dropped while the open loop lasts. Free clients are served in the order in which they
//! became free.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use monoio::net::UnixStream;
use monoio::time::timeout;

use crate::plan::phase::{self, Pace, Phase, Turn};
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
}

/// What a client is told that asks for its next operation.
pub enum Next {
    Start(Start),
    /// The phase has changed: ask again.
    Again,
    /// The run is over.
    Over,
}

pub struct Gate {
    clock: Arc<Clock>,
    phases: Vec<Phase>,
    /// Operations that may still start.
    budget: Cell<u64>,
    closed: Cell<bool>,
    arrivals: RefCell<Arrivals>,
    waiting: RefCell<VecDeque<Rc<Seat>>>,
    dispatcher: RefCell<Option<Waker>>,
    /// Clients that wait for a time, and must be told when the run ends before.
    resting: RefCell<HashMap<usize, Waker>>,
}

/// A free client's place in the queue.
#[derive(Default)]
struct Seat {
    call: Cell<Option<Next>>,
    waker: RefCell<Option<Waker>>,
}

impl Gate {
    pub fn new(clock: Arc<Clock>, phases: &[Phase], budget: u64, arrivals: Arrivals) -> Self {
        Gate {
            clock,
            phases: phases.to_vec(),
            budget: Cell::new(budget),
            closed: Cell::new(false),
            arrivals: RefCell::new(arrivals),
            waiting: RefCell::default(),
            dispatcher: RefCell::default(),
            resting: RefCell::default(),
        }
    }

    /// Whether client number `client` is at work now.
    pub fn is_turn(&self, client: usize) -> bool {
        matches!(
            self.turn(client, Instant::now()),
            Turn::Free | Turn::Scheduled { .. }
        )
    }

    /// Waits until client number `client` is at work. `false`: the run is over before.
    pub async fn wait_for_turn(&self, client: usize) -> bool {
        loop {
            let now = Instant::now();
            if self.over(now) {
                return false;
            }
            match self.turn(client, now) {
                Turn::Free | Turn::Scheduled { .. } => return true,
                Turn::Later(at) => self.rest(client, at.saturating_sub(self.clock.at(now))).await,
                Turn::Never => self.rest(client, FOREVER).await,
            }
        }
    }

    /// Waits for the next operation of client number `client`.
    pub async fn next(&self, client: usize) -> Next {
        let now = Instant::now();
        if self.over(now) {
            return Next::Over;
        }
        match self.turn(client, now) {
            Turn::Free => self.spend(Start { due: now, began: now }),
            Turn::Scheduled { since } => match self.take_if_nobody_waits(since, now) {
                Some(due) => self.spend(self.start(due, now)),
                None => self.wait().await,
            },
            Turn::Later(_) | Turn::Never => Next::Again,
        }
    }

    /// Waits for `time` to pass, or for the end of the run.
    pub async fn rest(&self, client: usize, time: Duration) {
        let _ = timeout(time, self.end(client)).await;
        self.resting.borrow_mut().remove(&client);
    }

    /// Arrivals that are due and not started, and how long the oldest has been waiting.
    pub fn backlog(&self, now: Instant) -> (u64, Duration) {
        let now = self.clock.at(now);
        let arrivals = self.arrivals.borrow();
        let wanted = self.is_open(now) && self.budget.get() > 0; // else nobody will start what is due
        match (wanted, arrivals.backlog(now)) {
            (false, _) | (_, 0) => (0, Duration::ZERO),
            (true, backlog) => (backlog, arrivals.oldest_wait(now)),
        }
    }

    /// Lets nobody start any more; those who wait are told.
    pub fn close(&self) {
        self.closed.set(true);
        self.dismiss();
        for (_, waker) in self.resting.borrow_mut().drain() {
            waker.wake();
        }
    }

    /// Hands arrivals to waiting clients at the time they are due. Runs as a task of its own where there are open loops.
    pub async fn dispatch(self: Rc<Self>, timer: Timer) {
        while !self.closed.get() {
            self.someone_waits().await;
            let now = self.clock.at(Instant::now());
            let phase = phase::index_at(&self.phases, now);
            if self.is_open(now) {
                self.release(now);
                let next = self.arrivals.borrow().next_after(now).min(self.end_of(phase));
                timer.wait(next.saturating_sub(now).min(FOREVER)).await;
            }
            let now = self.clock.at(Instant::now());
            if !self.is_open(now) || phase != phase::index_at(&self.phases, now) {
                self.dismiss();
            }
        }
    }

    /// Whether those who wait have been told that the run is over: cheaper than [`Gate::is_over`], and a little later.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Whether no operation will start any more.
    pub fn is_over(&self) -> bool {
        self.over(Instant::now())
    }

    fn over(&self, now: Instant) -> bool {
        self.closed.get() || self.budget.get() == 0 || self.clock.at(now) >= self.clock.window_end()
    }

    fn turn(&self, client: usize, now: Instant) -> Turn {
        phase::turn(&self.phases, client, self.clock.at(now))
    }

    fn end_of(&self, phase: usize) -> Duration {
        self.phases.get(phase).map_or(Duration::MAX, |phase| phase.end)
    }

    fn is_open(&self, now: Duration) -> bool {
        let phase = self.phases.get(phase::index_at(&self.phases, now));
        phase.is_some_and(|phase| matches!(phase.pace, Pace::Open { .. }))
    }

    /// Takes one from the budget; the last one closes the gate for those who wait.
    fn spend(&self, start: Start) -> Next {
        let left = self.budget.get();
        self.budget.set(left.saturating_sub(1));
        if left <= 1 {
            self.close();
        }
        if left > 0 { Next::Start(start) } else { Next::Over }
    }

    fn start(&self, due: Duration, now: Instant) -> Start {
        Start {
            due: self.clock.epoch + due,
            began: now,
        }
    }

    fn take_if_nobody_waits(&self, since: Duration, now: Instant) -> Option<Duration> {
        let mut arrivals = self.arrivals.borrow_mut();
        arrivals.begin(since);
        let nobody_waits = self.waiting.borrow().is_empty();
        nobody_waits.then(|| arrivals.take(self.clock.at(now))).flatten()
    }

    async fn wait(&self) -> Next {
        let seat = Rc::new(Seat::default());
        self.waiting.borrow_mut().push_back(seat.clone());
        if let Some(dispatcher) = self.dispatcher.borrow_mut().take() {
            dispatcher.wake();
        }
        poll_fn(|cx| {
            if let Some(call) = seat.call.take() {
                return Poll::Ready(call);
            }
            *seat.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Resolves when the gate is closed.
    async fn end(&self, client: usize) {
        poll_fn(|cx| {
            if self.closed.get() {
                return Poll::Ready(());
            }
            self.resting.borrow_mut().insert(client, cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Sends everybody who waits for an arrival away, to ask again.
    fn dismiss(&self) {
        for seat in self.waiting.borrow_mut().drain(..) {
            seat.call(if self.closed.get() {
                Next::Over
            } else {
                Next::Again
            });
        }
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

    /// Gives every arrival that is due to a client that waits, as long as there are both.
    fn release(&self, now: Duration) {
        while !self.closed.get() && !self.waiting.borrow().is_empty() {
            let Some(due) = self.arrivals.borrow_mut().take(now) else {
                return;
            };
            let Some(seat) = self.waiting.borrow_mut().pop_front() else {
                return;
            };
            let start = self.start(due, Instant::now());
            seat.call(self.spend(start));
        }
    }
}

impl Seat {
    fn call(&self, call: Next) {
        self.call.set(Some(call));
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

/// Longer than any run; timers do not take more.
const FOREVER: Duration = Duration::from_secs(48 * 3600);

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
