//! From a request to what is done and answered. What changes something is logged, without values.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bothways_state::key_values::{Change, ETag, InvalidETag, KeyValues, Store, WriteError};
use bothways_trust::format_rfc3339;
use rustls_pki_types::UnixTime;

use super::message::{Item, RefusalCode, Reply, Request};
use super::{Backend, Refusal, Waiting};

/// Carries out `request`, which `payload` followed.
pub(super) fn answer(
    backend: &dyn Backend,
    request: Request,
    payload: Vec<u8>,
    client: &Waiting<'_>,
    now: SystemTime,
) -> Reply {
    let done = match request {
        Request::Get { store, key } => named(backend, &store).and_then(|store| get(&store, &key)),
        Request::List { store } => named(backend, &store).map(|store| list(&store.current())),
        Request::Describe { store } => named(backend, &store).map(|store| describe(&store)),
        Request::Put {
            store,
            key,
            value,
            if_match,
        } => {
            let (key, value) = (key.into_boxed_str(), value.into_boxed_str());
            named(backend, &store).and_then(|store| write(&store, Change::Put { key, value }, if_match, now))
        }
        Request::Delete { store, key, if_match } => {
            let key = key.into_boxed_str();
            named(backend, &store).and_then(|store| write(&store, Change::Delete { key }, if_match, now))
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
            named(backend, &store).and_then(|store| write(&store, change, if_match, now))
        }
        Request::PublishFunction { name } => publish(backend, &name, client),
        Request::Reload { timeout_ms } => reload(backend, timeout_ms, client),
        Request::ReopenLogs => backend.reopen_logs().map(told_in_words),
        Request::Connections(wanted) => backend.connections(&wanted).map(|open| Reply {
            ok: true,
            open: Some(open),
            ..Reply::default()
        }),
    };
    done.unwrap_or_else(|refusal| refused(&refusal))
}

/// What a refusal is said as.
pub(super) fn refused(refusal: &Refusal) -> Reply {
    Reply {
        error: Some(refusal.code),
        message: Some(refusal.message.clone()),
        etag: refusal.etag.map(|etag| etag.to_string()),
        ..Reply::default()
    }
}

fn done(items: &KeyValues) -> Reply {
    Reply {
        ok: true,
        etag: Some(items.etag().to_string()),
        ..Reply::default()
    }
}

fn named(backend: &dyn Backend, name: &str) -> Result<Arc<Store>, Refusal> {
    let stores = backend.stores();
    let found = stores.iter().find(|store| store.name() == name);
    found.cloned().ok_or_else(|| {
        let known: Vec<String> = stores.iter().map(|store| format!("{:?}", store.name())).collect();
        let known = match known.is_empty() {
            true => "the configuration has no [[key_value_stores]]".to_owned(),
            false => format!("the key-value stores are {}", known.join(", ")),
        };
        Refusal::new(
            RefusalCode::NoSuchStore,
            format!("no key-value store is named {name:?}; {known}"),
        )
    })
}

fn get(store: &Store, key: &str) -> Result<Reply, Refusal> {
    let items = store.current();
    let value = items.get(key).ok_or_else(|| Refusal {
        etag: Some(items.etag()),
        ..Refusal::new(RefusalCode::NoSuchKey, WriteError::no_such_key(key).to_string())
    })?;
    Ok(Reply {
        value: Some(value.to_owned()),
        ..done(&items)
    })
}

fn list(items: &KeyValues) -> Reply {
    let item = |(key, value): (&str, &str)| Item {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    Reply {
        items: Some(items.sorted().into_iter().map(item).collect()),
        ..done(items)
    }
}

fn describe(store: &Store) -> Reply {
    let items = store.current();
    Reply {
        name: Some(store.name().to_owned()),
        import: store.path().map(|path| path.display().to_string()),
        item_count: Some(items.len()),
        total_size_in_bytes: Some(items.bytes()),
        created: Some(text(items.created())),
        last_modified: Some(text(items.last_updated())),
        ..done(&items)
    }
}

fn text(time: SystemTime) -> String {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format_rfc3339(UnixTime::since_unix_epoch(since_1970))
}

fn write(store: &Store, change: Change, if_match: Option<String>, now: SystemTime) -> Result<Reply, Refusal> {
    let if_match: Option<ETag> = if_match
        .map(|etag| etag.parse())
        .transpose()
        .map_err(|error: InvalidETag| Refusal::new(RefusalCode::BadRequest, error.to_string()))?;
    let (command, key) = told(&change);
    match store.write(change, if_match, now) {
        Ok(items) => {
            let (store, etag, items_now) = (store.name(), items.etag(), items.len());
            tracing::info!(store, key, %etag, items = items_now, "key-value store written: {command}");
            Ok(done(&items))
        }
        Err(error) => {
            let (store_name, reason) = (store.name(), error.to_string());
            tracing::warn!(
                store = store_name,
                key,
                reason,
                "key-value store not written: {command}"
            );
            Err(Refusal {
                etag: Some(store.current().etag()),
                ..Refusal::new(code_of(&error), reason)
            })
        }
    }
}

/// As the log shows it.
fn told(change: &Change) -> (&'static str, Option<String>) {
    match change {
        Change::Put { key, .. } => ("put", Some(shown(key))),
        Change::Delete { key } => ("delete", Some(shown(key))),
        Change::Replace { .. } => ("import", None),
        Change::Merge { .. } => ("import and merge", None),
    }
}

/// The log escapes it.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

fn code_of(error: &WriteError) -> RefusalCode {
    match error {
        WriteError::Conflict { .. } => RefusalCode::EtagMismatch,
        WriteError::NoSuchKey(_) => RefusalCode::NoSuchKey,
        WriteError::Entry(_) | WriteError::Import(_) | WriteError::StoreTooLarge { .. } => {
            RefusalCode::InvalidData
        }
        WriteError::ChangedOnDisk(_) => RefusalCode::ChangedOnDisk,
        WriteError::Disk(..) | WriteError::InMemory => RefusalCode::Disk,
    }
}

/// Publishes a function. Whoever decides about the publication logs the result, once.
fn publish(backend: &dyn Backend, name: &str, client: &Waiting<'_>) -> Result<Reply, Refusal> {
    backend.publish_function(name, client).map(told_in_words)
}

fn reload(backend: &dyn Backend, timeout_ms: u64, client: &Waiting<'_>) -> Result<Reply, Refusal> {
    let limit = Duration::from_millis(timeout_ms).min(RELOAD_WAIT_MAX);
    let reloaded = backend.reload(limit, client)?;
    Ok(Reply {
        generation: Some(reloaded.generation),
        distributions: Some(reloaded.distributions),
        revocation_entries: Some(reloaded.revocation_entries),
        ..told_in_words(reloaded.message)
    })
}

fn told_in_words(message: String) -> Reply {
    Reply {
        ok: true,
        message: Some(message),
        ..Reply::default()
    }
}

/// A key of the managed service in full.
const SHOWN_CHARS_MAX: usize = 512;
/// Whoever waits holds a thread.
const RELOAD_WAIT_MAX: Duration = Duration::from_secs(3_600);
