//! The figures that a reader looks for first.

use super::format::{bytes, count, or_unknown, percent, rate, time};
use super::markup::Markup;
use super::tables::share;
use crate::report::document::{Document, Idle};
use crate::report::latency::Latency;

/// Writes the row of tiles: operations, latencies, idle connections, server and generator.
pub fn tiles(out: &mut Markup, run: &Document) {
    let attributes = [("class", "tiles"), ("aria-label", "Summary")];
    out.element("section", &attributes, |out| {
        if !run.is_idle_only() {
            operations(out, run);
            latencies(out, run.latency_us.operation.as_ref());
        }
        if let Some(idle) = run.phases.iter().rev().find_map(|phase| phase.idle.as_ref()) {
            idle_connections(out, idle);
        }
        server(out, run);
        generator(out, run);
    });
}

fn operations(out: &mut Markup, run: &Document) {
    let failed = run.operations.failed + run.operations.not_resumed;
    let throughput = format!("{} op/s", rate(run.throughput.operations_per_s));
    let ok = format!("{} ok", count(run.operations.ok));
    tile(out, false, "Throughput", &throughput, &ok);
    let of = format!("{} of {}", count(failed), count(run.operations.total));
    tile(
        out,
        failed > 0,
        "Failed",
        &share(failed, run.operations.total),
        &of,
    );
}

fn latencies(out: &mut Markup, latency: Option<&Latency>) {
    let at = |value: fn(&Latency) -> Option<f64>| or_unknown(latency.and_then(value), time);
    let mean = format!("mean {}", at(|l| Some(l.mean)));
    tile(out, false, "p50", &at(|l| l.p50), &mean);
    let p90 = format!("p90 {}", at(|l| l.p90));
    tile(out, false, "p99", &at(|l| l.p99), &p90);
    let max = format!("max {}", at(|l| Some(l.max)));
    tile(out, false, "p99.9", &at(|l| l.p99_9), &max);
}

/// Tile of the last phase that had idle connections.
fn idle_connections(out: &mut Markup, idle: &Idle) {
    let of = format!("alive of {}", count(idle.connections));
    let lost = idle.alive < idle.connections;
    tile(out, lost, "Idle connections", &count(idle.alive), &of);
    if let Some(memory) = &idle.server_memory {
        let each = bytes(memory.bytes_per_connection);
        tile(out, false, "Server memory", &each, "per idle connection");
    }
}

fn server(out: &mut Markup, run: &Document) {
    let Some(server) = &run.server else { return };
    let busy = percent(server.busy_percent);
    match server.cpu_us_per_operation {
        None => tile(out, false, "Server CPU", &busy, "of a core"),
        Some(us) => tile(
            out,
            false,
            "Server CPU",
            &time(us),
            &format!("per op; {busy} of a core"),
        ),
    }
}

fn generator(out: &mut Markup, run: &Document) {
    let threads = run.generator.threads.iter();
    let busiest = threads.map(|thread| thread.busy_percent).reduce(f64::max);
    let limit = run.generator.was_the_limit;
    let note = if limit {
        "busy; was the limit"
    } else {
        "busy; was not the limit"
    };
    tile(out, limit, "Generator", &or_unknown(busiest, percent), note);
}

fn tile(out: &mut Markup, ill: bool, name: &str, value: &str, note: &str) {
    let class = if ill { "tile ill" } else { "tile" };
    out.element("div", &[("class", class)], |out| {
        out.leaf("h2", &[], name);
        out.leaf("p", &[("class", "value")], value);
        out.leaf("p", &[("class", "note")], note);
    });
}
