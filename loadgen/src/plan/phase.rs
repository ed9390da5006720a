//! The phases of a run: how much load there is when.
//!
//! Phases follow each other without gaps from the start of the run on; times are offsets from it. Within a
//! phase the load is constant or changes evenly from one value to another. Pure: time is an argument.

use std::ops::Range;
use std::time::Duration;

/// A value that stays, or goes evenly from one to another while a phase lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ramp {
    /// Value at the start of the phase.
    pub from: f64,
    /// Value at the end of the phase.
    pub to: f64,
}

/// Rule by which operations are started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Clients in this number, each starting its next operation when the last has ended.
    Closed(Ramp),
    /// The schedule, operations per second; at most `clients` are under way at the same time, the others
    /// wait.
    Open { rate: Ramp, clients: usize },
}

/// Idle connections that stay open through a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Connections over all threads.
    pub connections: usize,
    /// The entry of the mix that says how they connect and what they ask for.
    pub entry: usize,
}

/// A stretch of the run with its own load.
#[derive(Clone, Debug)]
pub struct Phase {
    /// Name in the report.
    pub name: String,
    /// Offset from the start of the run.
    pub start: Duration,
    /// [`Duration::MAX`]: until the operations that the run is limited to are done.
    pub end: Duration,
    /// Only the first phases may be unmeasured: they are the warm-up.
    pub measured: bool,
    /// Load of the phase.
    pub pace: Pace,
    /// Idle connections beside the load; `None`: those of the phase before are closed.
    pub hold: Option<Hold>,
    /// At its start all open connections are dropped; idle ones are opened again within this time.
    pub reconnect: Option<Duration>,
}

/// Permission of a client to start operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Whenever it likes.
    Free,
    /// The client starts operations when they are due.
    Scheduled,
    /// The client starts none before this time.
    Later(Duration),
    /// The client starts none in this run any more.
    Never,
}

impl Ramp {
    /// A value that stays.
    pub fn constant(value: f64) -> Self {
        Ramp {
            from: value,
            to: value,
        }
    }

    /// The highest value on the way.
    pub fn max(&self) -> f64 {
        self.from.max(self.to)
    }
}

impl Pace {
    /// The most clients that are at work at the same time.
    pub fn clients_max(&self) -> usize {
        match self {
            Pace::Closed(clients) => clients.max().ceil() as usize,
            Pace::Open { clients, .. } => *clients,
        }
    }
}

impl Phase {
    /// The time from its start to its end.
    pub fn length(&self) -> Duration {
        self.end.saturating_sub(self.start)
    }

    /// The time in which client number `client` is at work in this phase: as long as there are more clients
    /// than its number.
    fn at_work(&self, client: usize) -> Option<Range<Duration>> {
        let number = client as f64;
        let Ramp { from, to } = match self.pace {
            Pace::Open { clients, .. } => Ramp::constant(clients as f64),
            Pace::Closed(clients) => clients,
        };
        let crossing = || {
            let share = (number - from) / (to - from);
            self.start + self.length().mul_f64(share.clamp(0.0, 1.0)) + Duration::from_nanos(1)
        };
        match (from > number, to > number) {
            (false, false) => None,
            (true, true) => Some(self.start..self.end),
            (false, true) => Some(crossing()..self.end),
            (true, false) => Some(self.start..crossing()),
        }
    }
}

/// The phase of `now`; the last one when all are over.
pub fn index_at(phases: &[Phase], now: Duration) -> usize {
    let index = phases.partition_point(|phase| phase.end <= now);
    index.min(phases.len().saturating_sub(1))
}

/// The permission of client number `client` at `now`.
pub fn turn(phases: &[Phase], client: usize, now: Duration) -> Turn {
    let first = index_at(phases, now);
    for phase in phases.iter().skip(first) {
        match phase.at_work(client) {
            Some(time) if time.contains(&now) => {
                return match phase.pace {
                    Pace::Closed(_) => Turn::Free,
                    Pace::Open { .. } => Turn::Scheduled,
                };
            }
            Some(time) if time.start > now && !time.is_empty() => return Turn::Later(time.start),
            _ => {}
        }
    }
    Turn::Never
}

/// Open loops without a phase of another kind between them are one: each from its start to its end.
pub fn open_stretches(phases: &[Phase]) -> Vec<Range<Duration>> {
    let mut stretches: Vec<Range<Duration>> = Vec::new();
    for phase in phases
        .iter()
        .filter(|phase| matches!(phase.pace, Pace::Open { .. }))
    {
        match stretches.last_mut() {
            Some(last) if last.end == phase.start => last.end = phase.end,
            _ => stretches.push(phase.start..phase.end),
        }
    }
    stretches
}

#[cfg(test)]
pub mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    /// Phases one after the other, each with its length in seconds.
    pub fn phases(paces: &[(f64, Pace)]) -> Vec<Phase> {
        let mut start = Duration::ZERO;
        let mut phases = Vec::new();
        for (seconds, pace) in paces {
            let end = start + Duration::from_secs_f64(*seconds);
            phases.push(Phase {
                name: format!("phase {}", phases.len()),
                start,
                end,
                measured: true,
                pace: *pace,
                hold: None,
                reconnect: None,
            });
            start = end;
        }
        phases
    }

    /// A closed loop of `from` to `to` clients.
    pub fn closed(from: f64, to: f64) -> Pace {
        Pace::Closed(Ramp { from, to })
    }

    /// An open loop of `from` to `to` operations per second.
    pub fn open(from: f64, to: f64) -> Pace {
        Pace::Open {
            rate: Ramp { from, to },
            clients: 2,
        }
    }

    #[test]
    fn clients_come_in_one_by_one_while_the_number_rises_and_go_while_it_falls() {
        let phases = phases(&[
            (10.0, closed(0.0, 10.0)),
            (1.0, closed(10.0, 10.0)),
            (10.0, closed(10.0, 0.0)),
        ]);
        let at_work = |now: Duration| {
            (0..20)
                .filter(|&client| turn(&phases, client, now) == Turn::Free)
                .count()
        };
        assert_eq!(at_work(S / 2), 1);
        assert_eq!(at_work(S * 5 + S / 2), 6);
        assert_eq!(at_work(S * 10 + S / 2), 10);
        assert_eq!(at_work(S * 16 + S / 2), 5);
        assert_eq!(turn(&phases, 10, Duration::ZERO), Turn::Never);
        assert_eq!(turn(&phases, 4, S), Turn::Later(S * 4 + Duration::from_nanos(1)));
    }

    #[test]
    fn a_client_that_was_sent_away_comes_back_in_a_later_phase() {
        let phases = phases(&[
            (1.0, closed(2.0, 2.0)),
            (1.0, closed(0.0, 0.0)),
            (1.0, closed(1.0, 1.0)),
        ]);
        assert_eq!(turn(&phases, 0, S), Turn::Later(2 * S));
        assert_eq!(turn(&phases, 1, S), Turn::Never);
        assert_eq!(turn(&phases, 0, 4 * S), Turn::Never);
    }

    #[test]
    fn an_open_loop_goes_on_over_phases_and_ends_with_the_last_of_them() {
        let phases = phases(&[
            (1.0, open(5.0, 5.0)),
            (1.0, open(9.0, 9.0)),
            (1.0, closed(1.0, 1.0)),
            (1.0, open(5.0, 5.0)),
        ]);
        let at = |now| turn(&phases, 0, now);
        assert_eq!(at(S + S / 2), Turn::Scheduled);
        assert_eq!(at(2 * S), Turn::Free);
        assert_eq!(at(3 * S), Turn::Scheduled);
        assert_eq!(open_stretches(&phases), [Duration::ZERO..2 * S, 3 * S..4 * S]);
        assert_eq!(turn(&phases, 2, S), Turn::Never, "no more than `clients`");
    }

    #[test]
    fn a_phase_without_an_end_is_that_of_all_times() {
        let mut phases = phases(&[(1.0, closed(1.0, 1.0))]);
        phases[0].end = Duration::MAX;
        assert_eq!(turn(&phases, 0, 1_000_000 * S), Turn::Free);
        assert_eq!(index_at(&phases, 1_000_000 * S), 0);
    }
}
