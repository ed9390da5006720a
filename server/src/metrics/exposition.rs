//! The Prometheus text format, version 0.0.4: every series that we document, zeros too, in a stable order.

use std::slice;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::build;
use super::call_mark::monotonic;
use super::core_counters::CoreCounters;
use super::labels::DropReason;
use super::named_exposition;
use super::page::{Page, escape};
use super::process_counters::ProcessCounters;
use super::registry::Registry;

/// The whole page, ending in a newline.
pub fn render(registry: &Registry) -> String {
    let mut page = Page::new();
    let cores = &registry.cores;
    CoreCounters::show_connections(&mut page, cores);
    CoreCounters::show_by_core(&mut page, cores);
    CoreCounters::show_handshakes(&mut page, cores);
    CoreCounters::show_requests(&mut page, cores);
    show_process(&mut page, &registry.process);
    named_exposition::show(&mut page, &registry.named);
    show_build(&mut page, registry.started);
    page.into_text()
}

fn show_process(page: &mut Page, process: &Arc<ProcessCounters>) {
    show_losses(page, process);
    ProcessCounters::show_changes(page, slice::from_ref(process));
    let name = "bothways_reload_under_way_seconds";
    let help = "How long the reload, or publication of a function, that is under way has taken; 0: none is.";
    page.head(name, help, "gauge");
    page.single(name, seconds_since(process.job_began.get()));
    ProcessCounters::show_state(page, slice::from_ref(process));
    let name = "bothways_revocation_entries";
    page.head(name, "Entries in the revocation set of a trust store.", "gauge");
    for (store, entries) in process.revocation_entries() {
        let store = escape(&store);
        page.line(format_args!("{name}{{trust_store=\"{store}\"}} {entries}"));
    }
}

fn show_losses(page: &mut Page, process: &ProcessCounters) {
    let name = "bothways_records_written_total";
    page.head(name, "Connection records handed to the sink.", "counter");
    page.single(name, process.records.written());
    let name = "bothways_records_dropped_total";
    page.head(name, "Connection records lost.", "counter");
    page.labelled(name, "reason", |reason| process.records.dropped(reason));
    let name = "bothways_messages_dropped_total";
    let help = "Messages for the operator lost because standard error took none, or too few.";
    page.head(name, help, "counter");
    page.labelled(name, "reason", |reason: DropReason| {
        process.messages_dropped.of(reason).get()
    });
}

fn show_build(page: &mut Page, started: SystemTime) {
    page.head(
        "bothways_build_info",
        "Always 1; the labels say which build runs.",
        "gauge",
    );
    let [version, revision, rustc, target] =
        [build::VERSION, build::REVISION, build::RUSTC, build::TARGET].map(escape);
    page.line(format_args!(
        "bothways_build_info{{version=\"{version}\",revision=\"{revision}\",rustc=\"{rustc}\",\
         target=\"{target}\"}} 1"
    ));
    page.head(
        "process_start_time_seconds",
        "Start of the process, in seconds since 1970.",
        "gauge",
    );
    let started = started.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (whole, fraction) = (started.as_secs(), started.subsec_millis());
    page.line(format_args!("process_start_time_seconds {whole}.{fraction:03}"));
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

#[cfg(test)]
#[path = "exposition_tests.rs"]
mod tests;
