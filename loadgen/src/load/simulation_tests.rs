//! Gate and recorder on a virtual clock, with clients and a server of chance: whatever they do, and however
//! late the loop runs, no operation is lost. Each run follows from its seed.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use clap::Parser;

use super::account::Account;
use super::clock::Clock;
use super::gate::{Asked, Gate, Next, Seat, Start};
use super::recorder::{Begun, Recorder};
use super::recording::Recording;
use super::stalls::TICK;
use super::tally::{Done, Outcome};
use super::timeline::Timeline;
use crate::failure::{Failure, Stage};
use crate::options::Options;
use crate::plan::Plan;
use crate::plan::phase::tests::{closed, phases};
use crate::plan::phase::{Pace, Phase, Ramp};
use crate::schedule::{Arrivals, Schedule};
use crate::wire::Traffic;

const MS: Duration = Duration::from_millis(1);
const NS: Duration = Duration::from_nanos(1);

/// The chances of a run.
struct World {
    random: fastrand::Rng,
    plan: Plan,
    /// Each from when to when this thread's loop stands still.
    stalls: Vec<(Duration, Duration)>,
    /// A signal ends the run early.
    stop: Option<Duration>,
    budget: u64,
    service: Duration,
    /// Time from which on the server answers nothing.
    hangs: Option<Duration>,
}

enum Client {
    Free,
    Seated(Rc<Seat>),
    Busy(Begun, Duration),
    Away,
}

struct Run<'w> {
    world: &'w mut World,
    clock: Arc<Clock>,
    gate: Gate,
    recorder: Recorder,
    clients: Vec<Client>,
    now: Duration,
    tick: Duration,
    wake: Option<Duration>,
    starts: Vec<Start>,
    /// Operations that ended before the run did.
    ended: u64,
}

impl World {
    fn of(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut paces = Vec::new();
        for _ in 0..random.u32(1..5) {
            let seconds = f64::from(random.u32(1..10)) / 10.0;
            let pace = match random.u32(0..3) {
                0 => closed(f64::from(random.u32(0..4)), f64::from(random.u32(0..6))),
                _ => open(&mut random),
            };
            paces.push((seconds, pace));
        }
        let mut phases = phases(&paces);
        phases[0].measured = phases.len() == 1 || random.bool();
        let end = phases[phases.len() - 1].end;
        let moment = |random: &mut fastrand::Rng| end.mul_f64(random.f64());
        let mut stalls = Vec::new();
        for _ in 0..random.u32(0..4) {
            let start = moment(&mut random);
            stalls.push((start, start + MS * random.u32(1..600)));
        }
        World {
            plan: plan(phases, random.bool().then_some(MS * 300)),
            stalls,
            stop: (random.u32(0..4) == 0).then(|| moment(&mut random)),
            budget: if random.u32(0..5) == 0 {
                random.u64(1..200)
            } else {
                u64::MAX
            },
            service: Duration::from_micros(random.u64(100..50_000)),
            hangs: (random.u32(0..5) == 0).then(|| moment(&mut random)),
            random,
        }
    }

    fn takes(&mut self, now: Duration) -> Duration {
        match self.hangs {
            Some(hangs) if now >= hangs => Duration::from_secs(3600),
            _ => self.service.mul_f64(-(1.0 - self.random.f64()).ln()) + NS,
        }
    }

    /// The time at which the loop runs that is to run at `now`.
    fn late(&self, now: Duration) -> Duration {
        let within = |(start, end): &&(Duration, Duration)| (*start..*end).contains(&now);
        self.stalls
            .iter()
            .filter(within)
            .map(|(_, end)| *end)
            .max()
            .map_or(now, |end| self.late(end))
    }
}

fn open(random: &mut fastrand::Rng) -> Pace {
    let rate = Ramp {
        from: f64::from(random.u32(0..300)),
        to: f64::from(random.u32(0..300)),
    };
    Pace::Open {
        rate,
        clients: random.usize(1..9),
    }
}

fn plan(phases: Vec<Phase>, wait: Option<Duration>) -> Plan {
    let words = [
        "loadgen",
        "--insecure",
        "--address",
        "127.0.0.1:1",
        "--mode",
        "keepalive",
    ];
    let mut plan = Plan::new(&Options::try_parse_from(words).unwrap(), &[0]).unwrap();
    plan.clients = phases
        .iter()
        .map(|phase| phase.pace.clients_max())
        .max()
        .unwrap_or(0);
    (plan.phases, plan.wait) = (phases, wait);
    plan
}

impl<'w> Run<'w> {
    fn new(world: &'w mut World) -> Self {
        let plan = &world.plan;
        let clock = Arc::new(Clock::new(Instant::now(), plan.warm_up(), plan.duration()));
        let arrivals = Arrivals::new(Schedule::new(&plan.phases, 0, 1));
        let mut recorder = Recorder::new(plan, clock.clone(), Rc::new(Traffic::default()), channel().0);
        recorder.write_to(Timeline::new(plan.warm_up(), Some(Duration::from_secs(1))));
        Run {
            gate: Gate::new(clock.clone(), &plan.phases, world.budget, arrivals),
            clients: (0..plan.clients).map(|_| Client::Free).collect(),
            clock,
            recorder,
            world,
            now: Duration::ZERO,
            tick: Duration::ZERO,
            wake: None,
            starts: Vec::new(),
            ended: 0,
        }
    }

    fn finish(mut self) -> (Recording, Run<'w>) {
        let patience = self.world.plan.wait.unwrap_or(super::LAST_OPERATIONS);
        loop {
            self.turn();
            let busy = self
                .clients
                .iter()
                .any(|client| matches!(client, Client::Busy(..)));
            let over = self.now >= self.clock.window_end() || self.gate.is_closed();
            if over && (!busy || self.now >= self.end() + patience) {
                break;
            }
            let next = self.next_event();
            self.now = self.world.late(next.max(self.now + NS));
        }
        let arrived = self.gate.conclude();
        let recording = self.recorder.conclude(self.clock.epoch + self.now, 0, arrived);
        (recording, self)
    }

    fn end(&self) -> Duration {
        self.clock.planned_end().unwrap()
    }

    /// Everything that the loop finds to do at this moment.
    fn turn(&mut self) {
        if self.world.stop.is_some_and(|stop| self.now >= stop) {
            self.clock.stop(self.now);
        }
        if self.now >= self.tick {
            self.tick = self.now + TICK;
            self.gate.tick(self.now);
            self.recorder.backlog = self.gate.backlog(self.now);
            self.recorder.advance(self.clock.epoch + self.now);
            if self.now >= self.clock.window_end() {
                self.gate.end_run(self.now);
            }
        }
        let first = self.world.random.usize(0..self.clients.len().max(1));
        for place in 0..self.clients.len() {
            self.attend((first + place) % self.clients.len());
        }
        self.wake = self.gate.serve(self.now);
        (0..self.clients.len()).for_each(|number| self.attend(number));
    }

    fn attend(&mut self, number: usize) {
        let client = std::mem::replace(&mut self.clients[number], Client::Away);
        self.clients[number] = match client {
            Client::Busy(begun, until) if until <= self.now => {
                let failed = self.world.random.u32(0..20) == 0;
                let outcome = if failed {
                    Outcome::Failed(Failure::Closed(Stage::Body))
                } else {
                    Outcome::Ok
                };
                self.ended += u64::from(self.now < self.clock.window_end());
                self.recorder.finish(
                    begun,
                    0,
                    self.clock.epoch + self.now,
                    Done {
                        outcome,
                        answer: None,
                    },
                );
                self.ask(number)
            }
            Client::Seated(seat) => match seat.take_call() {
                Some(next) => self.told(next),
                None => Client::Seated(seat),
            },
            Client::Free | Client::Away => self.ask(number),
            busy => busy,
        };
    }

    fn ask(&mut self, number: usize) -> Client {
        match self.gate.ask(number, self.now) {
            Asked::Told(next) => self.told(next),
            Asked::Wait(seat) => Client::Seated(seat),
        }
    }

    fn told(&mut self, next: Next) -> Client {
        match next {
            Next::Start(start) => {
                self.starts.push(start);
                let until = self.now + self.world.takes(self.now);
                Client::Busy(self.recorder.begin(start), until)
            }
            Next::Again | Next::Over => Client::Away,
        }
    }

    fn next_event(&self) -> Duration {
        let ends = self.clients.iter().filter_map(|client| match client {
            Client::Busy(_, until) => Some(*until),
            _ => None,
        });
        let starts = self.world.plan.phases.iter().map(|phase| phase.start);
        let later = ends.chain(starts).chain(self.wake).chain(self.world.stop);
        later
            .filter(|at| *at > self.now)
            .min()
            .unwrap_or(Duration::MAX)
            .min(self.tick)
    }
}

fn total(recording: &Recording) -> Account {
    let mut all = Account::default();
    recording
        .sheets
        .phases
        .iter()
        .for_each(|phase| all.add(&phase.account));
    all
}

#[test]
fn no_operation_is_ever_lost() {
    for seed in 0..400 {
        let mut world = World::of(seed);
        let (phases, waits) = (world.plan.phases.clone(), world.plan.wait.is_some());
        let (recording, run) = Run::new(&mut world).finish();
        for (phase, sheet) in phases.iter().zip(&recording.sheets.phases) {
            assert_eq!(
                sheet.account.missing(),
                0,
                "seed {seed}, {phase:?}: {:?}",
                sheet.account
            );
        }
        let all = total(&recording);
        let ended = |tally: &super::tally::Tally| tally.ok + tally.failed + tally.not_resumed;
        assert_eq!(
            ended(&recording.window) + ended(&recording.warm_up),
            all.ok + all.failed,
            "seed {seed}"
        );
        assert_eq!(all.in_flight, recording.unfinished.in_flight, "seed {seed}");
        assert_eq!(
            run.starts.len() as u64,
            all.asked - all.not_started,
            "seed {seed}: {all:?}"
        );
        if !waits {
            assert_eq!(
                run.ended,
                all.ok + all.failed,
                "seed {seed}: what ends later counts as in flight"
            );
        }
    }
}

/// Reckoned by hand: the schedule's arrivals one by one.
#[test]
fn every_arrival_of_an_open_loop_was_asked_for_and_none_starts_twice() {
    for seed in 0..200 {
        let mut world = World::of(seed);
        (world.budget, world.stop) = (u64::MAX, None);
        let phases = world.plan.phases.clone();
        let schedule = Schedule::new(&phases, 0, 1);
        let (recording, run) = Run::new(&mut world).finish();
        let due: Vec<Duration> = (0..)
            .map(|n| schedule.at(n))
            .take_while(|at| *at < Duration::MAX)
            .collect();
        for (phase, sheet) in phases.iter().zip(&recording.sheets.phases) {
            if matches!(phase.pace, Pace::Open { .. }) {
                let within = due
                    .iter()
                    .filter(|at| phase.start <= **at && **at < phase.end)
                    .count();
                assert_eq!(sheet.account.asked, within as u64, "seed {seed}");
            }
        }
        let mut started: Vec<_> = run
            .starts
            .iter()
            .filter(|start| start.scheduled)
            .map(|start| start.due)
            .collect();
        let count = started.len();
        started.sort_unstable();
        started.dedup();
        assert_eq!(started.len(), count, "seed {seed}");
        assert!(
            run.starts.iter().all(|start| start.due <= start.began),
            "seed {seed}: nothing starts early"
        );
    }
}

/// A run without chance.
fn calm(paces: &[(f64, Pace)], stalls: &[(Duration, Duration)], service: Duration) -> World {
    World {
        random: fastrand::Rng::with_seed(1),
        plan: plan(phases(paces), None),
        stalls: stalls.to_vec(),
        stop: None,
        budget: u64::MAX,
        service,
        hangs: None,
    }
}

fn hundred(clients: usize) -> (f64, Pace) {
    (
        1.0,
        Pace::Open {
            rate: Ramp::constant(100.0),
            clients,
        },
    )
}

#[test]
fn a_stall_over_the_end_of_an_open_loop_makes_its_last_operations_late_and_loses_none() {
    for after in [closed(0.0, 0.0), closed(2.0, 2.0)] {
        let mut world = calm(&[hundred(100), (1.0, after)], &[(920 * MS, 1120 * MS)], MS);
        let (recording, _) = Run::new(&mut world).finish();
        let first = recording.sheets.phases[0].account;
        assert_eq!(
            (first.asked, first.ok + first.failed, first.not_started),
            (100, 100, 0),
            "{first:?}"
        );
        assert_eq!(recording.late_by_generator.count_between(1_000_000, u64::MAX), 8);
        assert_eq!(recording.late_for_connection.len(), 0);
    }
}

#[test]
fn an_open_loop_with_too_few_clients_tells_what_it_never_started() {
    for after in [closed(0.0, 0.0), closed(2.0, 2.0)] {
        let mut world = calm(&[hundred(1), (1.0, after)], &[], 40 * MS);
        let (recording, run) = Run::new(&mut world).finish();
        let first = recording.sheets.phases[0].account;
        let started = run.starts.iter().filter(|start| start.scheduled).count() as u64;
        assert!(
            first.not_started > 30 && first.asked == 100 && started == 100 - first.not_started,
            "{first:?}"
        );
        assert_eq!(recording.backlog.0, 0, "the run does not end with them");
        assert_eq!(recording.unfinished.since_due.len(), first.not_started);
    }
}

#[test]
fn the_backlog_at_the_end_is_that_of_the_end() {
    let mut world = calm(&[hundred(1)], &[], 40 * MS);
    let (recording, _) = Run::new(&mut world).finish();
    let account = recording.sheets.phases[0].account;
    assert_eq!(recording.backlog.0, account.not_started);
    let oldest = Duration::from_secs(1) - 10 * MS * (100 - account.not_started as u32);
    assert_eq!(recording.backlog.1, oldest);
}

#[test]
fn what_queues_up_behind_a_stall_is_the_generators_doing_and_behind_a_slow_server_it_is_not() {
    let thousand = [(
        3.0,
        Pace::Open {
            rate: Ramp::constant(1000.0),
            clients: 16,
        },
    )];
    let mut world = calm(&thousand, &[(1500 * MS, 2000 * MS)], MS);
    let (recording, _) = Run::new(&mut world).finish();
    let late = |histogram: &hdrhistogram::Histogram<u64>| histogram.count_between(1_000_000, u64::MAX);
    assert!(
        late(&recording.late_by_generator) >= 499,
        "{}",
        late(&recording.late_by_generator)
    );
    assert!(
        late(&recording.late_for_connection) <= 5,
        "{}",
        late(&recording.late_for_connection)
    );
    assert!(recording.stalled.longest >= 480 * MS && recording.stalled.longest <= 520 * MS);

    let mut world = calm(&thousand, &[], 20 * MS);
    let (recording, _) = Run::new(&mut world).finish();
    assert!(
        late(&recording.late_for_connection) > 1000,
        "{}",
        late(&recording.late_for_connection)
    );
    assert_eq!(
        (late(&recording.late_by_generator), recording.stalled.longest),
        (0, Duration::ZERO)
    );
}

#[test]
fn a_run_that_waits_counts_what_ends_meanwhile_and_ends_with_it() {
    let mut world = calm(&[hundred(100)], &[], 200 * MS);
    world.plan.wait = Some(Duration::from_secs(60));
    let (recording, _) = Run::new(&mut world).finish();
    let account = recording.sheets.phases[0].account;
    assert_eq!(
        (account.asked, account.ok + account.failed, account.in_flight),
        (100, 100, 0)
    );
    assert!(recording.end.at > Duration::from_secs(1) && recording.end.at == recording.last_end);
}
