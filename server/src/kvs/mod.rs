//! Key-value stores: what functions look up.
//!
//! Owns the immutable map of one generation ([`KeyValues`]) and the place where the current one stands ([`Store`]). A generation is
//! shared by all cores; a function sees one of them for the whole of a call.

mod map;
mod store;

pub use map::KeyValues;
pub use store::Store;
