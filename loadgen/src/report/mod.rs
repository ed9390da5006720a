//! What a run has shown, as one value: the table and the JSON file are two views of it.

mod command_line;
mod curve;
pub mod document;
pub mod html;
mod latency;
mod limits;
pub mod live;
mod merged;
mod scenario;
mod settings;
pub mod table;
mod timeline;
mod utc;
mod warnings;

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cpu::ServerSample;
use crate::failure::Failure;
use crate::load::recorder::{Recording, Tally};
use crate::plan::Plan;
use crate::run::Outcome;
use curve::Curves;
use latency::Latency;
use limits::{Facts, Late, Limit};
use merged::Merged;
use scenario::ScenarioReport;
use settings::Settings;
use timeline::{ServerCourse, Timeline};

#[derive(Debug, Serialize)]
pub struct Summary {
    /// The name and version of this form; a change that breaks readers has another number.
    pub format: &'static str,
    pub started_at: String,
    pub loadgen: &'static str,
    pub tls_library: &'static str,
    pub kernel: String,
    pub driver: String,
    pub settings: Settings,
    pub window: Window,
    pub operations: Operations,
    pub warm_up: Operations,
    pub failures: Vec<Kind>,
    pub refusals: Vec<Kind>,
    pub handshakes: Handshakes,
    pub negotiated: Vec<Kind>,
    pub throughput: Throughput,
    /// Microseconds, of the operations that ended as expected.
    pub latency_us: Latencies,
    /// The whole distributions behind `latency_us`.
    pub latency_curves: Curves,
    pub open_loop: Option<OpenLoop>,
    pub server: Option<ServerUse>,
    pub generator: GeneratorUse,
    pub timeline: Timeline,
    #[serde(flatten)]
    pub scenario: ScenarioReport,
    /// What bounded the figures beside the server's own speed.
    pub limits: Vec<Limit>,
    /// Facts that change how the figures must be read.
    pub warnings: Vec<String>,
    pub as_expected: bool,
}

#[derive(Debug, Serialize)]
pub struct Window {
    pub seconds: f64,
    /// Which operations count in it.
    pub rule: &'static str,
    pub interrupted: bool,
    pub in_flight_at_end: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Operations {
    pub total: u64,
    pub ok: u64,
    pub failed: u64,
    pub not_resumed: u64,
    pub retried: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kind {
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<u8>,
    pub count: u64,
}

#[derive(Debug, Serialize)]
pub struct Handshakes {
    pub full: u64,
    pub resumed: u64,
    pub hello_retry_requests: u64,
    pub client_certificate_requested: u64,
}

#[derive(Debug, Serialize)]
pub struct Throughput {
    pub operations_per_s: f64,
    pub received_bytes_per_s: f64,
    pub sent_bytes_per_s: f64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
}

#[derive(Debug, Serialize)]
pub struct Latencies {
    pub operation: Option<Latency>,
    /// Open loop: without the time between schedule and start. It hides queueing; for comparison only.
    pub from_actual_start: Option<Latency>,
    pub not_resumed: Option<Latency>,
    pub tcp_connect: Option<Latency>,
    pub tls_handshake: Option<Latency>,
    /// Modes with a connection per operation: from the client's end of the handshake to the response.
    pub request: Option<Latency>,
}

#[derive(Debug, Serialize)]
pub struct OpenLoop {
    pub asked_per_s: f64,
    pub done_per_s: f64,
    /// Due but not started when the window ended.
    pub backlog_at_end: u64,
    pub oldest_wait_ms: f64,
    /// Started after they were due, although a connection was free: the generator's own doing.
    pub late_by_generator: Late,
    /// Started after they were due, because every connection was busy.
    pub late_for_connection: Late,
}

#[derive(Debug, Serialize)]
pub struct ServerUse {
    pub cpu_us_per_operation: Option<f64>,
    pub cpu_s: f64,
    /// Of one core.
    pub busy_percent: f64,
    /// Time in which a thread of the server was ready to run and something else had the core.
    pub waiting_for_core_percent: f64,
    pub resident_bytes: u64,
}

#[derive(Debug, Serialize)]
pub struct GeneratorUse {
    /// It was the limit: the server could have done more (see `limits`).
    pub was_the_limit: bool,
    pub cpu_us_per_operation: Option<f64>,
    pub threads: Vec<ThreadUse>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ThreadUse {
    pub core: usize,
    pub busy_percent: f64,
    pub waiting_for_core_percent: f64,
}

impl Summary {
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
        let mut generator = GeneratorUse::of(plan, &recordings, length);
        let end_s = window_end_s(plan, &recordings);
        let mut merged = Merged::of(recordings);
        merged.timeline.coarsen_to_fit();
        let sheets = std::mem::take(&mut merged.sheets);
        let scenario = ScenarioReport::of(plan, sheets, &memory, plan.warm_up + length, interrupted);
        let operations = Operations::of(&merged.window);
        let warm_up = Operations::of(&merged.warm_up);
        let open_loop = plan
            .rate
            .map(|rate| OpenLoop::of(rate, &operations, &merged, length));
        let scale = plan.duration.filter(|_| plan.requests.is_none()).map(|_| length);
        let server = server.map(|(first, last)| ServerUse::of(&first, &last, &operations, scale));
        let course = ServerCourse::of(&glances, epoch + plan.warm_up, epoch);
        let overflows_here = if plan.address.ip().is_loopback() || !pids.is_empty() {
            listen_overflows.unwrap_or(0)
        } else {
            0 // another machine's server fills no queue of ours
        };
        let facts = Facts::of(plan, &operations, &generator, length, &merged, overflows_here);
        let limits = limits::limits(&facts);
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
            settings: Settings::of(plan, identities, pids),
            window: Window {
                seconds: length.as_secs_f64(),
                rule: "an operation counts in the window in which it ended",
                interrupted,
                in_flight_at_end: merged.in_flight,
            },
            failures: kinds(&merged.window.failures, &merged.warm_up.failures),
            refusals: kinds(&merged.window.refusals, &HashMap::new()),
            handshakes: Handshakes::of(plan, &merged),
            negotiated: merged.negotiated(),
            throughput: Throughput::of(&operations, &merged, length),
            latency_us: Latencies::of(plan, &merged),
            latency_curves: Curves::of(plan.rate.is_some(), &merged),
            as_expected: (operations.as_expected() || scenario.is_idle_only())
                && warm_up.without_mishap()
                && scenario.as_expected(),
            scenario,
            operations,
            warm_up,
            open_loop,
            server,
            generator,
            timeline: Timeline::of(&merged.timeline, end_s, &course),
            limits,
            warnings: Vec::new(),
        };
        summary.warnings = warnings::warnings(plan, identities, &summary, &merged, server_lost);
        summary
    }
}

/// From the start of the window to its end, or to the end of the last operation if that was the end of the run.
fn window_length(plan: &Plan, recordings: &[Recording]) -> Duration {
    let end = recordings
        .iter()
        .map(|recording| recording.end.at)
        .max()
        .unwrap_or_default();
    let length = end.saturating_sub(plan.warm_up);
    plan.duration.map_or(length, |duration| length.min(duration))
}

/// The end of the recording, in seconds from the start of the window: below zero for a run that ended in its warm-up.
fn window_end_s(plan: &Plan, recordings: &[Recording]) -> f64 {
    let ends = recordings.iter().map(|recording| recording.end.at);
    let end = ends.max().unwrap_or_default().as_secs_f64() - plan.warm_up.as_secs_f64();
    plan.duration
        .map_or(end, |duration| end.min(duration.as_secs_f64()))
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

    pub fn without_mishap(&self) -> bool {
        self.failed == 0 && self.not_resumed == 0
    }

    fn as_expected(&self) -> bool {
        self.ok > 0 && self.without_mishap()
    }
}

impl Handshakes {
    /// Of the window; of the whole run where connections stay open, because they are opened before it.
    fn of(plan: &Plan, merged: &Merged) -> Self {
        let mut all = merged.window.handshakes.clone();
        if !plan.mode.opens_a_connection_per_operation() {
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
        let per_operation = plan.mode.opens_a_connection_per_operation();
        Latencies {
            operation: Latency::of(&merged.latency),
            from_actual_start: plan.rate.and_then(|_| Latency::of(&merged.service)),
            not_resumed: Latency::of(&merged.not_resumed),
            tcp_connect: Latency::of(&merged.connect),
            tls_handshake: Latency::of(&merged.handshake),
            request: if per_operation {
                Latency::of(&merged.request)
            } else {
                None
            },
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

impl ServerUse {
    /// `scale`: the window's length, to which the time between the two samples (a little more or less) is scaled.
    fn of(
        first: &ServerSample,
        last: &ServerSample,
        operations: &Operations,
        scale: Option<Duration>,
    ) -> Self {
        let wall = last
            .taken_at
            .saturating_duration_since(first.taken_at)
            .as_secs_f64()
            .max(1e-9);
        let cpu = last.cpu.saturating_sub(first.cpu).as_secs_f64();
        let cpu_in_window = scale.map_or(cpu, |window| cpu / wall * window.as_secs_f64());
        let waiting = last.waiting.saturating_sub(first.waiting).as_secs_f64();
        ServerUse {
            cpu_us_per_operation: per_operation(cpu_in_window, operations),
            cpu_s: cpu,
            busy_percent: 100.0 * cpu / wall,
            waiting_for_core_percent: 100.0 * waiting / wall,
            resident_bytes: last.resident_bytes,
        }
    }
}

impl GeneratorUse {
    fn of(plan: &Plan, recordings: &[Recording], length: Duration) -> Self {
        let mut threads = Vec::new();
        let mut cpu = 0.0;
        let mut operations = Operations::default();
        for (recording, &core) in recordings.iter().zip(&plan.cores) {
            operations.total += Operations::of(&recording.window).total;
            let shares = recording
                .end
                .cpu
                .zip(recording.start.cpu)
                .and_then(|(end, start)| end.shares_since(&start));
            if let Some((busy, waiting)) = shares {
                cpu += busy * length.as_secs_f64();
                let (busy_percent, waiting_for_core_percent) = (100.0 * busy, 100.0 * waiting);
                threads.push(ThreadUse {
                    core,
                    busy_percent,
                    waiting_for_core_percent,
                });
            }
        }
        GeneratorUse {
            was_the_limit: false,
            cpu_us_per_operation: per_operation(cpu, &operations),
            threads,
        }
    }
}

fn per_operation(cpu_s: f64, operations: &Operations) -> Option<f64> {
    (operations.total > 0).then(|| cpu_s * 1e6 / operations.total as f64)
}

/// Readers of the JSON file look at this first; loadgen/README.md describes the form.
const FORMAT: &str = "bothways-loadgen/1";
