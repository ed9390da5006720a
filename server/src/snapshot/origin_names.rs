//! Names of a configuration's origins: looked up together, within a bound, where the process's table does not
//! have them yet.
//!
//! Owns which names a configuration has, and the words of a refusal. A snapshot has a handle to the entry of
//! the table, and no answer of a resolver.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bothways_config::{Config, ConfigError, HttpOrigin, OriginTarget};

use crate::origin::{AddressTable, Addresses, Name, NamedAddresses, look_up};

/// Entries of the names of all origins: those of `table`, and new ones for names that it does not have.
///
/// # Errors
/// A new name that leads nowhere, or not in time.
pub(super) fn look_up_new(config: &Config, table: &AddressTable) -> Result<Arc<NamedAddresses>, ConfigError> {
    let names = origins(config).filter_map(|(_, http)| name(http));
    table
        .resolve(names, Instant::now() + LOOK_UP_TIME, look_up)
        .map_err(|(name, error)| refused(config, &name, &error))
}

/// Addresses where `origin` is to be found.
pub(super) fn addresses(names: &NamedAddresses, origin: &HttpOrigin) -> Option<Arc<Addresses>> {
    match origin.host.ip() {
        Some(ip) => Some(Addresses::known(SocketAddr::new(ip, origin.port.get()))),
        None => names.get(&name(origin)?).cloned(),
    }
}

fn origins(config: &Config) -> impl Iterator<Item = (&bothways_config::Origin, &HttpOrigin)> {
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

fn refused(config: &Config, unresolved: &Name, error: &io::Error) -> ConfigError {
    let mut origins = origins(config);
    let named = origins.find(|(_, http)| name(http).as_ref() == Some(unresolved));
    let (key, authority) = match named {
        Some((origin, http)) => (origin.key.child("url"), http.authority()),
        None => (bothways_config::KeyPath::root(), String::new()),
    };
    let fault = format!("cannot resolve {authority}: {error}");
    config
        .source
        .error(&key, fault, "name a host that resolves, or an address")
}

/// Time for all names of a snapshot together.
const LOOK_UP_TIME: Duration = Duration::from_secs(10);
