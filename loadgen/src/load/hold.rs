//! Idle connections, and what becomes of them in a storm.
//!
//! Each does its handshake and one request, and then nothing until its phase ends: there it must answer
//! another one. It stays open through phases that follow each other. In a storm all are dropped at once, by a
//! reset, and each opens a new one until that succeeds or the phase is over.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use monoio::time::sleep;

use super::Core;
use super::job::Job;
use super::keepalive::Open;
use super::sheet::HoldSheet;
use super::stages::Stage;
use crate::failure::Failure;
use crate::identity::Clients;
use crate::plan::phase::{Hold, Phase};

/// Keeps idle connection number `number` of the plan through all phases that have so many.
pub async fn run(core: Rc<Core>, number: usize) {
    let mut holder = Holder {
        core: core.clone(),
        number,
        held: None,
    };
    for (index, phase) in core.plan.phases.iter().enumerate() {
        match phase.hold {
            Some(hold) if number < hold.connections => {
                if !holder.reaches(index, Stage::Begun).await {
                    break;
                }
                holder.keep(index, phase, hold).await;
            }
            _ => holder.let_go().await,
        }
    }
    holder.let_go().await;
}

struct Holder {
    core: Rc<Core>,
    number: usize,
    held: Option<Held>,
}

/// An open connection and how to make another of its kind.
struct Held {
    job: Rc<Job>,
    clients: Clients,
    open: Option<Open>,
}

impl Holder {
    /// Waits until the phase has come so far. `false`: the run is over before.
    async fn reaches(&self, phase: usize, stage: Stage) -> bool {
        let (stages, gate) = (&self.core.stages, &self.core.gate);
        let reached = || stages.get(phase) >= stage;
        self.core.bell.wait_until(|| reached() || gate.is_over()).await;
        reached() || stage == Stage::Ended
    }

    async fn keep(&mut self, index: usize, phase: &Phase, hold: Hold) {
        let Some(mut held) = self.take_or_prepare(hold).await else {
            return;
        };
        match (held.open.take(), phase.reconnect) {
            (Some(open), Some(within)) => {
                let delay = within.mul_f64(self.number as f64 / hold.connections as f64);
                held.open = self.weather(index, &mut held, open, delay).await;
            }
            (Some(open), None) => held.open = Some(open),
            (None, _) => held.open = self.open(index, &mut held).await,
        }
        self.core
            .bell
            .wait_until(|| self.core.stages.get(index) == Stage::Ended)
            .await;
        if let Some(open) = held.open.take() {
            held.open = self.check(index, &held.job, open).await;
        }
        self.held = Some(held);
    }

    /// Takes the connection held from the phase before if it is of the same kind; else prepares one.
    async fn take_or_prepare(&mut self, hold: Hold) -> Option<Held> {
        if self
            .held
            .as_ref()
            .is_some_and(|held| held.job.index != hold.entry)
        {
            self.let_go().await;
        }
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        let job = self.core.jobs.get(hold.entry)?.clone();
        let clients = job.party.clients(self.number, hold.connections);
        Some(Held {
            job,
            clients,
            open: None,
        })
    }

    /// Opens the connection for the first time, not too many at once.
    async fn open(&self, index: usize, held: &mut Held) -> Option<Open> {
        let permit = self.core.permits.take().await;
        let opened = self.connect(held).await;
        drop(permit);
        let write =
            |use_sheet: &dyn Fn(&mut HoldSheet)| use_sheet(self.core.recorder.borrow_mut().hold(index));
        match opened {
            Ok(open) => {
                write(&|sheet| sheet.opened += 1);
                Some(open)
            }
            Err(failure) => {
                write(&|sheet| sheet.not_opened(failure.clone()));
                None
            }
        }
    }

    /// Drops the connection and opens another, again and again until the phase is over.
    async fn weather(&self, index: usize, held: &mut Held, open: Open, delay: Duration) -> Option<Open> {
        open.connection.abort();
        let dropped = Instant::now();
        self.core.recorder.borrow_mut().hold(index).dropped += 1;
        if !delay.is_zero() {
            sleep(delay).await;
        }
        while self.core.stages.get(index) < Stage::Ended {
            match self.connect(held).await {
                Ok(open) => {
                    let mut recorder = self.core.recorder.borrow_mut();
                    recorder.hold(index).reopened(dropped.elapsed());
                    return Some(open);
                }
                Err(failure) => {
                    self.core.recorder.borrow_mut().hold(index).not_reopened(failure);
                    sleep(RETRY).await;
                }
            }
        }
        None
    }

    /// A handshake and a request.
    async fn connect(&self, held: &mut Held) -> Result<Open, Failure> {
        let client = held.clients.next();
        let mut open = Open::new(&self.core, &held.job, &client, self.core.deadline()).await?;
        self.request(&held.job, &mut open).await?;
        open.connection.rest();
        Ok(open)
    }

    async fn check(&self, index: usize, job: &Job, mut open: Open) -> Option<Open> {
        let permit = self.core.permits.take().await;
        let answered = self.request(job, &mut open).await;
        drop(permit);
        let mut recorder = self.core.recorder.borrow_mut();
        match answered {
            Ok(()) => {
                recorder.hold(index).alive += 1;
                open.connection.rest();
                Some(open)
            }
            Err(failure) => {
                recorder.hold(index).lost(failure);
                None
            }
        }
    }

    async fn request(&self, job: &Job, open: &mut Open) -> Result<(), Failure> {
        let (answer, _) = open.request(&self.core, job, self.core.deadline()).await?;
        job.check(answer)
    }

    async fn let_go(&mut self) {
        if let Some(open) = self.held.take().and_then(|held| held.open) {
            open.connection.close().await;
        }
    }
}

/// Permits to be busy, for the idle connections of one thread: few have one at the same time.
pub struct Permits {
    free: Cell<usize>,
    waiting: RefCell<VecDeque<Waker>>,
}

struct Permit<'a>(&'a Permits);

impl Default for Permits {
    fn default() -> Self {
        Permits {
            free: Cell::new(BUSY_AT_ONCE_MAX),
            waiting: RefCell::default(),
        }
    }
}

impl Permits {
    async fn take(&self) -> Permit<'_> {
        poll_fn(|cx| {
            if self.free.get() == 0 {
                self.waiting.borrow_mut().push_back(cx.waker().clone());
                return Poll::Pending;
            }
            self.free.set(self.free.get() - 1);
            Poll::Ready(Permit(self))
        })
        .await
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.free.set(self.0.free.get() + 1);
        if let Some(waker) = self.0.waiting.borrow_mut().pop_front() {
            waker.wake();
        }
    }
}

/// Opening idle connections is no storm: a server's listen queue holds more.
const BUSY_AT_ONCE_MAX: usize = 64;
/// Between an attempt that failed and the next.
const RETRY: Duration = Duration::from_millis(100);
