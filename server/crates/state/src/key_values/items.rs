//! The entries of a key-value store, as they are held and as they are listed.

use std::collections::HashMap;

/// Keys and their values.
pub(super) type Items = HashMap<Box<str>, Box<str>>;

/// The entries by key, in the order of their octets.
pub(super) fn sorted(items: &Items) -> Vec<(&str, &str)> {
    let mut sorted: Vec<(&str, &str)> = items.iter().map(|(key, value)| (&**key, &**value)).collect();
    sorted.sort_unstable();
    sorted
}
