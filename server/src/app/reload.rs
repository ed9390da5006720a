//! SIGHUP: a whole new snapshot beside the old one, or none.

use std::path::Path;
use std::sync::Arc;

use bothways_config::{Config, ConfigError, KeyPath};

use crate::admission::SessionVault;
use crate::metrics::Directory;
use crate::origin::AddressTable;
use crate::snapshot::{self, Built, Snapshot};

/// A snapshot that can be published.
pub struct Rebuilt {
    pub built: Built,
    pub distributions: usize,
}

/// Loads the configuration again and builds the snapshot of `generation` from it, to follow `before`.
///
/// # Errors
/// Something cannot be used, or what is fixed at start has changed. The running snapshot is not touched.
pub fn rebuild(
    started: &Config,
    generation: u64,
    vault: &Arc<SessionVault>,
    directory: &Directory,
    table: &AddressTable,
    before: &Snapshot,
) -> Result<Rebuilt, ConfigError> {
    let file: &Path = started.source.file();
    let config = snapshot::load_config(file)?;
    match changed(started, &config) {
        None => Ok(Rebuilt {
            built: snapshot::build(&config, generation, vault, directory, table, Some(before))?,
            distributions: config.distributions.len(),
        }),
        Some(key) => {
            let fault = "this cannot change while running";
            Err(config
                .source
                .error(&key, fault, "put it back, or restart the server"))
        }
    }
}

/// What a running server has built its threads and sockets from. Half a reload would leave the configuration file
/// telling something that is not so.
fn changed(started: &Config, now: &Config) -> Option<KeyPath> {
    let addresses = |config: &Config| -> Vec<_> {
        config
            .listeners
            .iter()
            .map(|listener| (listener.address, listener.protocol))
            .collect()
    };
    let root = KeyPath::root();
    let limits = root.child("limits");
    let (then, today) = (&started.limits, &now.limits);
    [
        (root.child("runtime"), started.runtime != now.runtime),
        (root.child("admin"), started.admin != now.admin),
        (root.child("control"), started.control != now.control),
        (root.child("listeners"), addresses(started) != addresses(now)),
        (root.child("logs"), started.logs != now.logs),
        (
            limits.child("tickets_per_core"),
            then.tickets_per_core != today.tickets_per_core,
        ),
        (
            limits.child("ticket_lifetime_s"),
            then.ticket_lifetime != today.ticket_lifetime,
        ),
        (
            limits.child("record_queue"),
            then.record_queue != today.record_queue,
        ),
    ]
    .into_iter()
    .find_map(|(key, differs)| differs.then_some(key))
}
