//! The kinds of change, and the steps of each.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bothways_state::key_values::Store;

use super::key_values::{self, PreparedWrite, WriteOrder};
use super::publish::{self, Compiled, PublishOrder};
use super::reload::{self, Rebuilt, ReloadOrder};
use super::reopen::{self, ReopenOrder, Reopened};
use super::running::{Cores, Running};

/// Order for a change, with whoever waits for its answer.
pub(super) enum Order {
    Reload(ReloadOrder),
    Publish(PublishOrder),
    Write(Box<WriteOrder>),
    Reopen(ReopenOrder),
}

/// Thing that a change replaces. No two changes of one subject are under way at once: each is prepared from
/// what the one before has left.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// The snapshot and the functions in it.
    Snapshot,
    Store(Arc<Store>),
    Log,
}

impl PartialEq for Subject {
    /// Stores are told apart as objects. One that a reload has given another import file is another store.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Snapshot, Self::Snapshot) | (Self::Log, Self::Log) => true,
            (Self::Store(store), Self::Store(other)) => Arc::ptr_eq(store, other),
            _ => false,
        }
    }
}

/// A change that has only to be committed.
pub(super) enum Prepared {
    Reload(ReloadOrder, Box<Result<Rebuilt, String>>),
    Publish(PublishOrder, Compiled),
    Write(Box<PreparedWrite>),
    Reopen(ReopenOrder, Reopened),
    /// The preparation has panicked. Its asker is gone with it.
    Lost(Subject),
}

impl Order {
    pub(super) fn subject(&self) -> Subject {
        match self {
            Self::Reload(_) | Self::Publish(_) => Subject::Snapshot,
            Self::Write(order) => Subject::Store(order.write.store.clone()),
            Self::Reopen(_) => Subject::Log,
        }
    }

    /// Change in words, and name of its thread.
    pub(super) fn name(&self) -> (&'static str, &'static str) {
        match self {
            Self::Reload(_) => ("a reload", "reload"),
            Self::Publish(_) => ("the publication of a function", "publish"),
            Self::Write(_) => ("a write of a key-value store", "kvs-write"),
            Self::Reopen(_) => ("the log's reopening", "reopen"),
        }
    }

    /// Takes a later order in if one change does for both; else gives it back.
    pub(super) fn join(&mut self, later: Self) -> Option<Self> {
        match (self, later) {
            (Self::Reload(order), Self::Reload(later)) => order.join(later),
            (Self::Reopen(order), Self::Reopen(later)) => order.join(later),
            (_, later) => return Some(later),
        }
        None
    }

    /// Does all that takes time. Runs on a thread of its own.
    pub(super) fn prepare(self, running: &Running) -> Prepared {
        let subject = self.subject();
        let prepare = || match self {
            Self::Reload(order) => Prepared::Reload(order, Box::new(reload::rebuild(running))),
            Self::Publish(order) => {
                let compiled = publish::compile(running, &order.name);
                Prepared::Publish(order, compiled)
            }
            Self::Write(order) => Prepared::Write(Box::new(key_values::write_down(*order))),
            Self::Reopen(order) => Prepared::Reopen(order, reopen::reopen(&running.log)),
        };
        // Without this a panic would leave its subject taken for ever.
        catch_unwind(AssertUnwindSafe(prepare)).unwrap_or(Prepared::Lost(subject))
    }

    /// Answers where there is no thread to prepare the change on.
    pub(super) fn give_up(self, error: &io::Error, running: &Running) {
        match self {
            Self::Reload(order) => {
                reload::refuse(order, format!("cannot start a thread: {error}"), running);
            }
            Self::Publish(_) => tracing::error!(%error, "cannot start a thread to publish a function"),
            Self::Write(_) => tracing::error!(%error, "cannot start a thread to write a key-value store"),
            Self::Reopen(order) => order.tell(&Err(format!("cannot start a thread: {error}"))),
        }
    }
}

impl Prepared {
    pub(super) fn subject(&self) -> Subject {
        match self {
            Self::Reload(..) | Self::Publish(..) => Subject::Snapshot,
            Self::Write(prepared) => Subject::Store(prepared.store.clone()),
            Self::Reopen(..) => Subject::Log,
            Self::Lost(subject) => subject.clone(),
        }
    }

    /// Puts the change in force, logs it and answers. Waits for nothing.
    pub(super) fn commit(self, running: &Running, cores: &impl Cores) {
        match self {
            Self::Reload(order, rebuilt) => reload::commit(order, *rebuilt, running, cores),
            Self::Publish(order, compiled) => publish::commit(order, compiled, cores),
            Self::Write(prepared) => key_values::commit(*prepared),
            Self::Reopen(order, reopened) => order.tell(&reopened),
            Self::Lost(_) => {}
        }
    }
}
