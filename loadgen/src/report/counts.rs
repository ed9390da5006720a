//! Counts of operations, and of each kind of failure, refusal and response, as the JSON file has them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::load::tally::Tally;

/// Counts of operations that ended. `total` = `ok` + `failed` + `not_resumed`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Operations {
    /// All that ended.
    pub total: u64,
    /// Ended as expected, refusals that were to be among them.
    pub ok: u64,
    /// Ended otherwise than expected.
    pub failed: u64,
    /// Ended by a full handshake in place of a resumed one.
    pub not_resumed: u64,
    /// Requests sent again on another connection: the idle one was closed or given up by a 408, or an h2
    /// server had not processed them. Part of no other count.
    pub retried: u64,
}

impl Operations {
    /// The operations of one part of the run.
    pub fn of(tally: &Tally) -> Self {
        Operations {
            total: tally.ok + tally.failed + tally.not_resumed,
            ok: tally.ok,
            failed: tally.failed,
            not_resumed: tally.not_resumed,
            retried: tally.retried,
        }
    }
}

/// A kind of failure, refusal or TLS parameters, and how often it was seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kind {
    /// Text of the failure, or of the TLS parameters.
    pub kind: String,
    /// Code of the TLS alert (RFC 8446 §6); `None` where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<u8>,
    /// Operations, or connections.
    pub count: u64,
}

/// Responses with one status.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    pub status: u16,
    pub count: u64,
}

/// Failures of both parts of the run by kind, the most frequent first.
pub fn kinds(window: &HashMap<Failure, u64>, warm_up: &HashMap<Failure, u64>) -> Vec<Kind> {
    let mut all: HashMap<&Failure, u64> = HashMap::new();
    for (failure, count) in window.iter().chain(warm_up) {
        *all.entry(failure).or_default() += count;
    }
    let kinds = all.into_iter();
    sorted(
        kinds
            .map(|(failure, count)| Kind {
                kind: failure.to_string(),
                alert: failure.alert(),
                count,
            })
            .collect(),
    )
}

/// Responses in the order of their statuses.
pub fn statuses(tally: &Tally) -> Vec<Status> {
    let sorted = tally.statuses.sorted().into_iter();
    sorted.map(|(status, count)| Status { status, count }).collect()
}

/// The kinds with the most frequent first, equally frequent ones by name.
pub fn sorted(mut kinds: Vec<Kind>) -> Vec<Kind> {
    kinds.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.kind.cmp(&b.kind)));
    kinds
}
