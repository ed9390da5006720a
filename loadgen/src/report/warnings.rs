//! Facts that change how the figures must be read.

use super::Summary;
use super::limits::WAITING_PERCENT;
use super::merged::Merged;
use crate::options::Expect;
use crate::plan::Plan;

/// Looks at everything but the warnings themselves.
pub fn warnings(
    plan: &Plan,
    identities: usize,
    summary: &Summary,
    merged: &Merged,
    server_lost: Option<String>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    for limit in &summary.limits {
        let who = if limit.by_generator {
            "the generator was the limit"
        } else {
            "not only the server was measured"
        };
        warnings.push(format!("{who}: {}; {}", limit.what, limit.remedy));
    }
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
    if !plan.warm_up.is_zero() && merged.connections_not_open > 0 {
        warnings.push(format!(
            "{} connections were not open yet when the window began; a longer warm-up may help",
            merged.connections_not_open
        ));
    }
    let asked = summary.handshakes.client_certificate_requested;
    if identities > 0 && asked == 0 && summary.handshakes.full > 0 && plan.expect == Expect::Ok {
        warnings.push("the server never asked for a client certificate".to_owned());
    }
    warnings.extend(server_lost.map(|why| format!("no figures for the server: {why}")));
    if summary.window.interrupted {
        warnings.push("stopped early by SIGINT".to_owned());
    }
    warnings
}
