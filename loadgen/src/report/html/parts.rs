//! The entries and the phases of several runs beside each other, by their names: what a scenario is repeated
//! for.

use super::Run;
use super::compare::{compared, run_heads};
use super::format::{bytes, count, rate, time};
use super::markup::Markup;
use super::scenario::has_several_phases;
use super::tables::{section, table};
use crate::report::document::{Document, Entry, Phase};

/// Nothing where no run has more than one of them.
pub fn tables(out: &mut Markup, runs: &[Run]) {
    if runs.iter().any(|run| run.document.entries.len() > 1) {
        parts(
            out,
            runs,
            "By entry of the mix",
            |run| &run.entries,
            |entry| &entry.name,
            &ENTRY,
        );
    }
    if runs.iter().any(|run| has_several_phases(&run.document)) {
        parts(
            out,
            runs,
            "By phase",
            |run| &run.phases,
            |phase| &phase.name,
            &PHASE,
        );
    }
}

/// A row of the table for each part, where there is something in it.
struct Figure<T> {
    name: &'static str,
    value: fn(&Document, &T) -> Option<f64>,
    text: fn(f64) -> String,
}

fn parts<T>(
    out: &mut Markup,
    runs: &[Run],
    title: &str,
    of: fn(&Document) -> &[T],
    name: fn(&T) -> &str,
    figures: &[Figure<T>],
) {
    let mut names: Vec<&str> = Vec::new();
    for part in runs.iter().flat_map(|run| of(&run.document)) {
        if !names.contains(&name(part)) {
            names.push(name(part));
        }
    }
    section(out, title, |out| {
        table(out, &run_heads(runs), |out| {
            for wanted in names {
                for figure in figures {
                    let value = |run: &Run| {
                        let part = of(&run.document).iter().find(|part| name(part) == wanted);
                        (figure.value)(&run.document, part?)
                    };
                    let values: Vec<Option<f64>> = runs.iter().map(value).collect();
                    if values.iter().flatten().any(|value| *value != 0.0) {
                        compared(out, &format!("{wanted}: {}", figure.name), &values, figure.text);
                    }
                }
            }
        });
    });
}

const ENTRY: [Figure<Entry>; 4] = [
    Figure {
        name: "op/s",
        value: |run, entry| (run.window.seconds > 0.0).then(|| entry.ok as f64 / run.window.seconds),
        text: rate,
    },
    Figure {
        name: "failed",
        value: |_, entry| Some((entry.failed + entry.not_resumed) as f64),
        text: |n| count(n as u64),
    },
    Figure {
        name: "p50",
        value: |_, entry| entry.latency_us.as_ref()?.p50,
        text: time,
    },
    Figure {
        name: "p99",
        value: |_, entry| entry.latency_us.as_ref()?.p99,
        text: time,
    },
];
const PHASE: [Figure<Phase>; 6] = [
    Figure {
        name: "op/s",
        value: |_, phase| Some(phase.operations_per_s),
        text: rate,
    },
    Figure {
        name: "failed",
        value: |_, phase| Some(phase.failed as f64),
        text: |n| count(n as u64),
    },
    Figure {
        name: "p50",
        value: |_, phase| phase.latency_us.as_ref()?.p50,
        text: time,
    },
    Figure {
        name: "p99",
        value: |_, phase| phase.latency_us.as_ref()?.p99,
        text: time,
    },
    Figure {
        name: "all open again after",
        value: |_, phase| Some(phase.storm.as_ref()?.all_after_ms? * 1e3),
        text: time,
    },
    Figure {
        name: "memory of an idle connection",
        value: |_, phase| Some(phase.idle.as_ref()?.server_memory.as_ref()?.bytes_per_connection),
        text: bytes,
    },
];
