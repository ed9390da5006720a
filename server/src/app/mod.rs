//! Wiring: from a configuration file to running threads, and back to nothing.
//!
//! Owns the order of things at start (check, load, open the log, bind, start cores, say ready), while running
//! (signals, on the control thread) and at the end (drain, join, flush). Does not touch a connection.

mod call_watch;
mod census;
mod commands;
mod control;
mod cpus;
mod descriptors;
mod error;
mod holder;
mod jobs;
mod listeners;
mod publish;
mod reload;
mod resolver;
mod signals;
mod threads;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bothways_config::Config;
use crossbeam_channel::unbounded;
use signal_hook::iterator::Signals;

use self::control::{Control, Told};
pub use self::cpus::choose as choose_cpus;
pub use self::error::AppError;
pub use self::publish::{PublishOrder, Published};
use self::resolver::Resolver;
pub use self::signals::signals;
use crate::admin::{AdminListener, AdminServer};
use crate::admission::SessionVault;
use crate::control_socket::{ControlServer, ControlSocket};
use crate::logs::{Lane, Messages, RecordSender, Shipper, Sink};
use crate::metrics::{Registry, ReloadResult};
use crate::origin::AddressTable;
use crate::snapshot::{self, Built};
use crate::worker::Shared;

/// Time for what is still to be said when the process ends, in case standard error is slow.
pub const MESSAGES_FLUSH_TIME: Duration = Duration::from_secs(1);

/// Serves until told to stop.
///
/// # Errors
/// The server could not start, or could not end as it should.
pub fn serve(path: &Path, messages: &Messages, signals: Signals) -> Result<(), AppError> {
    let events = unbounded();
    let starting = signals::forward(signals, events.0.clone(), messages.clone())?;
    // Many small blocks of many connections, some of which end: a huge page is seldom full, and never given
    // back. Measured when an idle connection took 36 KB with them: 26 without, at the same speed. A kernel
    // that cannot is no reason not to serve.
    let _as_they_are = rustix::thread::disable_transparent_huge_pages(true);
    let config = snapshot::load_config(path)?;
    let cpus = cpus::choose(&config)?;
    let vault = vault(&config);
    let registry = Arc::new(Registry::with_messages(cpus.len(), messages.drops()));
    let origin_addresses = Arc::<AddressTable>::default();
    let built = snapshot::build(&config, 1, &vault, &registry.named, &origin_addresses, None)?;
    publish_counts(&registry, &built);
    built.publish_addresses(&origin_addresses);

    let (records, shipper) = start_log(&config, &registry)?;
    descriptors::raise(&config, cpus.len());
    let bound = listeners::bind(&config, cpus.len())?;
    let admin = start_admin(&config, &registry)?;
    let control_socket = commands::bind(&config)?;
    let shared = Shared {
        snapshot: Arc::new(ArcSwap::from_pointee(built.snapshot)),
        origin_addresses,
        vault,
        records,
    };
    let _resolver = Resolver::start(
        shared.origin_addresses.clone(),
        shared.snapshot.clone(),
        registry.process.clone(),
    )
    .map_err(|error| AppError::Setup(format!("cannot start the resolver's thread: {error}")))?;
    let told = Told {
        registry,
        shipper,
        messages: messages.clone(),
    };
    let control = Control::start(config, cpus, bound, shared, told, events)?;
    drop(starting);
    let commands = start_commands(control_socket, &control)?;
    control.announce(admin.as_ref(), commands.as_ref());
    let ended = control.run();
    drop(commands);
    if let Some(admin) = admin {
        admin.stop();
    }
    ended
}

/// The vault for the tickets that a server with this configuration issues.
pub fn vault(config: &Config) -> Arc<SessionVault> {
    Arc::new(SessionVault::new(
        config.limits.tickets_per_core,
        config.limits.ticket_lifetime,
    ))
}

fn start_log(config: &Config, registry: &Registry) -> Result<(RecordSender, Shipper), AppError> {
    let log = &config.logs.connection;
    let sink = match &log.sink {
        bothways_config::Sink::Stdout => Sink::Stdout,
        bothways_config::Sink::File(file) => Sink::File(file.path.clone()),
    };
    let opened = sink.open().map_err(|error| AppError::opening(config, &error))?;
    let lane = Lane::new(log.format, opened, registry.process.records.lane());
    Shipper::start(vec![lane], config.limits.record_queue, registry.process.clone())
        .map_err(|error| AppError::Setup(format!("cannot start the log shipper: {error}")))
}

fn start_admin(config: &Config, registry: &Arc<Registry>) -> Result<Option<AdminServer>, AppError> {
    let Some(address) = config.admin else {
        return Ok(None);
    };
    let listener = AdminListener::bind(address).map_err(|error| AppError::opening(config, &error))?;
    let serving = listener.serve(registry.clone());
    serving
        .map(Some)
        .map_err(|error| AppError::Setup(format!("cannot start the admin endpoint: {error}")))
}

fn start_commands(
    socket: Option<ControlSocket>,
    control: &Control,
) -> Result<Option<ControlServer>, AppError> {
    let Some(socket) = socket else { return Ok(None) };
    socket
        .serve(Arc::new(control.commands()))
        .map(Some)
        .map_err(|error| AppError::Setup(format!("cannot start the threads of the control socket: {error}")))
}

/// Shows a snapshot that is about to be published in the counters.
fn publish_counts(registry: &Registry, built: &Built) {
    let process = &registry.process;
    process.snapshot_generation.set(built.snapshot.generation);
    process.set_revocation_entries(built.revocation_entries.iter().cloned());
    registry.named.set_dates(built.dates.clone());
    if built.snapshot.generation > 1 {
        process.reloads.of(ReloadResult::Published).add(1);
    }
}
