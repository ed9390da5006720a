//! The tables of a single run's page.

use serde_json::Value;

use super::format::{UNKNOWN, bytes, count, or_unknown, percent, rate, seconds, time};
use super::markup::Markup;
use super::scenario;
use super::tables::{percentile_heads, row, section, share, table};
use crate::report::account::AccountReport;
use crate::report::counts::Kind;
use crate::report::document::{Document, plain};
use crate::report::timeline::Interval;

/// Writes all tables of the page, in their order.
pub fn tables(out: &mut Markup, run: &Document) {
    section(out, "Latency", |out| latencies(out, run));
    if !run.thresholds.is_empty() {
        section(out, "Thresholds", |out| thresholds(out, run));
    }
    if let Some(account) = &run.account {
        section(out, "Operations asked for", |out| accounts(out, run, account));
    }
    scenario::tables(out, run);
    if !run.statuses.is_empty() {
        section(out, "Responses by status", |out| statuses(out, run));
    }
    if !run.failures.is_empty() || !run.refusals.is_empty() {
        section(out, "Failures and refusals", |out| reasons(out, run));
    }
    section(out, "What was run", |out| settings(out, run));
    section(out, "Numbers", |out| intervals(out, run));
}

fn latencies(out: &mut Markup, run: &Document) {
    let latency = &run.latency_us;
    let operation = if run.open_loop.is_some() {
        "operation, from when it was due"
    } else {
        "operation"
    };
    let rows = [
        (operation, &latency.operation),
        ("operation, from its start", &latency.from_actual_start),
        ("not resumed", &latency.not_resumed),
        ("TCP connect", &latency.tcp_connect),
        ("TLS handshake", &latency.tls_handshake),
        ("request", &latency.request),
        ("first byte of the response", &latency.first_byte),
        ("server's close", &latency.close),
    ];
    let known = rows
        .iter()
        .filter_map(|(name, latency)| Some((*name, latency.as_ref()?)));
    if known.clone().next().is_none() {
        out.leaf("p", &[], "No operation ended as expected.");
        return;
    }
    table(out, &percentile_heads("", &["max", "mean", "count"]), |out| {
        for (name, latency) in known {
            let mut cells = vec![name.to_owned()];
            cells.extend(latency.percentiles().map(|value| or_unknown(value, time)));
            cells.extend([time(latency.max), time(latency.mean), count(latency.count)]);
            row(out, &cells);
        }
    });
    if run.open_loop.is_none() && latency.operation.is_some() {
        let note = "Closed loop: a server that stalls is asked less, and the percentiles hide it. An open loop (a rate) counts \
                    from the time an operation was due.";
        out.leaf("p", &[("class", "note")], note);
    }
}

fn reasons(out: &mut Markup, run: &Document) {
    let whole_run = run.operations.total + run.warm_up.total;
    let parts = [
        ("failed", "bad", whole_run, &run.failures),
        ("refused as expected", "ok", run.operations.total, &run.refusals),
    ];
    let rows = || {
        let part = |(how, class, of, kinds): (&'static str, &'static str, u64, &'_ Vec<Kind>)| {
            let row = move |kind: &Kind| (how, class, of, kind.clone());
            kinds.iter().map(row).collect::<Vec<_>>()
        };
        parts.into_iter().flat_map(part)
    };
    let most = rows().map(|(.., kind)| kind.count).max().unwrap_or(0);
    table(out, &["reason", "", "operations", "share", ""], |out| {
        for (how, class, of, kind) in rows() {
            out.element("tr", &[], |out| {
                out.leaf("th", &[("scope", "row"), ("class", "reason")], &kind.kind);
                out.leaf("td", &[], how);
                out.leaf("td", &[], &count(kind.count));
                out.leaf("td", &[], &share(kind.count, of));
                out.element("td", &[("class", "bar")], |out| bar(out, class, kind.count, most));
            });
        }
    });
    let note = "Failures are those of window and warm-up together, refusals those of the window.";
    out.leaf("p", &[("class", "note")], note);
}

fn thresholds(out: &mut Markup, run: &Document) {
    table(out, &["threshold", "measured", ""], |out| {
        for threshold in &run.thresholds {
            let held = if threshold.held { "held" } else { "crossed" };
            row(
                out,
                &[threshold.threshold.clone(), threshold.shown(), held.to_owned()],
            );
        }
    });
}

/// Every operation, by the phase in which it was due.
fn accounts(out: &mut Markup, run: &Document, all: &AccountReport) {
    let heads = [
        "",
        "asked for",
        "ok",
        "failed",
        "not resumed",
        "in flight at the end",
        "not started",
    ];
    table(out, &heads, |out| {
        let phases = run
            .phases
            .iter()
            .filter_map(|phase| Some((phase.name.as_str(), phase.account.as_ref()?)));
        let several = run.phases.len() > 1;
        for (name, account) in phases.filter(|_| several).chain([("all", all)]) {
            let numbers = [
                account.asked,
                account.ok,
                account.failed,
                account.not_resumed,
                account.in_flight,
                account.not_started,
            ];
            let cells: Vec<String> = [name.to_owned()].into_iter().chain(numbers.map(count)).collect();
            row(out, &cells);
        }
    });
    let note =
        "By the phase in which an operation was due, warm-up included; asked for = the sum of the others.";
    out.leaf("p", &[("class", "note")], note);
}

fn statuses(out: &mut Markup, run: &Document) {
    let all: u64 = run.statuses.iter().map(|seen| seen.count).sum();
    table(out, &["status", "responses", "share"], |out| {
        for seen in &run.statuses {
            row(
                out,
                &[seen.status.to_string(), count(seen.count), share(seen.count, all)],
            );
        }
    });
}

fn bar(out: &mut Markup, class: &str, number: u64, most: u64) {
    let width = format!("{:.1}", 120.0 * number as f64 / most.max(1) as f64);
    let view = [
        ("viewBox", "0 0 120 10"),
        ("class", "bar"),
        ("aria-hidden", "true"),
    ];
    out.element("svg", &view, |out| {
        let bar = [("class", class), ("width", width.as_str()), ("height", "10")];
        out.void("rect", &bar);
    });
}

fn settings(out: &mut Markup, run: &Document) {
    out.leaf("pre", &[], &run.setting("command_line"));
    table(out, &["setting", "value"], |out| {
        for (name, value) in versions(run) {
            row(out, &[name, value]);
        }
        for (name, value) in settings_of(run) {
            row(out, &[name, value]);
        }
    });
}

fn versions(run: &Document) -> Vec<(String, String)> {
    let connections = |kind: &Kind| format!("{} ({} connections)", kind.kind, count(kind.count));
    let handshakes = &run.handshakes;
    let throughput = &run.throughput;
    let traffic = format!(
        "received {}/s, sent {}/s",
        bytes(throughput.received_bytes_per_s),
        bytes(throughput.sent_bytes_per_s)
    );
    let memory = run
        .server
        .as_ref()
        .map(|server| bytes(server.resident_bytes as f64));
    let memory = memory.unwrap_or_else(|| UNKNOWN.to_owned());
    let rows = [
        ("started", run.started_at.clone()),
        ("loadgen", format!("{}, {}", run.loadgen, run.tls_library)),
        ("kernel", run.kernel.clone()),
        ("driver", run.driver.clone()),
        (
            "negotiated",
            run.negotiated
                .iter()
                .map(connections)
                .collect::<Vec<_>>()
                .join("\n"),
        ),
        (
            "handshakes",
            format!(
                "{} full, {} resumed; client certificate requested in {}",
                count(handshakes.full),
                count(handshakes.resumed),
                count(handshakes.client_certificate_requested)
            ),
        ),
        ("window", run.window.rule.clone()),
        ("server memory", memory),
        ("traffic", traffic),
    ];
    rows.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Every setting that has a value; those within others are named by both.
pub fn settings_of(run: &Document) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for (name, value) in &run.settings {
        match value {
            _ if name == "command_line" => {}
            Value::Object(inner) => {
                rows.extend(
                    inner
                        .iter()
                        .map(|(part, value)| (format!("{name}.{part}"), plain(value))),
                );
            }
            value => rows.push((name.clone(), plain(value))),
        }
    }
    rows.retain(|(_, value)| !value.is_empty());
    rows
}

fn intervals(out: &mut Markup, run: &Document) {
    let intervals = &run.timeline.intervals;
    out.element("details", &[], |out| {
        let width = seconds(run.timeline.interval_s);
        out.leaf(
            "summary",
            &[],
            &format!("{} intervals of {width}", count(intervals.len() as u64)),
        );
        let heads = [
            "from, s",
            "op/s",
            "failed",
            "not resumed",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "max",
            "open",
            "waiting",
            "loadgen",
            "server",
            "memory",
            "received",
        ];
        table(out, &heads, |out| {
            for interval in intervals {
                row(out, &interval_cells(interval));
            }
        });
    });
}

fn interval_cells(interval: &Interval) -> Vec<String> {
    let latency = interval.latency_us.as_ref();
    let at = |value: Option<f64>| or_unknown(value, time);
    vec![
        format!("{:.1}", interval.start_s),
        rate(interval.ok as f64 / interval.length_s.max(1e-9)),
        count(interval.failed),
        count(interval.not_resumed),
        at(latency.and_then(|l| l.p50)),
        at(latency.and_then(|l| l.p90)),
        at(latency.and_then(|l| l.p99)),
        at(latency.and_then(|l| l.p99_9)),
        at(latency.map(|l| l.max)),
        count(interval.connections_open),
        count(interval.backlog),
        or_unknown(interval.generator_busy_percent, percent),
        or_unknown(interval.server_busy_percent, percent),
        or_unknown(interval.server_resident_bytes.map(|n| n as f64), bytes),
        bytes(interval.received_bytes as f64),
    ]
}
