//! The last word on a run: did every operation end as expected, can its figures be used, and with which code
//! the process ends.

use std::fmt::{self, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Summary;
use super::ending::Overdue;
use super::table::{count, time};

/// The judgement of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Verdict {
    /// Kinds of operations that did not end as expected.
    pub unexpected: Vec<String>,
    /// Why the figures are no measurement of the server.
    pub invalid: Vec<String>,
    pub exit_code: u8,
}

impl Verdict {
    pub fn of(summary: &Summary, overdue: Option<&Overdue>) -> Self {
        let unexpected = unexpected(summary, overdue);
        let exit_code = if unexpected.is_empty() { 0 } else { EXIT_UNEXPECTED };
        Verdict {
            invalid: invalid(summary),
            exit_code,
            unexpected,
        }
    }

    pub fn as_expected(&self) -> bool {
        self.unexpected.is_empty()
    }

    /// A sentence for each part of the judgement; the first is about the operations.
    pub fn sentences(&self, total: u64) -> Vec<String> {
        let mut sentences = vec![match (self.as_expected(), total) {
            (true, _) => "every operation ended as expected".to_owned(),
            (false, 0) => "NO operation was completed in the window".to_owned(),
            (false, _) => format!(
                "NOT every operation ended as expected: {}",
                self.unexpected.join("; ")
            ),
        }];
        if !self.invalid.is_empty() {
            sentences.push(format!("NOT a valid measurement: {}", self.invalid.join("; ")));
        }
        sentences
    }

    pub fn render(&self, out: &mut String, total: u64) -> fmt::Result {
        self.sentences(total)
            .iter()
            .try_for_each(|sentence| writeln!(out, "{sentence}"))
    }
}

fn unexpected(summary: &Summary, overdue: Option<&Overdue>) -> Vec<String> {
    let (operations, warm_up) = (&summary.operations, &summary.warm_up);
    let mut found = Vec::new();
    let mut ill = |is_so: bool, what: String| found.extend(is_so.then_some(what));
    ill(
        operations.ok == 0 && !summary.scenario.is_idle_only(),
        "none was ok".to_owned(),
    );
    for (part, counted) in [("", operations), (" in the warm-up", warm_up)] {
        ill(
            counted.failed > 0,
            format!("{} failed{part}", count(counted.failed)),
        );
        let not_resumed = format!("{} were not resumed{part}", count(counted.not_resumed));
        ill(counted.not_resumed > 0, not_resumed);
    }
    let not_started = format!(
        "{} were due and never started",
        count(summary.account.not_started)
    );
    ill(too_many_not_started(summary), not_started);
    if let Some(overdue) = overdue.filter(|overdue| overdue.hangs) {
        let oldest = time(Some(micros(overdue.oldest)));
        ill(
            true,
            format!("the oldest in flight had got no answer for {oldest} at the end"),
        );
    }
    ill(
        !summary.scenario.as_expected(),
        "idle connections were not kept or not opened again".to_owned(),
    );
    ill(
        !summary.account.balanced,
        "the generator has lost count of some".to_owned(),
    );
    found
}

/// All of an open loop that ends before the run does. At the end of the run the last ones may just have
/// become due: there one in a thousand is not against it.
fn too_many_not_started(summary: &Summary) -> bool {
    let account = &summary.account;
    let at_end = summary
        .open_loop
        .as_ref()
        .map_or(summary.backlog_at_end, |open| open.backlog_at_end);
    account.not_started > at_end || account.not_started.saturating_mul(1000) > account.asked
}

fn invalid(summary: &Summary) -> Vec<String> {
    let by_generator = summary.limits.iter().filter(|limit| limit.by_generator);
    let mut reasons: Vec<String> = by_generator.map(|limit| limit.what.clone()).collect();
    let told = !reasons.is_empty();
    for thread in &summary.generator.threads {
        let waiting = thread.waiting_for_core_percent;
        if waiting > SHARED_PERCENT && !told {
            let core = thread.core;
            reasons.push(format!(
                "something else had the generator's core {core} for {waiting:.0} % of the time"
            ));
        }
    }
    if let Some(server) = &summary.server
        && server.waiting_for_core_percent > SHARED_PERCENT
    {
        let waiting = server.waiting_for_core_percent;
        reasons.push(format!(
            "the server's threads waited for a core for {waiting:.0} % of the time"
        ));
    }
    if !summary.account.balanced {
        reasons.push("the generator's account does not add up".to_owned());
    }
    reasons
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

pub const EXIT_UNEXPECTED: u8 = 1;
/// With more of their time taken away, figures are those of the machine.
const SHARED_PERCENT: f64 = 10.0;
