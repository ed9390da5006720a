//! The names of a configuration's origins, and where they lead: looked up together, within a bound, when a
//! snapshot is built.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Snapshot;
use crate::config::{Config, ConfigError, HttpOrigin, OriginTarget};
use crate::origin::{Addresses, Name, look_up, look_up_all};

/// The names of all origins, each once. One that `before` has keeps its table, which somebody looks after
/// already, and needs no look-up.
///
/// # Errors
/// A new name that leads nowhere, or not in time.
pub(super) fn look_up_new(
    config: &Config,
    before: Option<&Snapshot>,
) -> Result<Vec<Arc<Addresses>>, ConfigError> {
    let known = before.map_or(&[][..], |before| &before.origin_names);
    let mut all: Vec<Arc<Addresses>> = Vec::new();
    for (_, http) in origins(config) {
        let Some(name) = name(http) else { continue };
        if find(&all, &name).is_none() {
            all.push(find(known, &name).unwrap_or_else(|| Addresses::of(name)));
        }
    }
    // A reload is a reason to look again, but not one to wait.
    known.iter().for_each(|addresses| addresses.doubt());
    let is_new = |addresses: &&Arc<Addresses>| addresses.current().is_empty();
    let new: Vec<_> = all.iter().filter(is_new).cloned().collect();
    let failed = look_up_all(&new, Instant::now() + LOOK_UP_TIME, look_up);
    match failed.into_iter().next() {
        Some((addresses, error)) => Err(refused(config, &addresses, &error)),
        None => Ok(all),
    }
}

/// Addresses where `origin` is to be found.
pub(super) fn addresses(names: &[Arc<Addresses>], origin: &HttpOrigin) -> Option<Arc<Addresses>> {
    match origin.host.ip() {
        Some(ip) => Some(Addresses::known(SocketAddr::new(ip, origin.port.get()))),
        None => find(names, &name(origin)?),
    }
}

fn origins(config: &Config) -> impl Iterator<Item = (&crate::config::Origin, &HttpOrigin)> {
    let all = config
        .distributions
        .iter()
        .flat_map(|distribution| &distribution.origins);
    all.filter_map(|origin| match &origin.target {
        OriginTarget::Http(http) => Some((origin, http)),
        OriginTarget::Fixed(_) => None,
    })
}

fn name(origin: &HttpOrigin) -> Option<Name> {
    origin.host.ip().is_none().then(|| Name {
        host: origin.host.as_str().to_owned(),
        port: origin.port.get(),
    })
}

fn find(all: &[Arc<Addresses>], name: &Name) -> Option<Arc<Addresses>> {
    all.iter()
        .find(|addresses| addresses.name() == Some(name))
        .cloned()
}

fn refused(config: &Config, addresses: &Addresses, error: &io::Error) -> ConfigError {
    let mut origins = origins(config);
    let named = origins.find(|(_, http)| name(http).as_ref() == addresses.name());
    let (key, authority) = match named {
        Some((origin, http)) => (origin.key.child("url"), http.authority()),
        None => (crate::config::KeyPath::root(), String::new()),
    };
    let fault = format!("cannot resolve {authority}: {error}");
    config
        .source
        .error(&key, fault, "name a host that resolves, or an address")
}

/// Time for all names of a snapshot together.
const LOOK_UP_TIME: Duration = Duration::from_secs(10);
