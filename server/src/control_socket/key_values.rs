//! Commands about key-value stores.

use std::sync::Arc;
use std::time::SystemTime;

use bothways_state::key_values::{Change, ETag, InvalidETag, KeyValues, Store, WriteError};
use bothways_trust::format_rfc3339;
use rustls_pki_types::UnixTime;

use super::backend::Backend;
use super::message::{Item, RefusalCode, Reply};
use super::refused::CommandRefused;
use crate::operations::{KeyValuesWrite, NotWritten};

pub(super) fn get(backend: &Backend, store: &str, key: &str) -> Result<Reply, CommandRefused> {
    let items = named(backend, store)?.current();
    let value = items.get(key).ok_or_else(|| CommandRefused {
        etag: Some(items.etag()),
        ..CommandRefused::new(RefusalCode::NoSuchKey, WriteError::no_such_key(key).to_string())
    })?;
    Ok(Reply {
        value: Some(value.to_owned()),
        ..done(&items)
    })
}

pub(super) fn list(backend: &Backend, store: &str) -> Result<Reply, CommandRefused> {
    let items = named(backend, store)?.current();
    let item = |(key, value): (&str, &str)| Item {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    Ok(Reply {
        items: Some(items.sorted().into_iter().map(item).collect()),
        ..done(&items)
    })
}

pub(super) fn describe(backend: &Backend, store: &str) -> Result<Reply, CommandRefused> {
    let store = named(backend, store)?;
    let items = store.current();
    Ok(Reply {
        name: Some(store.name().to_owned()),
        import: store.path().map(|path| path.display().to_string()),
        item_count: Some(items.len()),
        total_size_in_bytes: Some(items.bytes()),
        created: Some(text(items.created())),
        last_modified: Some(text(items.last_updated())),
        ..done(&items)
    })
}

/// Waits for the disk, whatever the client does: a write that was begun is answered.
pub(super) fn write(
    backend: &Backend,
    store: &str,
    change: Change,
    if_match: Option<String>,
    now: SystemTime,
) -> Result<Reply, CommandRefused> {
    let store = named(backend, store)?;
    let if_match: Option<ETag> = if_match
        .map(|etag| etag.parse())
        .transpose()
        .map_err(|error: InvalidETag| CommandRefused::new(RefusalCode::BadRequest, error.to_string()))?;
    let write = KeyValuesWrite {
        store,
        change,
        if_match,
        now,
    };
    let written = backend.operations.write_key_values(write)?.recv();
    match written.map_err(|_| CommandRefused::ending())? {
        Ok(items) => Ok(done(&items)),
        Err(NotWritten { error, etag }) => Err(CommandRefused {
            etag: Some(etag),
            ..CommandRefused::new(code_of(&error), error.to_string())
        }),
    }
}

fn named(backend: &Backend, name: &str) -> Result<Arc<Store>, CommandRefused> {
    let stores = backend.questions.stores();
    let found = stores.iter().find(|store| store.name() == name);
    found.cloned().ok_or_else(|| {
        let known: Vec<String> = stores.iter().map(|store| format!("{:?}", store.name())).collect();
        let known = match known.is_empty() {
            true => "the configuration has no [[key_value_stores]]".to_owned(),
            false => format!("the key-value stores are {}", known.join(", ")),
        };
        CommandRefused::new(
            RefusalCode::NoSuchStore,
            format!("no key-value store is named {name:?}; {known}"),
        )
    })
}

fn done(items: &KeyValues) -> Reply {
    Reply {
        ok: true,
        etag: Some(items.etag().to_string()),
        ..Reply::default()
    }
}

fn text(time: SystemTime) -> String {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format_rfc3339(UnixTime::since_unix_epoch(since_1970))
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
