//! The record of one thread: counts, latencies, and the CPU time that it took.
//!
//! An operation counts in the part of the run (warm-up, window, after) in which it *ended*. Latencies are
//! recorded for operations that ended as expected, in nanoseconds. Each second's share is also sent to the
//! control thread.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use rustls::HandshakeKind;

use super::account::{Account, Flight, Flights, Ticket};
use super::clock::Clock;
use super::gate::{Arrived, Start};
use super::histogram::record;
use super::negotiated::Negotiated;
use super::recording::{Mark, Recording};
use super::second::Second;
use super::sheet::{HoldSheet, Sheets};
use super::tally::{Done, Outcome, Tally};
use super::timeline::{Ended, Gauges, Timeline};
use crate::cpu::ThreadTime;
use crate::plan::Plan;
use crate::wire::{Records, Traffic};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    WarmUp,
    Window,
    After,
}

/// The recorder of one thread. It writes the thread's [`Recording`] while the run goes on.
pub struct Recorder {
    clock: Arc<Clock>,
    traffic: Rc<Traffic>,
    /// Connection set-up belongs to the operation: count it with the window only.
    connection_per_operation: bool,
    part: Part,
    /// A run that is stopped in its warm-up has no window.
    window_began: bool,
    /// Operations that end while the run waits for them at its end count in the window.
    waits: bool,
    interval: Second,
    /// `None`: the recording is concluded.
    intervals: Option<Sender<Second>>,
    recording: Recording,
    opened: u64,
    flights: Flights,
    /// Arrivals that are due and not started, as of the last tick.
    pub backlog: u64,
}

/// An operation that has begun; given back when it ends.
#[derive(Debug)]
pub struct Begun {
    start: Start,
    ticket: Ticket,
}

impl Recorder {
    /// Begins a recording at the start of the run. Each second of it is sent by `intervals`, too.
    pub fn new(plan: &Plan, clock: Arc<Clock>, traffic: Rc<Traffic>, intervals: Sender<Second>) -> Self {
        let part = if clock.window_start.is_zero() {
            Part::Window
        } else {
            Part::WarmUp
        };
        let mut recorder = Recorder {
            clock,
            traffic,
            connection_per_operation: plan.mode().opens_a_connection_per_operation(),
            part,
            window_began: false,
            waits: plan.wait.is_some(),
            interval: Second::new(0),
            intervals: Some(intervals),
            recording: Recording::empty(),
            opened: 0,
            flights: Flights::default(),
            backlog: 0,
        };
        recorder.recording.start = recorder.mark(Duration::ZERO);
        recorder.recording.sheets = Sheets::new(plan);
        recorder
    }

    /// Sets the timeline in which the course of the run is written down. It is made beforehand, so that the
    /// run does not begin with waiting for memory.
    pub fn write_to(&mut self, mut timeline: Timeline) {
        timeline.begin(self.gauges());
        self.recording.timeline = timeline;
    }

    /// Moves on to `now`: to the next second and across the boundaries of the window.
    pub fn advance(&mut self, now: Instant) {
        let now = self.clock.at(now);
        while self.interval.second < now.as_secs() {
            let next = Second::new(self.interval.second + 1);
            let mut done = std::mem::replace(&mut self.interval, next);
            done.backlog = self.backlog;
            self.send(done);
        }
        if self.part != Part::After && self.recording.timeline.is_due(now) && now < self.window_end() {
            let gauges = self.gauges();
            self.recording.timeline.advance(now, gauges);
        }
        let stopped_before = self.clock.window_end() <= self.clock.window_start;
        if self.part == Part::WarmUp && now >= self.clock.window_start && !stopped_before {
            self.part = Part::Window;
            self.recording.start = self.mark(now);
        }
        if self.part != Part::After && now >= self.window_end() {
            self.end_window(now);
        }
    }

    /// An operation has started.
    pub fn begin(&mut self, start: Start) -> Begun {
        let (due, began) = (self.clock.at(start.due), self.clock.at(start.began));
        let phase = self.recording.sheets.phase_at(due);
        let flight = Flight {
            due,
            began,
            phase,
            scheduled: start.scheduled,
        };
        let sheet = self.recording.sheets.phase(phase);
        sheet.started += 1;
        if !start.scheduled {
            sheet.account.asked += 1;
        }
        if self.part == Part::After {
            self.still_in_flight(&flight, self.recording.end.at); // due before the end, and started late
        }
        Begun {
            start,
            ticket: self.flights.begin(flight),
        }
    }

    /// An operation of entry number `entry` has ended.
    pub fn finish(&mut self, begun: Begun, entry: usize, now: Instant, done: Done) {
        self.advance(now);
        let Begun { start, ticket } = begun;
        let flight = self.flights.end(ticket);
        let latency = now.saturating_duration_since(start.due);
        let outcome = &done.outcome;
        self.interval.count(outcome.is_expected(), latency);
        if self.part != Part::After {
            self.recording.last_end = self.clock.at(now);
            let at = self.recording.sheets.phase_at(self.recording.last_end);
            self.recording.timeline.count(Ended::of(outcome), latency);
            self.recording.sheets.count_in_phase(at, outcome, latency);
            self.recording.sheets.phase(flight.phase).account.ended(outcome);
        }
        if self.part == Part::Window {
            self.lateness(&start);
            self.recording.sheets.count_in_entry(entry, &done, latency);
            match outcome {
                Outcome::Ok | Outcome::Refused(_) => {
                    if let Some(answer) = &done.answer {
                        record(&mut self.recording.first_byte, answer.first_byte);
                    }
                    record(&mut self.recording.latency, latency);
                    record(
                        &mut self.recording.service,
                        now.saturating_duration_since(start.began),
                    );
                }
                Outcome::NotResumed => record(&mut self.recording.not_resumed, latency),
                Outcome::Failed(_) => {}
            }
        }
        if let Some(tally) = self.tally() {
            tally.count(&done);
        }
    }

    fn lateness(&mut self, start: &Start) {
        let late = start.began.saturating_duration_since(start.due);
        if start.late_by_us && !late.is_zero() {
            record(&mut self.recording.late_by_generator, late);
        } else if !late.is_zero() {
            record(&mut self.recording.late_for_connection, late);
        }
    }

    /// A handshake is complete as far as the client can tell.
    pub fn handshake(&mut self, kind: HandshakeKind, connect: Duration, handshake: Duration) {
        let recorded = self.part == Part::Window || !self.connection_per_operation;
        if recorded && self.part != Part::After {
            record(&mut self.recording.connect, connect);
            record(&mut self.recording.handshake, handshake);
        }
        if let Some(tally) = self.tally() {
            match kind {
                HandshakeKind::Resumed => tally.handshakes.resumed += 1,
                HandshakeKind::Full => tally.handshakes.full += 1,
                HandshakeKind::FullWithHelloRetryRequest => {
                    tally.handshakes.full += 1;
                    tally.handshakes.retry_requests += 1;
                }
            }
        }
    }

    /// Counts a handshake in which the server asked for a client certificate.
    pub fn certificate_requested(&mut self) {
        if let Some(tally) = self.tally() {
            tally.handshakes.certificate_requested += 1;
        }
    }

    /// Counts the TLS parameters that a connection agreed on.
    pub fn negotiated(&mut self, records: &Records) {
        let key = Negotiated::of(records);
        *self.recording.negotiated.entry(key).or_default() += 1;
    }

    /// A connection slot is open for the first time.
    pub fn slot_opened(&mut self) {
        self.opened += 1;
    }

    /// The sheet for the idle connections of a phase.
    pub fn hold(&mut self, phase: usize) -> &mut HoldSheet {
        self.recording.sheets.hold(phase)
    }

    /// The part of an operation after its connection was ready.
    pub fn request(&mut self, time: Duration) {
        if self.part == Part::Window {
            record(&mut self.recording.request, time);
        }
    }

    /// The client has waited for the server to close, after the end of an operation; `None`: in vain.
    pub fn closed(&mut self, after: Option<Duration>) {
        if self.part != Part::Window {
            return;
        }
        match after {
            Some(after) => record(&mut self.recording.close, after),
            None => self.recording.never_closed += 1,
        }
    }

    /// The server allows so many streams on an h2 connection at the same time.
    pub fn streams_allowed(&mut self, limit: usize) {
        let known = &mut self.recording.streams_allowed;
        *known = Some(known.map_or(limit, |known| known.min(limit)));
    }

    /// The server has said what it is.
    pub fn server(&mut self, product: String) {
        self.recording.server_product.get_or_insert(product);
    }

    /// `true`: a response has already told the server's product.
    pub fn knows_server(&self) -> bool {
        self.recording.server_product.is_some()
    }

    /// A request of entry number `entry` is sent again.
    pub fn retried(&mut self, entry: usize) {
        if self.part == Part::Window {
            self.recording.sheets.retried(entry);
        }
        if let Some(tally) = self.tally() {
            tally.retried += 1;
        }
    }

    /// Ends the recording; `connections` is how many this thread was to have open when the window began.
    /// Leaves the recorder empty, and the control thread without a reason to wait for it.
    pub fn conclude(&mut self, now: Instant, connections: u64, arrived: Arrived) -> Recording {
        self.advance(now);
        if self.part != Part::After {
            let end = self.end_without_a_time(self.clock.at(now));
            self.end_window(end);
        }
        let mut last = std::mem::replace(&mut self.interval, Second::new(u64::MAX));
        last.backlog = self.backlog;
        self.send(last);
        self.intervals = None;
        let mut recording = std::mem::replace(&mut self.recording, Recording::empty());
        if self.window_began {
            recording.connections_not_open = connections.saturating_sub(recording.start.opened);
        }
        recording.arrived(arrived);
        recording
    }

    /// The end of a window that no time was set for, or that waits for what is in flight: when its last
    /// operation ended.
    fn end_without_a_time(&self, now: Duration) -> Duration {
        let nothing_ended = self.recording.last_end.is_zero();
        if nothing_ended || (self.waits && self.flights.all().next().is_some()) {
            return now;
        }
        let planned = self.clock.planned_end().filter(|_| self.waits);
        self.recording.last_end.max(planned.unwrap_or_default())
    }

    fn end_window(&mut self, now: Duration) {
        self.window_began = self.part == Part::Window;
        self.part = Part::After;
        let end = now.min(self.window_end());
        let gauges = self.gauges();
        self.recording.end = self.mark(end);
        if !self.window_began {
            self.recording.start = self.recording.end.clone();
        }
        self.recording.timeline.end(end, gauges);
        let flights: Vec<Flight> = self.flights.all().copied().collect();
        flights
            .iter()
            .for_each(|flight| self.still_in_flight(flight, end));
    }

    fn still_in_flight(&mut self, flight: &Flight, end: Duration) {
        self.recording.sheets.phase(flight.phase).account.in_flight += 1;
        let unfinished = &mut self.recording.unfinished;
        let age = end.saturating_sub(flight.began);
        unfinished.in_flight += 1;
        unfinished.oldest = unfinished.oldest.max(age);
        if flight.scheduled {
            record(&mut unfinished.since_due, end.saturating_sub(flight.due));
            record(&mut unfinished.since_start, age);
        }
    }

    /// The time from which on operations that end no longer count.
    fn window_end(&self) -> Duration {
        if self.waits {
            Duration::MAX
        } else {
            self.clock.window_end()
        }
    }

    fn send(&self, second: Second) {
        if let Some(intervals) = &self.intervals {
            let _ = intervals.send(second); // nobody listens any more: nobody wants to know
        }
    }

    fn gauges(&self) -> Gauges {
        Gauges {
            received: self.traffic.received.get(),
            sent: self.traffic.sent.get(),
            cpu: ThreadTime::now(),
            open: self.traffic.open.get(),
            backlog: self.backlog,
        }
    }

    fn tally(&mut self) -> Option<&mut Tally> {
        match self.part {
            Part::WarmUp => Some(&mut self.recording.warm_up),
            Part::Window => Some(&mut self.recording.window),
            Part::After => None,
        }
    }

    fn mark(&self, at: Duration) -> Mark {
        Mark {
            at,
            received: self.traffic.received.get(),
            sent: self.traffic.sent.get(),
            cpu: ThreadTime::now(),
            opened: self.opened,
        }
    }
}

impl Ended {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Ok | Outcome::Refused(_) => Ended::AsExpected,
            Outcome::NotResumed => Ended::NotResumed,
            Outcome::Failed(_) => Ended::Failed,
        }
    }
}

impl Account {
    fn ended(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Ok | Outcome::Refused(_) => self.ok += 1,
            Outcome::NotResumed => self.not_resumed += 1,
            Outcome::Failed(_) => self.failed += 1,
        }
    }
}
