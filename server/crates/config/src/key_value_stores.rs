//! `[[key_value_stores]]`: what functions look things up in. The import files are not opened here.

use std::sync::Arc;

use super::error::Problem;
use super::key::KeyPath;
use super::raw::RawKeyValueStore;
use super::reference::FileRef;
use super::source::Source;
use super::trust_stores::identifier;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValueStoreConfig {
    pub key: KeyPath,
    /// 1 to 64 letters, digits, `-` and `_`.
    pub name: Arc<str>,
    pub import: FileRef,
}

pub(super) fn key_value_stores(
    source: &Source,
    raw: &[RawKeyValueStore],
) -> Result<Vec<KeyValueStoreConfig>, Problem> {
    let key = KeyPath::root().child("key_value_stores");
    let mut stores: Vec<KeyValueStoreConfig> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let key = key.index(index);
        let store = KeyValueStoreConfig {
            name: identifier(&key.child("name"), &raw.name)?,
            import: source.file_ref(&key.child("import"), &raw.import)?,
            key,
        };
        check_against_earlier(&store, &stores)?;
        stores.push(store);
    }
    Ok(stores)
}

/// Each store writes its own import file.
fn check_against_earlier(
    store: &KeyValueStoreConfig,
    earlier: &[KeyValueStoreConfig],
) -> Result<(), Problem> {
    if let Some(first) = earlier.iter().find(|first| first.name == store.name) {
        let fault = format!("{:?} is the name of {} too", store.name, first.key);
        return Err(Problem::new(
            &store.key.child("name"),
            fault,
            "give each key-value store its own",
        ));
    }
    match earlier
        .iter()
        .find(|first| first.import.path == store.import.path)
    {
        None => Ok(()),
        Some(first) => {
            let fault = format!(
                "{} is the import file of {} too",
                store.import.path.display(),
                first.key
            );
            Err(Problem::new(
                &store.import.key,
                fault,
                "give each key-value store its own: writes go to that file",
            ))
        }
    }
}
