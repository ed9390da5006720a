//! One generation of a key-value store.

use std::collections::HashMap;
use std::time::SystemTime;

/// Keys and their values, never changed once made.
#[derive(Debug)]
pub struct KeyValues {
    items: HashMap<Box<str>, Box<str>>,
    created: SystemTime,
    last_updated: SystemTime,
}

impl KeyValues {
    /// Of these items; of a key given twice the last counts.
    pub fn new(
        items: impl IntoIterator<Item = (Box<str>, Box<str>)>,
        created: SystemTime,
        last_updated: SystemTime,
    ) -> Self {
        Self {
            items: items.into_iter().collect(),
            created,
            last_updated,
        }
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.items.get(key).map(|value| &**value)
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// When the store was first loaded.
    pub fn created(&self) -> SystemTime {
        self.created
    }

    pub fn last_updated(&self) -> SystemTime {
        self.last_updated
    }
}
