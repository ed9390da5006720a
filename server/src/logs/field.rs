//! A record as a table of fields, which every encoder walks.
//!
//! A field has a name, a kind and a getter. The kind is the getter's type, so that the two cannot disagree.
//! An encoder that needs columns (Parquet, say) knows them without a record. A getter borrows from the record
//! and allocates nothing. The table's order is the order of the keys or columns.

use std::net::IpAddr;

use serde::Serialize;

use super::connection_id::ConnectionId;

/// Name, kind and getter of a field of records `R`.
pub(super) struct Field<R> {
    /// Spelt as the managed service spells it, or as it would: camelCase, ASCII letters alone.
    pub name: &'static str,
    read: Read<R>,
}

/// Getters by the kind of their field. Each yields `None` where the value never became known.
enum Read<R> {
    /// Milliseconds since the Unix epoch.
    Timestamp(fn(&R) -> Option<u64>),
    Number(fn(&R) -> Option<u64>),
    Flag(fn(&R) -> Option<bool>),
    Address(fn(&R) -> Option<IpAddr>),
    Id(fn(&R) -> Option<&ConnectionId>),
    Text(fn(&R) -> Option<&str>),
}

/// Value of one field in one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Value<'r> {
    Timestamp(u64),
    Number(u64),
    Flag(bool),
    Address(IpAddr),
    Id(&'r ConnectionId),
    Text(&'r str),
}

impl<R> Field<R> {
    pub(super) const fn timestamp(name: &'static str, read: fn(&R) -> Option<u64>) -> Self {
        let read = Read::Timestamp(read);
        Self { name, read }
    }

    pub(super) const fn number(name: &'static str, read: fn(&R) -> Option<u64>) -> Self {
        let read = Read::Number(read);
        Self { name, read }
    }

    pub(super) const fn flag(name: &'static str, read: fn(&R) -> Option<bool>) -> Self {
        let read = Read::Flag(read);
        Self { name, read }
    }

    pub(super) const fn address(name: &'static str, read: fn(&R) -> Option<IpAddr>) -> Self {
        let read = Read::Address(read);
        Self { name, read }
    }

    pub(super) const fn id(name: &'static str, read: fn(&R) -> Option<&ConnectionId>) -> Self {
        let read = Read::Id(read);
        Self { name, read }
    }

    pub(super) const fn text(name: &'static str, read: fn(&R) -> Option<&str>) -> Self {
        let read = Read::Text(read);
        Self { name, read }
    }

    /// The field's value in `record`, if it is known.
    pub(super) fn value<'r>(&self, record: &'r R) -> Option<Value<'r>> {
        match self.read {
            Read::Timestamp(read) => read(record).map(Value::Timestamp),
            Read::Number(read) => read(record).map(Value::Number),
            Read::Flag(read) => read(record).map(Value::Flag),
            Read::Address(read) => read(record).map(Value::Address),
            Read::Id(read) => read(record).map(Value::Id),
            Read::Text(read) => read(record).map(Value::Text),
        }
    }
}
