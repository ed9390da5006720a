//! The report by entry of the mix and by phase: how each kind of operation fared, and each part of the run,
//! with its idle connections and its storm.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Summary;
use super::account::AccountReport;
use super::counts::{Kind, Operations, Status, kinds, statuses};
use super::latency::Latency;
use super::text::{bytes, count, kinds as render_kinds, time};
use crate::load::sheet::{EntrySheet, HoldSheet, PhaseSheet, Sheets};
use crate::options::{Expect, Work};
use crate::plan::phase::{Hold, Pace, Phase, Ramp};
use crate::plan::{Entry, Plan};
use crate::run::Memory;

/// Figures by the parts of a run: its entries and its phases.
#[derive(Debug, Serialize)]
pub struct ScenarioReport {
    /// Operations that ended within the measured window, by entry.
    pub entries: Vec<EntryReport>,
    /// Operations that ended while each phase lasted, the warm-up included.
    pub phases: Vec<PhaseReport>,
    #[serde(skip)]
    interrupted: bool,
}

/// Figures of one entry of the mix, within the measured window.
#[derive(Debug, Serialize)]
pub struct EntryReport {
    /// Name in the scenario; without one the mode.
    pub name: String,
    /// Share of the operations, as a part of the sum of all weights.
    pub weight: u32,
    /// Kind of its operations.
    pub work: Work,
    /// End of its operations that counts as `ok`.
    pub expect: Expect,
    /// Path and query that it asks for.
    pub path: String,
    /// Counts of those that ended, as the fields `total`, `ok`, `failed`, `not_resumed` and `retried`.
    #[serde(flatten)]
    pub operations: Operations,
    /// Failures by kind, the most frequent first.
    pub failures: Vec<Kind>,
    /// Refusals that were expected, by kind.
    pub refusals: Vec<Kind>,
    /// Responses by status.
    pub statuses: Vec<Status>,
    /// Latency in microseconds of those that ended as expected; `None`: none did.
    pub latency_us: Option<Latency>,
}

/// Figures of one phase.
#[derive(Debug, Serialize)]
pub struct PhaseReport {
    /// Name in the scenario.
    pub name: String,
    /// Seconds from the start of the run.
    pub start_s: f64,
    /// Seconds from the start of the run; for a run that ended within the phase, its end.
    pub end_s: f64,
    /// The phase belongs to the window; else to the warm-up.
    pub measured: bool,
    /// Clients at work; `None` in an open loop and without load.
    pub clients: Option<Course>,
    /// Operations per second that were due; `None` in a closed loop and without load.
    pub rate: Option<Course>,
    /// Operations that were asked for in it, whenever they ended.
    pub account: AccountReport,
    /// Operations that were due in it and began.
    pub started: u64,
    /// Ended in it.
    pub ok: u64,
    /// Ended in it otherwise.
    pub failed: u64,
    /// Operations per second that ended in it as expected.
    pub operations_per_s: f64,
    /// Latency in microseconds of those that ended in it as expected; `None`: none did.
    pub latency_us: Option<Latency>,
    /// Idle connections; `None` where it was to hold none.
    pub idle: Option<IdleReport>,
    /// Reconnect storm at its start; `None` where there was none.
    pub storm: Option<StormReport>,
}

/// A value that goes evenly from the start of a phase to its end.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Course {
    /// Value at the start of the phase.
    pub from: f64,
    /// Value at the end of the phase.
    pub to: f64,
}

/// Connections that were to stay open through the phase.
#[derive(Debug, Serialize)]
pub struct IdleReport {
    /// Connections that were to be open.
    pub connections: usize,
    /// Opened in this phase; those of phases before stay open.
    pub opened: u64,
    /// Failures of attempts to open one, by kind.
    pub not_opened: Vec<Kind>,
    /// Answered a request at the end of the phase.
    pub alive: u64,
    /// Failures of the request at the end of the phase by kind, by connections that were open.
    pub lost: Vec<Kind>,
    /// `None` without `--server-pid`, where the kernel does not say, and where the memory shrank.
    pub server_memory: Option<MemoryReport>,
    /// `true`: there are no figures of it, because the server gave back more than the connections took. Start
    /// it anew before the run.
    pub server_memory_shrank: bool,
}

/// Anonymous memory of the server's processes, by its proportional set size (PSS). What else the server did
/// meanwhile is in it, too.
#[derive(Debug, Serialize)]
pub struct MemoryReport {
    /// Before the first idle connection was opened.
    pub before_bytes: u64,
    /// At the end of this phase.
    pub after_bytes: u64,
    /// Growth from the one to the other, divided by the connections.
    pub bytes_per_connection: u64,
}

/// A reconnect storm: all idle connections dropped and opened again.
#[derive(Debug, Serialize)]
pub struct StormReport {
    /// Idle connections that were dropped at the start of the phase.
    pub dropped: u64,
    /// Connections that were open again by the phase's end.
    pub reopened: u64,
    /// Failures of attempts to open one again, by kind.
    pub failed_attempts: Vec<Kind>,
    /// Until the last one was open again, if all were.
    pub all_after_ms: Option<f64>,
    /// Mean rate until then; `None` where not all came back.
    pub reopened_per_s: Option<f64>,
    /// Microseconds from the drop to the first response on the new connection.
    pub latency_us: Option<Latency>,
}

impl ScenarioReport {
    /// `run`: how long it lasted, warm-up included. `memory`: of the phases that began.
    pub fn of(plan: &Plan, sheets: Sheets, memory: &[Memory], run: Duration, interrupted: bool) -> Self {
        let entries = plan.entries.iter().zip(sheets.entries);
        let phases = plan
            .phases
            .iter()
            .zip(sheets.phases)
            .zip(sheets.holds)
            .enumerate();
        let last = plan.phases.len().saturating_sub(1);
        let phases = phases.take_while(|(_, ((phase, _), _))| phase.start < run || phase.start.is_zero());
        ScenarioReport {
            entries: entries
                .map(|(entry, sheet)| EntryReport::of(entry, &sheet))
                .collect(),
            phases: phases
                .map(|(index, ((phase, sheet), hold))| PhaseReport {
                    idle: phase
                        .hold
                        .map(|wanted| IdleReport::of(wanted, &hold, held_memory(plan, memory, index))),
                    storm: phase.reconnect.map(|_| StormReport::of(&hold)),
                    ..PhaseReport::of(
                        phase,
                        &sheet,
                        if index == last { run } else { phase.end.min(run) },
                    )
                })
                .collect(),
            interrupted,
        }
    }

    /// `true`: idle connections and storms went as they should.
    pub fn as_expected(&self) -> bool {
        let idle = self.phases.iter().filter_map(|phase| phase.idle.as_ref());
        let mut storms = self.phases.iter().filter_map(|phase| phase.storm.as_ref());
        let mut idle = idle.map(|idle| {
            let all = self.interrupted || idle.alive == idle.connections as u64;
            all && idle.not_opened.is_empty() && idle.lost.is_empty()
        });
        idle.all(|well| well)
            && storms.all(|storm| storm.failed_attempts.is_empty() && storm.reopened == storm.dropped)
    }

    /// `true`: there was nothing to be expected but idle connections.
    pub fn is_idle_only(&self) -> bool {
        self.phases.iter().any(|phase| phase.idle.is_some())
            && !self.phases.iter().any(PhaseReport::is_loaded)
    }
}

impl EntryReport {
    fn of(entry: &Entry, sheet: &EntrySheet) -> Self {
        EntryReport {
            name: entry.name.clone(),
            weight: entry.weight,
            work: entry.work,
            expect: entry.expect,
            path: entry.path.clone(),
            operations: Operations::of(&sheet.tally),
            failures: kinds(&sheet.tally.failures, &HashMap::new()),
            refusals: kinds(&sheet.tally.refusals, &HashMap::new()),
            statuses: statuses(&sheet.tally),
            latency_us: Latency::of(&sheet.latency),
        }
    }
}

impl PhaseReport {
    /// `true`: operations were asked for.
    pub fn is_loaded(&self) -> bool {
        self.rate.is_some() || self.clients.is_some()
    }

    /// Without its idle connections. `end`: its own, or that of the run.
    fn of(phase: &Phase, sheet: &PhaseSheet, end: Duration) -> Self {
        let end = end.max(phase.start);
        let seconds = (end - phase.start).as_secs_f64();
        let (clients, rate) = match phase.pace {
            Pace::Closed(clients) if clients.max() > 0.0 => (Some(Course::of(clients)), None),
            Pace::Closed(_) => (None, None),
            Pace::Open { rate, .. } => (None, Some(Course::of(rate))),
        };
        PhaseReport {
            name: phase.name.clone(),
            start_s: phase.start.as_secs_f64(),
            end_s: end.as_secs_f64(),
            measured: phase.measured,
            clients,
            rate,
            account: AccountReport::of(&sheet.account),
            started: sheet.started,
            ok: sheet.ok,
            failed: sheet.failed,
            operations_per_s: if seconds > 0.0 {
                sheet.ok as f64 / seconds
            } else {
                0.0
            },
            latency_us: Latency::of(&sheet.latency),
            idle: None,
            storm: None,
        }
    }
}

impl Course {
    fn of(ramp: Ramp) -> Self {
        Course {
            from: ramp.from,
            to: ramp.to,
        }
    }
}

impl IdleReport {
    fn of(wanted: Hold, sheet: &HoldSheet, memory: Option<(u64, u64)>) -> Self {
        IdleReport {
            connections: wanted.connections,
            opened: sheet.opened,
            not_opened: kinds(&sheet.not_opened, &HashMap::new()),
            alive: sheet.alive,
            lost: kinds(&sheet.lost, &HashMap::new()),
            server_memory: memory.and_then(|(before, after)| MemoryReport::of(before, after, sheet.alive)),
            server_memory_shrank: memory.is_some_and(|(before, after)| after < before),
        }
    }
}

impl MemoryReport {
    fn of(before_bytes: u64, after_bytes: u64, connections: u64) -> Option<Self> {
        let growth = after_bytes.checked_sub(before_bytes)?;
        Some(MemoryReport {
            before_bytes,
            after_bytes,
            bytes_per_connection: growth.checked_div(connections)?,
        })
    }
}

impl StormReport {
    fn of(sheet: &HoldSheet) -> Self {
        let reopened: &Histogram<u64> = &sheet.reopened;
        let all = sheet.dropped > 0 && reopened.len() == sheet.dropped;
        let last_s = all.then(|| reopened.max() as f64 / 1e9);
        StormReport {
            dropped: sheet.dropped,
            reopened: reopened.len(),
            failed_attempts: kinds(&sheet.not_reopened, &HashMap::new()),
            all_after_ms: last_s.map(|seconds| seconds * 1e3),
            reopened_per_s: last_s.map(|seconds| sheet.dropped as f64 / seconds),
            latency_us: Latency::of(reopened),
        }
    }
}

/// The server's memory before the first of the phases that hold connections up to this one, and at this one's
/// end.
fn held_memory(plan: &Plan, memory: &[Memory], index: usize) -> Option<(u64, u64)> {
    let until = plan.phases.iter().zip(memory).take(index + 1).rev();
    let first = until.take_while(|(phase, _)| phase.hold.is_some()).last();
    let before = first?.1.before_bytes?;
    Some((before, memory.get(index)?.after_bytes?))
}

/// The tables by phase and by entry, where there is more than the whole to tell.
pub fn render(out: &mut String, summary: &Summary) -> fmt::Result {
    let report = &summary.scenario;
    if report.entries.len() > 1 {
        writeln!(
            out,
            "\n{:<22}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "entry", "ok", "failed", "p50", "p99", "max"
        )?;
        report.entries.iter().try_for_each(|entry| entry.render(out))?;
    }
    if summary.settings.scenario.is_some() {
        writeln!(
            out,
            "\n{:<22}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "phase", "ok", "failed", "op/s", "p50", "p99"
        )?;
        report.phases.iter().try_for_each(|phase| phase.render(out))?;
        writeln!(out)?;
    }
    Ok(())
}

impl EntryReport {
    fn render(&self, out: &mut String) -> fmt::Result {
        let (p50, p99, max) = columns(self.latency_us.as_ref());
        let failed = self.operations.failed + self.operations.not_resumed;
        let (ok, failed) = (count(self.operations.ok), count(failed));
        writeln!(
            out,
            "{:<22}{ok:>10}{failed:>10}{p50:>10}{p99:>10}{max:>10}",
            self.name
        )?;
        if self.operations.not_resumed > 0 {
            writeln!(
                out,
                "  failed {:>11}  not resumed",
                count(self.operations.not_resumed)
            )?;
        }
        render_kinds(out, "  failed", &self.failures)?;
        render_kinds(out, "  refused", &self.refusals)
    }
}

impl PhaseReport {
    fn render(&self, out: &mut String) -> fmt::Result {
        let (p50, p99, _) = columns(self.latency_us.as_ref());
        let name = if self.measured {
            self.name.clone()
        } else {
            format!("{} (unmeasured)", self.name)
        };
        let (ok, failed) = (count(self.ok), count(self.failed));
        let per_s = format!("{:.1}", self.operations_per_s);
        writeln!(out, "{name:<22}{ok:>10}{failed:>10}{per_s:>10}{p50:>10}{p99:>10}")?;
        if self.account.not_started > 0 {
            let (missed, asked) = (count(self.account.not_started), count(self.account.asked));
            writeln!(out, "  not started  {missed} of {asked} that were due in it")?;
        }
        if let Some(storm) = &self.storm {
            storm.render(out)?;
        }
        self.idle.as_ref().map_or(Ok(()), |idle| idle.render(out))
    }
}

impl IdleReport {
    fn render(&self, out: &mut String) -> fmt::Result {
        write!(
            out,
            "  idle         {} of {} connections alive at the end",
            count(self.alive),
            count(self.connections as u64)
        )?;
        if let Some(memory) = &self.server_memory {
            let each = bytes(memory.bytes_per_connection as f64);
            write!(out, "; {each} of the server's memory each")?;
        }
        if self.server_memory_shrank {
            write!(out, "; the server's memory shrank meanwhile")?;
        }
        writeln!(out)?;
        render_kinds(out, "  not opened", &self.not_opened)?;
        render_kinds(out, "  lost", &self.lost)
    }
}

impl StormReport {
    fn render(&self, out: &mut String) -> fmt::Result {
        write!(
            out,
            "  storm        {} of {} connections open again",
            count(self.reopened),
            count(self.dropped)
        )?;
        if let (Some(latency), Some(all)) = (&self.latency_us, self.all_after_ms) {
            write!(
                out,
                " after {}, half of them after {}",
                time(Some(all * 1e3)),
                time(latency.p50)
            )?;
        }
        writeln!(out)?;
        render_kinds(out, "  failed", &self.failed_attempts)
    }
}

/// p50, p99 (the maximum where there are too few) and maximum.
fn columns(latency: Option<&Latency>) -> (String, String, String) {
    let p99 = latency.map(|latency| latency.p99.unwrap_or(latency.max));
    let (p50, max) = (
        latency.and_then(|latency| latency.p50),
        latency.map(|latency| latency.max),
    );
    (time(p50), time(p99), time(max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_that_of_the_connections_or_unknown() {
        let wanted = Hold {
            connections: 10,
            entry: 0,
        };
        let alive = HoldSheet {
            alive: 10,
            ..HoldSheet::default()
        };
        let grown = IdleReport::of(wanted, &alive, Some((1000, 51_000)));
        let each = grown.server_memory.map(|memory| memory.bytes_per_connection);
        assert_eq!((each, grown.server_memory_shrank), (Some(5000), false));
        let shrunk = IdleReport::of(wanted, &alive, Some((1000, 900)));
        assert!(shrunk.server_memory.is_none() && shrunk.server_memory_shrank);
        let all_lost = IdleReport::of(wanted, &HoldSheet::default(), Some((1000, 2000)));
        assert!(all_lost.server_memory.is_none() && !all_lost.server_memory_shrank);
    }
}
