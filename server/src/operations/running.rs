//! The running server, as far as changes are concerned with it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bothways_config::Config;
use bothways_state::files::Progress;

use crate::admission::SessionVault;
use crate::logs::ShipperRemote;
use crate::metrics::Registry;
use crate::origin::AddressTable;
use crate::snapshot::Snapshot;

/// All that a change reads, replaces or tells.
pub struct Running {
    /// Configuration of the start: part of it cannot change.
    pub started: Config,
    /// The snapshot in force. Only commits store into it.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Addresses of the origins that the snapshot names.
    pub origin_addresses: Arc<AddressTable>,
    pub vault: Arc<SessionVault>,
    pub registry: Arc<Registry>,
    pub log: ShipperRemote,
    /// Shows what the reload or the publication under way reads.
    pub progress: Progress,
}

/// The cores, told of what was committed. Called on the thread of the commits, and must not wait.
pub trait Cores: Send + 'static {
    /// Tells that a new snapshot is in force: each core judges its open connections by it.
    fn snapshot_published(&self);

    /// Tells that a function has a new live version.
    fn function_published(&self);
}
