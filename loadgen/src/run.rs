//! The run as a whole: starts the threads, watches the window and SIGINT, collects what the threads recorded.
//!
//! The control thread shares the cores of the load threads, so that it never disturbs a server pinned elsewhere; it
//! wakes up a few times a second.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crate::cpu::{Glances, Server, ServerGlance, ServerSample};
use crate::identity::{self, Identities};
use crate::kernel;
use crate::load::gate::{Clock, Gate};
use crate::load::recorder::{Recorder, Recording};
use crate::load::second::Second;
use crate::load::timeline::{self, Timeline};
use crate::load::{self, Core};
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
    pub started_at: SystemTime,
    /// The start of the run, from which the clock counts.
    pub epoch: Instant,
    pub glances: Vec<ServerGlance>,
    /// In the window, of all listening sockets of this machine; unknown where the kernel does not say.
    pub listen_overflows: Option<u64>,
    pub server: Option<(ServerSample, ServerSample)>,
    /// Why there is no figure for the server although one was asked for.
    pub server_lost: Option<String>,
    pub interrupted: bool,
}

/// Runs the plan. Blocks until all threads have ended.
pub fn run(
    plan: &Arc<Plan>,
    identities: Identities,
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

    let started_at = SystemTime::now();
    let clock = Arc::new(Clock::new(Instant::now(), plan.warm_up, plan.duration));
    for thread in &threads {
        let _ = thread.clock.send(clock.clone()); // a thread that has died is reported by its join
    }
    let mut watch = Watch {
        glances: Glances::new(timeline::width_for(clock.planned_end())),
        overflows: None,
        clock: clock.clone(),
        server,
        first: None,
        last: None,
        lost: None,
        interrupted,
    };
    watch.until_done(&interval_rx, &mut live);
    live.finish();

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
        started_at,
        epoch: clock.epoch,
        listen_overflows: watch.overflows_since_start(),
        glances: watch.glances.taken(),
        server: watch.first.zip(watch.last),
        server_lost: watch.lost,
        interrupted: watch.interrupted.load(Ordering::Relaxed),
    })
}

/// What the control thread does while the load runs.
struct Watch {
    clock: Arc<Clock>,
    server: Option<Server>,
    glances: Glances,
    /// The kernel's counter at the start of the window.
    overflows: Option<u64>,
    first: Option<ServerSample>,
    last: Option<ServerSample>,
    lost: Option<String>,
    interrupted: Arc<AtomicBool>,
}

impl Watch {
    fn until_done(&mut self, intervals: &Receiver<Second>, live: &mut Live) {
        loop {
            let now = self.clock.at(Instant::now());
            if self.interrupted.load(Ordering::Relaxed) {
                self.clock.stop(now);
            }
            self.sample_at_boundaries(now);
            if let Some(server) = &self.server {
                self.glances.take(now, server);
            }
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
        if self.overflows.is_none() && now >= self.clock.window_start {
            self.overflows = kernel::listen_overflows();
        }
        if self.first.is_none() && now >= self.clock.window_start {
            self.first = self.sample();
        }
        if self.last.is_none() && now >= self.clock.window_end() {
            self.last = self.sample();
        }
    }

    fn until_next_boundary(&self, now: Duration) -> Duration {
        let next = if now < self.clock.window_start {
            self.clock.window_start
        } else {
            self.clock.window_end()
        };
        let next = if self.server.is_some() {
            next.min(self.glances.next())
        } else {
            next
        };
        next.checked_sub(now)
            .filter(|left| !left.is_zero())
            .unwrap_or(GLANCE)
    }

    fn overflows_since_start(&self) -> Option<u64> {
        let now = kernel::listen_overflows()?;
        Some(now.saturating_sub(self.overflows?))
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
    clock: Sender<Arc<Clock>>,
    driver: &'static str,
}

impl LoadThread {
    fn start(
        plan: &Arc<Plan>,
        identities: &Identities,
        index: usize,
        intervals: Sender<Second>,
    ) -> Result<Self, String> {
        let (clock_tx, clock_rx) = channel::<Arc<Clock>>();
        let (ready_tx, ready_rx) = channel();
        let core = plan.cores.get(index).copied().unwrap_or(0);
        let (plan, identities) = (plan.clone(), Arc::new(identities.clone()));
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
                let end = plan.duration.map(|duration| plan.warm_up + duration);
                let timeline = Timeline::new(plan.warm_up, end);
                let _ = ready_tx.send(Ok(runtime.driver));
                match clock_rx.recv() {
                    Ok(clock) => {
                        run_thread(&mut runtime, plan, identities, index, clock, intervals, timeline)
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
    identities: Arc<Identities>,
    index: usize,
    clock: Arc<Clock>,
    intervals: Sender<Second>,
    timeline: Timeline,
) -> Recording {
    let threads = plan.cores.len();
    let slots: Vec<usize> = (index..plan.connections).step_by(threads).collect();
    let connections = if plan.mode.opens_a_connection_per_operation() {
        0
    } else {
        slots.len() as u64
    };
    let budget = plan
        .requests
        .map_or(u64::MAX, |requests| share(requests, index, threads));
    let arrivals = plan
        .rate
        .map(|rate| Arrivals::new(Schedule::new(rate, index, threads)));
    let traffic = Rc::new(Traffic::default());
    let mut recorder = Recorder::new(
        clock.clone(),
        traffic.clone(),
        intervals,
        plan.mode.opens_a_connection_per_operation(),
    );
    recorder.write_to(timeline);
    let core = Rc::new(Core {
        plan,
        clock: clock.clone(),
        gate: Rc::new(Gate::new(clock, budget, arrivals)),
        recorder: RefCell::new(recorder),
        traffic,
    });
    runtime.block_on(load::run(core.clone(), identities, slots));
    core.conclude(connections)
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
