//! Key-value stores of a snapshot: those of the snapshot before where they are the same, new ones else.
//!
//! A store of the same name and import file is the same object before and after a reload. It reads its file
//! again, and keeps its contents if the digest of the file is the same (`bothways_state`).

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use bothways_config::{Config, ConfigError, KeyValueStoreConfig};
use bothways_state::key_values::{Candidate, LoadError, Store};

use super::limits::store_limits;

/// The stores of a configuration, in its order, and what becomes of those that others use already.
pub(super) struct LoadedStores {
    pub(super) stores: Vec<Arc<Store>>,
    /// New contents of stores that were there before. Published with the snapshot, and not before: a reload
    /// takes effect whole or not at all.
    pub(super) reloaded: Vec<(Arc<Store>, Candidate)>,
}

/// Reads every import file. A store of the same name and path as one of `previous` stays the same object,
/// which functions hold.
///
/// # Errors
/// A file cannot be used.
pub(super) fn load(config: &Config, previous: &[Arc<Store>]) -> Result<LoadedStores, ConfigError> {
    let limits = store_limits(&config.limits);
    let mut loaded = LoadedStores {
        stores: Vec::with_capacity(config.key_value_stores.len()),
        reloaded: Vec::new(),
    };
    for store in &config.key_value_stores {
        let same =
            |known: &&Arc<Store>| known.name() == &*store.name && known.path() == Some(&store.import.path);
        let told = |error: LoadError| told(config, store, &error);
        let loaded_store = match previous.iter().find(same) {
            Some(known) => {
                let candidate = known.reload(&limits).map_err(told)?;
                loaded.reloaded.push((known.clone(), candidate));
                known.clone()
            }
            None => Store::load(&store.name, &store.import.path, &limits, SystemTime::now())
                .map(Arc::new)
                .map_err(told)?,
        };
        loaded.stores.push(loaded_store);
    }
    each_has_its_own_file(config)?;
    Ok(loaded)
}

/// The configuration has compared the paths; links lead further.
fn each_has_its_own_file(config: &Config) -> Result<(), ConfigError> {
    let mut seen: Vec<(PathBuf, &KeyValueStoreConfig)> = Vec::new();
    for store in &config.key_value_stores {
        // What cannot be found now could be read a moment ago; the next write will tell.
        let Ok(path) = fs::canonicalize(&store.import.path) else {
            continue;
        };
        if let Some((_, first)) = seen.iter().find(|(known, _)| *known == path) {
            let fault = format!("{} is the import file of {} too", path.display(), first.key);
            let remedy = "give each key-value store its own: writes go to that file";
            return Err(config.source.error(&store.import.key, fault, remedy));
        }
        seen.push((path, store));
    }
    Ok(())
}

fn told(config: &Config, store: &KeyValueStoreConfig, error: &LoadError) -> ConfigError {
    let path = store.import.path.display();
    let (fault, remedy) = match error {
        LoadError::Unreadable(error) => (
            format!("cannot read {path}: {error}"),
            "name a readable file (relative to the configuration file)",
        ),
        LoadError::Import(error) => (
            format!("{path}: {error}"),
            "write the file again, or take the store out of the configuration",
        ),
    };
    config.source.error(&store.import.key, fault, remedy)
}
