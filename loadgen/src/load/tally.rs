//! Counts of operations and handshakes of one part of a run.

use std::collections::HashMap;
use std::time::Duration;

use crate::failure::Failure;

/// End of an operation.
#[derive(Debug)]
pub enum Outcome {
    Ok,
    /// The server refused the client in this way, as was expected.
    Refused(Failure),
    /// A response came, but after a full handshake although a session was offered.
    NotResumed,
    Failed(Failure),
}

impl Outcome {
    /// `true`: the operation counts as `ok`.
    pub fn is_expected(&self) -> bool {
        matches!(self, Outcome::Ok | Outcome::Refused(_))
    }
}

/// The end of an operation: its outcome, and the response if a whole one came.
#[derive(Debug)]
pub struct Done {
    pub outcome: Outcome,
    pub answer: Option<Answer>,
}

/// A response that came whole.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub status: u16,
    /// Length of the body, without its coding.
    pub body_bytes: u64,
    /// Time from the start of its request to its first byte.
    pub first_byte: Duration,
}

/// Responses by their status. A server uses few, so that a list is faster than a map.
#[derive(Debug, Default, Clone)]
pub struct Statuses(Vec<(u16, u64)>);

impl Statuses {
    /// Adds `times` responses with this status.
    pub fn count(&mut self, status: u16, times: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += times,
            None => self.0.push((status, times)),
        }
    }

    /// Adds the responses of another thread.
    pub fn add(&mut self, other: &Statuses) {
        other
            .0
            .iter()
            .for_each(|(status, times)| self.count(*status, *times));
    }

    /// The counts in the order of the statuses.
    pub fn sorted(&self) -> Vec<(u16, u64)> {
        let mut all = self.0.clone();
        all.sort_unstable();
        all
    }
}

/// Counts of one part of the run.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Operations that ended as expected, refusals that were to be among them.
    pub ok: u64,
    /// Operations that ended by a full handshake in place of a resumed one.
    pub not_resumed: u64,
    /// Operations that ended otherwise than expected.
    pub failed: u64,
    /// Reasons of the failed ones, at most [`KINDS_MAX`] kinds.
    pub failures: HashMap<Failure, u64>,
    /// Ways in which the server refused clients that it was to refuse.
    pub refusals: HashMap<Failure, u64>,
    pub statuses: Statuses,
    pub handshakes: Handshakes,
    /// Requests sent again because an idle connection turned out to be closed.
    pub retried: u64,
}

/// Counts of TLS handshakes of one part of the run.
#[derive(Debug, Default, Clone)]
pub struct Handshakes {
    /// Full handshakes, those with a HelloRetryRequest among them.
    pub full: u64,
    /// Full handshakes with a HelloRetryRequest.
    pub retry_requests: u64,
    /// Handshakes that resumed a session.
    pub resumed: u64,
    /// Handshakes in which the server asked for a client certificate.
    pub certificate_requested: u64,
}

impl Tally {
    /// Counts the end of an operation.
    pub fn count(&mut self, done: &Done) {
        if let Some(answer) = &done.answer {
            self.statuses.count(answer.status, 1);
        }
        match &done.outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::NotResumed => self.not_resumed += 1,
            Outcome::Refused(how) => {
                self.ok += 1;
                count_kind(&mut self.refusals, how.clone());
            }
            Outcome::Failed(why) => {
                self.failed += 1;
                count_kind(&mut self.failures, why.clone());
            }
        }
    }

    /// Adds the counts of another thread.
    pub fn add(&mut self, other: Tally) {
        self.ok += other.ok;
        self.not_resumed += other.not_resumed;
        self.failed += other.failed;
        self.retried += other.retried;
        self.statuses.add(&other.statuses);
        self.handshakes.full += other.handshakes.full;
        self.handshakes.retry_requests += other.handshakes.retry_requests;
        self.handshakes.resumed += other.handshakes.resumed;
        self.handshakes.certificate_requested += other.handshakes.certificate_requested;
        for (kind, count) in other.failures {
            *self.failures.entry(kind).or_default() += count;
        }
        for (kind, count) in other.refusals {
            *self.refusals.entry(kind).or_default() += count;
        }
    }
}

/// Texts from TLS and HTTP/2 libraries are kinds, too: bounded, because a server can vary them.
pub fn count_kind(kinds: &mut HashMap<Failure, u64>, kind: Failure) {
    let kind = if kinds.len() >= KINDS_MAX && !kinds.contains_key(&kind) {
        Failure::Tls("other (more than 64 kinds)".to_owned())
    } else {
        kind
    };
    *kinds.entry(kind).or_default() += 1;
}

const KINDS_MAX: usize = 64;
