//! Reload: a whole new snapshot beside the old one, or none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bothways_config::{Config, ConfigError, KeyPath};
use rustix::process::setpriority_process;

use super::asker::Asker;
use super::running::{Cores, Running};
use crate::metrics::{Registry, ReloadResult};
use crate::snapshot::{self, Built, Snapshot};

/// Result of a reload, for whoever has asked for it.
pub type Reloaded = Result<ReloadReport, String>;

/// Report on the snapshot that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadReport {
    pub generation: u64,
    pub distributions: usize,
    /// Trust stores: the size of each one's revocation set, and what it was before.
    pub revocation_entries: Vec<(String, u64, Option<u64>)>,
}

/// Order to reload. All askers that wait for their turn are served by one reload; nobody waits for one that a
/// signal has asked for.
#[derive(Default)]
pub(super) struct ReloadOrder(Vec<Asker<Reloaded>>);

impl ReloadOrder {
    pub(super) fn of(asker: Asker<Reloaded>) -> Self {
        Self(vec![asker])
    }

    pub(super) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn tell(self, reloaded: &Reloaded) {
        for asker in self.0 {
            asker.tell(reloaded.clone());
        }
    }
}

/// A snapshot that can be published.
pub(super) struct Rebuilt {
    built: Built,
    distributions: usize,
}

/// Builds a snapshot to follow the one in force. The error tells what cannot be used, or what is fixed at
/// start and has changed.
pub(super) fn rebuild(running: &Running) -> Result<Rebuilt, String> {
    running.progress.show_this_thread();
    // "reload published" then also means that the log was reopened, as far as its sink lets it.
    let _a_stuck_sink_waits_for_nobody = running.log.flush(REOPEN_TIME);
    yield_to_cores();
    let before = running.snapshot.load_full();
    match catch_unwind(AssertUnwindSafe(|| load(running, &before))) {
        Ok(built) => built.map_err(|error| error.to_string()),
        Err(_) => Err("the reload panicked; please report this".to_owned()),
    }
}

/// Gives the thread that calls this a smaller share where it must share a CPU with a core. Not the smallest:
/// a revocation is waiting for it.
fn yield_to_cores() {
    if let Err(error) = setpriority_process(None, RELOAD_NICENESS) {
        tracing::debug!(%error, "the reload keeps the priority of the cores");
    }
}

fn load(running: &Running, before: &Snapshot) -> Result<Rebuilt, ConfigError> {
    let started = &running.started;
    let config = snapshot::load_config(started.source.file())?;
    if let Some(key) = changed(started, &config) {
        let fault = "this cannot change while running";
        return Err(config
            .source
            .error(&key, fault, "put it back, or restart the server"));
    }
    let (generation, names) = (before.generation + 1, &running.registry.named);
    let (vault, table) = (&running.vault, &running.origin_addresses);
    Ok(Rebuilt {
        built: snapshot::build(&config, generation, vault, names, table, Some(before))?,
        distributions: config.distributions.len(),
    })
}

/// Key of something that a running server has built its threads and sockets from, and that has changed. Half
/// a reload would leave the configuration file telling something that is not so.
fn changed(started: &Config, now: &Config) -> Option<KeyPath> {
    let addresses = |config: &Config| -> Vec<_> {
        let listeners = config.listeners.iter();
        listeners
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

pub(super) fn commit(
    order: ReloadOrder,
    rebuilt: Result<Rebuilt, String>,
    running: &Running,
    cores: &impl Cores,
) {
    match rebuilt {
        Ok(rebuilt) => order.tell(&Ok(publish(rebuilt, running, cores))),
        Err(error) => refuse(order, error, running),
    }
}

fn publish(rebuilt: Rebuilt, running: &Running, cores: &impl Cores) -> ReloadReport {
    let Rebuilt { built, distributions } = rebuilt;
    let generation = built.snapshot.generation;
    let before = running.registry.process.revocation_entries();
    let entries = built.revocation_entries.iter();
    let report = ReloadReport {
        generation,
        distributions,
        revocation_entries: entries
            .map(|(store, entries)| (store.clone(), *entries, before.get(store).copied()))
            .collect(),
    };
    show_counts(&running.registry, &built);
    running
        .registry
        .process
        .reloads
        .of(ReloadResult::Published)
        .add(1);
    built.publish_key_values();
    built.publish_addresses(&running.origin_addresses);
    running.snapshot.store(Arc::new(built.snapshot));
    cores.snapshot_published();
    let revocations: u64 = report.revocation_entries.iter().map(|(_, now, _)| now).sum();
    tracing::info!(generation, revocations, "reload published");
    report
}

pub(super) fn refuse(order: ReloadOrder, error: String, running: &Running) {
    running.registry.process.reloads.of(ReloadResult::Refused).add(1);
    let generation = running.snapshot.load().generation;
    tracing::error!(generation, error, "reload refused; the old snapshot stays");
    order.tell(&Err(error));
}

/// Shows a snapshot that is about to be published in the counters.
pub fn show_counts(registry: &Registry, built: &Built) {
    let process = &registry.process;
    process.snapshot_generation.set(built.snapshot.generation);
    process.set_revocation_entries(built.revocation_entries.iter().cloned());
    registry.named.set_dates(built.dates.clone());
}

/// Time for the shipper to take up the renamed file.
const REOPEN_TIME: Duration = Duration::from_millis(500);
/// Some ninth of what a core gets (sched(7)), and all of a CPU that is idle.
const RELOAD_NICENESS: i32 = 10;
