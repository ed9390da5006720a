//! Where the current generation of a store stands.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::map::KeyValues;

/// A key-value store by its name.
#[derive(Debug)]
pub struct Store {
    name: Box<str>,
    current: ArcSwap<KeyValues>,
}

impl Store {
    pub fn new(name: &str, items: KeyValues) -> Self {
        Self {
            name: name.into(),
            current: ArcSwap::from_pointee(items),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The generation of this moment.
    pub fn current(&self) -> Arc<KeyValues> {
        self.current.load_full()
    }
}
