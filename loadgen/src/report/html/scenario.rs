//! The parts of a run that had more than one: the entries of its mix, its phases with idle connections and storms.

use super::format::{bytes, count, or_unknown, rate, round_number, seconds, time};
use super::markup::Markup;
use super::sections::{percentile_heads, row, section, table};
use crate::report::document::{Course, Document, Entry, Phase};
use crate::report::latency::Latency;

/// Nothing for a run of one kind of operation at one pace: its figures are those of the whole.
pub fn tables(out: &mut Markup, run: &Document) {
    if run.entries.len() > 1 {
        section(out, "Entries of the mix", |out| entries(out, &run.entries));
    }
    let special = |phase: &Phase| phase.idle.is_some() || phase.storm.is_some();
    let measured = run.phases.iter().filter(|phase| phase.measured).count();
    if measured > 1 || run.phases.iter().any(special) {
        section(out, "Phases", |out| phases(out, run));
    }
}

fn entries(out: &mut Markup, entries: &[Entry]) {
    let mut heads = percentile_heads("entry", &["max", "ok", "failed", "not resumed"]);
    heads.splice(1..1, ["work", "weight"]);
    table(out, &heads, |out| {
        for entry in entries {
            let latency = entry.latency_us.as_ref();
            let mut cells = vec![entry.name.clone(), entry.work.clone(), count(entry.weight)];
            let percentiles = latency.map_or([None; 6], Latency::percentiles);
            cells.extend(percentiles.map(|value| or_unknown(value, time)));
            cells.push(or_unknown(latency.map(|latency| latency.max), time));
            cells.extend([entry.ok, entry.failed, entry.not_resumed].map(count));
            row(out, &cells);
        }
    });
}

fn phases(out: &mut Markup, run: &Document) {
    let heads = [
        "phase",
        "from",
        "to",
        "clients",
        "asked, op/s",
        "op/s",
        "ok",
        "failed",
        "p50",
        "p99",
        "max",
    ];
    table(out, &heads, |out| {
        for phase in &run.phases {
            let latency = phase.latency_us.as_ref();
            let at = |value: fn(&Latency) -> Option<f64>| or_unknown(latency.and_then(value), time);
            let cells = [
                phase.name.clone(),
                seconds(phase.start_s - run.warm_up_s()),
                seconds(phase.end_s - run.warm_up_s()),
                course(phase.clients.as_ref()),
                course(phase.rate.as_ref()),
                rate(phase.operations_per_s),
                count(phase.ok),
                count(phase.failed),
                at(|l| l.p50),
                at(|l| l.p99),
                at(|l| Some(l.max)),
            ];
            row(out, &cells);
        }
    });
    out.leaf(
        "p",
        &[("class", "note")],
        "From and to count from the start of the window.",
    );
    for sentence in run.phases.iter().flat_map(sentences) {
        out.leaf("p", &[], &sentence);
    }
}

fn course(course: Option<&Course>) -> String {
    match course {
        None => String::new(),
        Some(Course { from, to }) if from == to => round_number(*from),
        Some(Course { from, to }) => format!("{} to {}", round_number(*from), round_number(*to)),
    }
}

/// What has no place in the table.
fn sentences(phase: &Phase) -> Vec<String> {
    let mut sentences = Vec::new();
    if let Some(idle) = &phase.idle {
        let memory = idle.server_memory.as_ref().map(|memory| {
            let each = bytes(memory.bytes_per_connection);
            format!("; {each} of the server's memory for each")
        });
        let (alive, all) = (count(idle.alive), count(idle.connections));
        let memory = memory.unwrap_or_default();
        sentences.push(format!(
            "{}: {alive} of {all} idle connections alive at the end{memory}.",
            phase.name
        ));
    }
    if let Some(storm) = &phase.storm {
        let (reopened, dropped) = (count(storm.reopened), count(storm.dropped));
        let after = or_unknown(storm.all_after_ms.map(|ms| ms * 1e3), time);
        let speed = or_unknown(storm.reopened_per_s, rate);
        sentences.push(format!(
            "{}: {reopened} of {dropped} dropped connections opened again, all after {after} ({speed} per second).",
            phase.name
        ));
    }
    sentences
}
