//! The cores as other threads see them: their start, and their mailboxes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use bothways_config::{Config, Driver as DriverConfig};
use crossbeam_channel::Sender;

use super::error::AppError;
use super::event::Event;
use crate::metrics::Registry;
use crate::operations;
use crate::runtime::{DriverChoice, MailboxSender, mailbox};
use crate::worker::{self, CoreMessage, CoreSetup, ListenerSetup, Shared};

/// The mailboxes of all cores, in core order.
#[derive(Clone)]
pub(super) struct Cores(Vec<MailboxSender<CoreMessage>>);

impl Cores {
    /// Starts a thread for each core, with the CPU and the listeners that are its own. What becomes of each
    /// is an event.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn start(
        config: &Config,
        registry: &Registry,
        shared: &Shared,
        cores: impl Iterator<Item = (usize, Vec<ListenerSetup>)>,
        events: &Sender<Event>,
    ) -> Result<Self, AppError> {
        let driver = match config.runtime.driver {
            DriverConfig::Auto => DriverChoice::Auto,
            DriverConfig::Epoll => DriverChoice::Epoll,
        };
        let mut places = match config.runtime.balance_connections {
            true => worker::places(&registry.cores),
            false => Vec::new(),
        }
        .into_iter();
        let mut mailboxes = Vec::with_capacity(registry.cores.len());
        for (index, ((cpu, listeners), counters)) in cores.zip(&registry.cores).enumerate() {
            let (sender, mailbox) = mailbox();
            mailboxes.push(sender);
            let setup = CoreSetup {
                index,
                cpu: Some(cpu),
                driver,
                shared: shared.clone(),
                counters: counters.clone(),
                listeners,
                mailbox,
                place: places.next(),
            };
            start_core(setup, events.clone())?;
        }
        Ok(Self(mailboxes))
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns how many heard it: a core that has ended has no connection left.
    pub(super) fn tell(&self, message: &CoreMessage) -> usize {
        let told = self.0.iter().map(|mailbox| mailbox.send(message.clone()));
        told.filter(Result::is_ok).count()
    }
}

impl operations::Cores for Cores {
    fn snapshot_published(&self) {
        self.tell(&CoreMessage::Sweep);
    }

    fn function_published(&self) {
        self.tell(&CoreMessage::PrepareFunctions);
    }
}

/// Starts the thread of a core. Its end is an event, a panic too.
fn start_core(setup: CoreSetup, events: Sender<Event>) -> Result<(), AppError> {
    let index = setup.index;
    let life = move || {
        let started = events.clone();
        let started = move |driver| drop(started.send(Event::Started(driver)));
        let ended = catch_unwind(AssertUnwindSafe(|| worker::run(setup, started)));
        let result = match ended {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err("it panicked".to_owned()),
        };
        let _control_may_have_ended = events.send(Event::Ended(index, result));
    };
    let thread = thread::Builder::new().name(format!("core-{index}")).spawn(life);
    thread
        .map(drop)
        .map_err(|error| AppError::Setup(format!("cannot start core {index}: {error}")))
}
