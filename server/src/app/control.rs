//! The control thread: signals in, messages to the cores out, until every core has ended. It never touches a
//! connection, and changes nothing: changes are the operations' (`operations/`).

use std::process;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use signal_hook::consts::{SIGHUP, SIGUSR1};

use super::call_watch::{CallWatch, LOOK_EVERY};
use super::cores::Cores;
use super::error::AppError;
use super::event::Event;
use super::signals::MESSAGES_FLUSH_TIME;
use crate::logs::Messages;
use crate::metrics::{Registry, monotonic};
use crate::operations::Operations;
use crate::runtime::Driver;
use crate::snapshot::Snapshot;
use crate::worker::CoreMessage;

/// The running server, as its control thread holds it.
pub(super) struct Control {
    pub(super) cores: Cores,
    pub(super) events: Receiver<Event>,
    pub(super) operations: Operations,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) registry: Arc<Registry>,
    pub(super) messages: Messages,
}

/// Waits until all of `cores` accept. Returns the worst driver that one of them has. Signals that come before
/// are put back, for [`Control::run`].
///
/// # Errors
/// A core could not be set up.
pub(super) fn await_start(
    cores: &Cores,
    (sender, events): &(Sender<Event>, Receiver<Event>),
) -> Result<Option<Driver>, AppError> {
    let mut worst = None;
    let mut early = Vec::new();
    let mut started = 0;
    while started < cores.count() {
        match events.recv() {
            Ok(Event::Signal(signal)) => early.push(signal),
            Ok(Event::Started(driver)) => {
                worst = worst.max(Some(driver));
                started += 1;
            }
            Ok(Event::Ended(core, Err(error))) => {
                return Err(AppError::Setup(format!("core {core} could not start: {error}")));
            }
            Ok(Event::Ended(core, Ok(()))) => {
                return Err(AppError::Setup(format!("core {core} ended at once")));
            }
            Err(_) => {
                let fault = "core 0 could not start: the control channel is closed";
                return Err(AppError::Setup(fault.to_owned()));
            }
        }
    }
    for signal in early {
        let _receiver_is_ours = sender.send(Event::Signal(signal));
    }
    Ok(worst)
}

/// Progress of the end.
#[derive(Default)]
struct Ending {
    draining: bool,
    /// Time at which the drain is to begin, on the clock of [`monotonic`].
    drain_at: Option<Duration>,
    /// An operator's signal to end has come; one more ends at once. A core's failure drains too, but counts
    /// as none.
    is_told: bool,
    failure: Option<String>,
}

impl Control {
    /// Handles signals until every core has ended.
    ///
    /// # Errors
    /// A core had ended unasked.
    pub(super) fn run(self) -> Result<(), AppError> {
        let mut ending = Ending::default();
        let mut running = self.cores.count();
        let mut watch = CallWatch::default();
        while running > 0 {
            match self.events.recv_timeout(ending.look_in()) {
                Ok(Event::Ended(core, result)) => {
                    running -= 1;
                    self.core_ended(&mut ending, core, result);
                }
                Ok(Event::Signal(signal)) => self.signal(&mut ending, signal),
                Ok(Event::Started(_)) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = monotonic();
            watch.look(&self.registry, now);
            if ending.drain_at.is_some_and(|at| now >= at) {
                self.drain(&mut ending);
            }
        }
        ending
            .failure
            .map_or(Ok(()), |failure| Err(AppError::Core(failure)))
    }

    fn signal(&self, ending: &mut Ending, signal: i32) {
        match signal {
            SIGHUP if ending.draining => {}
            SIGHUP => self.operations.hang_up(),
            SIGUSR1 => self.operations.log_was_rotated(),
            _ if ending.is_told => {
                tracing::warn!("second signal: ending at once");
                let _whoever_does_not_read_loses_it = self.messages.flush(MESSAGES_FLUSH_TIME);
                process::exit(1);
            }
            _ => {
                ending.is_told = true;
                self.end_soon(ending);
            }
        }
    }

    /// Makes `/healthz` say that this server is ending, some time before the server stops taking connections.
    /// The notice is for whoever chooses among servers.
    fn end_soon(&self, ending: &mut Ending) {
        self.registry.process.draining.set(1);
        let delay = self.snapshot.load().limits.drain_delay;
        match delay.is_zero() {
            true => self.drain(ending),
            false => {
                tracing::info!(
                    delay_ms = delay.as_millis(),
                    "about to drain; /healthz says so already"
                );
                ending.drain_at = Some(monotonic() + delay);
            }
        }
    }

    fn drain(&self, ending: &mut Ending) {
        ending.drain_at = None;
        if ending.draining {
            return;
        }
        tracing::info!("draining");
        ending.draining = true;
        self.registry.process.draining.set(1);
        self.cores.tell(&CoreMessage::Drain);
    }

    /// A server on half its cores would be a slow mystery: the others drain, the process ends, its supervisor
    /// restarts it.
    fn core_ended(&self, ending: &mut Ending, core: usize, result: Result<(), String>) {
        if ending.draining && result.is_ok() {
            return;
        }
        let why = result.err().unwrap_or_else(|| "it ended unasked".to_owned());
        tracing::error!(core, why, "a core failed");
        ending.failure.get_or_insert(format!("core {core} failed: {why}"));
        self.drain(ending);
    }
}

impl Ending {
    fn look_in(&self) -> Duration {
        let drain_in = self.drain_at.map(|at| at.saturating_sub(monotonic()));
        drain_in.map_or(LOOK_EVERY, |drain_in| drain_in.min(LOOK_EVERY))
    }
}
