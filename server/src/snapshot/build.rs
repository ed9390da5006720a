//! Builds a snapshot: the order in which its parts are loaded, and what is told about them.

use std::sync::Arc;

use bothways_config::{Config, ConfigError};
use bothways_state::key_values::{Candidate, Store};

use super::Snapshot;
use super::distribution::{self, Distribution};
use super::functions::Functions;
use super::hosts;
use super::inventory::{Inventory, Loading};
use super::key_value_stores;
use super::origin_names;
use super::sites::Ground;
use super::trust_stores::{self, LoadedTrust};
use crate::admission::SessionVault;
use crate::metrics::{Dates, Directory};
use crate::origin::{AddressTable, NamedAddresses};

/// A new snapshot, and what is worth telling about it.
pub struct Built {
    pub snapshot: Snapshot,
    /// Trust store name and the size of its revocation set.
    pub revocation_entries: Vec<(String, u64)>,
    pub dates: Dates,
    reloaded_stores: Vec<(Arc<Store>, Candidate)>,
    addresses: Arc<NamedAddresses>,
}

impl Built {
    /// Publishes the key-value stores as their import files were when this was built. To be called when the
    /// snapshot is published.
    pub fn publish_key_values(&self) {
        for (store, candidate) in &self.reloaded_stores {
            store.publish(candidate);
        }
    }

    /// Has the names of its origins looked after, and no others. To be called when the snapshot is published.
    pub fn publish_addresses(&self, table: &AddressTable) {
        table.publish(self.addresses.clone());
    }
}

/// Loads everything that `config` names. Parts whose inputs are the same as in `before`, the snapshot that
/// this one is to follow, are taken over. `before` was built with the same `vault`, `directory` and `table`.
///
/// # Errors
/// The first file, key or name that cannot be used, with the key that named it.
pub fn build(
    config: &Config,
    generation: u64,
    vault: &Arc<SessionVault>,
    directory: &Directory,
    table: &AddressTable,
    before: Option<&Snapshot>,
) -> Result<Built, ConfigError> {
    let previous = before.map_or(&[][..], |before| &before.key_value_stores);
    let key_values = key_value_stores::load(config, previous)?;
    let functions = before.map(|before| &before.functions);
    let functions = Functions::load(config, &key_values.stores, functions)?;
    let nothing = Inventory::default();
    let mut parts = Loading::after(before.map_or(&nothing, |before| &before.parts));
    let revoked = before.map_or(&[][..], |before| &before.revocations);
    let stores = trust_stores::load(config, revoked, &mut parts)?;
    let addresses = origin_names::look_up_new(config, table)?;
    let ground = Ground {
        config,
        functions: &functions,
        served: &hosts::load(config, parts.now.hosts.after(&parts.before.hosts)),
        addresses: &addresses,
        directory,
    };
    let load = |distribution| {
        let loaded = distribution::load(&ground, distribution, &stores, vault, &mut parts)?;
        Ok(Arc::new(loaded))
    };
    let distributions = config
        .distributions
        .iter()
        .map(load)
        .collect::<Result<Vec<_>, _>>()?;
    let hosts = config.hosts.map(|&index| distributions.get(index).cloned());
    tracing::debug!(generation, parts = ?parts.now.counts(parts.before), "snapshot built");
    Ok(Built {
        revocation_entries: stores.iter().map(entries).collect(),
        dates: dates(&distributions, &stores),
        reloaded_stores: key_values.reloaded,
        addresses,
        snapshot: Snapshot {
            generation,
            limits: config.limits.clone(),
            functions,
            key_value_stores: key_values.stores,
            revocations: stores.iter().map(LoadedTrust::store_revocations).collect(),
            hosts,
            parts: parts.now,
        },
    })
}

fn entries(store: &LoadedTrust<'_>) -> (String, u64) {
    (store.trust.name().to_owned(), store.revocations.len() as u64)
}

fn dates(distributions: &[Arc<Distribution>], stores: &[LoadedTrust<'_>]) -> Dates {
    let certificate = |distribution: &Arc<Distribution>| {
        let not_after = distribution.certificate_not_after?;
        Some((distribution.id.clone(), not_after))
    };
    Dates {
        certificates: distributions.iter().filter_map(certificate).collect(),
        crls: stores.iter().flat_map(LoadedTrust::crl_dates).collect(),
    }
}

#[cfg(test)]
#[path = "build_tests.rs"]
mod tests;
