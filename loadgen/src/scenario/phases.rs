//! Meaning of a scenario's phases: their times, their load, their idle connections and storms.

use std::time::Duration;

use super::raw::{self, Course, Scenario, Time};
use super::source::{Key, Problem};
use crate::options::{DURATION_MAX, RATE_MAX, Work};
use crate::plan::Entry;
use crate::plan::phase::{Hold, Pace, Phase, Ramp};

/// Makes phases that follow each other from the start of the run, or tells the first problem.
pub fn check(raw: &Scenario, entries: &[Entry]) -> Result<Vec<Phase>, Problem> {
    let mut phases: Vec<Phase> = Vec::new();
    let mut start = Duration::ZERO;
    for (index, given) in raw.phases.iter().enumerate() {
        let key = Key::of("phases").index(index);
        let Time(duration) = given.duration;
        let end = start + duration;
        if duration.is_zero() || end > DURATION_MAX {
            let what = "must be above zero, and all of them together at most 24h";
            return Err(key.child("duration").problem(what));
        }
        phases.push(Phase {
            name: given.name.clone(),
            start,
            end,
            measured: measured(&key, given, phases.last())?,
            pace: pace(&key, given)?,
            hold: hold(&key, given, entries)?,
            reconnect: reconnect(&key, given, index)?,
        });
        start = end;
    }
    let complain = |what: &str| Err(Key::of("phases").problem(what));
    match (phases.len(), phases.last()) {
        (_, None) => complain("is empty; say when there is how much load by [[phases]]"),
        (PHASES_MAX.., _) => complain("there are too many of them; 100 at most"),
        (_, Some(last)) if !last.measured => {
            complain("none of them is measured; leave measured = false to the first ones")
        }
        _ => Ok(phases),
    }
}

/// The measured window is one piece, and reaches to the end.
fn measured(key: &Key, given: &raw::Phase, before: Option<&Phase>) -> Result<bool, Problem> {
    match (given.measured.unwrap_or(true), before) {
        (false, Some(before)) if before.measured => Err(key
            .child("measured")
            .problem("only the first phases can be a warm-up; a measured one comes before this one")),
        (measured, _) => Ok(measured),
    }
}

fn pace(key: &Key, given: &raw::Phase) -> Result<Pace, Problem> {
    let does_something = given.hold.is_some() || given.reconnect;
    match (given.rate, given.clients) {
        (Some(rate), clients) => Ok(Pace::Open {
            rate: ramp(&key.child("rate"), rate, RATE_MAX)?,
            clients: most_clients(key, clients)?,
        }),
        (None, Some(clients)) => Ok(Pace::Closed(ramp(&key.child("clients"), clients, CLIENTS_MAX)?)),
        (None, None) if does_something => Ok(Pace::Closed(Ramp::constant(0.0))),
        (None, None) => Err(key.problem(
            "says no load; give clients (closed loop), rate (open loop) or hold (idle connections); clients = 0 is a pause",
        )),
    }
}

fn ramp(key: &Key, course: Course, most: f64) -> Result<Ramp, Problem> {
    let possible = |value: f64| (0.0..=most).contains(&value);
    if !possible(course.from) || !possible(course.to) {
        return Err(key.problem(format!("must be between 0 and {most}")));
    }
    Ok(Ramp {
        from: course.from,
        to: course.to,
    })
}

/// In an open loop, of the operations that are under way at the same time.
fn most_clients(key: &Key, clients: Option<Course>) -> Result<usize, Problem> {
    let key = key.child("clients");
    let Some(course) = clients else {
        return Ok(OPEN_LOOP_CLIENTS);
    };
    if course.from != course.to {
        return Err(key.problem("is a limit beside rate, and cannot be a ramp; let the rate rise or fall"));
    }
    if !(1.0..=CLIENTS_MAX).contains(&course.from) {
        return Err(key.problem(format!("must be between 1 and {CLIENTS_MAX} beside rate")));
    }
    Ok(course.from as usize)
}

fn hold(key: &Key, given: &raw::Phase, entries: &[Entry]) -> Result<Option<Hold>, Problem> {
    let Some(connections) = given.hold else {
        return match &given.hold_entry {
            Some(_) => Err(key.child("hold_entry").problem("has a meaning only with hold")),
            None => Ok(None),
        };
    };
    let idle = |entry: &Entry| entry.work == Work::Keepalive;
    let found = match &given.hold_entry {
        Some(name) => entries
            .iter()
            .position(|entry| entry.name == *name && idle(entry)),
        None if entries.iter().filter(|entry| idle(entry)).count() == 1 => entries.iter().position(idle),
        None => None,
    };
    let entry = found.ok_or_else(|| {
        let fitting = entries.iter().filter(|entry| idle(entry));
        let names: Vec<&str> = fitting.map(|entry| entry.name.as_str()).collect();
        key.child("hold_entry").problem(format!(
            "give the entry of the mix with work = \"keepalive\" that says how idle connections connect (weight = 0 where it is only for them); there are: {names:?}"
        ))
    })?;
    if connections == 0 || f64::from(connections) > CLIENTS_MAX {
        return Err(key
            .child("hold")
            .problem(format!("must be between 1 and {CLIENTS_MAX}")));
    }
    Ok(Some(Hold {
        connections: connections as usize,
        entry,
    }))
}

fn reconnect(key: &Key, given: &raw::Phase, index: usize) -> Result<Option<Duration>, Problem> {
    match (given.reconnect, given.reconnect_within) {
        (false, Some(_)) => Err(key
            .child("reconnect_within")
            .problem("has a meaning only with reconnect = true")),
        (true, _) if index == 0 => Err(key
            .child("reconnect")
            .problem("nothing is open yet in the first phase; put a phase with load or hold before it")),
        (true, Some(Time(within))) if within >= given.duration.0 => Err(key
            .child("reconnect_within")
            .problem("must be shorter than the phase, or not all are back when it ends")),
        (true, within) => Ok(Some(within.map_or(Duration::ZERO, |Time(time)| time))),
        (false, None) => Ok(None),
    }
}

const PHASES_MAX: usize = 101;
const OPEN_LOOP_CLIENTS: usize = 100;
const CLIENTS_MAX: f64 = 1e6;
