//! What the control socket acts on: the stores of the snapshot of the moment, and the control thread.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bothways_config::Config;
use bothways_state::files::Progress;
use bothways_state::key_values::Store;
use crossbeam_channel::{Sender, bounded};

use super::census;
use super::control::Event;
use super::error::AppError;
use super::jobs::ReloadReport;
use super::publish::PublishOrder;
use crate::control_socket::{
    Backend, Connections, ConnectionsWanted, ControlSocket, Refusal, RefusalCode, Reloaded, Waiting,
};
use crate::logs::ShipperRemote;
use crate::snapshot::{Publication, Snapshot, Unpublished};

/// Called on the threads of the control socket.
pub struct Commands {
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) events: Sender<Event>,
    /// Progress of the reload that is under way.
    pub(super) progress: Progress,
    pub(super) log: ShipperRemote,
}

impl Backend for Commands {
    fn stores(&self) -> Vec<Arc<Store>> {
        self.snapshot.load().key_value_stores.clone()
    }

    fn publish_function(&self, name: &str, client: &Waiting<'_>) -> Result<String, Refusal> {
        let (answer, published) = bounded(1);
        let name = name.to_owned();
        // An event that the control thread will never handle is dropped with it, and its answer's channel
        // too.
        let _told_below = self.events.send(Event::Publish(PublishOrder { name, answer }));
        let late = || self.late("the publication", PUBLISH_WAIT);
        match client.for_answer(&published, PUBLISH_WAIT, late)? {
            Ok(Publication::Published) => Ok("published".to_owned()),
            Ok(Publication::Unchanged) => Ok("unchanged: this code is live already".to_owned()),
            Err(Unpublished::NoSuchFunction(fault)) => Err(Refusal::new(RefusalCode::NoSuchFunction, fault)),
            Err(Unpublished::Unusable(fault)) => Err(Refusal::new(RefusalCode::InvalidFunction, fault)),
        }
    }

    fn reload(&self, limit: Duration, client: &Waiting<'_>) -> Result<Reloaded, Refusal> {
        let (answer, ended) = bounded(1);
        let _told_below = self.events.send(Event::Reload(answer));
        let late = || self.late("the reload", limit);
        match client.for_answer(&ended, limit, late)? {
            Ok(report) => Ok(reloaded(report)),
            Err(fault) => Err(Refusal::new(RefusalCode::ReloadRefused, fault)),
        }
    }

    fn reopen_logs(&self) -> Result<String, Refusal> {
        let refused = |fault| Refusal::new(RefusalCode::LogNotReopened, fault);
        self.log.reopen(REOPEN_WAIT).map_err(refused)
    }

    fn connections(&self, wanted: &ConnectionsWanted) -> Result<Connections, Refusal> {
        census::gather(&self.events, wanted)
    }
}

impl Commands {
    fn late(&self, what: &str, limit: Duration) -> String {
        let reading = self
            .progress
            .last_opened()
            .map(|file| format!(", which reads {}", file.display()));
        let reading = reading.unwrap_or_default();
        format!(
            "{what} has not ended after {limit:?}: it is under way{reading}, or waits for one that is; it goes on, and the server's messages tell what becomes of it"
        )
    }
}

fn reloaded(report: ReloadReport) -> Reloaded {
    let (generation, distributions) = (report.generation, report.distributions);
    let told = report
        .revocation_entries
        .iter()
        .map(|(store, now, before)| match before {
            Some(before) if before == now => format!("{store} {now}"),
            Some(before) => format!("{store} {now} (before: {before})"),
            None => format!("{store} {now} (new)"),
        });
    let told = told.collect::<Vec<_>>().join(", ");
    let entries = if told.is_empty() { "none" } else { &told };
    Reloaded {
        generation,
        distributions,
        message: format!(
            "reload published: generation {generation}; distributions: {distributions}; revocation entries: {entries}"
        ),
        revocation_entries: report
            .revocation_entries
            .into_iter()
            .map(|(store, now, _)| (store, now))
            .collect(),
    }
}

/// As long as the client of the command line waits, less what an answer takes.
const PUBLISH_WAIT: Duration = Duration::from_secs(55);
/// Time for what is queued to be written first.
const REOPEN_WAIT: Duration = Duration::from_secs(10);

/// Takes the socket that the configuration names, if it names one.
///
/// # Errors
/// Another server has it, or it cannot be made.
pub fn bind(config: &Config) -> Result<Option<ControlSocket>, AppError> {
    let Some(control) = &config.control else {
        return Ok(None);
    };
    let socket = &control.socket;
    ControlSocket::bind(&socket.path).map(Some).map_err(|error| {
        let fault = format!("{}: {error}", socket.path.display());
        config.source.error(&socket.key, fault, error.remedy()).into()
    })
}
