//! The Prometheus text format, version 0.0.4: every series that we document, zeros too, in a stable order.

use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use super::cells::{BUCKETS, Histogram, Scale};
use super::{CoreCounters, Gauge, HandshakeKind, Label, MemoResult, Registry, build, monotonic};

/// The whole page, ending in a newline.
pub fn render(registry: &Registry) -> String {
    let mut page = Page {
        text: String::with_capacity(PAGE_BYTES_TYPICAL),
        registry,
    };
    page.connections();
    page.cores();
    page.handshakes();
    page.requests_and_tickets();
    page.process();
    page.named();
    page.build();
    page.text
}

pub(super) struct Page<'a> {
    text: String,
    pub(super) registry: &'a Registry,
}

impl Page<'_> {
    fn connections(&mut self) {
        self.counters(
            "bothways_connections_total",
            "Finished connections by status, counted with their record.",
            "status",
            |core, status| core.connections.of(status).get(),
        );
        self.counter(
            "bothways_connections_unused_total",
            "Connections that their client closed before it sent an octet, health checks most often; they have no record.",
            |core| core.connections_unused.get(),
        );
        self.counter(
            "bothways_connections_accepted_total",
            "Connections accepted.",
            |core| core.connections_accepted.get(),
        );
        self.gauge("bothways_connections_open", "Connections open now.", |core| {
            &core.connections_open
        });
        self.counter(
            "bothways_connection_rests_total",
            "Times that an HTTP/1.1 connection had been idle for a second and gave back its buffers, until its client spoke again.",
            |core| core.connection_rests.get(),
        );
        self.counters(
            "bothways_shed_total",
            "Connections closed unserved at a limit.",
            "reason",
            |core, reason| core.shed.of(reason).get(),
        );
        self.counters(
            "bothways_connections_no_longer_admitted_total",
            "Open connections closed because a reload no longer admits their client or it has expired, counted with their record.",
            "reason",
            |core, reason| core.no_longer_admitted.of(reason).get(),
        );
        self.counters(
            "bothways_connections_cut_total",
            "Open connections closed because they did not keep a time limit.",
            "reason",
            |core, reason| core.connections_cut.of(reason).get(),
        );
        self.counters(
            "bothways_bodies_stalled_total",
            "Bodies ended because the client sent or read them too slowly.",
            "body",
            |core, body| core.bodies_stalled.of(body).get(),
        );
        self.counters(
            "bothways_requests_limited_total",
            "Requests answered 503 at a limit.",
            "limit",
            |core, limit| core.requests_limited.of(limit).get(),
        );
        self.counters(
            "bothways_origin_connections_spoilt_total",
            "Connections to origins that were not used again because of what the origin did.",
            "reason",
            |core, reason| core.origin_faults.of(reason).get(),
        );
        self.counter(
            "bothways_sweeps_total",
            "Walks of a core over its open connections after a reload.",
            |core| core.sweeps.get(),
        );
        self.counter(
            "bothways_panics_total",
            "Connection tasks that panicked.",
            |core| core.panics.get(),
        );
    }

    fn handshakes(&mut self) {
        self.gauge("bothways_handshakes_open", "Handshakes going on now.", |core| {
            &core.handshakes_open
        });
        self.counters(
            "bothways_handshakes_total",
            "Completed handshakes.",
            "kind",
            |core, kind: HandshakeKind| core.handshakes.of(kind).get(),
        );
        self.counters(
            "bothways_candidate_decisions_total",
            "Clients that a candidate trust store judged too, by what both would do with them.",
            "decision",
            |core, agreement| core.candidate_decisions.of(agreement).get(),
        );
        self.histogram(
            "bothways_handshake_seconds",
            "Duration of completed handshakes.",
            |core| &core.handshake_duration,
        );
        self.counters(
            "bothways_connection_function_calls_total",
            "Calls of connection functions by what came of them.",
            "result",
            |core, result| core.connection_functions.of(result).get(),
        );
        self.histogram(
            "bothways_connection_function_seconds",
            "CPU time of a connection function's call.",
            |core| &core.connection_function_duration,
        );
        self.counters(
            "bothways_viewer_request_function_calls_total",
            "Calls of viewer-request functions by what came of them.",
            "result",
            |core, result| core.viewer_request_functions.of(result).get(),
        );
        self.counters(
            "bothways_viewer_response_function_calls_total",
            "Calls of viewer-response functions by what came of them.",
            "result",
            |core, result| core.viewer_response_functions.of(result).get(),
        );
        self.histogram(
            "bothways_viewer_function_seconds",
            "CPU time of a viewer function's call.",
            |core| &core.viewer_function_duration,
        );
    }

    fn histogram<S: Scale>(&mut self, name: &str, help: &str, of: impl Fn(&CoreCounters) -> &Histogram<S>) {
        self.head(name, help, "histogram");
        let registry = self.registry;
        self.histogram_lines(name, "", registry.cores.iter().map(|core| of(core)));
    }

    /// Writes one histogram under `labels` (`a="b",c="d"`, or none). The histograms of all cores are taken
    /// together.
    pub(super) fn histogram_lines<'h, S: Scale + 'h>(
        &mut self,
        name: &str,
        labels: &str,
        cores: impl Iterator<Item = &'h Histogram<S>>,
    ) {
        let mut counts = [0; BUCKETS];
        let mut sum_ns = 0u64;
        for histogram in cores {
            let buckets = histogram.buckets();
            counts.iter_mut().zip(buckets).for_each(|(a, b)| *a += b);
            sum_ns = sum_ns.wrapping_add(histogram.sum_ns());
        }
        let (comma, braced) = match labels.is_empty() {
            true => ("", String::new()),
            false => (",", format!("{{{labels}}}")),
        };
        let bounds = S::BOUNDS.map(|(_, seconds)| seconds);
        let bounds = bounds.into_iter().chain(["+Inf"]);
        let mut below = 0;
        for (bound, count) in bounds.zip(counts) {
            below += count;
            self.line(format_args!(
                "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {below}"
            ));
        }
        let (whole, fraction) = (sum_ns / NS_PER_S, sum_ns % NS_PER_S);
        self.line(format_args!("{name}_sum{braced} {whole}.{fraction:09}"));
        self.line(format_args!("{name}_count{braced} {below}"));
    }

    fn requests_and_tickets(&mut self) {
        self.counters(
            "bothways_requests_total",
            "Requests by class of their response.",
            "class",
            |core, class| core.requests.of(class).get(),
        );
        self.counters(
            "bothways_requests_refused_total",
            "Requests refused for what they are, whoever sent them; each is among bothways_requests_total too.",
            "reason",
            |core, reason| core.requests_refused.of(reason).get(),
        );
        self.counters(
            "bothways_verdicts_total",
            "Verdicts on client chains, remembered (hit) or made from scratch (miss).",
            "memo",
            |core, result: MemoResult| core.verdicts.of(result).get(),
        );
        self.counter(
            "bothways_verdicts_evicted_total",
            "Remembered verdicts forgotten to make room.",
            |core| core.verdicts_evicted.get(),
        );
        self.counter(
            "bothways_tickets_issued_total",
            "Session tickets issued.",
            |core| core.tickets_issued.get(),
        );
        self.counter(
            "bothways_tickets_redeemed_total",
            "Session tickets redeemed.",
            |core| core.tickets_redeemed.get(),
        );
        self.counters(
            "bothways_tickets_declined_total",
            "Session tickets offered that led to a full handshake.",
            "reason",
            |core, reason| core.tickets_declined.of(reason).get(),
        );
    }

    /// Writes what shows whether the kernel shares clients out evenly, and what the cores do about it. Cores
    /// are numbered as their threads are named.
    fn cores(&mut self) {
        self.by_core(
            "bothways_core_connections_accepted_total",
            "Connections accepted, by the core that serves them, also where another core accepted and handed them over.",
            "counter",
            |core| core.connections_accepted.get(),
        );
        self.by_core(
            "bothways_core_connections_handed_over_total",
            "Connections that each core accepted and handed over to one with fewer, which counts them as accepted; the sum of both is what the kernel gave the core.",
            "counter",
            |core| core.connections_handed_over.get(),
        );
        self.by_core(
            "bothways_core_connections_open",
            "Connections open now on each core.",
            "gauge",
            |core| core.connections_open.get(),
        );
    }

    fn process(&mut self) {
        let process = &self.registry.process;
        self.head(
            "bothways_records_written_total",
            "Connection records handed to the sink.",
            "counter",
        );
        self.single("bothways_records_written_total", process.records.written());
        self.head(
            "bothways_records_dropped_total",
            "Connection records lost.",
            "counter",
        );
        self.labelled("bothways_records_dropped_total", "reason", |reason| {
            process.records.dropped(reason)
        });
        self.head(
            "bothways_messages_dropped_total",
            "Messages for the operator lost because standard error took none, or too few.",
            "counter",
        );
        self.labelled("bothways_messages_dropped_total", "reason", |reason| {
            process.messages_dropped.of(reason).get()
        });
        self.head(
            "bothways_origin_lookups_total",
            "Look-ups of origins' names while running, by what they have brought.",
            "counter",
        );
        self.labelled("bothways_origin_lookups_total", "result", |result| {
            process.origin_lookups.of(result).get()
        });
        self.head("bothways_reloads_total", "Reloads by result.", "counter");
        self.labelled("bothways_reloads_total", "result", |result| {
            process.reloads.of(result).get()
        });
        self.head(
            "bothways_reloads_deferred_total",
            "Reloads asked for while one was under way; one more follows it for all of them.",
            "counter",
        );
        self.single("bothways_reloads_deferred_total", process.reloads_deferred.get());
        self.head(
            "bothways_reload_under_way_seconds",
            "How long the reload, or publication of a function, that is under way has taken; 0: none is.",
            "gauge",
        );
        self.single(
            "bothways_reload_under_way_seconds",
            seconds_since(process.job_began.get()),
        );
        self.head(
            "bothways_draining",
            "1 from SIGTERM on, when /healthz fails.",
            "gauge",
        );
        self.single("bothways_draining", process.draining.get());
        self.head(
            "bothways_function_calls_stuck_total",
            "Calls of functions that held their core for seconds; the log says which.",
            "counter",
        );
        self.single(
            "bothways_function_calls_stuck_total",
            process.function_calls_stuck.get(),
        );
        self.head(
            "bothways_snapshot_generation",
            "Generation of the published snapshot.",
            "gauge",
        );
        self.single("bothways_snapshot_generation", process.snapshot_generation.get());
        self.head(
            "bothways_revocation_entries",
            "Entries in the revocation set of a trust store.",
            "gauge",
        );
        for (store, entries) in process.revocation_entries() {
            let store = escape(&store);
            self.line(format_args!(
                "bothways_revocation_entries{{trust_store=\"{store}\"}} {entries}"
            ));
        }
    }

    fn build(&mut self) {
        self.head(
            "bothways_build_info",
            "Always 1; the labels say which build runs.",
            "gauge",
        );
        let [version, revision, rustc, target] =
            [build::VERSION, build::REVISION, build::RUSTC, build::TARGET].map(escape);
        self.line(format_args!(
            "bothways_build_info{{version=\"{version}\",revision=\"{revision}\",rustc=\"{rustc}\",target=\"{target}\"}} 1"
        ));
        self.head(
            "process_start_time_seconds",
            "Start of the process, in seconds since 1970.",
            "gauge",
        );
        let started = self
            .registry
            .started
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let (whole, fraction) = (started.as_secs(), started.subsec_millis());
        self.line(format_args!("process_start_time_seconds {whole}.{fraction:03}"));
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Fn(&CoreCounters) -> u64) {
        self.head(name, help, "counter");
        self.single(name, self.sum(value));
    }

    fn gauge(&mut self, name: &str, help: &str, level: impl Fn(&CoreCounters) -> &Gauge) {
        self.head(name, help, "gauge");
        self.single(name, self.sum(|core| level(core).get()));
    }

    fn counters<L: Label>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        value: impl Fn(&CoreCounters, L) -> u64,
    ) {
        self.head(name, help, "counter");
        let registry = self.registry;
        self.labelled(name, label, |of: L| {
            registry.cores.iter().map(|core| value(core, of)).sum()
        });
    }

    fn by_core(&mut self, name: &str, help: &str, kind: &str, value: impl Fn(&CoreCounters) -> u64) {
        self.head(name, help, kind);
        for (number, core) in self.registry.cores.iter().enumerate() {
            let value = value(core);
            self.line(format_args!("{name}{{core=\"{number}\"}} {value}"));
        }
    }

    fn labelled<L: Label>(&mut self, name: &str, label: &str, value: impl Fn(L) -> u64) {
        for of in L::ALL {
            let (text, value) = (escape(of.text()), value(*of));
            self.line(format_args!("{name}{{{label}=\"{text}\"}} {value}"));
        }
    }

    fn sum(&self, value: impl Fn(&CoreCounters) -> u64) -> u64 {
        self.registry.cores.iter().map(|core| value(core)).sum()
    }

    pub(super) fn head(&mut self, name: &str, help: &str, kind: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn single(&mut self, name: &str, value: u64) {
        self.line(format_args!("{name} {value}"));
    }

    pub(super) fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

/// A label value between its quotes: backslash, quote and line feed are escaped, all else stays.
pub(super) fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Whole seconds; 0 if it has not begun.
fn seconds_since(began_ns: u64) -> u64 {
    let now = u64::try_from(monotonic().as_nanos()).unwrap_or(u64::MAX);
    match began_ns {
        0 => 0,
        began_ns => now.saturating_sub(began_ns) / NS_PER_S,
    }
}

const NS_PER_S: u64 = 1_000_000_000;
const PAGE_BYTES_TYPICAL: usize = 8 * 1024;

#[cfg(test)]
#[path = "exposition_tests.rs"]
mod tests;
