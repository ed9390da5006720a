//! SIGHUP: a whole new snapshot beside the old one, or none.

use std::path::Path;
use std::sync::Arc;

use crate::config::{self, Config, ConfigError, KeyPath};
use crate::snapshot::{self, Built};
use crate::tls::SessionVault;

/// Loads the configuration again and builds the snapshot of `generation` from it.
///
/// # Errors
/// Something cannot be used, or what is fixed at start has changed. The running snapshot is not touched.
pub fn rebuild(started: &Config, generation: u64, vault: &Arc<SessionVault>) -> Result<Built, ConfigError> {
    let file: &Path = started.source.file();
    let config = config::load(file)?;
    match changed(started, &config) {
        None => snapshot::build(&config, generation, vault),
        Some(key) => {
            let key = KeyPath::root().child(key);
            Err(config.source.error(
                &key,
                "this cannot change while running",
                "put it back, or restart the server",
            ))
        }
    }
}

/// What a running server has built its threads and sockets from. Half a reload would leave the configuration file
/// telling something that is not so.
fn changed(started: &Config, now: &Config) -> Option<&'static str> {
    let addresses = |config: &Config| -> Vec<_> {
        config
            .listeners
            .iter()
            .map(|listener| (listener.address, listener.protocol))
            .collect()
    };
    [
        ("runtime", started.runtime != now.runtime),
        ("limits", started.limits != now.limits),
        ("admin", started.admin != now.admin),
        ("listeners", addresses(started) != addresses(now)),
        ("logs", started.logs != now.logs),
    ]
    .into_iter()
    .find_map(|(key, differs)| differs.then_some(key))
}
