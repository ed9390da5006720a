//! The start of operations on one thread: when the next one may begin.
//!
//! Clients that are not at work in the current phase wait for one in which they are. Closed loop: a client
//! starts at once. Open loop: when the schedule says so; a client that is free waits for its turn, and
//! arrivals that find no free client wait in the backlog. Free clients are served in the order in which they
//! became free.
//!
//! When an open loop ends, what was due before goes to the clients that wait, however late this thread wakes
//! up for it; what no client is free for is left over and counted. So each arrival is started or counted, and
//! none is ever forgotten. Decisions are made by functions that take the time as an argument; the others only
//! wait.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::ops::Range;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use monoio::net::UnixStream;
use monoio::time::timeout;

use super::account::Account;
use super::clock::Clock;
use super::stalls::{Stalled, Stalls};
use crate::plan::phase::{self, Phase, Turn};
use crate::schedule::Arrivals;
use crate::sys;

/// The start of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Time at which it was due; the same as `began` in a closed loop. Latency counts from here.
    pub due: Instant,
    /// Time at which a connection took it.
    pub began: Instant,
    /// The time from `due` to `began` is our own doing: a connection was free when it was due, or would have
    /// been if this thread had not been stalled.
    pub late_by_us: bool,
    /// `true`: it was due by an open loop's schedule.
    pub scheduled: bool,
}

/// The answer to a client that asks for its next operation.
#[derive(Debug)]
pub enum Next {
    Start(Start),
    /// The phase has changed: ask again.
    Again,
    /// The run is over.
    Over,
}

/// The gate of one thread, through which each of its operations starts.
pub struct Gate {
    clock: Arc<Clock>,
    phases: Vec<Phase>,
    stretches: Vec<Range<Duration>>,
    /// The first of the stretches that has not ended.
    stretch: Cell<usize>,
    /// Operations that may still start.
    budget: Cell<u64>,
    closed: Cell<bool>,
    arrivals: RefCell<Arrivals>,
    stalls: RefCell<Stalls>,
    waiting: RefCell<VecDeque<Rc<Seat>>>,
    dispatcher: RefCell<Option<Waker>>,
    /// Clients that wait for a time, and must be told when the run ends before.
    resting: RefCell<HashMap<usize, Waker>>,
}

/// A free client's place in the queue.
pub struct Seat {
    /// Time at which the client became free.
    since: Duration,
    call: Cell<Option<Next>>,
    waker: RefCell<Option<Waker>>,
}

/// The answer to a client: at once, or by a call to its seat.
pub enum Asked {
    Told(Next),
    Wait(Rc<Seat>),
}

/// The arrivals of a run's open loops once it is over.
#[derive(Debug, Default)]
pub struct Arrived {
    /// Accounts of the phases, with only `asked` and `not_started`.
    pub accounts: Vec<Account>,
    /// Left over at the end of the run, and the wait of the oldest.
    pub backlog: (u64, Duration),
    /// Waits of the arrivals of the window that were never started, and how many waited so long.
    pub waits: Vec<(Duration, u64)>,
    /// Stalls of the thread's loop within the window.
    pub stalled: Stalled,
}

impl Gate {
    /// A gate that lets `budget` operations through, those of open loops by `arrivals`.
    pub fn new(clock: Arc<Clock>, phases: &[Phase], budget: u64, arrivals: Arrivals) -> Self {
        Gate {
            stretches: phase::open_stretches(phases),
            stretch: Cell::new(0),
            stalls: RefCell::new(Stalls::new(clock.window_start)),
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

    /// `true`: client number `client` is at work now.
    pub fn is_turn(&self, client: usize) -> bool {
        matches!(self.turn(client, self.clock.now()), Turn::Free | Turn::Scheduled)
    }

    /// Waits until client number `client` is at work. `false`: the run is over before.
    pub async fn wait_for_turn(&self, client: usize) -> bool {
        loop {
            let now = self.clock.now();
            if self.over(now) {
                return false;
            }
            match self.turn(client, now) {
                Turn::Free | Turn::Scheduled => return true,
                Turn::Later(at) => self.rest(client, at.saturating_sub(now)).await,
                Turn::Never => self.rest(client, FOREVER).await,
            }
        }
    }

    /// Waits for the next operation of client number `client`.
    pub async fn next(&self, client: usize) -> Next {
        match self.ask(client, self.clock.now()) {
            Asked::Told(next) => next,
            Asked::Wait(seat) => seat.called().await,
        }
    }

    /// Client number `client` is free at `now`.
    pub fn ask(&self, client: usize, now: Duration) -> Asked {
        self.stalls.borrow_mut().runs(now);
        self.end_stretches(now);
        if self.over(now) {
            return Asked::Told(Next::Over);
        }
        match self.turn(client, now) {
            Turn::Free => Asked::Told(self.spend(self.start_free(now))),
            Turn::Scheduled => match self.take_if_nobody_waits(now) {
                Some(start) => Asked::Told(self.spend(start)),
                None => Asked::Wait(self.sit_down(now)),
            },
            Turn::Later(_) | Turn::Never => Asked::Told(Next::Again),
        }
    }

    /// Waits for `time` to pass, or for the end of the run.
    pub async fn rest(&self, client: usize, time: Duration) {
        let _ = timeout(time, self.end(client)).await;
        self.resting.borrow_mut().remove(&client);
    }

    /// Arrivals that are due and not started.
    pub fn backlog(&self, now: Duration) -> u64 {
        self.end_stretches(now);
        match self.budget.get() {
            0 => 0, // nobody will start what is due
            _ => self.arrivals.borrow().backlog(now.min(self.clock.window_end())),
        }
    }

    /// The thread's loop runs: told at every tick, so that its stalls are seen.
    pub fn tick(&self, now: Duration) {
        self.stalls.borrow_mut().runs(now);
    }

    /// The run is over by its time: what was due before goes to the clients that wait for it, and nothing
    /// starts any more.
    pub fn end_run(&self, now: Duration) {
        self.end_stretches(now);
        self.release(self.clock.window_end(), now);
        self.close();
    }

    /// Hands arrivals to waiting clients at the time they are due. Runs as a task of its own where there are
    /// open loops.
    pub async fn dispatch(self: Rc<Self>, timer: Timer) {
        while !self.closed.get() {
            self.someone_waits().await;
            if let Some(at) = self.serve(self.clock.now()) {
                timer.wait(at.saturating_sub(self.clock.now()).min(FOREVER)).await;
                self.stalls.borrow_mut().woke(at, self.clock.now());
            }
        }
    }

    /// Gives what is due to those who wait. Some still do: when to look again.
    pub fn serve(&self, now: Duration) -> Option<Duration> {
        if now >= self.clock.window_end() {
            self.end_run(now);
        }
        self.end_stretches(now);
        self.release(just_behind(now), now);
        if self.waiting.borrow().is_empty() {
            return None;
        }
        let next = self.arrivals.borrow().next_after(now);
        Some(next.min(self.stretch_end()).min(self.clock.window_end()))
    }

    /// `true`: the clients that wait have been told that the run is over. Cheaper than [`Gate::is_over`], and
    /// a little later.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// `true`: no operation will start any more.
    pub fn is_over(&self) -> bool {
        self.over(self.clock.now())
    }

    /// The arrivals of this thread, once nothing starts any more.
    pub fn conclude(&self) -> Arrived {
        let mut arrivals = self.arrivals.borrow_mut();
        let end = arrivals.asked_until(match self.budget.get() {
            0 => Duration::ZERO, // all that were asked for have been taken
            _ => self.clock.planned_end().unwrap_or_default(),
        });
        arrivals.expire(end);
        let account = |phase: &Phase| {
            let time = phase.start..phase.end.min(end).max(phase.start);
            Account {
                asked: arrivals.due_within(time.clone()),
                not_started: arrivals.left_within(time),
                ..Account::default()
            }
        };
        let left = arrivals.leftovers();
        let in_window = left.iter().filter(|left| left.until > self.clock.window_start);
        let at_end = left.last().filter(|left| left.until >= end);
        Arrived {
            accounts: self.phases.iter().map(account).collect(),
            backlog: at_end
                .map(|left| (left.count(), arrivals.longest_wait(left)))
                .unwrap_or_default(),
            waits: in_window.flat_map(|left| arrivals.waits_of(left)).collect(),
            stalled: self.stalls.borrow_mut().conclude(),
        }
    }

    fn over(&self, now: Duration) -> bool {
        self.closed.get() || self.budget.get() == 0 || now >= self.clock.window_end()
    }

    fn turn(&self, client: usize, now: Duration) -> Turn {
        phase::turn(&self.phases, client, now)
    }

    /// The end of the stretch that lasts, or of the next.
    fn stretch_end(&self) -> Duration {
        self.stretches
            .get(self.stretch.get())
            .map_or(Duration::MAX, |stretch| stretch.end)
    }

    /// Ends the open loops that are over at `now`: clients that wait get what was due in them, the rest is
    /// left over.
    fn end_stretches(&self, now: Duration) {
        while let Some(stretch) = self
            .stretches
            .get(self.stretch.get())
            .filter(|stretch| stretch.end <= now)
        {
            self.release(stretch.end, now);
            if self.budget.get() > 0 {
                self.arrivals
                    .borrow_mut()
                    .expire(stretch.end.min(self.clock.window_end()));
            }
            self.stretch.set(self.stretch.get() + 1);
            self.dismiss();
        }
    }

    /// Gives arrivals that were due before `end` to clients that wait, as long as there are both.
    fn release(&self, end: Duration, now: Duration) {
        let end = end.min(self.clock.window_end());
        while !self.closed.get() && !self.waiting.borrow().is_empty() {
            let Some(due) = self.take_before(end) else { return };
            let Some(seat) = self.waiting.borrow_mut().pop_front() else {
                return;
            };
            let start = self.start(due, now, seat.since <= due);
            seat.call(self.spend(start));
        }
    }

    fn take_if_nobody_waits(&self, now: Duration) -> Option<Start> {
        let nobody_waits = self.waiting.borrow().is_empty();
        let due = nobody_waits
            .then(|| self.take_before(just_behind(now)))
            .flatten()?;
        Some(self.start(due, now, false))
    }

    fn take_before(&self, end: Duration) -> Option<Duration> {
        let due = self.arrivals.borrow_mut().take_before(end);
        if due.is_none() {
            self.stalls.borrow_mut().settled();
        }
        due
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

    fn start(&self, due: Duration, now: Duration, connection_was_free: bool) -> Start {
        Start {
            due: self.clock.epoch + due,
            began: self.clock.epoch + now,
            late_by_us: connection_was_free || self.stalls.borrow().explain(now.saturating_sub(due)),
            scheduled: true,
        }
    }

    /// In a closed loop an operation is due when its client is free.
    fn start_free(&self, now: Duration) -> Start {
        let now = self.clock.epoch + now;
        Start {
            due: now,
            began: now,
            late_by_us: true,
            scheduled: false,
        }
    }

    fn sit_down(&self, since: Duration) -> Rc<Seat> {
        let seat = Rc::new(Seat {
            since,
            call: Cell::default(),
            waker: RefCell::default(),
        });
        self.waiting.borrow_mut().push_back(seat.clone());
        if let Some(dispatcher) = self.dispatcher.borrow_mut().take() {
            dispatcher.wake();
        }
        seat
    }

    /// Lets nobody start any more; those who wait are told.
    fn close(&self) {
        self.closed.set(true);
        self.dismiss();
        for (_, waker) in self.resting.borrow_mut().drain() {
            waker.wake();
        }
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
}

impl Seat {
    /// Takes the answer, if the client has been called.
    pub fn take_call(&self) -> Option<Next> {
        self.call.take()
    }

    async fn called(&self) -> Next {
        poll_fn(|cx| match self.take_call() {
            Some(call) => Poll::Ready(call),
            None => {
                *self.waker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    fn call(&self, call: Next) {
        self.call.set(Some(call));
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

fn just_behind(now: Duration) -> Duration {
    now + Duration::from_nanos(1)
}

/// Waits with the precision of the kernel's timers; monoio's own have one millisecond, which is the latency
/// of several operations.
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
