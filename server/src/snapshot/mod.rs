//! The whole immutable product of one configuration: what every connection that begins now is judged and served by.
//!
//! Owns what stands in a snapshot and how a name finds its distribution. [`build`] makes one from a configuration,
//! reading every file that it names, off the cores; it succeeds whole or not at all. A connection keeps the [`Site`] of the
//! snapshot that it began with.

mod build;
mod client_policy;
mod files;
mod functions;
mod key_value_stores;

use std::sync::Arc;

use rustls::ServerConfig;

pub use self::build::{Built, build, policy};
pub use self::functions::{Functions, Publication, Unpublished};
use crate::config::{
    CertificateHeader, HostMap, HostName, IdentityHeaders, OnRevocation, PathPattern, ViewerProtocolPolicy,
};
use crate::functions::LiveFunction;
use crate::kvs::Store;
use crate::limits::Limits;
use crate::proxy::Origin;
use crate::tls::ClientPolicy;

/// One configuration, loaded.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts up with every one published.
    pub generation: u64,
    pub limits: Limits,
    pub functions: Functions,
    /// In the order of the configuration.
    pub key_value_stores: Vec<Arc<Store>>,
    hosts: HostMap<Option<Arc<Distribution>>>,
}

impl Snapshot {
    /// Who serves a client that names `host`, or none: exact name, then wildcard, then the default distribution.
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
    pub site: Arc<Site>,
}

/// What is served to an admitted client. A connection holds this and not its snapshot, so that a revocation set of
/// millions is not kept in memory by the clients that came before the reload.
#[derive(Debug)]
pub struct Site {
    pub distribution_id: Arc<str>,
    /// Connections that a core may have open to one origin.
    pub origin_connections_max: usize,
    /// What clients say about themselves, and origins are not to hear.
    pub identity_headers: IdentityHeaders,
    behaviors: Vec<Arc<Behavior>>,
    /// Of all distributions.
    served: Arc<HostMap<Option<Arc<str>>>>,
}

impl Distribution {
    /// What functions are told that it is called. The managed service's examples have the distribution's own domain name here, however the
    /// client came: our first name that is no wildcard. One that has none is called what the client called it, or else by its id.
    pub fn called<'a>(&'a self, name: Option<&'a HostName>) -> &'a str {
        let called = || name.map(HostName::as_str);
        self.domain_name.as_deref().or_else(called).unwrap_or(&self.id)
    }
}

impl Site {
    /// Whether `host` belongs to this distribution.
    pub fn serves(&self, host: &HostName) -> bool {
        let found = self.served.lookup(Some(host)).and_then(Option::as_ref);
        found == Some(&self.distribution_id)
    }

    /// The first behaviour whose pattern matches `path` (without query).
    pub fn behavior_for(&self, path: &str) -> Option<&Arc<Behavior>> {
        self.behaviors
            .iter()
            .find(|behavior| behavior.path_pattern.matches(path))
    }
}

/// What is done with requests for some paths.
#[derive(Debug)]
pub struct Behavior {
    path_pattern: PathPattern,
    pub viewer_protocol_policy: ViewerProtocolPolicy,
    pub origin: Arc<Origin>,
    pub viewer_request: Option<Arc<LiveFunction>>,
    pub viewer_response: Option<Arc<LiveFunction>>,
    /// Certificate headers that the origin is to get.
    pub certificate_headers: Vec<CertificateHeader>,
}

impl Behavior {
    /// Whether viewer functions see its requests or responses.
    pub fn has_functions(&self) -> bool {
        self.viewer_request.is_some() || self.viewer_response.is_some()
    }
}
