//! The whole immutable product of one configuration: what every connection that begins now is judged and
//! served by.
//!
//! Owns what stands in a snapshot and how a name finds its distribution. [`build`] makes one from a
//! configuration, reading every file that it names, off the cores; it succeeds whole or not at all. A
//! connection keeps the [`Site`] of the snapshot that it began with.

mod build;
mod client_policy;
mod files;
mod functions;
mod key_value_stores;
mod origin_names;
mod revocations;
mod site;

use std::sync::Arc;

use rustls::ServerConfig;

pub use self::build::{Built, build, policy};
pub use self::files::told_pem;
pub use self::functions::{Functions, Publication, Unpublished, connection_function};
pub use self::revocations::StoreRevocations;
pub use self::site::{Ambiguity, Behavior, Site, Unroutable};
use crate::admission::ClientPolicy;
use crate::config::{HostMap, HostName, OnRevocation};
use crate::functions::LiveFunction;
use crate::kvs::Store;
use crate::limits::Limits;
use crate::metrics::DistributionCounters;
use crate::origin::Addresses;

/// One configuration, loaded.
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
    /// Names of all origins that have one, each once.
    pub origin_names: Vec<Arc<Addresses>>,
    hosts: HostMap<Option<Arc<Distribution>>>,
}

impl Snapshot {
    /// Finds the distribution that serves a client that names `host`, or none. The exact name comes first,
    /// then a wildcard, then the default distribution.
    pub fn distribution_for(&self, host: Option<&HostName>) -> Option<&Arc<Distribution>> {
        self.hosts.lookup(host)?.as_ref()
    }
}

/// One distribution, loaded.
#[derive(Debug)]
pub struct Distribution {
    pub id: Arc<str>,
    /// With the verifier of its trust store and the tickets of its scope inside.
    pub tls: Arc<ServerConfig>,
    /// What is asked of clients: what a reload judges the connected ones by.
    pub client_policy: ClientPolicy,
    pub on_revocation: OnRevocation,
    /// What every client has to pass once it has passed everything else.
    pub connection_function: Option<Arc<LiveFunction>>,
    /// The first alias that is no wildcard.
    pub domain_name: Option<Arc<str>>,
    pub counters: Arc<DistributionCounters>,
    /// End of the validity of its own certificate, in seconds since 1970, where that can be read.
    pub certificate_not_after: Option<i64>,
    pub site: Arc<Site>,
}

impl Distribution {
    /// Name of the distribution, as functions are told it. In the managed service's examples this is the
    /// distribution's own domain name, however the client came. Here it is the first name that is no
    /// wildcard. A distribution without such a name is called what the client called it, or else by its id.
    pub fn called<'a>(&'a self, name: Option<&'a HostName>) -> &'a str {
        let called = || name.map(HostName::as_str);
        self.domain_name.as_deref().or_else(called).unwrap_or(&self.id)
    }
}
