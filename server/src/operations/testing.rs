//! Stand-ins for tests of the modules that ask for changes.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use bothways_state::files::Progress;
use bothways_state::key_values::{Change, Store, StoreLimits};
use crossbeam_channel::{Receiver, Sender, unbounded};
use tempfile::TempDir;

use super::Operations;
use super::asker::Places;
use super::changes::Event;
use super::key_values::{self, KeyValuesWrite, WriteOrder};
use super::order::Order;
use super::reload::Reloaded;
use crate::snapshot::{Publication, Unpublished};

/// A store of one item, `a`, in a folder of its own.
pub(crate) fn store(name: &str) -> (TempDir, Arc<Store>) {
    let folder = tempfile::tempdir().unwrap();
    let import = folder.path().join("store.json");
    fs::write(&import, r#"{"data":[{"key":"a","value":"1"}]}"#).unwrap();
    let store = Store::load(name, &import, &StoreLimits::default(), SystemTime::now());
    (folder, Arc::new(store.unwrap()))
}

/// Write of an empty value, without anybody who waits for the answer.
pub(super) fn write(store: &Arc<Store>, key: &str) -> Order {
    let (asker, _) = Places::default().take().unwrap();
    let write = put(store, key);
    Order::Write(Box::new(WriteOrder { write, asker }))
}

pub(super) fn put(store: &Arc<Store>, key: &str) -> KeyValuesWrite {
    KeyValuesWrite {
        store: store.clone(),
        change: Change::Put {
            key: key.into(),
            value: "".into(),
        },
        if_match: None,
        now: SystemTime::UNIX_EPOCH,
    }
}

/// Changes without a server. Stores are written. A reload is answered with the next of `reloads`; where there
/// is none it never ends, and `begun` hears of it. The one function is `good`.
pub(crate) fn without_a_server(reloads: Receiver<Reloaded>, begun: Sender<()>) -> Operations {
    let (events, inbox) = unbounded();
    thread::spawn(move || {
        let mut held = Vec::new();
        for event in inbox {
            match event {
                Event::Asked(Order::Write(order)) => key_values::commit(key_values::write_down(*order)),
                Event::Asked(Order::Reload(order)) => match reloads.try_recv() {
                    Ok(reloaded) => order.tell(&reloaded),
                    Err(_) => {
                        held.push(order);
                        let _nobody_may_listen = begun.send(());
                    }
                },
                Event::Asked(Order::Publish(order)) => {
                    let unknown = format!("no function is named {:?}", order.name);
                    order.asker.tell(match &*order.name {
                        "good" => Ok(Publication::Published),
                        _ => Err(Unpublished::NoSuchFunction(unknown)),
                    });
                }
                Event::Asked(Order::Reopen(order)) => order.tell(&Ok("reopened".to_owned())),
                _ => {}
            }
        }
    });
    Operations {
        events,
        places: Places::default(),
        progress: Progress::default(),
    }
}
