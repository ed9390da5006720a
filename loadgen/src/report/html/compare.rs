//! Several runs in columns: their figures with the difference to the first, and where their settings differ.

use super::format::{UNKNOWN, bytes, count, percent, rate, time};
use super::headline::{about, title};
use super::markup::Markup;
use super::sections::settings_of;
use super::tables::{row, section, table};
use super::{Run, run_class};
use crate::report::document::Document;

/// Writes the heading, a legend of the runs, and the remarks on each.
pub fn head(out: &mut Markup, runs: &[Run]) {
    out.element("header", &[], |out| {
        out.leaf("p", &[("class", "product")], "loadgen");
        out.leaf("h1", &[], &format!("{} runs beside each other", runs.len()));
        out.element("ol", &[("class", "runs")], |out| {
            for (index, run) in runs.iter().enumerate() {
                legend(out, index, run);
            }
        });
    });
    for run in runs {
        remarks(out, run);
    }
}

/// Remarks that change how a run's figures must be read.
fn remarks(out: &mut Markup, run: &Run) {
    let warnings = &run.document.warnings;
    let verdict = run.document.verdict.as_ref();
    let invalid = verdict.is_some_and(|verdict| !verdict.invalid.is_empty());
    let (class, what) = match (run.document.generator.was_the_limit, invalid, warnings.is_empty()) {
        (true, ..) => (
            "remark ill",
            "not a valid measurement: the generator was the limit",
        ),
        (false, true, _) => ("remark ill", "not a valid measurement"),
        (false, false, false) => ("remark", "read its figures with care"),
        (false, false, true) => return,
    };
    out.element("aside", &[("class", class)], |out| {
        out.leaf("strong", &[], &format!("Run {}: {what}", run.letter));
        out.element("ul", &[], |out| {
            for warning in warnings {
                out.leaf("li", &[], warning);
            }
        });
    });
}

fn legend(out: &mut Markup, index: usize, run: &Run) {
    out.element("li", &[], |out| {
        let class = format!("key {}", run_class(index));
        out.leaf("span", &[("class", &class)], &run.letter);
        out.leaf("strong", &[], &format!(" {} ", run.name));
        out.leaf(
            "span",
            &[("class", "about")],
            &format!("{} · {}", title(&run.document), about(&run.document)),
        );
    });
}

/// Writes the table of figures, a column for each run.
pub fn figures(out: &mut Markup, runs: &[Run]) {
    section(out, "Figures", |out| {
        table(out, &run_heads(runs), |out| {
            for figure in FIGURES {
                figure.row(out, runs);
            }
        });
        out.leaf(
            "p",
            &[("class", "note")],
            "Beside each value its difference to A.",
        );
    });
}

/// A row of the table.
struct Figure {
    name: &'static str,
    value: fn(&Document) -> Option<f64>,
    text: fn(f64) -> String,
}

impl Figure {
    fn row(&self, out: &mut Markup, runs: &[Run]) {
        let values: Vec<Option<f64>> = runs.iter().map(|run| (self.value)(&run.document)).collect();
        if values.iter().any(Option::is_some) {
            compared(out, self.name, &values, self.text);
        }
    }
}

/// A row of values, each with its difference to the first.
pub fn compared(out: &mut Markup, name: &str, values: &[Option<f64>], text: fn(f64) -> String) {
    let first = values.first().copied().flatten();
    out.element("tr", &[], |out| {
        out.leaf("th", &[("scope", "row")], name);
        for (index, &value) in values.iter().enumerate() {
            out.element("td", &[], |out| {
                out.text(&value.map_or_else(|| UNKNOWN.to_owned(), text));
                if let (Some(value), Some(first), true) = (value, first, index > 0) {
                    out.leaf("span", &[("class", "difference")], &difference(first, value));
                }
            });
        }
    });
}

/// Headings of the columns: that of the names, then one for each run.
pub fn run_heads(runs: &[Run]) -> Vec<&str> {
    std::iter::once("")
        .chain(runs.iter().map(|run| run.letter.as_str()))
        .collect()
}

/// The difference as a percentage of the first, or a multiple of it; nothing where that says nothing.
fn difference(first: f64, value: f64) -> String {
    let change = 100.0 * (value - first) / first;
    if first > 0.0 && change.is_finite() && change >= MUCH {
        format!(" × {}", rate(value / first))
    } else if first > 0.0 && change.is_finite() {
        format!(" {change:+.1} %")
    } else {
        String::new()
    }
}

/// The settings that are not the same in all runs, and every command line.
pub fn settings(out: &mut Markup, runs: &[Run]) {
    let all: Vec<Vec<(String, String)>> = runs.iter().map(|run| facts(&run.document)).collect();
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in all.iter().flatten() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let of = |settings: &[(String, String)], name: &String| {
        settings
            .iter()
            .find(|(other, _)| other == name)
            .map_or_else(|| UNKNOWN.to_owned(), |(_, value)| value.clone())
    };
    section(out, "What was different", |out| {
        out.element("div", &[("class", "texts")], |out| {
            table(out, &run_heads(runs), |out| {
                for name in names {
                    let values: Vec<String> = all.iter().map(|settings| of(settings, name)).collect();
                    if values.windows(2).any(|pair| pair.first() != pair.last()) {
                        row(out, &[vec![name.clone()], values].concat());
                    }
                }
            });
        });
    });
    section(out, "What was run", |out| {
        for run in runs {
            out.leaf("h3", &[], &format!("{} {}", run.letter, run.name));
            out.leaf("pre", &[], &run.document.setting("command_line"));
        }
    });
}

fn facts(run: &Document) -> Vec<(String, String)> {
    let negotiated: Vec<&str> = run.negotiated.iter().map(|kind| kind.kind.as_str()).collect();
    let mut facts = vec![
        ("started".to_owned(), run.started_at.clone()),
        (
            "loadgen".to_owned(),
            format!("{}, {}", run.loadgen, run.tls_library),
        ),
        ("kernel".to_owned(), run.kernel.clone()),
        ("driver".to_owned(), run.driver.clone()),
        ("negotiated".to_owned(), negotiated.join("; ")),
    ];
    facts.extend(settings_of(run));
    facts
}

/// Percentage from which on a factor is easier to read.
const MUCH: f64 = 900.0;
const FIGURES: [Figure; 12] = [
    Figure {
        name: "throughput, op/s",
        value: |run| Some(run.throughput.operations_per_s),
        text: rate,
    },
    Figure {
        name: "operations ok",
        value: |run| Some(run.operations.ok as f64),
        text: |n| count(n as u64),
    },
    Figure {
        name: "failed",
        value: |run| Some((run.operations.failed + run.operations.not_resumed) as f64),
        text: |n| count(n as u64),
    },
    Figure {
        name: "p50",
        value: |run| run.latency_us.operation.as_ref()?.p50,
        text: time,
    },
    Figure {
        name: "p90",
        value: |run| run.latency_us.operation.as_ref()?.p90,
        text: time,
    },
    Figure {
        name: "p99",
        value: |run| run.latency_us.operation.as_ref()?.p99,
        text: time,
    },
    Figure {
        name: "p99.9",
        value: |run| run.latency_us.operation.as_ref()?.p99_9,
        text: time,
    },
    Figure {
        name: "max",
        value: |run| Some(run.latency_us.operation.as_ref()?.max),
        text: time,
    },
    Figure {
        name: "server CPU per operation",
        value: |run| run.server.as_ref()?.cpu_us_per_operation,
        text: time,
    },
    Figure {
        name: "server CPU, of a core",
        value: |run| Some(run.server.as_ref()?.busy_percent),
        text: percent,
    },
    Figure {
        name: "server memory",
        value: |run| Some(run.server.as_ref()?.resident_bytes as f64),
        text: bytes,
    },
    Figure {
        name: "generator CPU per operation",
        value: |run| run.generator.cpu_us_per_operation,
        text: time,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_where_it_means_something() {
        assert_eq!(difference(100.0, 112.34), " +12.3 %");
        assert_eq!(difference(100.0, 50.0), " -50.0 %");
        assert_eq!(difference(100.0, 6_009.0), " × 60.1");
        assert_eq!(difference(0.0, 50.0), "");
        assert_eq!(difference(1.0, f64::INFINITY), "");
    }
}
