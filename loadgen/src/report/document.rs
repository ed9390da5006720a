//! The JSON report as a reader sees it: what the pages are made of, whether the run is our own or comes from
//! a file.
//!
//! A file may be from another version or edited by hand: what is absent is shown as unknown, and a text is
//! only a text.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::account::AccountReport;
use super::curve::Point;
use super::latency::Latency;
use super::limits::Limit;
use super::thresholds::ThresholdReport;
use super::timeline::Interval;
use super::verdict::Verdict;
use super::{EARLIER_FORMATS, FORMAT, Kind, Operations, Status, Summary};

/// A report as it is read. Fields are those of [`Summary`], with the same units; an absent one has its
/// default.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Document {
    pub format: String,
    pub started_at: String,
    pub loadgen: String,
    pub tls_library: String,
    pub kernel: String,
    pub driver: String,
    pub settings: Map<String, Value>,
    pub window: Window,
    pub operations: Operations,
    pub warm_up: Operations,
    pub failures: Vec<Kind>,
    pub refusals: Vec<Kind>,
    pub statuses: Vec<Status>,
    pub handshakes: Handshakes,
    pub negotiated: Vec<Kind>,
    pub throughput: Throughput,
    pub latency_us: Latencies,
    pub latency_curves: Curves,
    pub open_loop: Option<OpenLoop>,
    pub server: Option<Server>,
    pub generator: Generator,
    pub timeline: Timeline,
    /// Absent in runs without them.
    pub phases: Vec<Phase>,
    pub entries: Vec<Entry>,
    pub limits: Vec<Limit>,
    pub warnings: Vec<String>,
    pub as_expected: bool,
    /// Absent before the second form.
    pub verdict: Option<Verdict>,
    pub account: Option<AccountReport>,
    pub thresholds: Vec<ThresholdReport>,
}

/// The measured window, as [`super::Window`].
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Window {
    pub seconds: f64,
    pub in_flight_at_end: u64,
    pub oldest_in_flight_ms: f64,
    pub rule: String,
}

/// TLS handshakes, as [`super::Handshakes`].
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Handshakes {
    pub full: u64,
    pub resumed: u64,
    pub client_certificate_requested: u64,
}

/// Rates of the window, as [`super::Throughput`].
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Throughput {
    pub operations_per_s: f64,
    pub received_bytes_per_s: f64,
    pub sent_bytes_per_s: f64,
}

/// Times in microseconds, as [`super::Latencies`]; `None`: nothing was measured.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Latencies {
    pub operation: Option<Latency>,
    pub from_actual_start: Option<Latency>,
    pub not_resumed: Option<Latency>,
    pub tcp_connect: Option<Latency>,
    pub tls_handshake: Option<Latency>,
    pub request: Option<Latency>,
    pub first_byte: Option<Latency>,
    pub close: Option<Latency>,
}

/// Distributions in microseconds, empty where nothing was measured.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Curves {
    pub operation: Vec<Point>,
    pub from_actual_start: Vec<Point>,
    pub tls_handshake: Vec<Point>,
}

/// Figures of an open loop, as [`super::OpenLoop`].
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct OpenLoop {
    pub asked_per_s: f64,
    pub done_per_s: f64,
    pub backlog_at_end: u64,
}

/// CPU time and memory of the server's processes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Server {
    pub cpu_us_per_operation: Option<f64>,
    pub busy_percent: f64,
    pub resident_bytes: u64,
}

/// CPU time of loadgen itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Generator {
    pub was_the_limit: bool,
    pub cpu_us_per_operation: Option<f64>,
    pub threads: Vec<Thread>,
}

/// CPU time of one load thread.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Thread {
    pub core: u64,
    pub busy_percent: f64,
}

/// The course of the run.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Timeline {
    pub interval_s: f64,
    pub intervals: Vec<Interval>,
}

/// A phase of a run, in seconds from the run's start (not the window's). Bands and tables shift it by the
/// warm-up.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Phase {
    pub name: String,
    pub start_s: f64,
    pub end_s: f64,
    /// `true`: it belongs to the window; else it is warm-up.
    pub measured: bool,
    pub account: Option<AccountReport>,
    pub clients: Option<Course>,
    pub rate: Option<Course>,
    pub ok: u64,
    pub failed: u64,
    pub operations_per_s: f64,
    pub latency_us: Option<Latency>,
    pub idle: Option<Idle>,
    pub storm: Option<Storm>,
}

/// A number that changes evenly while a phase lasts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Course {
    pub from: f64,
    pub to: f64,
}

/// Connections that a phase was to keep open.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Idle {
    pub connections: u64,
    pub not_opened: Vec<Kind>,
    pub alive: u64,
    pub lost: Vec<Kind>,
    pub server_memory: Option<IdleMemory>,
    pub server_memory_shrank: bool,
}

/// Memory that idle connections take in the server.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct IdleMemory {
    pub bytes_per_connection: f64,
}

/// All idle connections dropped and opened again at once.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Storm {
    pub dropped: u64,
    pub reopened: u64,
    pub failed_attempts: Vec<Kind>,
    pub all_after_ms: Option<f64>,
    pub reopened_per_s: Option<f64>,
    pub latency_us: Option<Latency>,
}

/// An entry of a mix, with its operations of the window.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Entry {
    pub name: String,
    pub work: String,
    pub expect: String,
    pub weight: u64,
    pub ok: u64,
    pub failed: u64,
    pub not_resumed: u64,
    pub failures: Vec<Kind>,
    pub refusals: Vec<Kind>,
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
