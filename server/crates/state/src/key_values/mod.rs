//! Key-value stores: what functions look up.
//!
//! Owns the immutable map of one generation ([`KeyValues`]), the place where the current one stands
//! ([`Store`]), the form of the import file, and the durable writer. A generation is shared by all cores; a
//! function sees one of them for the whole of a call. Cores only read ([`Store::current`], no lock, no file);
//! loading and writing block, and belong on plain threads.
//!
//! Invariants: what was acknowledged is on disk. What is seen is on disk. A write was made to the very
//! contents that it was meant for, in memory and on disk, or it was not made. A generation keeps to the
//! limits that were in force when it was read or written.

mod change;
mod etag;
mod file;
mod import;
mod items;
mod limits;
mod map;
mod store;

pub use change::{Change, WriteError};
pub use etag::{ETag, InvalidETag};
pub use import::ImportError;
pub use limits::{EntryError, StoreLimits};
pub use map::KeyValues;
pub use store::{Candidate, LoadError, Store, Written};
