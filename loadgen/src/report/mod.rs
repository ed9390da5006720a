//! Results of a run as one value: the table and the JSON file are two views of it.

mod account;
mod command_line;
mod counts;
mod curve;
pub mod document;
mod ending;
mod facts;
mod figures;
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
mod text;
mod thresholds;
mod timeline;
mod utc;
mod verdict;
mod warnings;

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use crate::load::recording::Recording;
use crate::plan::Plan;
use crate::run::Outcome;
use account::AccountReport;
use counts::{Kind, Operations, Status, kinds, statuses};
use curve::Curves;
use ending::Overdue;
use facts::Facts;
use figures::{Handshakes, Latencies, OpenLoop, Throughput};
use limits::Limit;
use machine::{GeneratorUse, ServerUse};
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

impl Summary {
    /// Makes the report of a run that has ended. `identities` is the number of client certificates, `pids`
    /// are the server's processes.
    pub fn new(plan: &Plan, identities: usize, pids: &[u32], outcome: Outcome) -> Self {
        let length = window_length(plan, &outcome.recordings);
        let generator = GeneratorUse::of(plan, &outcome.recordings, length);
        let end_s = window_end_s(plan, &outcome.recordings);
        let mut merged = Merged::of(outcome.recordings);
        merged.timeline.coarsen_to_fit();
        let account = merged.account();
        let ends = Ends::of(&merged);
        merged.count_unfinished();
        let sheets = std::mem::take(&mut merged.sheets);
        let run = plan.warm_up() + length;
        let scenario = ScenarioReport::of(plan, sheets, &outcome.memory, run, outcome.interrupted);
        let operations = Operations::of(&merged.window);
        let warm_up = Operations::of(&merged.warm_up);
        let asking = plan.duration().map_or(length, |duration| length.min(duration));
        let open_loop = |rate| OpenLoop::of(rate, &operations, &merged, asking);
        let open_loop = plan.rate().map(open_loop);
        let has_end = plan.duration().is_some() && plan.requests.is_none();
        let scale = has_end.then_some(length);
        let server = |(first, last)| ServerUse::of(&first, &last, &operations, scale);
        let server = outcome.server.map(server);
        let epoch = outcome.epoch;
        let course = ServerCourse::of(&outcome.glances, epoch + plan.warm_up(), epoch);
        let overflows = overflows_here(plan, pids, outcome.listen_overflows);
        let facts = Facts::of(plan, &operations, &generator, length, &merged, overflows);
        let limits = limits::limits(&facts);
        let mut generator = generator.with_stalls(merged.stalled);
        generator.was_the_limit = limits.iter().any(|limit| limit.by_generator);
        let mut summary = Summary {
            format: FORMAT,
            started_at: utc::text(outcome.started_at),
            loadgen: env!("CARGO_PKG_VERSION"),
            tls_library: "rustls 0.23, aws-lc-rs",
            kernel: kernel_release(),
            driver: outcome.drivers.first().copied().unwrap_or("none").to_owned(),
            settings: Settings::of(plan, identities, pids, merged.server_product.take()),
            window: Window::of(length, length - asking, outcome.interrupted, &merged),
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
        summary.judge(plan, identities, &merged, &ends, outcome.server_lost);
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

impl Window {
    fn of(length: Duration, waited: Duration, interrupted: bool, merged: &Merged) -> Self {
        Window {
            seconds: length.as_secs_f64(),
            rule: "an operation counts in the window in which it ended",
            interrupted,
            waited_s: waited.as_secs_f64(),
            in_flight_at_end: merged.unfinished.in_flight,
            oldest_in_flight_ms: merged.unfinished.oldest.as_secs_f64() * 1e3,
        }
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

/// Overflows of listen queues that the server can have caused: another machine's server fills no queue of
/// ours.
fn overflows_here(plan: &Plan, pids: &[u32], overflows: Option<u64>) -> u64 {
    let is_here = plan.address.ip().is_loopback() || !pids.is_empty();
    overflows.filter(|_| is_here).unwrap_or(0)
}

fn kernel_release() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    release.unwrap_or_default().trim().to_owned()
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

/// No limit is the largest number that there is.
fn stated(limit: usize) -> Option<u64> {
    u32::try_from(limit).ok().map(u64::from)
}

/// Readers of the JSON file look at this first; loadgen/README.md describes the form.
const FORMAT: &str = "bothways-loadgen/2";
/// Forms that are read, too: pages show what they have.
const EARLIER_FORMATS: [&str; 1] = ["bothways-loadgen/1"];
