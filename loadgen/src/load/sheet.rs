//! Records of one thread for each entry of the mix, for each phase, and for the idle connections.
//!
//! Entries count within the measured window, as the run as a whole does; phases count what ended while they
//! lasted, the warm-up included. The account of a phase is that of the operations that were asked for in it,
//! whenever they ended.

use std::collections::HashMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::account::Account;
use super::histogram::{histogram, record};
use super::tally::{Done, Outcome, Tally, count_kind};
use crate::failure::Failure;
use crate::plan::Plan;
use crate::plan::phase::{self, Phase};

/// Sheets for each entry and each phase of the plan, in their order.
#[derive(Debug, Default)]
pub struct Sheets {
    pub entries: Vec<EntrySheet>,
    pub phases: Vec<PhaseSheet>,
    /// Idle connections of each phase; zeros where it has none.
    pub holds: Vec<HoldSheet>,
    times: Vec<Phase>,
}

/// Operations of one entry of the mix that ended within the measured window.
#[derive(Debug)]
pub struct EntrySheet {
    /// Counts of its operations and handshakes.
    pub tally: Tally,
    /// Latencies of the operations that ended as expected, from the time they were due, in nanoseconds.
    pub latency: Histogram<u64>,
}

/// Operations of one phase, the warm-up's included.
#[derive(Debug)]
pub struct PhaseSheet {
    /// Operations that were due in it, whenever they ended.
    pub account: Account,
    /// Begun, by the phase in which they were due.
    pub started: u64,
    /// Ended, as expected and otherwise.
    pub ok: u64,
    /// Ended otherwise, also by a handshake that was not resumed.
    pub failed: u64,
    /// Latencies of the operations that ended in it as expected, in nanoseconds.
    pub latency: Histogram<u64>,
}

/// The idle connections of a phase.
#[derive(Debug)]
pub struct HoldSheet {
    /// Opened in this phase, because there were fewer before.
    pub opened: u64,
    /// Failures of attempts to open one.
    pub not_opened: HashMap<Failure, u64>,
    /// Answered a request at the end.
    pub alive: u64,
    /// Failures of the request at the end of the phase, by connections that were open.
    pub lost: HashMap<Failure, u64>,
    /// Dropped on purpose at the start of the phase.
    pub dropped: u64,
    /// Times from the drop to the first response on the new connection, in nanoseconds.
    pub reopened: Histogram<u64>,
    /// Failures of attempts to open a dropped one again.
    pub not_reopened: HashMap<Failure, u64>,
}

impl Sheets {
    /// Empty sheets for the plan's entries and phases.
    pub fn new(plan: &Plan) -> Self {
        Sheets {
            entries: plan.entries.iter().map(|_| EntrySheet::default()).collect(),
            phases: plan.phases.iter().map(|_| PhaseSheet::default()).collect(),
            holds: plan.phases.iter().map(|_| HoldSheet::default()).collect(),
            times: plan.phases.clone(),
        }
    }

    /// The number of the phase of `now`.
    pub fn phase_at(&self, now: Duration) -> usize {
        phase::index_at(&self.times, now)
    }

    /// The sheet of phase number `phase`.
    pub fn phase(&mut self, phase: usize) -> &mut PhaseSheet {
        sheet(&mut self.phases, phase)
    }

    /// The idle connections of phase number `phase`.
    pub fn hold(&mut self, phase: usize) -> &mut HoldSheet {
        sheet(&mut self.holds, phase)
    }

    /// An operation has ended in this phase.
    pub fn count_in_phase(&mut self, phase: usize, outcome: &Outcome, latency: Duration) {
        let sheet = self.phase(phase);
        if outcome.is_expected() {
            sheet.ok += 1;
            record(&mut sheet.latency, latency);
        } else {
            sheet.failed += 1;
        }
    }

    /// An operation of entry number `entry` has ended within the window.
    pub fn count_in_entry(&mut self, entry: usize, done: &Done, latency: Duration) {
        let sheet = sheet(&mut self.entries, entry);
        sheet.tally.count(done);
        if done.outcome.is_expected() {
            record(&mut sheet.latency, latency);
        }
    }

    /// A request of entry number `entry` has been sent again within the window.
    pub fn retried(&mut self, entry: usize) {
        sheet(&mut self.entries, entry).tally.retried += 1;
    }

    /// Adds those of another thread.
    pub fn add(&mut self, other: Sheets) {
        if self.entries.is_empty() {
            *self = other;
            return;
        }
        for (all, one) in self.entries.iter_mut().zip(other.entries) {
            all.tally.add(one.tally);
            add(&mut all.latency, &one.latency);
        }
        for (all, one) in self.phases.iter_mut().zip(&other.phases) {
            all.account.add(&one.account);
            all.started += one.started;
            all.ok += one.ok;
            all.failed += one.failed;
            add(&mut all.latency, &one.latency);
        }
        for (all, one) in self.holds.iter_mut().zip(&other.holds) {
            all.add(one);
        }
    }
}

impl HoldSheet {
    /// Counts an attempt to open an idle connection that failed.
    pub fn not_opened(&mut self, why: Failure) {
        count_kind(&mut self.not_opened, why);
    }

    /// Counts an idle connection that did not answer at the end of the phase.
    pub fn lost(&mut self, why: Failure) {
        count_kind(&mut self.lost, why);
    }

    /// Counts a failed attempt to open a dropped connection again.
    pub fn not_reopened(&mut self, why: Failure) {
        count_kind(&mut self.not_reopened, why);
    }

    /// Counts a dropped connection that is open again, `time` after the drop.
    pub fn reopened(&mut self, time: Duration) {
        record(&mut self.reopened, time);
    }

    fn add(&mut self, other: &HoldSheet) {
        self.opened += other.opened;
        self.alive += other.alive;
        self.dropped += other.dropped;
        add(&mut self.reopened, &other.reopened);
        for (all, one) in [
            (&mut self.not_opened, &other.not_opened),
            (&mut self.lost, &other.lost),
            (&mut self.not_reopened, &other.not_reopened),
        ] {
            for (kind, count) in one {
                *all.entry(kind.clone()).or_default() += count;
            }
        }
    }
}

impl Default for EntrySheet {
    fn default() -> Self {
        EntrySheet {
            tally: Tally::default(),
            latency: histogram(),
        }
    }
}

impl Default for PhaseSheet {
    fn default() -> Self {
        PhaseSheet {
            account: Account::default(),
            started: 0,
            ok: 0,
            failed: 0,
            latency: histogram(),
        }
    }
}

impl Default for HoldSheet {
    fn default() -> Self {
        HoldSheet {
            opened: 0,
            not_opened: HashMap::new(),
            alive: 0,
            lost: HashMap::new(),
            dropped: 0,
            reopened: histogram(),
            not_reopened: HashMap::new(),
        }
    }
}

fn sheet<T>(sheets: &mut [T], index: usize) -> &mut T {
    sheets
        .get_mut(index)
        .expect("the plan has this entry or phase, and each has its sheet")
}

fn add(all: &mut Histogram<u64>, one: &Histogram<u64>) {
    all.add(one).expect("all histograms have the same bounds");
}
