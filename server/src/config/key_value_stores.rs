//! `[[key_value_stores]]`: what functions look up, by name. The import files are not opened here.

use std::fmt;
use std::sync::Arc;

use super::error::Problem;
use super::key::KeyPath;
use super::raw::RawKeyValueStore;
use super::source::{FileRef, Source};
use super::trust_stores::identifier;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValueStoreConfig {
    pub key: KeyPath,
    pub name: KeyValueStoreName,
    pub import: FileRef,
}

/// The name of a key-value store: 1 to 64 letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyValueStoreName(Arc<str>);

impl KeyValueStoreName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyValueStoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn key_value_stores(
    source: &Source,
    raw: &[RawKeyValueStore],
) -> Result<Vec<KeyValueStoreConfig>, Problem> {
    let mut stores: Vec<KeyValueStoreConfig> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let key = KeyPath::root().child("key_value_stores").index(index);
        let name = KeyValueStoreName(identifier(&key.child("name"), &raw.name)?);
        if let Some(first) = stores.iter().find(|first| first.name == name) {
            let fault = format!("{:?} is the name of {} too", raw.name, first.key);
            return Err(Problem::new(&key.child("name"), fault, "give each store its own"));
        }
        let import = source.file_ref(&key.child("import"), &raw.import)?;
        stores.push(KeyValueStoreConfig { key, name, import });
    }
    Ok(stores)
}
