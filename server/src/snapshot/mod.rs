//! The whole immutable product of one configuration: what every connection that begins now is judged and
//! served by.
//!
//! Owns what stands in a snapshot and how a name finds its distribution. [`build`] makes one from a
//! configuration, reading every file that it names, off the cores; it succeeds whole or not at all. A
//! connection keeps the [`Site`] of the snapshot that it began with.

mod build;
mod client_policies;
mod configuration;
mod distribution;
mod functions;
mod hosts;
mod identities;
mod inventory;
mod key_value_stores;
mod limits;
mod origin_names;
mod origins;
mod parts;
mod references;
mod revocations;
mod rules;
mod site;
mod sites;
mod tls_configs;
mod trust_stores;

use std::sync::Arc;

use bothways_config::{HostMap, HostName, Limits};
use bothways_state::key_values::Store;

pub use self::build::{Built, build};
pub use self::configuration::{load_config, load_control};
pub use self::distribution::Distribution;
pub use self::functions::{Functions, NewVersion, Publication, Unpublished, connection_function};
pub use self::identities::told_pem;
use self::inventory::Inventory;
pub use self::limits::{function_limits, store_limits};
pub use self::revocations::StoreRevocations;
pub use self::site::{Ambiguity, Behavior, Site, Unroutable};
pub use self::trust_stores::policy;

/// A configuration, loaded.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts up with every one published.
    pub generation: u64,
    pub limits: Limits,
    pub functions: Functions,
    /// In the order of the configuration.
    pub key_value_stores: Vec<Arc<Store>>,
    /// In the order of the trust stores of the configuration.
    pub revocations: Vec<StoreRevocations>,
    hosts: HostMap<Option<Arc<Distribution>>>,
    /// Parts that the next snapshot may keep.
    parts: Inventory,
}

impl Snapshot {
    /// Finds the distribution that serves a client that names `host`, or none. The exact name comes first,
    /// then a wildcard, then the default distribution.
    pub fn distribution_for(&self, host: Option<&HostName>) -> Option<&Arc<Distribution>> {
        self.hosts.lookup(host)?.as_ref()
    }
}
