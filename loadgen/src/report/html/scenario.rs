//! The parts of a run that had more than one: the entries of its mix, its phases with idle connections and
//! storms.

use super::format::{bytes, count, or_unknown, rate, round_number, seconds, time};
use super::markup::Markup;
use super::tables::{percentile_heads, row, section, table};
use crate::report::counts::Kind;
use crate::report::document::{Course, Document, Entry, Idle, Phase, Storm};
use crate::report::latency::Latency;

/// Nothing for a run of one kind of operation at one pace: its figures are those of the whole.
pub fn tables(out: &mut Markup, run: &Document) {
    if run.entries.len() > 1 {
        section(out, "Entries of the mix", |out| entries(out, &run.entries));
    }
    let special = |phase: &Phase| phase.idle.is_some() || phase.storm.is_some();
    if run.is_scenario() || has_several_phases(run) || run.phases.iter().any(special) {
        section(out, "Phases", |out| phases(out, run));
    }
}

/// `true`: the measured window has more than one phase.
pub fn has_several_phases(run: &Document) -> bool {
    run.phases.iter().filter(|phase| phase.measured).count() > 1
}

fn entries(out: &mut Markup, entries: &[Entry]) {
    let mut heads = percentile_heads("entry", &["max", "ok", "failed", "not resumed"]);
    heads.splice(1..1, ["work", "to be", "weight"]);
    table(out, &heads, |out| {
        for entry in entries {
            let latency = entry.latency_us.as_ref();
            let to_be = if entry.expect == "refused" {
                "refused"
            } else {
                "served"
            };
            let weight = count(entry.weight);
            let mut cells = vec![entry.name.clone(), entry.work.clone(), to_be.to_owned(), weight];
            let percentiles = latency.map_or([None; 6], Latency::percentiles);
            cells.extend(percentiles.map(|value| or_unknown(value, time)));
            cells.push(or_unknown(latency.map(|latency| latency.max), time));
            cells.extend([entry.ok, entry.failed, entry.not_resumed].map(count));
            row(out, &cells);
        }
    });
    for entry in entries {
        let reasons = [
            (": failed by ", &entry.failures),
            (": refused as expected by ", &entry.refusals),
        ];
        for (how, kinds) in reasons.into_iter().filter(|(_, kinds)| !kinds.is_empty()) {
            out.leaf(
                "p",
                &[("class", "note")],
                &format!("{}{how}{}.", entry.name, list(kinds)),
            );
        }
    }
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
                shown_name(phase),
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
    for sentence in run.phases.iter().flat_map(sentences) {
        out.leaf("p", &[("class", "finding")], &sentence);
    }
    let note =
        "From and to count from the start of the window; an operation counts in the phase in which it ended.";
    out.leaf("p", &[("class", "note")], note);
}

fn shown_name(phase: &Phase) -> String {
    if phase.measured {
        phase.name.clone()
    } else {
        format!("{} (unmeasured)", phase.name)
    }
}

/// Reasons and how often each.
fn list(kinds: &[Kind]) -> String {
    let each = |kind: &Kind| format!("{} ({})", kind.kind, count(kind.count));
    kinds.iter().map(each).collect::<Vec<_>>().join(", ")
}

fn course(course: Option<&Course>) -> String {
    match course {
        None => String::new(),
        Some(Course { from, to }) if from == to => round_number(*from),
        Some(Course { from, to }) => format!("{} to {}", round_number(*from), round_number(*to)),
    }
}

/// Sentences about a phase that have no place in the table.
fn sentences(phase: &Phase) -> Vec<String> {
    let idle = phase.idle.iter().flat_map(idle_sentences);
    let storm = phase.storm.iter().flat_map(storm_sentences);
    storm
        .chain(idle)
        .map(|sentence| format!("{}: {sentence}", phase.name))
        .collect()
}

fn idle_sentences(idle: &Idle) -> Vec<String> {
    let memory = match (&idle.server_memory, idle.server_memory_shrank) {
        (Some(memory), _) => format!(
            "; {} of the server's memory for each",
            bytes(memory.bytes_per_connection)
        ),
        (None, true) => {
            "; the server's memory shrank meanwhile, so that there is no figure for each".to_owned()
        }
        (None, false) => String::new(),
    };
    let (alive, all) = (count(idle.alive), count(idle.connections));
    let mut sentences = vec![format!(
        "{alive} of {all} idle connections alive at the end{memory}."
    )];
    sentences.extend(mishap("idle connections not opened", &idle.not_opened));
    sentences.extend(mishap("idle connections lost", &idle.lost));
    sentences
}

fn storm_sentences(storm: &Storm) -> Vec<String> {
    let (reopened, dropped) = (count(storm.reopened), count(storm.dropped));
    let mut sentence = format!("{reopened} of {dropped} dropped connections opened again");
    if let Some(half) = storm.latency_us.as_ref().and_then(|latency| latency.p50) {
        sentence += &format!(", half of them after {}", time(half));
    }
    if let (Some(ms), Some(speed)) = (storm.all_after_ms, storm.reopened_per_s) {
        sentence += &format!(", all after {} ({} per second)", time(ms * 1e3), rate(speed));
    }
    let mut sentences = vec![sentence + "."];
    sentences.extend(mishap(
        "attempts to open again that failed",
        &storm.failed_attempts,
    ));
    sentences
}

fn mishap(what: &str, kinds: &[Kind]) -> Option<String> {
    (!kinds.is_empty()).then(|| format!("{what}: {}.", list(kinds)))
}
