//! The change or the question that a request asks for, and the reply to it.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use bothways_state::key_values::Change;
use crossbeam_channel::Receiver;

use super::backend::Backend;
use super::message::{RefusalCode, Reply, Request};
use super::refused::CommandRefused;
use super::waiting::Waiting;
use super::{client, key_values};
use crate::operations::{Operations, Published, ReloadReport, TooMany};
use crate::snapshot::{Publication, Unpublished};

/// Carries out `request`, which `payload` followed.
pub(super) fn answer(
    backend: &Backend,
    request: Request,
    payload: Vec<u8>,
    client: &Waiting<'_>,
    now: SystemTime,
) -> Reply {
    let write = |store: String, change, if_match| key_values::write(backend, &store, change, if_match, now);
    let replied = match request {
        Request::Get { store, key } => key_values::get(backend, &store, &key),
        Request::List { store } => key_values::list(backend, &store),
        Request::Describe { store } => key_values::describe(backend, &store),
        Request::Put {
            store,
            key,
            value,
            if_match,
        } => {
            let (key, value) = (key.into_boxed_str(), value.into_boxed_str());
            write(store, Change::Put { key, value }, if_match)
        }
        Request::Delete { store, key, if_match } => {
            let key = key.into_boxed_str();
            write(store, Change::Delete { key }, if_match)
        }
        Request::Import {
            store,
            merge,
            if_match,
            ..
        } => {
            let change = match merge {
                true => Change::Merge { import: payload },
                false => Change::Replace { import: payload },
            };
            write(store, change, if_match)
        }
        Request::PublishFunction { name } => publish(&backend.operations, name, client),
        Request::Reload { timeout_ms } => reload(&backend.operations, timeout_ms, client),
        Request::ReopenLogs => reopen(&backend.operations),
        Request::Connections(wanted) => backend.questions.connections(&wanted).map(|open| Reply {
            ok: true,
            open: Some(open),
            ..Reply::default()
        }),
    };
    replied.unwrap_or_else(Reply::from)
}

fn publish(operations: &Operations, name: String, client: &Waiting<'_>) -> Result<Reply, CommandRefused> {
    let answer: Receiver<Published> = operations.publish_function(name)?;
    let late = || late(operations, "the publication", PUBLISH_WAIT);
    match client.for_answer(&answer, PUBLISH_WAIT, late)? {
        Ok(Publication::Published) => Ok(told("published")),
        Ok(Publication::Unchanged) => Ok(told("unchanged: this code is live already")),
        Err(Unpublished::NoSuchFunction(fault)) => {
            Err(CommandRefused::new(RefusalCode::NoSuchFunction, fault))
        }
        Err(Unpublished::Unusable(fault)) => Err(CommandRefused::new(RefusalCode::InvalidFunction, fault)),
    }
}

fn reload(operations: &Operations, timeout_ms: u64, client: &Waiting<'_>) -> Result<Reply, CommandRefused> {
    let limit = Duration::from_millis(timeout_ms).min(RELOAD_WAIT_MAX);
    let answer = operations.reload()?;
    let late = || late(operations, "the reload", limit);
    match client.for_answer(&answer, limit, late)? {
        Ok(report) => Ok(reloaded(report)),
        Err(fault) => Err(CommandRefused::new(RefusalCode::ReloadRefused, fault)),
    }
}

fn reloaded(report: ReloadReport) -> Reply {
    let (generation, distributions) = (report.generation, report.distributions);
    let entries = entries(&report);
    let message = format!(
        "reload published: generation {generation}; distributions: {distributions}; \
         revocation entries: {entries}"
    );
    let sizes = report.revocation_entries.into_iter();
    Reply {
        generation: Some(generation),
        distributions: Some(distributions),
        revocation_entries: Some(sizes.map(|(store, now, _)| (store, now)).collect()),
        ..told(message)
    }
}

fn entries(report: &ReloadReport) -> String {
    let mut text = String::new();
    for (store, now, before) in &report.revocation_entries {
        let comma = if text.is_empty() { "" } else { ", " };
        let _writing_to_a_string = match before {
            Some(before) if before == now => write!(text, "{comma}{store} {now}"),
            Some(before) => write!(text, "{comma}{store} {now} (before: {before})"),
            None => write!(text, "{comma}{store} {now} (new)"),
        };
    }
    if text.is_empty() { "none".to_owned() } else { text }
}

fn reopen(operations: &Operations) -> Result<Reply, CommandRefused> {
    let reopened = operations.reopen_logs()?.recv();
    let reopened = reopened.map_err(|_| CommandRefused::ending())?;
    reopened
        .map(told)
        .map_err(|fault| CommandRefused::new(RefusalCode::LogNotReopened, fault))
}

fn late(operations: &Operations, what: &str, limit: Duration) -> String {
    let reading = operations
        .reading()
        .map(|file| format!(", which reads {}", file.display()));
    let reading = reading.unwrap_or_default();
    format!(
        "{what} has not ended after {limit:?}: it is under way{reading}, or waits for one that is; it goes \
         on, and the server's messages tell what becomes of it"
    )
}

fn told(message: impl Into<String>) -> Reply {
    Reply {
        ok: true,
        message: Some(message.into()),
        ..Reply::default()
    }
}

impl From<TooMany> for CommandRefused {
    fn from(too_many: TooMany) -> Self {
        Self::new(RefusalCode::Busy, too_many.to_string())
    }
}

/// Time that the client of the command line waits, less what an answer takes.
const PUBLISH_WAIT: Duration = Duration::from_secs(55);
const _: () = assert!(PUBLISH_WAIT.as_secs() < client::PATIENCE.as_secs());
/// Longest wait for a reload: whoever waits holds a thread.
const RELOAD_WAIT_MAX: Duration = Duration::from_secs(3_600);
