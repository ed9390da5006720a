//! `bothways check`: all that a server would load, loaded and dropped again. Opens no socket and no log.

use std::path::Path;

use bothways_config::Config;

use super::service_user::{self, ServiceUser};
use crate::app::{self, AppError};
use crate::metrics::Directory;
use crate::origin::AddressTable;
use crate::snapshot;

/// Loads all that `path` names and says in a line what a server would serve. With `as_user`: as that user
/// would.
///
/// # Errors
/// The configuration, or a file or folder that it names, cannot be used.
pub(super) fn check(path: &Path, as_user: Option<&str>) -> Result<String, AppError> {
    match as_user {
        None => check_as_we_are(path, |_| Vec::new()),
        Some(name) => ServiceUser::find(name)
            .map_err(AppError::Config)?
            .work(|| check_as_we_are(path, service_user::unreadable))
            .map_err(|error| error.for_user(name)),
    }
}

/// `unreadable` tells all files that cannot be read at once, so that nobody has to come back for each.
fn check_as_we_are(path: &Path, unreadable: impl FnOnce(&Config) -> Vec<String>) -> Result<String, AppError> {
    let config = snapshot::load_config(path)?;
    app::choose_cpus(&config)?;
    let faults = [unreadable(&config), service_user::unwritable(&config)].concat();
    if !faults.is_empty() {
        return Err(AppError::Config(faults.join("\nerror: ")));
    }
    let built = snapshot::build(
        &config,
        0,
        &app::vault(&config),
        &Directory::default(),
        &AddressTable::default(),
        None,
    )?;
    let revocations: u64 = built.revocation_entries.iter().map(|(_, entries)| entries).sum();
    Ok(format!(
        "{}: ok: {} listeners, {} distributions, {} trust stores, {revocations} revocation entries",
        path.display(),
        config.listeners.len(),
        config.distributions.len(),
        config.trust_stores.len(),
    ))
}
