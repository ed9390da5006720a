//! Hosts of a snapshot: the distribution that each name belongs to.

use std::sync::Arc;

use bothways_config::{Config, HostMap};

use super::parts::{Digest, Keep, Part};

/// Ids of distributions, by the hosts that each serves.
pub(super) type Served = HostMap<Option<Arc<str>>>;

/// The hosts of all distributions.
pub(super) fn load(config: &Config, mut keep: Keep<'_, Served>) -> Part<Served> {
    let all = config.distributions.iter();
    let inputs: Vec<_> = all.map(|one| (&one.id, &one.aliases, one.default)).collect();
    let digest = Digest::of(&inputs);
    keep.find(|| Some(digest))
        .unwrap_or_else(|| keep.add(digest, served(config)))
}

fn served(config: &Config) -> Served {
    let id = |&index: &usize| {
        let distribution = config.distributions.get(index);
        distribution.map(|distribution| Arc::from(distribution.id.as_str()))
    };
    config.hosts.map(id)
}
