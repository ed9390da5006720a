//! The whole immutable product of one configuration: what every connection that begins now is judged and served by.
//!
//! Owns what stands in a snapshot and how a name finds its distribution. [`build`] makes one from a configuration,
//! reading every file that it names, off the cores; it succeeds whole or not at all. A connection keeps the snapshot
//! that it began with.

mod build;
mod files;

use std::sync::Arc;

use rustls::ServerConfig;

pub use self::build::{Built, build, policy};
use crate::config::{CertificateHeader, HostMap, HostName, PathPattern, ViewerProtocolPolicy};
use crate::limits::Limits;
use crate::proxy::Origin;

/// One configuration, loaded.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts up with every one published.
    pub generation: u64,
    pub limits: Limits,
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
    behaviors: Vec<Arc<Behavior>>,
}

impl Distribution {
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
    /// Certificate headers that the origin is to get.
    pub certificate_headers: Vec<CertificateHeader>,
}
