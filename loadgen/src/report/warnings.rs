//! Facts that change how the figures must be read.

use std::time::Duration;

use super::Summary;
use super::ending::{Overdue, Silence};
use super::limits::WAITING_PERCENT;
use super::merged::Merged;
use super::text::{count, time};
use crate::options::Expect;
use crate::plan::Plan;

/// Beside the summary.
pub struct Seen<'a> {
    /// Stretch of the window in which nothing ended.
    pub silence: Option<Silence>,
    pub merged: &'a Merged,
    /// Operations in flight that are far too old.
    pub overdue: Option<&'a Overdue>,
    /// The reason why there is no figure for the server.
    pub server_lost: Option<String>,
}

/// Looks at everything but the warnings themselves.
pub fn warnings(plan: &Plan, identities: usize, summary: &Summary, seen: &Seen<'_>) -> Vec<String> {
    let merged = seen.merged;
    let mut warnings = Vec::new();
    for limit in &summary.limits {
        let who = if limit.by_generator {
            "the generator was the limit"
        } else {
            "not only the server was measured"
        };
        warnings.push(format!("{who}: {}; {}", limit.what, limit.remedy));
    }
    warnings.extend(shared_cores(summary));
    if let Some(open) = summary
        .open_loop
        .as_ref()
        .filter(|open| open.done_per_s < 0.99 * open.asked_per_s)
    {
        warnings.push(format!(
            "the rate was not reached: {:.1} of {:.1} op/s; {} operations were due and not started at the end",
            open.done_per_s, open.asked_per_s, open.backlog_at_end
        ));
    }
    warnings.extend(redirects(plan, summary));
    warnings.extend(left_undone(summary, seen.overdue));
    warnings.extend(seen.silence.map(|silence| {
        let (start, end) = (silence.start_s, silence.start_s + silence.length_s);
        format!("no operation ended from {start:.1} s to {end:.1} s of the window")
    }));
    if !plan.warm_up().is_zero() && merged.connections_not_open > 0 {
        warnings.push(format!(
            "{} connections were not open yet when the window began; a longer warm-up may help",
            merged.connections_not_open
        ));
    }
    let asked = summary.handshakes.client_certificate_requested;
    if identities > 0 && asked == 0 && summary.handshakes.full > 0 && plan.expect() == Expect::Ok {
        warnings.push("the server never asked for a client certificate".to_owned());
    }
    warnings.extend(
        seen.server_lost
            .as_ref()
            .map(|why| format!("no figures for the server: {why}")),
    );
    if summary.window.interrupted {
        warnings.push("stopped early by a signal".to_owned());
    }
    warnings
}

/// Time that the generator, or the server, waited for a core.
fn shared_cores(summary: &Summary) -> Vec<String> {
    let mut warnings = Vec::new();
    for thread in &summary.generator.threads {
        if thread.waiting_for_core_percent > WAITING_PERCENT {
            warnings.push(format!(
                "something else ran on the generator's core {} for {:.0} % of the time",
                thread.core, thread.waiting_for_core_percent
            ));
        }
    }
    if let Some(server) = summary
        .server
        .as_ref()
        .filter(|server| server.waiting_for_core_percent > WAITING_PERCENT)
    {
        warnings.push(format!(
            "the server's threads waited for a core for {:.0} % of the time",
            server.waiting_for_core_percent
        ));
    }
    warnings
}

/// Operations that were asked for and did not end.
fn left_undone(summary: &Summary, overdue: Option<&Overdue>) -> Vec<String> {
    let mut warnings = Vec::new();
    if !summary.account.balanced {
        let account = &summary.account;
        warnings.push(format!(
            "the generator has lost count: {} operations were asked for, which are not {} ok + {} failed + {} not resumed + {} in \
             flight + {} not started; its figures are worth nothing; please report this",
            account.asked, account.ok, account.failed, account.not_resumed, account.in_flight, account.not_started
        ));
    }
    if summary.account.not_started > 0 {
        let short = summary
            .scenario
            .phases
            .iter()
            .filter(|phase| phase.account.not_started > 0);
        let phase = |phase: &super::scenario::PhaseReport| {
            format!(
                "{} of {} in phase {}",
                count(phase.account.not_started),
                count(phase.account.asked),
                phase.name
            )
        };
        let phases = short.map(phase).collect::<Vec<_>>().join(", ");
        warnings.push(format!(
            "operations were due and never started, because no client was free before their open loop ended: {phases}"
        ));
    }
    if let Some(overdue) = overdue {
        let micros = |time: Duration| Some(time.as_secs_f64() * 1e6);
        warnings.push(format!(
            "{} operations were in flight at the end, the oldest for {}, when {} would have been long; percentiles of a closed \
             loop know nothing of them",
            count(summary.window.in_flight_at_end),
            time(micros(overdue.oldest)),
            time(micros(overdue.limit))
        ));
    }
    warnings
}

/// A page that says "log in first" is a perfect benchmark.
fn redirects(plan: &Plan, summary: &Summary) -> Option<String> {
    let anything_goes = plan.entries.iter().any(|entry| entry.expect_status.is_empty());
    let asked_for: Vec<u16> = plan
        .entries
        .iter()
        .flat_map(|entry| entry.expect_status.clone())
        .collect();
    let redirects = summary
        .statuses
        .iter()
        .filter(|seen| (300..400).contains(&seen.status) && seen.status != 304);
    let redirects: Vec<String> = redirects
        .filter(|seen| !asked_for.contains(&seen.status))
        .map(|seen| format!("{} with status {}", count(seen.count), seen.status))
        .collect();
    (anything_goes && !redirects.is_empty()).then(|| {
        format!(
            "responses were redirects, which are not followed and count as ok: {}; --expect-status 200 makes them failures",
            redirects.join(", ")
        )
    })
}
