//! Wiring: from a configuration file to running threads, and back to nothing.
//!
//! Owns the order of things at start (check, load, open the log, bind, start cores, say ready), while running
//! (signals, on the control thread) and at the end (drain, join, flush). Does not touch a connection.

mod call_watch;
mod control;
mod cores;
mod cpus;
mod descriptors;
mod error;
mod event;
mod holder;
mod listeners;
mod questions;
mod signals;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bothways_config::{Config, Driver as DriverConfig};
use bothways_state::files::Progress;
use crossbeam_channel::{Receiver, Sender, unbounded};
use signal_hook::iterator::Signals;

use self::control::Control;
use self::cores::Cores;
pub use self::cpus::choose as choose_cpus;
pub use self::error::AppError;
use self::event::Event;
use self::questions::Questions;
pub use self::signals::{MESSAGES_FLUSH_TIME, signals};
use crate::admission::SessionVault;
use crate::backstage::{AdminListener, AdminServer, Resolver};
use crate::control_socket::{Backend, ControlServer, ControlSocket};
use crate::logs::{Lane, Messages, RecordSender, Shipper, Sink};
use crate::metrics::Registry;
use crate::operations::{self, OperationsThread, Running};
use crate::origin::AddressTable;
use crate::runtime::Driver;
use crate::snapshot;
use crate::worker::{ListenerSetup, Shared};

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
    let (running, records, shipper) = load(config, cpus.len(), messages)?;
    let config = &running.started;
    descriptors::raise(config, cpus.len());
    let bound = listeners::bind(config, cpus.len())?;
    let admin = start_admin(config, &running.registry)?;
    let control_socket = bind_control_socket(config)?;
    let _resolver = start_resolver(&running)?;
    let own = cpus.into_iter().zip(bound.by_core);
    let cores = start_cores(&running, records, own, &events)?;
    let (snapshot, registry) = (running.snapshot.clone(), running.registry.clone());
    let operations = OperationsThread::start(running, cores.clone())
        .map_err(|error| AppError::Setup(format!("cannot start the thread of the operations: {error}")))?;
    drop(starting);
    let backend = Backend {
        operations: operations.operations().clone(),
        questions: Arc::new(Questions {
            snapshot: snapshot.clone(),
            cores: cores.clone(),
        }),
    };
    let commands = start_commands(control_socket, backend)?;
    announce(&bound.addresses, admin.as_ref(), commands.as_ref(), cores.count());
    let control = Control {
        cores,
        events: events.1,
        operations: operations.operations().clone(),
        snapshot,
        registry,
        messages: messages.clone(),
    };
    let served = control.run();
    // Whoever waits for a reload or a publication hears that no answer will come.
    operations.close();
    let flushed = shipper.stop(FLUSH_TIME).map_err(AppError::Flush);
    if flushed.is_ok() {
        tracing::info!("drained");
    }
    // Writes of key-value stores that are under way end before the thread that commits them.
    drop(commands);
    drop(operations);
    drop(admin);
    flushed.and(served)
}

/// Loads the first snapshot and opens the log.
fn load(
    config: Config,
    cores: usize,
    messages: &Messages,
) -> Result<(Running, RecordSender, Shipper), AppError> {
    let vault = vault(&config);
    let registry = Arc::new(Registry::with_messages(cores, messages.drops()));
    let origin_addresses = Arc::<AddressTable>::default();
    let built = snapshot::build(&config, 1, &vault, &registry.named, &origin_addresses, None)?;
    operations::show_counts(&registry, &built);
    built.publish_addresses(&origin_addresses);
    let (records, shipper) = start_log(&config, &registry)?;
    let running = Running {
        started: config,
        snapshot: Arc::new(ArcSwap::from_pointee(built.snapshot)),
        origin_addresses,
        vault,
        registry,
        log: shipper.remote(),
        progress: Progress::default(),
    };
    Ok((running, records, shipper))
}

fn start_resolver(running: &Running) -> Result<Resolver, AppError> {
    let (table, snapshot) = (running.origin_addresses.clone(), running.snapshot.clone());
    Resolver::start(table, snapshot, running.registry.process.clone())
        .map_err(|error| AppError::Setup(format!("cannot start the resolver's thread: {error}")))
}

/// Starts the cores and waits until all accept.
fn start_cores(
    running: &Running,
    records: RecordSender,
    own: impl Iterator<Item = (usize, Vec<ListenerSetup>)>,
    events: &(Sender<Event>, Receiver<Event>),
) -> Result<Cores, AppError> {
    let config = &running.started;
    let shared = Shared {
        snapshot: running.snapshot.clone(),
        vault: running.vault.clone(),
        records,
    };
    let cores = Cores::start(config, &running.registry, &shared, own, &events.0)?;
    let worst = control::await_start(&cores, events)?;
    match worst {
        Some(driver) if driver != Driver::DeferTaskrun && config.runtime.driver == DriverConfig::Auto => {
            tracing::warn!(
                %driver,
                "the kernel refuses a better io_uring; see kernel.io_uring_disabled and seccomp"
            );
        }
        _ => {}
    }
    Ok(cores)
}

/// Says that the server is ready, and where.
fn announce(
    listeners: &[SocketAddr],
    admin: Option<&AdminServer>,
    commands: Option<&ControlServer>,
    cores: usize,
) {
    let listeners: Vec<String> = listeners.iter().map(SocketAddr::to_string).collect();
    let admin = admin.map_or_else(|| "none".to_owned(), |admin| admin.local_addr().to_string());
    let control = commands.map_or_else(|| "none".to_owned(), |it| it.path().display().to_string());
    tracing::info!(?listeners, admin, control, cores, generation = 1_u64, "ready");
}

/// Takes the socket that the configuration names, if it names one.
fn bind_control_socket(config: &Config) -> Result<Option<ControlSocket>, AppError> {
    let Some(control) = &config.control else {
        return Ok(None);
    };
    let socket = &control.socket;
    ControlSocket::bind(&socket.path).map(Some).map_err(|error| {
        let fault = format!("{}: {error}", socket.path.display());
        config.source.error(&socket.key, fault, error.remedy()).into()
    })
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
    backend: Backend,
) -> Result<Option<ControlServer>, AppError> {
    let Some(socket) = socket else { return Ok(None) };
    socket
        .serve(backend)
        .map(Some)
        .map_err(|error| AppError::Setup(format!("cannot start the threads of the control socket: {error}")))
}

/// Time for the shipper to write what is queued when everything else has ended.
const FLUSH_TIME: Duration = Duration::from_secs(10);
