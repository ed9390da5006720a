//! The run as a whole: starts the threads, watches the window and SIGINT, collects what the threads recorded.
//!
//! The control thread shares the cores of the load threads, so that it never disturbs a server pinned elsewhere; it
//! wakes up a few times a second.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::cpu::{Server, ServerSample};
use crate::identity::{self, Identities};
use crate::load::gate::{Clock, Gate};
use crate::load::recorder::{Interval, Recorder, Recording};
use crate::load::stages::{Stage, Stages};
use crate::load::{self, Core, Parts};
use crate::plan::Plan;
use crate::report::live::Live;
use crate::runtime::CoreRuntime;
use crate::schedule::{Arrivals, Schedule};
use crate::sys;
use crate::wire::Traffic;

/// Everything that the report is made of.
pub struct Outcome {
    pub recordings: Vec<Recording>,
    pub drivers: Vec<&'static str>,
    pub seconds: Vec<Interval>,
    pub server: Option<(ServerSample, ServerSample)>,
    /// Why there is no figure for the server although one was asked for.
    pub server_lost: Option<String>,
    pub interrupted: bool,
    /// For each phase that began, the server's memory at its start and its end, where it has idle connections.
    pub memory: Vec<Memory>,
}

/// Of the server's processes, their share of what they share with others (PSS).
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    pub before_bytes: Option<u64>,
    pub after_bytes: Option<u64>,
}

/// Runs the plan. Blocks until all threads have ended.
pub fn run(
    plan: &Arc<Plan>,
    identities: Arc<Identities>,
    server: Option<Server>,
    mut live: Live,
) -> Result<Outcome, String> {
    let interrupted = Arc::new(AtomicBool::new(false));
    listen_for_sigint(&interrupted)?;
    sys::pin_to_cores(&plan.cores).map_err(|error| format!("cores {:?}: {error}", plan.cores))?;
    let (interval_tx, interval_rx) = channel();
    let mut threads = Vec::new();
    for index in 0..plan.cores.len() {
        threads.push(LoadThread::start(plan, &identities, index, interval_tx.clone())?);
    }
    drop(interval_tx);
    let drivers = threads.iter().map(|thread| thread.driver).collect();

    let clock = Arc::new(Clock::new(Instant::now(), plan.warm_up, plan.duration));
    let stages = Arc::new(Stages::new(plan.phases.len()));
    for thread in &threads {
        let _ = thread.clock.send((clock.clone(), stages.clone())); // a thread that has died is reported by its join
    }
    let mut watch = Watch {
        clock,
        plan: plan.clone(),
        stages,
        memory: Vec::new(),
        phases_ended: 0,
        server,
        first: None,
        last: None,
        lost: None,
        interrupted,
    };
    watch.until_done(&interval_rx, &mut live);

    let mut recordings = Vec::new();
    for thread in threads {
        recordings.push(
            thread
                .handle
                .join()
                .map_err(|_| "a load thread panicked; please report this")?,
        );
    }
    Ok(Outcome {
        recordings,
        drivers,
        seconds: live.finish(),
        server: watch.first.zip(watch.last),
        server_lost: watch.lost,
        interrupted: watch.interrupted.load(Ordering::Relaxed),
        memory: watch.memory,
    })
}

/// What the control thread does while the load runs.
struct Watch {
    clock: Arc<Clock>,
    plan: Arc<Plan>,
    stages: Arc<Stages>,
    /// Of the phases that have begun.
    memory: Vec<Memory>,
    phases_ended: usize,
    server: Option<Server>,
    first: Option<ServerSample>,
    last: Option<ServerSample>,
    lost: Option<String>,
    interrupted: Arc<AtomicBool>,
}

impl Watch {
    fn until_done(&mut self, intervals: &Receiver<Interval>, live: &mut Live) {
        loop {
            let now = self.clock.at(Instant::now());
            if self.interrupted.load(Ordering::Relaxed) {
                self.clock.stop(now);
            }
            self.sample_at_boundaries(now);
            self.follow_phases(now);
            match intervals.recv_timeout(self.until_next_boundary(now).min(GLANCE)) {
                Ok(interval) => live.take(interval),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.last.is_none() {
            self.last = self.sample();
        }
    }

    fn sample_at_boundaries(&mut self, now: Duration) {
        if self.first.is_none() && now >= self.clock.window_start {
            self.first = self.sample();
        }
        if self.last.is_none() && now >= self.clock.window_end() {
            self.last = self.sample();
        }
    }

    /// Looks at the server's memory where phases with idle connections begin and end, and then lets them.
    fn follow_phases(&mut self, now: Duration) {
        let end = self.clock.window_end();
        while let Some(phase) = self.plan.phases.get(self.phases_ended) {
            let (starts, ends, holds) = (phase.start, phase.end.min(end), phase.hold.is_some());
            if self.memory.len() == self.phases_ended && now >= starts && now < end {
                let before_bytes = self.memory_now(holds);
                self.memory.push(Memory {
                    before_bytes,
                    after_bytes: None,
                });
                self.stages.set(self.phases_ended, Stage::Begun);
            }
            if now < ends {
                return;
            }
            let after_bytes = self.memory_now(holds);
            if let Some(memory) = self.memory.get_mut(self.phases_ended) {
                memory.after_bytes = after_bytes;
            }
            self.stages.set(self.phases_ended, Stage::Ended);
            self.phases_ended += 1;
        }
    }

    fn memory_now(&self, wanted: bool) -> Option<u64> {
        self.server.as_ref().filter(|_| wanted)?.proportional_bytes()
    }

    fn until_next_boundary(&self, now: Duration) -> Duration {
        let end = self.clock.window_end();
        let phase_end = self
            .plan
            .phases
            .get(self.phases_ended)
            .map_or(end, |phase| phase.end);
        let next = if now < self.clock.window_start {
            self.clock.window_start
        } else {
            end
        };
        let next = next.min(phase_end);
        next.checked_sub(now)
            .filter(|left| !left.is_zero())
            .unwrap_or(GLANCE)
    }

    fn sample(&mut self) -> Option<ServerSample> {
        let sample = self.server.as_ref()?.sample();
        sample
            .map_err(|error| self.lost = Some(format!("a server process has ended ({error})")))
            .ok()
    }
}

/// A started thread that waits for the clock.
struct LoadThread {
    handle: JoinHandle<Recording>,
    clock: Sender<(Arc<Clock>, Arc<Stages>)>,
    driver: &'static str,
}

impl LoadThread {
    fn start(
        plan: &Arc<Plan>,
        identities: &Arc<Identities>,
        index: usize,
        intervals: Sender<Interval>,
    ) -> Result<Self, String> {
        let (clock_tx, clock_rx) = channel();
        let (ready_tx, ready_rx) = channel();
        let core = plan.cores.get(index).copied().unwrap_or(0);
        let (plan, identities) = (plan.clone(), identities.clone());
        let handle = std::thread::Builder::new()
            .name(format!("load-{core}"))
            .spawn(move || {
                let mut runtime = match CoreRuntime::new(core, plan.driver) {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        let _ = ready_tx.send(Err(format!("core {core}: no runtime: {error}")));
                        return Recording::empty();
                    }
                };
                identity::seed_random_generator();
                let _ = ready_tx.send(Ok(runtime.driver));
                match clock_rx.recv() {
                    Ok((clock, stages)) => {
                        run_thread(&mut runtime, plan, &identities, index, clock, stages, intervals)
                    }
                    Err(_) => Recording::empty(),
                }
            })
            .map_err(|error| format!("no thread can be started: {error}"))?;
        let driver = ready_rx.recv().map_err(|_| "a load thread died".to_owned())??;
        Ok(LoadThread {
            handle,
            clock: clock_tx,
            driver,
        })
    }
}

fn run_thread(
    runtime: &mut CoreRuntime,
    plan: Arc<Plan>,
    identities: &Identities,
    index: usize,
    clock: Arc<Clock>,
    stages: Arc<Stages>,
    intervals: Sender<Interval>,
) -> Recording {
    let threads = plan.cores.len();
    let budget = plan
        .requests
        .map_or(u64::MAX, |requests| share(requests, index, threads));
    let arrivals = Arrivals::new(Schedule::new(&plan.phases, index, threads));
    let traffic = Rc::new(Traffic::default());
    let parts = Parts {
        gate: Gate::new(clock.clone(), &plan.phases, budget, arrivals),
        recorder: Recorder::new(&plan, clock.clone(), traffic.clone(), intervals),
        plan,
        clock,
        stages,
        traffic,
    };
    let core = Core::new(parts, identities, index);
    runtime.block_on(load::run(core.clone(), index));
    core.conclude()
}

/// The part of `total` that falls to thread `index` of `threads`.
fn share(total: u64, index: usize, threads: usize) -> u64 {
    let (index, threads) = (index as u64, threads as u64);
    total / threads + u64::from(index < total % threads)
}

/// The first SIGINT ends the run early, the second ends the process at once.
fn listen_for_sigint(interrupted: &Arc<AtomicBool>) -> Result<(), String> {
    let sigint = signal_hook::consts::SIGINT;
    signal_hook::flag::register_conditional_shutdown(sigint, 130, interrupted.clone())
        .and_then(|_| signal_hook::flag::register(sigint, interrupted.clone()))
        .map(|_| ())
        .map_err(|error| format!("SIGINT: {error}"))
}

/// How often the control thread looks for SIGINT.
const GLANCE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_shared_among_threads_without_loss() {
        for (total, threads) in [(10, 3), (1, 4), (7, 7), (100, 1)] {
            let shares: Vec<u64> = (0..threads).map(|index| share(total, index, threads)).collect();
            assert_eq!(shares.iter().sum::<u64>(), total);
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
    }
}
