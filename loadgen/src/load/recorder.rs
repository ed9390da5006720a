//! What one thread has seen: counts, latencies, and the CPU time that it took.
//!
//! An operation counts in the part of the run (warm-up, window, after) in which it *ended*. Latencies are recorded for
//! operations that ended as expected, in nanoseconds. Each second's share is also sent to the control thread.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustls::{CipherSuite, HandshakeKind, NamedGroup, ProtocolVersion};

use super::gate::{Clock, Start};
use super::sheet::{HoldSheet, Sheets};
use crate::cpu::ThreadTime;
use crate::failure::Failure;
use crate::plan::Plan;
use crate::wire::{Records, Traffic};

/// How an operation ended.
#[derive(Debug)]
pub enum Outcome {
    Ok,
    /// As expected: the server refused the client, in this way.
    Refused(Failure),
    /// A response came, but after a full handshake although a session was offered.
    NotResumed,
    Failed(Failure),
}

impl Outcome {
    pub fn is_expected(&self) -> bool {
        matches!(self, Outcome::Ok | Outcome::Refused(_))
    }
}

/// Counts of one part of the run.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    pub ok: u64,
    pub not_resumed: u64,
    pub failed: u64,
    pub failures: HashMap<Failure, u64>,
    pub refusals: HashMap<Failure, u64>,
    pub handshakes: Handshakes,
    /// Requests sent again because an idle connection turned out to be closed.
    pub retried: u64,
}

#[derive(Debug, Default, Clone)]
pub struct Handshakes {
    pub full: u64,
    /// Of the full ones, those with a HelloRetryRequest.
    pub retry_requests: u64,
    pub resumed: u64,
    /// Handshakes in which the server asked for a client certificate.
    pub certificate_requested: u64,
}

/// What a connection agreed on, by the numbers of the TLS registries; 0 is unknown or none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Negotiated {
    version: u16,
    suite: u16,
    group: u16,
}

/// One second of one thread.
#[derive(Debug)]
pub struct Interval {
    /// Whole seconds since the start of the run.
    pub second: u64,
    pub ok: u64,
    pub failed: u64,
    pub backlog: u64,
    pub latency: Histogram<u32>,
}

/// Values at a boundary of the window.
#[derive(Debug, Clone, Default)]
pub struct Mark {
    pub at: Duration,
    pub received: u64,
    pub sent: u64,
    pub cpu: Option<ThreadTime>,
    /// Connection slots that have been open at some time.
    pub opened: u64,
}

/// The whole of what one thread hands to the report.
#[derive(Debug)]
pub struct Recording {
    pub warm_up: Tally,
    pub window: Tally,
    /// From the time an operation was due.
    pub latency: Histogram<u64>,
    /// From the time a connection took it.
    pub service: Histogram<u64>,
    pub not_resumed: Histogram<u64>,
    pub connect: Histogram<u64>,
    pub handshake: Histogram<u64>,
    pub request: Histogram<u64>,
    pub negotiated: HashMap<Negotiated, u64>,
    pub start: Mark,
    pub end: Mark,
    /// Arrivals not started at the end of the window, and the wait of the oldest.
    pub backlog: (u64, Duration),
    pub in_flight: u64,
    pub last_end: Duration,
    pub connections_not_open: u64,
    pub sheets: Sheets,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    WarmUp,
    Window,
    After,
}

pub struct Recorder {
    clock: Arc<Clock>,
    traffic: Rc<Traffic>,
    /// Connection set-up belongs to the operation: count it with the window only.
    connection_per_operation: bool,
    part: Part,
    interval: Interval,
    intervals: Sender<Interval>,
    recording: Recording,
    opened: u64,
    pub in_flight: u64,
    pub backlog: (u64, Duration),
}

impl Recorder {
    pub fn new(plan: &Plan, clock: Arc<Clock>, traffic: Rc<Traffic>, intervals: Sender<Interval>) -> Self {
        let part = if clock.window_start.is_zero() {
            Part::Window
        } else {
            Part::WarmUp
        };
        let mut recorder = Recorder {
            clock,
            traffic,
            connection_per_operation: plan.mode.opens_a_connection_per_operation(),
            part,
            interval: Interval::new(0),
            intervals,
            recording: Recording::empty(),
            opened: 0,
            in_flight: 0,
            backlog: (0, Duration::ZERO),
        };
        recorder.recording.start = recorder.mark(Duration::ZERO);
        recorder.recording.sheets = Sheets::new(plan);
        recorder
    }

    /// Moves on to `now`: to the next second and across the boundaries of the window.
    pub fn advance(&mut self, now: Instant) {
        let now = self.clock.at(now);
        while self.interval.second < now.as_secs() {
            let next = Interval::new(self.interval.second + 1);
            let mut done = std::mem::replace(&mut self.interval, next);
            done.backlog = self.backlog.0;
            let _ = self.intervals.send(done); // nobody listens any more: nobody wants to know
        }
        if self.part == Part::WarmUp && now >= self.clock.window_start {
            self.part = Part::Window;
            self.recording.start = self.mark(now);
        }
        if self.part == Part::Window && now >= self.clock.window_end() {
            self.end_window(now);
        }
    }

    /// An operation has started.
    pub fn begin(&mut self, start: &Start) {
        self.in_flight += 1;
        let began = self.clock.at(start.began);
        self.recording.sheets.phase(began).started += 1;
    }

    /// An operation of entry number `entry` has ended.
    pub fn finish(&mut self, start: Start, entry: usize, now: Instant, outcome: Outcome) {
        self.advance(now);
        self.in_flight -= 1;
        self.recording.last_end = self.clock.at(now);
        let latency = now.saturating_duration_since(start.due);
        self.interval.count(outcome.is_expected(), latency);
        if self.part != Part::After {
            let at = self.recording.last_end;
            self.recording.sheets.count_in_phase(at, &outcome, latency);
        }
        if self.part == Part::Window {
            self.recording.sheets.count_in_entry(entry, &outcome, latency);
            match outcome {
                Outcome::Ok | Outcome::Refused(_) => {
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
            tally.count(&outcome);
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

    pub fn certificate_requested(&mut self) {
        if let Some(tally) = self.tally() {
            tally.handshakes.certificate_requested += 1;
        }
    }

    pub fn negotiated(&mut self, records: &Records) {
        let key = Negotiated::of(records);
        *self.recording.negotiated.entry(key).or_default() += 1;
    }

    /// A connection slot is open for the first time.
    pub fn slot_opened(&mut self) {
        self.opened += 1;
    }

    /// Where what the idle connections of a phase do is written down.
    pub fn hold(&mut self, phase: usize) -> &mut HoldSheet {
        self.recording.sheets.hold(phase)
    }

    /// The part of an operation after its connection was ready.
    pub fn request(&mut self, time: Duration) {
        if self.part == Part::Window {
            record(&mut self.recording.request, time);
        }
    }

    pub fn retried(&mut self) {
        if let Some(tally) = self.tally() {
            tally.retried += 1;
        }
    }

    /// Ends the recording; `connections` is how many this thread was to keep open. Leaves the recorder empty.
    pub fn conclude(&mut self, now: Instant, connections: u64) -> Recording {
        self.advance(now);
        if self.part != Part::After {
            let last = if self.recording.last_end.is_zero() {
                self.clock.at(now)
            } else {
                self.recording.last_end
            };
            self.end_window(last.max(self.clock.window_start));
        }
        let mut last = std::mem::replace(&mut self.interval, Interval::new(u64::MAX));
        last.backlog = self.backlog.0;
        let _ = self.intervals.send(last);
        self.recording.connections_not_open = connections.saturating_sub(self.recording.start.opened);
        std::mem::replace(&mut self.recording, Recording::empty())
    }

    fn end_window(&mut self, now: Duration) {
        self.part = Part::After;
        self.recording.end = self.mark(now);
        self.recording.backlog = self.backlog;
        self.recording.in_flight = self.in_flight;
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

impl Tally {
    pub fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::NotResumed => self.not_resumed += 1,
            Outcome::Refused(how) => {
                self.ok += 1;
                count_kind(&mut self.refusals, how.clone());
            }
            Outcome::Failed(why) => {
                self.failed += 1;
                count_kind(&mut self.failures, why.clone());
            }
        }
    }

    pub fn add(&mut self, other: Tally) {
        self.ok += other.ok;
        self.not_resumed += other.not_resumed;
        self.failed += other.failed;
        self.retried += other.retried;
        self.handshakes.full += other.handshakes.full;
        self.handshakes.retry_requests += other.handshakes.retry_requests;
        self.handshakes.resumed += other.handshakes.resumed;
        self.handshakes.certificate_requested += other.handshakes.certificate_requested;
        for (kind, count) in other.failures {
            *self.failures.entry(kind).or_default() += count;
        }
        for (kind, count) in other.refusals {
            *self.refusals.entry(kind).or_default() += count;
        }
    }
}

impl Interval {
    fn new(second: u64) -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX_NS, 2).expect("the bounds are valid");
        Interval {
            second,
            ok: 0,
            failed: 0,
            backlog: 0,
            latency,
        }
    }

    /// Adds the same second of another thread.
    pub fn add(&mut self, other: &Interval) {
        self.ok += other.ok;
        self.failed += other.failed;
        self.backlog += other.backlog;
        self.latency
            .add(&other.latency)
            .expect("all histograms have the same bounds");
    }

    fn count(&mut self, expected: bool, latency: Duration) {
        if expected {
            self.ok += 1;
            record(&mut self.latency, latency);
        } else {
            self.failed += 1;
        }
    }
}

impl Recording {
    pub fn empty() -> Self {
        Recording {
            warm_up: Tally::default(),
            window: Tally::default(),
            latency: histogram(),
            service: histogram(),
            not_resumed: histogram(),
            connect: histogram(),
            handshake: histogram(),
            request: histogram(),
            negotiated: HashMap::new(),
            start: Mark::default(),
            end: Mark::default(),
            backlog: (0, Duration::ZERO),
            in_flight: 0,
            last_end: Duration::ZERO,
            connections_not_open: 0,
            sheets: Sheets::default(),
        }
    }
}

impl Negotiated {
    fn of(records: &Records) -> Self {
        Negotiated {
            version: records.tls.protocol_version().map_or(0, u16::from),
            suite: records
                .tls
                .negotiated_cipher_suite()
                .map_or(0, |suite| u16::from(suite.suite())),
            group: records
                .tls
                .negotiated_key_exchange_group()
                .map_or(0, |group| u16::from(group.name())),
        }
    }
}

impl fmt::Display for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = match ProtocolVersion::from(self.version) {
            ProtocolVersion::TLSv1_3 => "TLSv1.3",
            ProtocolVersion::TLSv1_2 => "TLSv1.2",
            _ => "unknown version",
        };
        let suite = format!("{:?}", CipherSuite::from(self.suite)).replace("TLS13_", "TLS_");
        match self.group {
            0 => write!(f, "{version} {suite}, no key exchange"),
            group => write!(f, "{version} {suite} {:?}", NamedGroup::from(group)),
        }
    }
}

/// Nanosecond values up to an hour, three significant digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3).expect("the bounds are valid")
}

pub fn record<T: hdrhistogram::Counter>(histogram: &mut Histogram<T>, time: Duration) {
    histogram.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1));
}

/// Texts from TLS and HTTP/2 libraries are kinds, too: bounded, because a server can vary them.
pub fn count_kind(kinds: &mut HashMap<Failure, u64>, kind: Failure) {
    let kind = if kinds.len() >= KINDS_MAX && !kinds.contains_key(&kind) {
        Failure::Tls("other (more than 64 kinds)".to_owned())
    } else {
        kind
    };
    *kinds.entry(kind).or_default() += 1;
}

const LATENCY_MAX_NS: u64 = 3_600_000_000_000;
const KINDS_MAX: usize = 64;
