//! The load of one thread: its connections, when they start operations, and what they record.
//!
//! Everything here runs on one pinned thread and is shared by `Rc`; threads share only the [`Plan`] and the [`Clock`].

mod fresh;
pub mod gate;
mod h2;
mod keepalive;
pub mod recorder;
pub mod second;
pub mod timeline;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use monoio::time::{sleep, timeout};
use rustls::HandshakeKind;

use crate::failure::Failure;
use crate::identity::{Client, Identities};
use crate::options::Mode;
use crate::plan::Plan;
use crate::wire::{Connection, Progress, Traffic};
use gate::{Clock, Gate, Start, Timer};
use recorder::{Outcome, Recorder, Recording};

/// What the connections of a thread share.
pub struct Core {
    pub plan: Arc<Plan>,
    pub clock: Arc<Clock>,
    pub gate: Rc<Gate>,
    pub recorder: RefCell<Recorder>,
    pub traffic: Rc<Traffic>,
}

/// Runs the connection slots `slots` until the run is over and their last operations have ended or been abandoned.
pub async fn run(core: Rc<Core>, identities: Arc<Identities>, slots: Vec<usize>) {
    let latch = Rc::new(Latch::default());
    for &slot in &slots {
        let clients = identities.clients(slot, core.plan.connections, core.plan.mode == Mode::Resume);
        let (core, ticket) = (core.clone(), latch.enter());
        monoio::spawn(async move {
            match core.plan.mode {
                Mode::Handshake | Mode::Resume => fresh::run(core, clients).await,
                Mode::Keepalive => keepalive::run(core, clients).await,
                Mode::H2 => h2::run(core, clients).await,
            }
            drop(ticket);
        });
    }
    if core.plan.rate.is_some() {
        match Timer::new() {
            Ok(timer) => drop(monoio::spawn(core.gate.clone().dispatch(timer))),
            Err(error) => eprintln!("loadgen: no timer: {error}"),
        }
    }
    supervise(&core, &latch).await;
}

/// Keeps the recorder's seconds moving when nothing ends, and gives the last operations some time.
async fn supervise(core: &Core, latch: &Latch) {
    while timeout(TICK, latch.empty()).await.is_err() {
        let now = Instant::now();
        core.tick(now);
        if core.clock.at(now) >= core.clock.window_end() {
            core.gate.close();
            let _ = timeout(LAST_OPERATIONS, latch.empty()).await;
            return;
        }
    }
}

impl Core {
    /// Waits for the next operation.
    async fn next(&self) -> Option<Start> {
        let start = self.gate.next().await?;
        self.recorder.borrow_mut().in_flight += 1;
        Some(start)
    }

    fn finish(&self, start: Start, outcome: Outcome) {
        let now = Instant::now();
        let mut recorder = self.recorder.borrow_mut();
        recorder.finish(start, now, outcome);
        recorder.in_flight -= 1;
    }

    fn tick(&self, now: Instant) {
        let mut recorder = self.recorder.borrow_mut();
        recorder.backlog = self.gate.backlog(now);
        recorder.advance(now);
    }

    /// Ends the recording; `connections` is how many were to stay open.
    pub fn conclude(&self, connections: u64) -> Recording {
        let now = Instant::now();
        self.tick(now);
        self.recorder.borrow_mut().conclude(now, connections)
    }

    /// Opens a connection and runs the handshake. The last flight still waits to be sent. The connection is left in
    /// `slot` even if its handshake fails, so that the caller can see it out.
    async fn open<'s>(
        &self,
        client: &Client,
        progress: &Rc<Progress>,
        slot: &'s mut Option<Connection>,
    ) -> Result<(&'s mut Connection, HandshakeKind), Failure> {
        let began = Instant::now();
        let (plan, traffic) = (&self.plan, self.traffic.clone());
        let connecting = Connection::connect(
            plan.address,
            &plan.server_name,
            &client.config,
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

    /// Limits `operation` to the time for one operation.
    async fn limited<T>(
        &self,
        progress: &Progress,
        operation: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match timeout(self.plan.timeout, operation).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Timeout(progress.stage.get())),
        }
    }
}

/// What the status of a response makes of an operation that should succeed.
fn check_status(status: u16) -> Result<(), Failure> {
    if status >= 400 {
        Err(Failure::Status(status))
    } else {
        Ok(())
    }
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

/// One task inside a latch, until it is dropped.
struct Inside(Rc<Latch>);

impl Latch {
    fn enter(self: &Rc<Self>) -> Inside {
        self.inside.set(self.inside.get() + 1);
        Inside(self.clone())
    }

    async fn empty(&self) {
        poll_fn(|cx| {
            if self.inside.get() == 0 {
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

const TICK: Duration = Duration::from_millis(20);
/// For operations that are under way when the window ends. They count nowhere, but the server sees them end in order.
const LAST_OPERATIONS: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);
