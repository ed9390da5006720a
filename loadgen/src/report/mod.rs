//! Results of a run as one value: the table and the JSON file are two views of it.

mod account;
mod command_line;
mod curve;
pub mod document;
mod ending;
pub mod file;
pub mod html;
mod latency;
mod limits;
pub mod live;
mod machine;
mod merged;
mod scenario;
mod settings;
pub mod table;
mod thresholds;
mod timeline;
mod utc;
mod verdict;
mod warnings;

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::load::recording::Recording;
use crate::load::tally::Tally;
use crate::plan::Plan;
use crate::run::Outcome;
use account::AccountReport;
use curve::Curves;
use ending::Overdue;
use latency::Latency;
use limits::{Facts, Late, Limit};
use machine::{GeneratorUse, ServerUse, ThreadUse};
use merged::Merged;
use scenario::ScenarioReport;
use settings::Settings;
use thresholds::{Counts, ThresholdReport};
use timeline::{ServerCourse, Timeline};
use verdict::Verdict;

/// The report of a run. Its JSON form is described in loadgen's README.md; field names are part of the
/// format.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The name and version of this form; a change that breaks readers has another number.
    pub format: &'static str,
    /// Start of the run, UTC, RFC 3339.
    pub started_at: String,
    /// Version of loadgen.
    pub loadgen: &'static str,
    /// Name and versions of loadgen's TLS library.
    pub tls_library: &'static str,
    /// Release of the kernel; empty where it is not known.
    pub kernel: String,
    /// Way in which sockets were waited for, as the first thread tells it.
    pub driver: String,
    /// Options as they took effect.
    pub settings: Settings,
    pub window: Window,
    /// Operations that ended in the window.
    pub operations: Operations,
    /// Operations that ended before the window.
    pub warm_up: Operations,
    /// Failures of window and warm-up by kind, the most frequent first; at most 64 kinds each.
    pub failures: Vec<Kind>,
    /// Refusals of the window that were expected, by kind.
    pub refusals: Vec<Kind>,
    /// Responses of the window.
    pub statuses: Vec<Status>,
    pub handshakes: Handshakes,
    /// Streams that the server allows at the same time on an h2 connection; absent: any number, or no h2.
    pub h2_streams_allowed: Option<u64>,
    /// TLS parameters with the number of connections of the whole run.
    pub negotiated: Vec<Kind>,
    pub throughput: Throughput,
    /// Microseconds, of the operations that ended as expected.
    pub latency_us: Latencies,
    /// The whole distributions behind `latency_us`.
    pub latency_curves: Curves,
    /// `None` where a part of the measured load is a closed loop.
    pub open_loop: Option<OpenLoop>,
    /// `None` without `--server-pid`, and where a process has ended.
    pub server: Option<ServerUse>,
    /// CPU time and stalls of the load threads.
    pub generator: GeneratorUse,
    /// Warm-up and window, interval by interval.
    pub timeline: Timeline,
    /// Figures by entry and by phase, as the fields `entries` and `phases`.
    #[serde(flatten)]
    pub scenario: ScenarioReport,
    /// Every operation of the run, its warm-up included.
    pub account: AccountReport,
    /// Limits of the figures beside the server's own speed.
    pub limits: Vec<Limit>,
    /// Facts that change how the figures must be read.
    pub warnings: Vec<String>,
    /// Thresholds of the run, in their order.
    pub thresholds: Vec<ThresholdReport>,
    /// Every operation ended as it should, in the warm-up, too.
    pub as_expected: bool,
    /// The figures are a measurement of the server, not of something else.
    pub valid: bool,
    /// The last word, which `as_expected` and `valid` follow from.
    pub verdict: Verdict,
    /// Operations due and not started when the window ended; told in `open_loop`.
    #[serde(skip)]
    pub backlog_at_end: u64,
}

/// The measured window.
#[derive(Debug, Serialize)]
pub struct Window {
    /// Length; with `--wait` up to the last operation that was waited for.
    pub seconds: f64,
    /// The rule by which an operation counts in it.
    pub rule: &'static str,
    /// A signal ended the run early.
    pub interrupted: bool,
    /// Part of `seconds`: how long the end of the run waited for operations in flight.
    pub waited_s: f64,
    /// Operations under way when the window ended.
    pub in_flight_at_end: u64,
    /// Time for which the oldest of them had been under way.
    pub oldest_in_flight_ms: f64,
}

/// Counts of operations that ended. `total` = `ok` + `failed` + `not_resumed`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Operations {
    /// All that ended.
    pub total: u64,
    /// Ended as expected, refusals that were to be among them.
    pub ok: u64,
    /// Ended otherwise than expected.
    pub failed: u64,
    /// Ended by a full handshake in place of a resumed one.
    pub not_resumed: u64,
    /// Requests sent again on another connection: the idle one was closed or given up by a 408, or an h2
    /// server had not processed them. Part of no other count.
    pub retried: u64,
}

/// A kind of failure, refusal or TLS parameters, and how often it was seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kind {
    /// Text of the failure, or of the TLS parameters.
    pub kind: String,
    /// Code of the TLS alert (RFC 8446 §6); `None` where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<u8>,
    /// Operations, or connections.
    pub count: u64,
}

/// Responses with one status.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    pub status: u16,
    pub count: u64,
}

/// TLS handshakes of the window; of the whole run where connections stay open.
#[derive(Debug, Serialize)]
pub struct Handshakes {
    /// Full handshakes, those with a HelloRetryRequest among them.
    pub full: u64,
    /// Handshakes that resumed a session.
    pub resumed: u64,
    /// Full handshakes with a HelloRetryRequest.
    pub hello_retry_requests: u64,
    /// Handshakes in which the server asked for a client certificate.
    pub client_certificate_requested: u64,
}

/// Amounts of the window, and per second of it. Bytes are those on the wire: with TLS, without TCP and IP.
#[derive(Debug, Serialize)]
pub struct Throughput {
    /// Operations that ended as expected.
    pub operations_per_s: f64,
    /// Received per second of the window.
    pub received_bytes_per_s: f64,
    /// Sent per second of the window.
    pub sent_bytes_per_s: f64,
    /// Received in the window.
    pub received_bytes: u64,
    /// Sent in the window.
    pub sent_bytes: u64,
}

/// Distributions of times in microseconds; `None`: no value was recorded.
#[derive(Debug, Serialize)]
pub struct Latencies {
    /// Latency of operations; in an open loop from the time they were due.
    pub operation: Option<Latency>,
    /// Open loop: without the time between schedule and start. It hides queueing; for comparison only.
    pub from_actual_start: Option<Latency>,
    /// Operations that were to resume a session and did not.
    pub not_resumed: Option<Latency>,
    /// Opening of the TCP connection.
    pub tcp_connect: Option<Latency>,
    /// Handshake, from the open TCP connection to the client's end of it.
    pub tls_handshake: Option<Latency>,
    /// Modes with a connection per operation: from the client's end of the handshake to the response.
    pub request: Option<Latency>,
    /// Time from the start of the request to the first byte of the response.
    pub first_byte: Option<Latency>,
    /// Modes with a connection per operation: from its end to the server's close.
    pub close: Option<Latency>,
}

/// Figures of a run whose measured phases are open loops.
#[derive(Debug, Serialize)]
pub struct OpenLoop {
    /// Mean of the rates that were asked for.
    pub asked_per_s: f64,
    /// Operations per second that ended as expected.
    pub done_per_s: f64,
    /// Due but not started when the window ended.
    pub backlog_at_end: u64,
    /// Time for which the oldest of the backlog had been due.
    pub oldest_wait_ms: f64,
    /// Started after they were due, although a connection was free: the generator's own doing.
    pub late_by_generator: Late,
    /// Started after they were due, because every connection was busy.
    pub late_for_connection: Late,
}

impl Summary {
    /// Makes the report of a run that has ended. `identities` is the number of client certificates, `pids`
    /// are the server's processes.
    pub fn new(plan: &Plan, identities: usize, pids: &[u32], outcome: Outcome) -> Self {
        let Outcome {
            recordings,
            drivers,
            started_at,
            epoch,
            glances,
            listen_overflows,
            server,
            server_lost,
            interrupted,
            memory,
        } = outcome;
        let length = window_length(plan, &recordings);
        let generator = GeneratorUse::of(plan, &recordings, length);
        let end_s = window_end_s(plan, &recordings);
        let mut merged = Merged::of(recordings);
        merged.timeline.coarsen_to_fit();
        let account = merged.account();
        let ends = Ends::of(&merged);
        merged.count_unfinished();
        let sheets = std::mem::take(&mut merged.sheets);
        let scenario = ScenarioReport::of(plan, sheets, &memory, plan.warm_up() + length, interrupted);
        let operations = Operations::of(&merged.window);
        let warm_up = Operations::of(&merged.warm_up);
        let asking = plan.duration().map_or(length, |duration| length.min(duration));
        let open_loop = plan
            .rate()
            .map(|rate| OpenLoop::of(rate, &operations, &merged, asking));
        let scale = plan
            .duration()
            .filter(|_| plan.requests.is_none())
            .map(|_| length);
        let server = server.map(|(first, last)| ServerUse::of(&first, &last, &operations, scale));
        let course = ServerCourse::of(&glances, epoch + plan.warm_up(), epoch);
        let overflows_here = if plan.address.ip().is_loopback() || !pids.is_empty() {
            listen_overflows.unwrap_or(0)
        } else {
            0 // another machine's server fills no queue of ours
        };
        let facts = Facts::of(plan, &operations, &generator, length, &merged, overflows_here);
        let limits = limits::limits(&facts);
        let mut generator = generator.with_stalls(merged.stalled);
        generator.was_the_limit = limits.iter().any(|limit| limit.by_generator);
        let mut summary = Summary {
            format: FORMAT,
            started_at: utc::text(started_at),
            loadgen: env!("CARGO_PKG_VERSION"),
            tls_library: "rustls 0.23, aws-lc-rs",
            kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            driver: drivers.first().copied().unwrap_or("none").to_owned(),
            settings: Settings::of(plan, identities, pids, merged.server_product.take()),
            window: Window {
                seconds: length.as_secs_f64(),
                rule: "an operation counts in the window in which it ended",
                interrupted,
                waited_s: (length - asking).as_secs_f64(),
                in_flight_at_end: merged.unfinished.in_flight,
                oldest_in_flight_ms: merged.unfinished.oldest.as_secs_f64() * 1e3,
            },
            failures: kinds(&merged.window.failures, &merged.warm_up.failures),
            refusals: kinds(&merged.window.refusals, &HashMap::new()),
            statuses: statuses(&merged.window),
            h2_streams_allowed: merged.streams_allowed.and_then(stated),
            handshakes: Handshakes::of(plan, &merged),
            negotiated: merged.negotiated(),
            throughput: Throughput::of(&operations, &merged, length),
            latency_us: Latencies::of(plan, &merged),
            latency_curves: Curves::of(plan.rate().is_some(), &merged),
            scenario,
            account: AccountReport::of_run(&account, &operations, &warm_up),
            operations,
            warm_up,
            open_loop,
            server,
            generator,
            timeline: Timeline::of(&merged.timeline, end_s, &course),
            limits,
            warnings: Vec::new(),
            thresholds: Vec::new(),
            as_expected: false,
            valid: false,
            verdict: Verdict::default(),
            backlog_at_end: merged.backlog,
        };
        summary.judge(plan, identities, &merged, &ends, server_lost);
        summary
    }

    /// The last part, which looks at all others.
    fn judge(&mut self, plan: &Plan, identities: usize, merged: &Merged, ends: &Ends, lost: Option<String>) {
        let silence = ending::silence(
            &self.timeline.intervals,
            &self.scenario.phases,
            plan.warm_up().as_secs_f64(),
            ends.median.as_secs_f64(),
        );
        let seen = warnings::Seen {
            silence,
            merged,
            overdue: ends.overdue.as_ref(),
            server_lost: lost,
        };
        self.warnings = warnings::warnings(plan, identities, self, &seen);
        self.thresholds = thresholds(plan, self, merged);
        self.verdict = Verdict::of(self, ends.overdue.as_ref(), silence);
        self.as_expected = self.verdict.as_expected();
        self.valid = self.verdict.invalid.is_empty();
    }
}

/// Operations that ended, and those in flight at the end beside them.
struct Ends {
    overdue: Option<Overdue>,
    /// Median of the times that operations took from their start.
    median: Duration,
}

impl Ends {
    /// Before [`Merged::count_unfinished`], which mixes the two.
    fn of(merged: &Merged) -> Self {
        let took = &merged.service;
        Ends {
            overdue: ending::overdue(merged.unfinished.oldest, took, merged.silence),
            median: Duration::from_nanos(took.value_at_quantile(0.5)),
        }
    }
}

fn thresholds(plan: &Plan, summary: &Summary, merged: &Merged) -> Vec<ThresholdReport> {
    let counts = Counts {
        operations: &summary.operations,
        account: &summary.account,
        rate: summary.throughput.operations_per_s,
    };
    let each = plan.thresholds.iter();
    each.map(|threshold| ThresholdReport::of(threshold, merged, &counts))
        .collect()
}

/// The time from the start of the window to its end, or to the end of the last operation if that was the end
/// of the run.
fn window_length(plan: &Plan, recordings: &[Recording]) -> Duration {
    let end = recordings
        .iter()
        .map(|recording| recording.end.at)
        .max()
        .unwrap_or_default();
    let length = end.saturating_sub(plan.warm_up());
    let planned = plan.duration().filter(|_| plan.wait.is_none());
    planned.map_or(length, |duration| length.min(duration))
}

/// The end of the recording, in seconds from the start of the window: below zero for a run that ended in its
/// warm-up.
fn window_end_s(plan: &Plan, recordings: &[Recording]) -> f64 {
    let ends = recordings.iter().map(|recording| recording.end.at);
    let end = ends.max().unwrap_or_default().as_secs_f64() - plan.warm_up().as_secs_f64();
    let planned = plan.duration().filter(|_| plan.wait.is_none());
    planned.map_or(end, |duration| end.min(duration.as_secs_f64()))
}

fn kinds(window: &HashMap<Failure, u64>, warm_up: &HashMap<Failure, u64>) -> Vec<Kind> {
    let mut all: HashMap<&Failure, u64> = HashMap::new();
    for (failure, count) in window.iter().chain(warm_up) {
        *all.entry(failure).or_default() += count;
    }
    let kinds = all.into_iter();
    sorted(
        kinds
            .map(|(failure, count)| Kind {
                kind: failure.to_string(),
                alert: failure.alert(),
                count,
            })
            .collect(),
    )
}

fn statuses(tally: &Tally) -> Vec<Status> {
    let sorted = tally.statuses.sorted().into_iter();
    sorted.map(|(status, count)| Status { status, count }).collect()
}

/// No limit is the largest number that there is.
fn stated(limit: usize) -> Option<u64> {
    u32::try_from(limit).ok().map(u64::from)
}

fn sorted(mut kinds: Vec<Kind>) -> Vec<Kind> {
    kinds.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.kind.cmp(&b.kind)));
    kinds
}

impl Operations {
    fn of(tally: &Tally) -> Self {
        Operations {
            total: tally.ok + tally.failed + tally.not_resumed,
            ok: tally.ok,
            failed: tally.failed,
            not_resumed: tally.not_resumed,
            retried: tally.retried,
        }
    }
}

impl Handshakes {
    /// Handshakes of the window; of the whole run where connections stay open, because they are opened before
    /// it.
    fn of(plan: &Plan, merged: &Merged) -> Self {
        let mut all = merged.window.handshakes.clone();
        if !plan.mode().opens_a_connection_per_operation() {
            all.full += merged.warm_up.handshakes.full;
            all.resumed += merged.warm_up.handshakes.resumed;
            all.retry_requests += merged.warm_up.handshakes.retry_requests;
            all.certificate_requested += merged.warm_up.handshakes.certificate_requested;
        }
        Handshakes {
            full: all.full,
            resumed: all.resumed,
            hello_retry_requests: all.retry_requests,
            client_certificate_requested: all.certificate_requested,
        }
    }
}

impl Throughput {
    fn of(operations: &Operations, merged: &Merged, length: Duration) -> Self {
        let per_second = |count: u64| {
            if length.is_zero() {
                0.0
            } else {
                count as f64 / length.as_secs_f64()
            }
        };
        Throughput {
            operations_per_s: per_second(operations.ok),
            received_bytes_per_s: per_second(merged.received),
            sent_bytes_per_s: per_second(merged.sent),
            received_bytes: merged.received,
            sent_bytes: merged.sent,
        }
    }
}

impl Latencies {
    fn of(plan: &Plan, merged: &Merged) -> Self {
        let per_operation = plan.mode().opens_a_connection_per_operation();
        Latencies {
            operation: Latency::of(&merged.latency),
            from_actual_start: plan.rate().and_then(|_| Latency::of(&merged.service)),
            not_resumed: Latency::of(&merged.not_resumed),
            tcp_connect: Latency::of(&merged.connect),
            tls_handshake: Latency::of(&merged.handshake),
            request: if per_operation {
                Latency::of(&merged.request)
            } else {
                None
            },
            first_byte: Latency::of(&merged.first_byte),
            close: Latency::of(&merged.close),
        }
    }
}

impl OpenLoop {
    fn of(rate: f64, operations: &Operations, merged: &Merged, length: Duration) -> Self {
        OpenLoop {
            asked_per_s: rate,
            done_per_s: if length.is_zero() {
                0.0
            } else {
                operations.total as f64 / length.as_secs_f64()
            },
            backlog_at_end: merged.backlog,
            oldest_wait_ms: merged.oldest_wait.as_secs_f64() * 1e3,
            late_by_generator: Late::of(&merged.late_by_generator),
            late_for_connection: Late::of(&merged.late_for_connection),
        }
    }
}

/// Readers of the JSON file look at this first; loadgen/README.md describes the form.
const FORMAT: &str = "bothways-loadgen/2";
/// Forms that are read, too: pages show what they have.
const EARLIER_FORMATS: [&str; 1] = ["bothways-loadgen/1"];
