//! The load of one thread: its connections, when they start operations, and what they record.
//!
//! Everything here runs on one pinned thread and is shared by `Rc`; threads share only the [`Plan`] and the
//! [`Clock`].

pub mod account;
pub mod clock;
mod deck;
mod fresh;
pub mod gate;
mod h2;
mod h2_failure;
pub mod histogram;
mod hold;
mod job;
mod keepalive;
mod links;
mod negotiated;
pub mod recorder;
pub mod recording;
pub mod second;
pub mod sheet;
#[cfg(test)]
mod simulation_tests;
pub mod stages;
pub mod stalls;
pub mod tally;
mod template;
pub mod timeline;
mod worker;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use monoio::time::{sleep, timeout};
use rustls::HandshakeKind;

use crate::failure::Failure;
use crate::identity::{Client, Identities, Party};
use crate::options::Mode;
use crate::plan::Plan;
use crate::plan::phase::{self, Pace, Turn};
use crate::wire::{Connection, Progress, Traffic};
use clock::Clock;
use deck::Deck;
use gate::{Gate, Timer};
use hold::Permits;
use job::Job;
use recorder::{Begun, Recorder};
use recording::Recording;
use stages::{Bell, Stage, Stages};
use stalls::TICK;
use tally::Done;

/// State that the clients of a thread share.
pub struct Core {
    pub plan: Arc<Plan>,
    clock: Arc<Clock>,
    stages: Arc<Stages>,
    gate: Rc<Gate>,
    recorder: RefCell<Recorder>,
    traffic: Rc<Traffic>,
    jobs: Vec<Rc<Job>>,
    deck: RefCell<Deck>,
    random: RefCell<fastrand::Rng>,
    /// Number of this thread's connections, where all of them are to stay open.
    slots: usize,
    /// Number of these slots whose clients are at work when the window begins.
    slots_at_start: usize,
    /// Number of storms so far.
    storms: Cell<u64>,
    bell: Bell,
    permits: Permits,
}

/// Parts from which a thread builds its [`Core`].
pub struct Parts {
    pub plan: Arc<Plan>,
    pub clock: Arc<Clock>,
    pub stages: Arc<Stages>,
    pub gate: Gate,
    pub recorder: Recorder,
    pub traffic: Rc<Traffic>,
}

/// Runs the share of thread number `thread` until the run is over and the last operations have ended or been
/// abandoned.
pub async fn run(core: Rc<Core>, thread: usize) {
    let (clients, holders) = (Rc::new(Latch::default()), Rc::new(Latch::default()));
    for client in core.clients_of(thread) {
        let (core, ticket) = (core.clone(), clients.enter());
        monoio::spawn(async move {
            worker::run(core, client).await;
            drop(ticket);
        });
    }
    for number in (thread..core.held_at_most()).step_by(core.plan.cores.len()) {
        let (core, ticket) = (core.clone(), holders.enter());
        monoio::spawn(async move {
            hold::run(core, number).await;
            drop(ticket);
        });
    }
    if core
        .plan
        .phases
        .iter()
        .any(|phase| matches!(phase.pace, Pace::Open { .. }))
    {
        match Timer::new() {
            Ok(timer) => drop(monoio::spawn(core.gate.clone().dispatch(timer))),
            Err(error) => eprintln!("loadgen: no timer: {error}"),
        }
    }
    supervise(&core, &clients, &holders).await;
}

/// Keeps the recorder's seconds moving when nothing ends, passes on what the control thread tells, and gives
/// the last operations some time.
async fn supervise(core: &Core, clients: &Latch, holders: &Latch) {
    let mut told = 0;
    let mut ended = None;
    loop {
        match clients.is_empty() {
            true => sleep(TICK).await,
            false => drop(timeout(TICK, clients.empty()).await),
        }
        let now = Instant::now();
        core.tick(now);
        core.pass_on(&mut told);
        if core.clock.at(now) >= core.clock.window_end() {
            core.gate.end_run(core.clock.at(now));
            ended.get_or_insert(now);
        }
        let busy = |latch: &Latch, patience| {
            let in_time = ended.is_none_or(|ended| now - ended < patience);
            !latch.is_empty() && in_time
        };
        if core.gate.is_over()
            && !busy(clients, core.plan.wait.unwrap_or(LAST_OPERATIONS))
            && !busy(holders, core.plan.timeout + LAST_OPERATIONS)
        {
            return;
        }
    }
}

impl Core {
    /// Builds the core of thread number `thread`, with a job for each entry of the plan.
    pub fn new(parts: Parts, identities: &Identities, thread: usize) -> Rc<Self> {
        let plan = parts.plan;
        let entries = plan.entries.iter().zip(identities.parties()).enumerate();
        let jobs = entries.map(|(index, (entry, party))| Job::new(&plan, index, entry, party, thread));
        let jobs: Vec<_> = jobs.collect();
        let seed = plan.seed.wrapping_mul(SEEDS_APART).wrapping_add(thread as u64);
        let weights = plan.entries.iter().map(|entry| entry.weight);
        let core = Core {
            deck: RefCell::new(Deck::new(weights, seed)),
            random: RefCell::new(fastrand::Rng::with_seed(!seed)),
            slots: slots(&plan, thread, |_| true),
            slots_at_start: slots(&plan, thread, |client| {
                is_at_work_before_the_window(&plan, client)
            }),
            clock: parts.clock,
            stages: parts.stages,
            gate: Rc::new(parts.gate),
            recorder: RefCell::new(parts.recorder),
            traffic: parts.traffic,
            jobs,
            storms: Cell::new(0),
            bell: Bell::default(),
            permits: Permits::default(),
            plan,
        };
        Rc::new(core)
    }

    /// The clients of this thread; clients that share a connection are on one thread.
    fn clients_of(&self, thread: usize) -> impl Iterator<Item = usize> + use<> {
        clients_of(&self.plan, thread)
    }

    /// The most idle connections of any phase.
    fn held_at_most(&self) -> usize {
        let holds = self.plan.phases.iter().filter_map(|phase| phase.hold);
        holds.map(|hold| hold.connections).max().unwrap_or(0)
    }

    fn finish(&self, begun: Begun, entry: usize, done: Done) {
        self.recorder
            .borrow_mut()
            .finish(begun, entry, Instant::now(), done);
    }

    /// Tells this thread's connections what the control thread has told; `told` is what they know already.
    fn pass_on(&self, told: &mut u32) {
        let changes = self.stages.changes();
        if changes != *told {
            *told = changes;
            let phases = self.plan.phases.iter().enumerate();
            let storms = phases.filter(|(index, phase)| {
                phase.reconnect.is_some() && self.stages.get(*index) >= Stage::Begun
            });
            self.storms.set(storms.count() as u64);
        }
        self.bell.ring(); // also for those who wait for the end of the run
    }

    fn tick(&self, now: Instant) {
        let at = self.clock.at(now);
        self.gate.tick(at);
        let mut recorder = self.recorder.borrow_mut();
        recorder.backlog = self.gate.backlog(at);
        recorder.advance(now);
    }

    /// Ends the recording.
    pub fn conclude(&self) -> Recording {
        let now = Instant::now();
        self.tick(now);
        let arrived = self.gate.conclude();
        self.recorder
            .borrow_mut()
            .conclude(now, self.slots_at_start as u64, arrived)
    }

    /// Opens a connection and runs the handshake. The last flight still waits to be sent. The connection is
    /// left in `slot` even if its handshake fails, so that the caller can see it out.
    async fn open<'s>(
        &self,
        party: &Party,
        client: &Rc<Client>,
        progress: &Rc<Progress>,
        slot: &'s mut Option<Connection>,
    ) -> Result<(&'s mut Connection, HandshakeKind), Failure> {
        let began = Instant::now();
        let (plan, traffic) = (&self.plan, self.traffic.clone());
        let connecting = Connection::connect(
            plan.address,
            &plan.server_name,
            &party.config,
            client,
            progress.clone(),
            traffic,
        );
        let connection = slot.insert(connecting.await?);
        let connected = Instant::now();
        let result = connection.handshake().await;
        let mut recorder = self.recorder.borrow_mut();
        if progress.certificate_requested.get() {
            recorder.certificate_requested();
        }
        let kind = result?;
        recorder.handshake(kind, connected - began, connected.elapsed());
        recorder.negotiated(&connection.records);
        drop(recorder);
        Ok((connection, kind))
    }

    /// The time by which an operation that begins now has to end, whatever it consists of.
    fn deadline(&self) -> Instant {
        Instant::now() + self.plan.timeout
    }

    /// Limits a part of an operation to the time that is left for all of it.
    async fn limited<T>(
        &self,
        deadline: Instant,
        progress: &Progress,
        part: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match timeout(deadline.saturating_duration_since(Instant::now()), part).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Timeout(progress.stage.get())),
        }
    }
}

fn clients_of(plan: &Plan, thread: usize) -> impl Iterator<Item = usize> + use<> {
    let (threads, together) = (plan.cores.len(), plan.clients_together);
    (0..plan.clients).filter(move |client| client / together % threads == thread)
}

/// The number of connections that are to stay open on a thread for these clients, where that is what all
/// entries do.
fn slots(plan: &Plan, thread: usize, of: impl Fn(usize) -> bool) -> usize {
    let clients = clients_of(plan, thread).filter(|client| of(*client)).count();
    match plan.mode() {
        Mode::Keepalive => clients,
        Mode::H2 => clients.div_ceil(plan.streams()),
        Mode::Handshake | Mode::Resume | Mode::Mix => 0,
    }
}

fn is_at_work_before_the_window(plan: &Plan, client: usize) -> bool {
    let last = plan.warm_up().saturating_sub(Duration::from_nanos(1));
    matches!(
        phase::turn(&plan.phases, client, last),
        Turn::Free | Turn::Scheduled
    )
}

/// A server that takes no connections is not asked a hundred thousand times a second.
async fn pause_after(failure: &Failure) {
    if matches!(
        failure,
        Failure::Connect(_) | Failure::NoTicket | Failure::NotHttp2
    ) {
        sleep(PAUSE).await;
    }
}

/// Counts the tasks that still run.
#[derive(Default)]
struct Latch {
    inside: Cell<usize>,
    waker: RefCell<Option<Waker>>,
}

/// A task inside a latch, until it is dropped.
struct Inside(Rc<Latch>);

impl Latch {
    fn enter(self: &Rc<Self>) -> Inside {
        self.inside.set(self.inside.get() + 1);
        Inside(self.clone())
    }

    fn is_empty(&self) -> bool {
        self.inside.get() == 0
    }

    async fn empty(&self) {
        poll_fn(|cx| {
            if self.is_empty() {
                return Poll::Ready(());
            }
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.inside.set(self.0.inside.get() - 1);
        if self.0.inside.get() == 0
            && let Some(waker) = self.0.waker.borrow_mut().take()
        {
            waker.wake();
        }
    }
}

/// Time for operations that are under way when the window ends. They count as in flight, but the server sees
/// them end in order.
pub const LAST_OPERATIONS: Duration = Duration::from_secs(1);
/// The seeds of a plan's threads follow each other, those of another plan lie elsewhere.
const SEEDS_APART: u64 = 0x9e37_79b9_7f4a_7c15;
const PAUSE: Duration = Duration::from_millis(10);
