//! The run as a whole: starts the threads, watches the window, SIGINT and SIGTERM, collects what the threads
//! recorded.
//!
//! The control thread shares the cores of the load threads, so that it never disturbs a server pinned
//! elsewhere; it wakes up a few times a second.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crate::cpu::{Glances, Server, ServerGlance, ServerSample};
use crate::identity::{self, Identities};
use crate::kernel;
use crate::load::clock::Clock;
use crate::load::gate::Gate;
use crate::load::recorder::Recorder;
use crate::load::recording::Recording;
use crate::load::second::Second;
use crate::load::stages::{Stage, Stages};
use crate::load::timeline::{self, Timeline};
use crate::load::{self, Core, LAST_OPERATIONS, Parts};
use crate::plan::Plan;
use crate::report::live::Live;
use crate::runtime::CoreRuntime;
use crate::schedule::{Arrivals, Schedule};
use crate::sys;
use crate::wire::Traffic;

/// Everything that the report is made of.
pub struct Outcome {
    /// Recordings of the load threads, in the order of the plan's cores.
    pub recordings: Vec<Recording>,
    /// Names of the ways in which the load threads wait for sockets, in the same order.
    pub drivers: Vec<&'static str>,
    /// Time of day at the start of the run.
    pub started_at: SystemTime,
    /// The start of the run, from which the clock counts.
    pub epoch: Instant,
    /// Quick looks at the server in the course of the run; empty without `--server-pid`.
    pub glances: Vec<ServerGlance>,
    /// In the window, of all listening sockets of this machine; unknown where the kernel does not say.
    pub listen_overflows: Option<u64>,
    /// Full looks at the server at the start and the end of the window.
    pub server: Option<(ServerSample, ServerSample)>,
    /// The reason why there is no figure for the server although one was asked for.
    pub server_lost: Option<String>,
    /// A signal ended the run early.
    pub interrupted: bool,
    /// Memory of the server at the start and the end of each phase that began, where the phase has idle
    /// connections.
    pub memory: Vec<Memory>,
}

/// Memory of the server's processes, with their share of what they share with others (PSS).
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Bytes at the start of the phase.
    pub before_bytes: Option<u64>,
    /// Bytes at the end of the phase.
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
    listen_for_signals(&interrupted)?;
    sys::pin_to_cores(&plan.cores).map_err(|error| format!("cores {:?}: {error}", plan.cores))?;
    let (interval_tx, interval_rx) = channel();
    let mut threads = Vec::new();
    for index in 0..plan.cores.len() {
        threads.push(LoadThread::start(plan, &identities, index, interval_tx.clone())?);
    }
    drop(interval_tx);
    let drivers = threads.iter().map(|thread| thread.driver).collect();

    let started_at = SystemTime::now();
    let clock = Arc::new(Clock::new(Instant::now(), plan.warm_up(), plan.duration()));
    let stages = Arc::new(Stages::new(plan.phases.len()));
    for thread in &threads {
        // A thread that has died is reported by its join.
        let _ = thread.clock.send((clock.clone(), stages.clone()));
    }
    let mut watch = Watch::new(plan, clock.clone(), stages, server, interrupted);
    let ended = watch.until_done(&interval_rx, &mut live, || {
        threads.iter().all(|thread| thread.handle.is_finished())
    });
    live.finish();
    ended?;
    Ok(Outcome {
        recordings: join(threads)?,
        drivers,
        started_at,
        epoch: clock.epoch,
        listen_overflows: watch.overflows_since_start(),
        glances: watch.glances.taken(),
        server: watch.first.zip(watch.last),
        server_lost: watch.lost,
        interrupted: watch.interrupted.load(Ordering::Relaxed),
        memory: watch.memory,
    })
}

/// Waits for threads that are about to end.
fn join(threads: Vec<LoadThread>) -> Result<Vec<Recording>, String> {
    let recordings = threads.into_iter().map(|thread| thread.handle.join());
    let recordings =
        recordings.map(|end| end.map_err(|_| "a load thread panicked; please report this".to_owned()));
    recordings.collect()
}

/// The control thread's state while the load runs.
struct Watch {
    clock: Arc<Clock>,
    plan: Arc<Plan>,
    stages: Arc<Stages>,
    /// Memory at the phases that have begun.
    memory: Vec<Memory>,
    phases_ended: usize,
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
    fn new(
        plan: &Arc<Plan>,
        clock: Arc<Clock>,
        stages: Arc<Stages>,
        server: Option<Server>,
        interrupted: Arc<AtomicBool>,
    ) -> Self {
        Watch {
            plan: plan.clone(),
            stages,
            memory: Vec::new(),
            phases_ended: 0,
            glances: Glances::new(timeline::width_for(clock.planned_end())),
            clock,
            overflows: None,
            server,
            first: None,
            last: None,
            lost: None,
            interrupted,
        }
    }

    /// Returns when all threads have ended, or with an error when one has not long after it should have: a
    /// run ends whatever a load thread does.
    fn until_done(
        &mut self,
        intervals: &Receiver<Second>,
        live: &mut Live,
        all_ended: impl Fn() -> bool,
    ) -> Result<(), String> {
        loop {
            let now = self.clock.at(Instant::now());
            if self.interrupted.load(Ordering::Relaxed) {
                self.clock.stop(now);
            }
            self.sample_at_boundaries(now);
            self.follow_phases(now);
            if let Some(server) = &self.server {
                self.glances.take(now, server);
            }
            match intervals.recv_timeout(self.until_next_boundary(now).min(GLANCE)) {
                Ok(interval) => live.take(interval),
                Err(RecvTimeoutError::Timeout) if all_ended() => break,
                Err(RecvTimeoutError::Timeout) => self.check_overrun()?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.last.is_none() {
            self.last = self.sample();
        }
        Ok(())
    }

    /// Load threads give up what is in flight by themselves; here it is only seen that they do.
    fn check_overrun(&self) -> Result<(), String> {
        let Some(end) = self.clock.planned_end() else {
            return Ok(());
        };
        let holds = self.plan.phases.iter().any(|phase| phase.hold.is_some());
        let for_idle = if holds { self.plan.timeout } else { Duration::ZERO };
        let patience = self.plan.wait.unwrap_or_default().max(for_idle) + LAST_OPERATIONS + OVERRUN_MAX;
        match self.clock.now().checked_sub(end + patience) {
            None => Ok(()),
            Some(_) => Err(format!(
                "a load thread has not ended {patience:?} after the end of the run; there is no report without it; please report this"
            )),
        }
    }

    fn sample_at_boundaries(&mut self, now: Duration) {
        if self.overflows.is_none() && now >= self.clock.window_start {
            self.overflows = kernel::listen_overflows();
        }
        if self.first.is_none() && now >= self.clock.window_start {
            self.first = self.sample();
        }
        if self.last.is_none() && self.plan.wait.is_none() && now >= self.clock.window_end() {
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
    clock: Sender<(Arc<Clock>, Arc<Stages>)>,
    driver: &'static str,
}

impl LoadThread {
    fn start(
        plan: &Arc<Plan>,
        identities: &Arc<Identities>,
        index: usize,
        intervals: Sender<Second>,
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
                let end = plan.duration().map(|duration| plan.warm_up() + duration);
                let timeline = Timeline::new(plan.warm_up(), end);
                let _ = ready_tx.send(Ok(runtime.driver));
                match clock_rx.recv() {
                    Ok(clock) => {
                        run_thread(&mut runtime, plan, &identities, index, clock, intervals, timeline)
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
    (clock, stages): (Arc<Clock>, Arc<Stages>),
    intervals: Sender<Second>,
    timeline: Timeline,
) -> Recording {
    let threads = plan.cores.len();
    let budget = plan
        .requests
        .map_or(u64::MAX, |requests| share(requests, index, threads));
    let arrivals = Arrivals::new(Schedule::new(&plan.phases, index, threads));
    let traffic = Rc::new(Traffic::default());
    let mut recorder = Recorder::new(&plan, clock.clone(), traffic.clone(), intervals);
    recorder.write_to(timeline);
    let parts = Parts {
        gate: Gate::new(clock.clone(), &plan.phases, budget, arrivals),
        recorder,
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

/// The first SIGINT or SIGTERM ends the run early, the second ends the process at once.
fn listen_for_signals(interrupted: &Arc<AtomicBool>) -> Result<(), String> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    [SIGINT, SIGTERM].into_iter().try_for_each(|signal| {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, interrupted.clone())
            .and_then(|_| signal_hook::flag::register(signal, interrupted.clone()))
            .map(|_| ())
            .map_err(|error| format!("signal {signal}: {error}"))
    })
}

/// Time between two looks of the control thread for signals.
const GLANCE: Duration = Duration::from_millis(100);
/// Patience with a load thread on a machine that is busy with other things.
const OVERRUN_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// The control thread of a run that should have ended long ago, whose load threads keep their side of the
    /// channel.
    fn watch_late(all_ended: bool) -> Result<(), String> {
        let words = [
            "loadgen",
            "--insecure",
            "--address",
            "127.0.0.1:1",
            "--duration",
            "1s",
            "--warm-up",
            "0s",
        ];
        let options = crate::options::Options::try_parse_from(words).unwrap();
        let plan = Arc::new(Plan::new(&options, &[0]).unwrap());
        let epoch = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        let clock = Arc::new(Clock::new(epoch, plan.warm_up(), plan.duration()));
        let stages = Arc::new(Stages::new(plan.phases.len()));
        let (kept, intervals) = channel();
        let mut live = Live::new(1, plan.warm_up(), plan.duration(), true);
        let mut watch = Watch::new(&plan, clock, stages, None, Arc::default());
        let ended = watch.until_done(&intervals, &mut live, || all_ended);
        drop(kept);
        ended
    }

    #[test]
    fn the_control_thread_ends_with_the_load_threads_whatever_they_have_left_behind() {
        assert_eq!(watch_late(true), Ok(()));
    }

    #[test]
    fn the_control_thread_gives_up_on_a_load_thread_that_never_ends() {
        let complaint = watch_late(false).unwrap_err();
        assert!(complaint.contains("a load thread has not ended"), "{complaint}");
    }

    #[test]
    fn operations_are_shared_among_threads_without_loss() {
        for (total, threads) in [(10, 3), (1, 4), (7, 7), (100, 1)] {
            let shares: Vec<u64> = (0..threads).map(|index| share(total, index, threads)).collect();
            assert_eq!(shares.iter().sum::<u64>(), total);
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
    }
}
