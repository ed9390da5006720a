//! The last word on a run: did every operation end as expected, can its figures be used, and with which code
//! the process ends.

use std::fmt::{self, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Summary;
use super::ending::{Overdue, Silence};
use super::limits::WINDOW_MIN_S;
use super::text::{count, time};
use super::thresholds::About;

/// The judgement of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Verdict {
    /// Kinds of operations that did not end as expected.
    pub unexpected: Vec<String>,
    /// Reasons why the figures are no measurement of the server.
    pub invalid: Vec<String>,
    /// Thresholds that were crossed, with what was measured.
    pub crossed: Vec<String>,
    /// Code with which the process ends: 0, 1 or 3.
    pub exit_code: u8,
}

impl Verdict {
    /// Judges a summary whose other parts are complete.
    pub fn of(summary: &Summary, overdue: Option<&Overdue>, silence: Option<Silence>) -> Self {
        let unexpected = unexpected(summary, overdue, silence);
        let allowed = |about: About| {
            let mut decides = summary
                .thresholds
                .iter()
                .filter(|threshold| threshold.about == about)
                .peekable();
            about != About::Figures && decides.peek().is_some() && decides.all(|threshold| threshold.held)
        };
        let crossed = summary.thresholds.iter().filter(|threshold| !threshold.held);
        let crossed: Vec<String> = crossed
            .map(|one| format!("{} (was {})", one.threshold, one.shown()))
            .collect();
        Verdict {
            exit_code: match crossed.is_empty() {
                false => EXIT_CROSSED,
                true if unexpected.iter().all(|(about, _)| allowed(*about)) => 0,
                true => EXIT_UNEXPECTED,
            },
            invalid: invalid(summary),
            crossed,
            unexpected: unexpected.into_iter().map(|(_, what)| what).collect(),
        }
    }

    /// `true`: every operation ended as it should, in the warm-up, too.
    pub fn as_expected(&self) -> bool {
        self.unexpected.is_empty()
    }

    /// A sentence for each part of the judgement; the first is about the operations.
    pub fn sentences(&self, total: u64) -> Vec<String> {
        let unexpected = self.unexpected.join("; ");
        let mut sentences = vec![match (self.as_expected(), total) {
            (true, _) => "every operation ended as expected".to_owned(),
            (false, 0) => "NO operation was completed in the window".to_owned(),
            (false, _) if self.exit_code == 0 => {
                format!("not every operation ended as expected, as the thresholds allow: {unexpected}")
            }
            (false, _) => format!("NOT every operation ended as expected: {unexpected}"),
        }];
        for (what, reasons) in [
            ("NOT every threshold held", &self.crossed),
            ("NOT a valid measurement", &self.invalid),
        ] {
            if !reasons.is_empty() {
                sentences.push(format!("{what}: {}", reasons.join("; ")));
            }
        }
        sentences
    }

    /// Writes the sentences of the verdict, a line each. `total` is the number of operations.
    pub fn render(&self, out: &mut String, total: u64) -> fmt::Result {
        self.sentences(total)
            .iter()
            .try_for_each(|sentence| writeln!(out, "{sentence}"))
    }
}

fn unexpected(
    summary: &Summary,
    overdue: Option<&Overdue>,
    silence: Option<Silence>,
) -> Vec<(About, String)> {
    let (operations, warm_up) = (&summary.operations, &summary.warm_up);
    let mut found = Vec::new();
    let mut ill = |is_so: bool, about: About, what: String| found.extend(is_so.then_some((about, what)));
    let nothing = operations.ok == 0 && !summary.scenario.is_idle_only();
    ill(nothing, About::Figures, "none was ok".to_owned());
    for (part, counted) in [("", operations), (" in the warm-up", warm_up)] {
        let failed = format!("{} failed{part}", count(counted.failed));
        ill(counted.failed > 0, About::Failures, failed);
        let not_resumed = format!("{} were not resumed{part}", count(counted.not_resumed));
        ill(counted.not_resumed > 0, About::Failures, not_resumed);
    }
    let not_started = format!(
        "{} were due and never started",
        count(summary.account.not_started)
    );
    ill(too_many_not_started(summary), About::NotStarted, not_started);
    if let Some(overdue) = overdue.filter(|overdue| overdue.hangs) {
        let oldest = time(Some(micros(overdue.oldest)));
        let what = format!("the oldest in flight had got no answer for {oldest} at the end");
        ill(true, About::Figures, what);
    }
    let stalled_s = summary.generator.stalled_ms / 1e3;
    if let Some(silence) = silence.filter(|silence| silence.is_the_end(summary.window.seconds, stalled_s)) {
        let what = format!("none ended in the last {:.1} s of the window", silence.length_s);
        ill(true, About::Figures, what);
    }
    let idle = "idle connections were not kept or not opened again";
    ill(!summary.scenario.as_expected(), About::Figures, idle.to_owned());
    let lost = "the generator has lost count of some";
    ill(!summary.account.balanced, About::Figures, lost.to_owned());
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
    let long_enough = summary.window.seconds >= WINDOW_MIN_S;
    let shared = |waiting: f64| long_enough && waiting > SHARED_PERCENT;
    let told = !reasons.is_empty();
    for thread in summary.generator.threads.iter().filter(|_| !told) {
        let (core, waiting) = (thread.core, thread.waiting_for_core_percent);
        if shared(waiting) {
            reasons.push(format!(
                "something else had the generator's core {core} for {waiting:.0} % of the time"
            ));
        }
    }
    if let Some(waiting) = summary
        .server
        .as_ref()
        .map(|server| server.waiting_for_core_percent)
        && shared(waiting)
    {
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

const EXIT_UNEXPECTED: u8 = 1;
/// A mistake in the options is 2.
const EXIT_CROSSED: u8 = 3;
/// With more of their time taken away, figures are those of the machine.
const SHARED_PERCENT: f64 = 10.0;
