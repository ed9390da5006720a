//! The head of a single run's page: its title, its verdict, the run in a sentence, and remarks.

use std::path::Path;

use serde_json::Value;

use super::format::{rate, seconds};
use super::markup::Markup;
use crate::report::document::Document;

/// The heading: the work and the server.
pub fn title(run: &Document) -> String {
    let scenario = run.setting("scenario");
    let stem = Path::new(&scenario)
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    let what = stem.unwrap_or_else(|| run.setting("mode"));
    format!("{what} {}", run.setting("server_name"))
}

/// Writes the heading, the verdict and the run in a sentence.
pub fn head(out: &mut Markup, run: &Document, title: &str) {
    out.element("header", &[], |out| {
        out.leaf("p", &[("class", "product")], &format!("loadgen {}", run.loadgen));
        out.leaf("h1", &[], title);
        out.leaf("p", &[("class", "about")], &about(run));
        for (class, sentence) in verdict(run) {
            out.leaf("p", &[("class", class)], &sentence);
        }
    });
}

/// The last word on the run, with its looks. Figures that measure something else than the server are never
/// green.
fn verdict(run: &Document) -> Vec<(&'static str, String)> {
    let verdict = run.verdict.clone().unwrap_or_default();
    let reasons = |reasons: &[String]| match reasons {
        [] => String::new(),
        some => format!(": {}", some.join("; ")),
    };
    let operations = match (run.as_expected, run.operations.total) {
        (true, _) => "Every operation ended as expected".to_owned(),
        (false, 0) => "No operation was completed in the window".to_owned(),
        (false, _) => format!(
            "Not every operation ended as expected{}",
            reasons(&verdict.unexpected)
        ),
    };
    let invalid = (!verdict.invalid.is_empty()).then(|| {
        (
            "verdict doubtful",
            format!("Not a valid measurement{}", reasons(&verdict.invalid)),
        )
    });
    let class = match (run.as_expected, &invalid) {
        (false, _) if verdict.exit_code != 0 => "verdict ill",
        (false, _) => "verdict doubtful",
        (true, Some(_)) => "verdict doubtful",
        (true, None) => "verdict good",
    };
    let crossed = (!verdict.crossed.is_empty()).then(|| {
        (
            "verdict ill",
            format!("Not every threshold held{}", reasons(&verdict.crossed)),
        )
    });
    invalid
        .into_iter()
        .chain(crossed)
        .chain([(class, operations)])
        .collect()
}

/// The run in a sentence.
pub fn about(run: &Document) -> String {
    let asked = run.settings.get("rate").and_then(Value::as_f64).map(rate);
    let pace = match (asked, run.is_scenario()) {
        (Some(asked), true) => format!("open loop at {asked} op/s on average"),
        (Some(asked), false) => format!("open loop at {asked} op/s"),
        (None, _) if run.is_idle_only() => "no load".to_owned(),
        (None, _) => format!("{} loop", run.setting("loop_kind")),
    };
    let path = if run.entries.len() > 1 {
        String::new()
    } else {
        run.setting("path")
    };
    let version = match run.setting("server_version") {
        none if none.is_empty() => none,
        version => format!(" ({version})"),
    };
    format!(
        "{}{path}{version} · {pace}, {} · {} after {} of warm-up · {}",
        run.setting("address"),
        clients(run),
        seconds(run.window.seconds),
        seconds(run.warm_up_s()),
        run.started_at.replace('T', " ").replace('Z', " UTC")
    )
}

/// The load at the same time: clients, connections, streams.
fn clients(run: &Document) -> String {
    let connections = run.setting("connections");
    match (run.is_scenario(), run.setting("streams").as_str()) {
        (true, _) if run.is_idle_only() => "idle connections only".to_owned(),
        (true, _) => format!("at most {connections} clients"),
        (false, "" | "1") => format!("{connections} connections"),
        (false, many) => format!("{connections} connections × {many} streams"),
    }
}

/// Remarks that change how the figures must be read.
pub fn remarks(out: &mut Markup, run: &Document) {
    for limit in &run.limits {
        let (class, who) = if limit.by_generator {
            ("remark ill", "The generator was the limit")
        } else {
            ("remark", "Not only the server was measured")
        };
        out.element("aside", &[("class", class)], |out| {
            out.leaf("strong", &[], who);
            out.text(&format!(": {}. To do: {}.", limit.what, limit.remedy));
        });
    }
    let told = |warning: &&String| !run.limits.iter().any(|limit| warning.contains(&limit.what));
    for warning in run.warnings.iter().filter(told) {
        out.leaf("aside", &[("class", "remark")], warning);
    }
}
