//! The control thread: signals in, messages to the cores out. It never touches a connection.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bothways_config::{Config, Driver as DriverConfig};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use signal_hook::consts::{SIGHUP, SIGUSR1};

use super::call_watch::{CallWatch, LOOK_EVERY};
use super::census::CensusOrder;
use super::commands::Commands;
use super::error::AppError;
use super::jobs::{Job, Jobs, ReloadReport, Reloaded};
use super::listeners::Bound;
use super::publish::{self, PublishOrder, Published};
use super::publish_counts;
use super::reload::{self, Rebuilt};
use super::threads::{start_core, yield_to_cores};
use crate::admin::AdminServer;
use crate::control_socket::ControlServer;
use crate::logs::{Messages, Shipper};
use crate::metrics::{Registry, ReloadResult, monotonic};
use crate::runtime::{Driver, DriverChoice, MailboxSender, mailbox};
use crate::worker::{self, CoreMessage, CoreSetup, Shared};

/// Everything that wakes the control thread.
pub(super) enum Event {
    Signal(i32),
    /// A core runs, on this driver.
    Started(Driver),
    /// A core has ended.
    Ended(usize, Result<(), String>),
    /// A snapshot was built, or not.
    Rebuilt(Box<Result<Rebuilt, String>>),
    /// A reload is asked for, and its result waited for.
    Reload(Sender<Reloaded>),
    /// A function is to be published.
    Publish(PublishOrder),
    /// It was, or not.
    Published(PublishOrder, Published),
    /// Somebody asks who is connected.
    Census(CensusOrder),
}

/// Places where the control thread tells what happens.
pub struct Told {
    pub registry: Arc<Registry>,
    pub shipper: Shipper,
    pub messages: Messages,
}

/// The running server, as its control thread holds it.
pub struct Control {
    config: Arc<Config>,
    shared: Shared,
    registry: Arc<Registry>,
    shipper: Shipper,
    messages: Messages,
    mailboxes: Vec<MailboxSender<CoreMessage>>,
    addresses: Vec<SocketAddr>,
    events: Receiver<Event>,
    event_sender: Sender<Event>,
    running: usize,
    draining: bool,
    /// When it is to begin, on the clock of [`monotonic`].
    drain_at: Option<Duration>,
    /// An operator's signal to end has come; one more ends at once. A core's failure drains too, but counts
    /// as none.
    told_to_end: bool,
    generation: u64,
    jobs: Jobs,
    failure: Option<String>,
}

impl Control {
    /// Starts a thread for each core and waits until all accept.
    ///
    /// # Errors
    /// A core could not be set up.
    pub fn start(
        config: Config,
        cpus: Vec<usize>,
        bound: Bound,
        shared: Shared,
        told: Told,
        (event_sender, events): (Sender<Event>, Receiver<Event>),
    ) -> Result<Self, AppError> {
        let Told {
            registry,
            shipper,
            messages,
        } = told;
        let driver = match config.runtime.driver {
            DriverConfig::Auto => DriverChoice::Auto,
            DriverConfig::Epoll => DriverChoice::Epoll,
        };
        let mut places = match config.runtime.balance_connections {
            true => worker::places(&registry.cores),
            false => Vec::new(),
        }
        .into_iter();
        let mut mailboxes = Vec::with_capacity(cpus.len());
        let cores = cpus
            .into_iter()
            .zip(bound.by_core)
            .zip(&registry.cores)
            .enumerate();
        for (index, ((cpu, listeners), counters)) in cores {
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
            start_core(setup, event_sender.clone())?;
        }
        let mut control = Self {
            config: Arc::new(config),
            shared,
            registry,
            shipper,
            messages,
            running: mailboxes.len(),
            mailboxes,
            addresses: bound.addresses,
            events,
            event_sender,
            draining: false,
            drain_at: None,
            told_to_end: false,
            generation: 1,
            jobs: Jobs::default(),
            failure: None,
        };
        control.await_start()?;
        Ok(control)
    }

    fn await_start(&mut self) -> Result<(), AppError> {
        let mut worst = None;
        for _ in 0..self.mailboxes.len() {
            match self.next_start_event() {
                Event::Started(driver) => worst = worst.max(Some(driver)),
                Event::Ended(core, Err(error)) => {
                    return Err(AppError::Setup(format!("core {core} could not start: {error}")));
                }
                Event::Ended(core, Ok(())) => {
                    return Err(AppError::Setup(format!("core {core} ended at once")));
                }
                Event::Signal(_)
                | Event::Rebuilt(_)
                | Event::Reload(_)
                | Event::Publish(_)
                | Event::Published(..)
                | Event::Census(_) => {}
            }
        }
        match worst {
            Some(driver)
                if driver != Driver::DeferTaskrun && self.config.runtime.driver == DriverConfig::Auto =>
            {
                tracing::warn!(%driver, "the kernel refuses a better io_uring; see kernel.io_uring_disabled and seccomp");
            }
            _ => {}
        }
        Ok(())
    }

    /// Signals that come before the cores run are put back, for [`Control::run`].
    fn next_start_event(&self) -> Event {
        let mut early = Vec::new();
        let event = loop {
            match self.events.recv() {
                Ok(Event::Signal(signal)) => early.push(signal),
                Ok(event) => break event,
                Err(_) => break Event::Ended(0, Err("the control channel is closed".to_owned())),
            }
        };
        for signal in early {
            let _receiver_is_ours = self.event_sender.send(Event::Signal(signal));
        }
        event
    }

    /// What the control socket acts on.
    pub fn commands(&self) -> Commands {
        Commands {
            snapshot: self.shared.snapshot.clone(),
            events: self.event_sender.clone(),
            progress: self.jobs.progress(),
            log: self.shipper.remote(),
        }
    }

    /// Says that the server is ready, and where.
    pub fn announce(&self, admin: Option<&AdminServer>, commands: Option<&ControlServer>) {
        let listeners: Vec<String> = self.addresses.iter().map(SocketAddr::to_string).collect();
        let admin = admin.map_or_else(|| "none".to_owned(), |admin| admin.local_addr().to_string());
        let control = commands.map_or_else(|| "none".to_owned(), |it| it.path().display().to_string());
        tracing::info!(
            ?listeners,
            admin,
            control,
            cores = self.mailboxes.len(),
            generation = self.generation,
            "ready"
        );
    }

    /// Handles signals until every core has ended, then flushes the log.
    ///
    /// # Errors
    /// A core had ended unasked, or records could not be flushed in time.
    pub fn run(mut self) -> Result<(), AppError> {
        let mut watch = CallWatch::default();
        while self.running > 0 {
            match self.events.recv_timeout(self.look_in()) {
                Ok(event) => self.handle(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = monotonic();
            watch.look(&self.registry, now);
            self.jobs.look(now);
            if self.drain_at.is_some_and(|at| now >= at) {
                self.drain();
            }
        }
        let Self {
            shared,
            shipper,
            failure,
            events,
            jobs,
            ..
        } = self;
        // Whoever waits for an answer hears that none will come.
        drop((shared, events, jobs));
        shipper.stop(FLUSH_TIME).map_err(AppError::Flush)?;
        tracing::info!("drained");
        failure.map_or(Ok(()), |failure| Err(AppError::Core(failure)))
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Signal(SIGHUP) if self.draining => {}
            Event::Signal(SIGHUP) => self.hang_up(),
            Event::Signal(SIGUSR1) => self.shipper.reopen(),
            Event::Signal(_) if self.told_to_end => {
                tracing::warn!("second signal: ending at once");
                let _whoever_does_not_read_loses_it = self.messages.flush(super::MESSAGES_FLUSH_TIME);
                process::exit(1);
            }
            Event::Signal(_) => {
                self.told_to_end = true;
                self.end_soon();
            }
            Event::Reload(order) => self.want_reload(Some(order)),
            Event::Rebuilt(result) => {
                let reloaded = self.publish(*result);
                self.job_done(Some(&reloaded));
            }
            Event::Publish(order) => {
                self.jobs.want_publish(order);
                self.next_job();
            }
            Event::Published(order, published) => {
                self.tell_cores(CoreMessage::PrepareFunctions);
                publish::tell(&order, published);
                self.job_done(None);
            }
            Event::Census(order) => self.ask_cores(order),
            Event::Ended(core, result) => self.core_ended(core, result),
            Event::Started(_) => {}
        }
    }

    /// Makes `/healthz` say that this server is ending, some time before the server stops taking connections.
    /// The notice is for whoever chooses among servers.
    fn end_soon(&mut self) {
        self.registry.process.draining.set(1);
        let delay = self.shared.snapshot.load().limits.drain_delay;
        match delay.is_zero() {
            true => self.drain(),
            false => {
                tracing::info!(
                    delay_ms = delay.as_millis(),
                    "about to drain; /healthz says so already"
                );
                self.drain_at = Some(monotonic() + delay);
            }
        }
    }

    fn look_in(&self) -> Duration {
        let drain_in = self.drain_at.map(|at| at.saturating_sub(monotonic()));
        drain_in.map_or(LOOK_EVERY, |drain_in| drain_in.min(LOOK_EVERY))
    }

    fn drain(&mut self) {
        self.drain_at = None;
        if self.draining {
            return;
        }
        tracing::info!("draining");
        self.draining = true;
        self.registry.process.draining.set(1);
        self.tell_cores(CoreMessage::Drain);
    }

    fn tell_cores(&self, message: CoreMessage) {
        let _all_that_live = self.tell_cores_counted(message);
    }

    /// Returns how many heard it: a core that has ended has no connection left.
    fn tell_cores_counted(&self, message: CoreMessage) -> usize {
        let told = self.mailboxes.iter().map(|mailbox| mailbox.send(message.clone()));
        told.filter(Result::is_ok).count()
    }

    fn ask_cores(&self, order: CensusOrder) {
        let asked = self.tell_cores_counted(CoreMessage::Census(order.census));
        let _nobody_waits_any_more = order.asked.send(asked);
    }

    /// A server on half its cores would be a slow mystery: the others drain, the process ends, its supervisor
    /// restarts it.
    fn core_ended(&mut self, core: usize, result: Result<(), String>) {
        self.running -= 1;
        if self.draining && result.is_ok() {
            return;
        }
        let why = result.err().unwrap_or_else(|| "it ended unasked".to_owned());
        tracing::error!(core, why, "a core failed");
        self.failure.get_or_insert(format!("core {core} failed: {why}"));
        self.drain();
    }

    /// SIGHUP.
    fn hang_up(&mut self) {
        self.shipper.reopen();
        self.want_reload(None);
    }

    fn want_reload(&mut self, order: Option<Sender<Reloaded>>) {
        self.jobs.want_reload(order, &self.registry.process);
        self.next_job();
    }

    fn next_job(&mut self) {
        match self.jobs.next(&self.registry.process, monotonic()) {
            Some(Job::Reload) => self.rebuild(),
            Some(Job::Publish(order)) => self.publish_function(order),
            None => {}
        }
    }

    fn job_done(&mut self, reloaded: Option<&Reloaded>) {
        for order in self.jobs.done(&self.registry.process) {
            if let Some(reloaded) = reloaded {
                let _whoever_asked_may_have_gone = order.send(reloaded.clone());
            }
        }
        self.next_job();
    }

    fn publish_function(&mut self, order: PublishOrder) {
        let (snapshot, events) = (self.shared.snapshot.load_full(), self.event_sender.clone());
        let progress = self.jobs.progress();
        let publishing = move || {
            progress.show_this_thread();
            let published = publish::publish(&snapshot, &order.name);
            let _control_may_have_ended = events.send(Event::Published(order, published));
        };
        if let Err(error) = thread::Builder::new()
            .name("publish".to_owned())
            .spawn(publishing)
        {
            // With the thread the order is gone, and so whoever waits for its answer hears that none comes.
            tracing::error!(%error, "cannot start a thread to publish a function");
            self.job_done(None);
        }
    }

    /// On a thread of its own, so that a large CRL does not keep SIGTERM waiting.
    fn rebuild(&mut self) {
        let (config, vault, names, events) = (
            self.config.clone(),
            self.shared.vault.clone(),
            self.registry.named.clone(),
            self.event_sender.clone(),
        );
        let generation = self.generation + 1;
        let (table, before) = (
            self.shared.origin_addresses.clone(),
            self.shared.snapshot.load_full(),
        );
        let (progress, log) = (self.jobs.progress(), self.shipper.remote());
        let building = move || {
            progress.show_this_thread();
            // "reload published" then also means that the log was reopened, as far as its sink lets it.
            let _a_stuck_sink_waits_for_nobody = log.flush(REOPEN_TIME);
            yield_to_cores();
            let built = catch_unwind(AssertUnwindSafe(|| {
                reload::rebuild(&config, generation, &vault, &names, &table, &before)
            }));
            let built = match built {
                Ok(built) => built.map_err(|error| error.to_string()),
                Err(_) => Err("the reload panicked; please report this".to_owned()),
            };
            let _control_may_have_ended = events.send(Event::Rebuilt(Box::new(built)));
        };
        if let Err(error) = thread::Builder::new().name("reload".to_owned()).spawn(building) {
            let refused = self.refuse(format!("cannot start a thread: {error}"));
            self.job_done(Some(&refused));
        }
    }

    fn publish(&mut self, result: Result<Rebuilt, String>) -> Reloaded {
        let Rebuilt { built, distributions } = match result {
            Ok(rebuilt) => rebuilt,
            Err(error) => return self.refuse(error),
        };
        let before = self.registry.process.revocation_entries();
        let entries = built.revocation_entries.iter();
        let report = ReloadReport {
            generation: built.snapshot.generation,
            distributions,
            revocation_entries: entries
                .map(|(store, entries)| (store.clone(), *entries, before.get(store).copied()))
                .collect(),
        };
        self.generation = built.snapshot.generation;
        publish_counts(&self.registry, &built);
        built.publish_key_values();
        built.publish_addresses(&self.shared.origin_addresses);
        self.shared.snapshot.store(Arc::new(built.snapshot));
        self.tell_cores(CoreMessage::Sweep);
        let revocations: u64 = report.revocation_entries.iter().map(|(_, now, _)| now).sum();
        tracing::info!(generation = self.generation, revocations, "reload published");
        Ok(report)
    }

    fn refuse(&self, error: String) -> Reloaded {
        self.registry.process.reloads.of(ReloadResult::Refused).add(1);
        tracing::error!(
            generation = self.generation,
            error,
            "reload refused; the old snapshot stays"
        );
        Err(error)
    }
}

/// For the shipper to take up the renamed file.
const REOPEN_TIME: Duration = Duration::from_millis(500);
/// For the shipper to write what is queued when everything else has ended.
const FLUSH_TIME: Duration = Duration::from_secs(10);
