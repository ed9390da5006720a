//! Writes of key-value stores. Logged without values.

use std::sync::Arc;
use std::time::SystemTime;

use bothways_state::key_values::{self, Change, ETag, KeyValues, Store, WriteError};

use super::asker::Asker;

/// Change of a store, to be made if its contents are those of `if_match`, where one is given.
pub struct KeyValuesWrite {
    pub store: Arc<Store>,
    pub change: Change,
    pub if_match: Option<ETag>,
    /// Time of the change.
    pub now: SystemTime,
}

/// Result of a write, for whoever has asked for it: the store as it is now.
pub type Written = Result<Arc<KeyValues>, NotWritten>;

/// Reason why a store was not written, and its ETag as it is.
#[derive(Debug)]
pub struct NotWritten {
    pub error: WriteError,
    pub etag: ETag,
}

/// Order to write a store.
pub(super) struct WriteOrder {
    pub(super) write: KeyValuesWrite,
    pub(super) asker: Asker<Written>,
}

/// Write whose import file is in place, or that was refused, with what the commit needs to tell of it.
pub(super) struct PreparedWrite {
    pub(super) store: Arc<Store>,
    told: Told,
    written: Result<key_values::Written, WriteError>,
    asker: Asker<Written>,
}

/// Change as the log shows it.
struct Told {
    command: &'static str,
    key: Option<String>,
}

/// Makes the change durable. Takes the time of the disk.
pub(super) fn write_down(order: WriteOrder) -> PreparedWrite {
    let KeyValuesWrite {
        store,
        change,
        if_match,
        now,
    } = order.write;
    PreparedWrite {
        told: Told::of(&change),
        written: store.prepare(change, if_match, now),
        store,
        asker: order.asker,
    }
}

pub(super) fn commit(prepared: PreparedWrite) {
    let PreparedWrite {
        store,
        told,
        written,
        asker,
    } = prepared;
    let written = match written.map(key_values::Written::publish) {
        Ok(items) => {
            told.log_written(&store, &items);
            Ok(items)
        }
        Err(error) => {
            told.log_refused(&store, &error);
            let etag = store.current().etag();
            Err(NotWritten { error, etag })
        }
    };
    asker.tell(written);
}

impl Told {
    fn of(change: &Change) -> Self {
        // The log escapes a key.
        let shown = |key: &str| Some(key.chars().take(SHOWN_CHARS_MAX).collect());
        let (command, key) = match change {
            Change::Put { key, .. } => ("put", shown(key)),
            Change::Delete { key } => ("delete", shown(key)),
            Change::Replace { .. } => ("import", None),
            Change::Merge { .. } => ("import and merge", None),
        };
        Self { command, key }
    }

    fn log_written(&self, store: &Store, items: &KeyValues) {
        let Self { command, key } = self;
        let (store, etag, items) = (store.name(), items.etag(), items.len());
        tracing::info!(store, key, %etag, items, "key-value store written: {command}");
    }

    fn log_refused(&self, store: &Store, error: &WriteError) {
        let Self { command, key } = self;
        let (store, reason) = (store.name(), error.to_string());
        tracing::warn!(store, key, reason, "key-value store not written: {command}");
    }
}

/// A key of the managed service in full.
const SHOWN_CHARS_MAX: usize = 512;
