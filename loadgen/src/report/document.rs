//! The JSON report as a reader sees it: what the pages are made of, whether the run is our own or comes from
//! a file.
//!
//! A file may be from another version or edited by hand: what is absent is shown as unknown, and a text is
//! only a text.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::account::AccountReport;
use super::counts::{Kind, Operations, Status};
use super::curve::Point;
use super::latency::Latency;
use super::limits::Limit;
use super::thresholds::ThresholdReport;
use super::timeline::Interval;
use super::verdict::Verdict;
use super::{EARLIER_FORMATS, FORMAT, Summary};

/// A report as it is read. Fields are those of [`Summary`], with the same units; an absent one has its
/// default.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Document {
    /// Name and version of the form, `bothways-loadgen/2` or an earlier one.
    pub format: String,
    /// Start of the run, UTC, RFC 3339.
    pub started_at: String,
    /// Version of the loadgen that made the run.
    pub loadgen: String,
    /// Name and versions of its TLS library.
    pub tls_library: String,
    /// Release of the kernel that loadgen ran on.
    pub kernel: String,
    /// Way in which sockets were waited for.
    pub driver: String,
    /// Settings by their names, as JSON values: a reader shows those of other versions, too.
    pub settings: Map<String, Value>,
    pub window: Window,
    /// Operations that ended in the window.
    pub operations: Operations,
    /// Operations that ended before the window.
    pub warm_up: Operations,
    /// Failures of window and warm-up by kind, the most frequent first.
    pub failures: Vec<Kind>,
    /// Refusals of the window that were expected.
    pub refusals: Vec<Kind>,
    /// Responses of the window by status.
    pub statuses: Vec<Status>,
    pub handshakes: Handshakes,
    /// TLS parameters with the number of connections of the whole run.
    pub negotiated: Vec<Kind>,
    pub throughput: Throughput,
    pub latency_us: Latencies,
    pub latency_curves: Curves,
    /// Absent where a part of the load is a closed loop.
    pub open_loop: Option<OpenLoop>,
    /// Absent without `--server-pid`.
    pub server: Option<Server>,
    pub generator: Generator,
    pub timeline: Timeline,
    /// Absent in runs without them.
    pub phases: Vec<Phase>,
    /// Figures by entry of the mix, in the window.
    pub entries: Vec<Entry>,
    /// Limits that bounded the figures beside the server's speed.
    pub limits: Vec<Limit>,
    /// Sentences that change how the figures must be read.
    pub warnings: Vec<String>,
    /// Every operation ended as it should, in the warm-up, too.
    pub as_expected: bool,
    /// Absent before the second form.
    pub verdict: Option<Verdict>,
    /// Account of the whole run; absent before the second form.
    pub account: Option<AccountReport>,
    /// Thresholds of the run; empty where it had none.
    pub thresholds: Vec<ThresholdReport>,
}

/// The measured window, as [`super::Window`].
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Window {
    /// Length of the window.
    pub seconds: f64,
    /// Operations under way at the end of the window.
    pub in_flight_at_end: u64,
    /// Time for which the oldest of them had been under way.
    pub oldest_in_flight_ms: f64,
    /// Rule by which an operation counts in the window, in a sentence.
    pub rule: String,
}

/// TLS handshakes, as [`super::figures::Handshakes`].
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Handshakes {
    /// Full handshakes.
    pub full: u64,
    /// Handshakes that resumed a session.
    pub resumed: u64,
    /// Handshakes in which the server asked for a client certificate.
    pub client_certificate_requested: u64,
}

/// Rates of the window, as [`super::figures::Throughput`].
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Throughput {
    /// Operations that ended as expected.
    pub operations_per_s: f64,
    /// Received, TLS included.
    pub received_bytes_per_s: f64,
    /// Sent, TLS included.
    pub sent_bytes_per_s: f64,
}

/// Times in microseconds, as [`super::figures::Latencies`]; `None`: nothing was measured.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Latencies {
    /// Latency of operations; in an open loop from the time they were due.
    pub operation: Option<Latency>,
    /// Open loop: the same from their actual start.
    pub from_actual_start: Option<Latency>,
    /// Operations that were to resume a session and did not.
    pub not_resumed: Option<Latency>,
    /// Opening of the TCP connection.
    pub tcp_connect: Option<Latency>,
    /// Handshake, from the open TCP connection to the client's end of it.
    pub tls_handshake: Option<Latency>,
    /// Modes with a connection per operation: from the handshake's end to the response.
    pub request: Option<Latency>,
    /// Time from the start of a request to the first byte of the response.
    pub first_byte: Option<Latency>,
    /// Modes with a connection per operation: from its end to the server's close.
    pub close: Option<Latency>,
}

/// Distributions in microseconds, empty where nothing was measured.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Curves {
    /// Latency of operations; in an open loop from the time they were due.
    pub operation: Vec<Point>,
    /// Open loop: the same from their actual start.
    pub from_actual_start: Vec<Point>,
    /// Handshakes.
    pub tls_handshake: Vec<Point>,
}

/// Figures of an open loop, as [`super::figures::OpenLoop`].
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct OpenLoop {
    /// Operations per second that were due, on average.
    pub asked_per_s: f64,
    /// Operations per second that ended, as expected or not.
    pub done_per_s: f64,
    /// Operations due and not started when the window ended.
    pub backlog_at_end: u64,
}

/// CPU time and memory of the server's processes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Server {
    /// CPU time per operation of the window; absent where none ended.
    pub cpu_us_per_operation: Option<f64>,
    /// Percentage of one core: 200 is two cores all the time.
    pub busy_percent: f64,
    /// Resident memory at the end of the window.
    pub resident_bytes: u64,
}

/// CPU time of loadgen itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Generator {
    /// The server could have done more.
    pub was_the_limit: bool,
    /// CPU time of all load threads per operation; absent where none ended.
    pub cpu_us_per_operation: Option<f64>,
    /// Each load thread's use of its core.
    pub threads: Vec<Thread>,
}

/// CPU time of one load thread.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Thread {
    /// Number of its core.
    pub core: u64,
    /// Percentage of its core.
    pub busy_percent: f64,
}

/// The course of the run.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Timeline {
    /// Length of an interval.
    pub interval_s: f64,
    /// Intervals from the start of the run to its end.
    pub intervals: Vec<Interval>,
}

/// A phase of a run, in seconds from the run's start (not the window's). Bands and tables shift it by the
/// warm-up.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Phase {
    pub name: String,
    /// Seconds from the start of the run.
    pub start_s: f64,
    /// Seconds from the start of the run.
    pub end_s: f64,
    /// `true`: it belongs to the window; else it is warm-up.
    pub measured: bool,
    /// Operations that were due in it; absent before the second form.
    pub account: Option<AccountReport>,
    /// Clients at work; absent in an open loop and without load.
    pub clients: Option<Course>,
    /// Operations per second that were due; absent in a closed loop and without load.
    pub rate: Option<Course>,
    /// Operations that ended in it as expected.
    pub ok: u64,
    /// Operations that ended in it otherwise.
    pub failed: u64,
    /// Operations per second that ended in it as expected.
    pub operations_per_s: f64,
    /// Latency in microseconds of those that ended in it as expected.
    pub latency_us: Option<Latency>,
    /// Idle connections; absent where it was to hold none.
    pub idle: Option<Idle>,
    /// Reconnect storm at its start; absent where there was none.
    pub storm: Option<Storm>,
}

/// A number that changes evenly while a phase lasts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Course {
    /// Value at the start of the phase.
    pub from: f64,
    /// Value at the end of the phase.
    pub to: f64,
}

/// Connections that a phase was to keep open.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Idle {
    /// Connections that were to be open.
    pub connections: u64,
    /// Failures of attempts to open one.
    pub not_opened: Vec<Kind>,
    /// Connections that answered a request at the end.
    pub alive: u64,
    /// Failures of the request at the end of the phase, by connections that were open.
    pub lost: Vec<Kind>,
    /// Absent without `--server-pid`, and where the memory shrank.
    pub server_memory: Option<IdleMemory>,
    /// The server gave back more memory than the connections took.
    pub server_memory_shrank: bool,
}

/// Memory that idle connections take in the server.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct IdleMemory {
    /// Anonymous memory (PSS) that they took, by their number.
    pub bytes_per_connection: f64,
}

/// All idle connections dropped and opened again at once.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Storm {
    /// Connections that were dropped.
    pub dropped: u64,
    /// Connections that were open again by the phase's end.
    pub reopened: u64,
    /// Failures of attempts to open one again.
    pub failed_attempts: Vec<Kind>,
    /// Time from the drop until the last was open again; absent where not all came back.
    pub all_after_ms: Option<f64>,
    /// Mean rate until then; absent where not all came back.
    pub reopened_per_s: Option<f64>,
    /// Microseconds from the drop to the first response on the new connection.
    pub latency_us: Option<Latency>,
}

/// An entry of a mix, with its operations of the window.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Entry {
    pub name: String,
    /// Kind of its operations: `handshake`, `resume`, `keepalive` or `h2`.
    pub work: String,
    /// Expected end: `ok` or `refused`.
    pub expect: String,
    /// Share of the operations, as a part of the sum of all weights.
    pub weight: u64,
    /// Operations that ended as expected.
    pub ok: u64,
    /// Operations that ended otherwise.
    pub failed: u64,
    /// Operations that ended by a full handshake in place of a resumed one.
    pub not_resumed: u64,
    /// Reasons of the failed ones, by kind.
    pub failures: Vec<Kind>,
    /// Refusals that were expected, by kind.
    pub refusals: Vec<Kind>,
    /// Latency in microseconds of those that ended as expected.
    pub latency_us: Option<Latency>,
}

impl Document {
    /// The document that a reader of this run's file would see.
    pub fn of(summary: &Summary) -> Result<Self, String> {
        serde_json::to_value(summary)
            .and_then(serde_json::from_value)
            .map_err(|error| format!("the report cannot be read back: {error}; please report this"))
    }

    /// Reads a report's file of this format or an earlier one. The error names the file and the remedy.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Document::parse(&text).map_err(|why| format!("{}: {why}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let not_ours = "not a JSON report of this loadgen; make one with --json FILE";
        let value: Value = serde_json::from_str(text).map_err(|error| format!("{not_ours} ({error})"))?;
        match value.get("format").and_then(Value::as_str) {
            Some(format) if format == FORMAT || EARLIER_FORMATS.contains(&format) => {}
            Some(other) => {
                return Err(format!(
                    "its format is {other:?}, and this loadgen reads {FORMAT:?}"
                ));
            }
            None => return Err(format!("{not_ours} (it has no \"format\")")),
        }
        serde_json::from_value(value).map_err(|error| format!("{not_ours} ({error})"))
    }

    /// The length of the warm-up in seconds; 0 where the settings do not say.
    pub fn warm_up_s(&self) -> f64 {
        self.settings
            .get("warm_up_s")
            .and_then(Value::as_f64)
            .unwrap_or(0.0)
    }

    /// `true`: the run had a scenario's file, and so more than one thing to say of entries and phases.
    pub fn is_scenario(&self) -> bool {
        self.settings.get("scenario").is_some_and(Value::is_string)
    }

    /// `true`: the run had nothing to do but to hold connections open.
    pub fn is_idle_only(&self) -> bool {
        let is_loaded = |phase: &Phase| phase.clients.is_some() || phase.rate.is_some();
        self.phases.iter().any(|phase| phase.idle.is_some()) && !self.phases.iter().any(is_loaded)
    }

    /// A setting as text; empty where there is none.
    pub fn setting(&self, name: &str) -> String {
        self.settings.get(name).map(plain).unwrap_or_default()
    }
}

/// A JSON value without quotes and brackets.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_report_is_refused_with_the_reason() {
        for (text, expected) in [
            ("", "make one with --json FILE"),
            ("{}", "it has no \"format\""),
            (
                r#"{"format": "bothways-loadgen/99"}"#,
                "its format is \"bothways-loadgen/99\"",
            ),
            (
                r#"{"format": "bothways-loadgen/1", "failures": 3}"#,
                "invalid type",
            ),
        ] {
            let why = Document::parse(text).unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
        }
    }

    #[test]
    fn what_a_file_does_not_say_is_unknown() {
        let document = Document::parse(r#"{"format": "bothways-loadgen/1"}"#).unwrap();
        assert!(document.latency_us.operation.is_none() && document.timeline.intervals.is_empty());
        assert_eq!(document.setting("mode"), "");
    }
}
