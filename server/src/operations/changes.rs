//! The thread of the changes: gives each its turn, has it prepared, commits it. Waits for events alone.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::order::{Order, Prepared, Subject};
use super::queue::{Queue, Turn};
use super::running::{Cores, Running};
use super::watch::Watch;
use crate::metrics::monotonic;

/// Everything that wakes the thread.
pub(super) enum Event {
    Asked(Order),
    /// The log was renamed; nobody waits for its reopening.
    LogRotated,
    /// A change has been prepared.
    Prepared(Prepared),
    /// The cores have ended: reloads and publications are given up.
    Close,
    Stop,
}

pub(super) struct Changes<C> {
    running: Arc<Running>,
    cores: C,
    queue: Queue,
    watch: Watch,
    is_closed: bool,
    events: Receiver<Event>,
    /// Given to the threads that prepare changes.
    sender: Sender<Event>,
}

impl<C: Cores> Changes<C> {
    pub(super) fn new(
        running: Arc<Running>,
        cores: C,
        sender: Sender<Event>,
        events: Receiver<Event>,
    ) -> Self {
        Self {
            running,
            cores,
            queue: Queue::default(),
            watch: Watch::default(),
            is_closed: false,
            events,
            sender,
        }
    }

    pub(super) fn run(mut self) {
        loop {
            match self.events.recv_timeout(LOOK_EVERY) {
                Ok(Event::Asked(order)) => self.ask(order),
                Ok(Event::LogRotated) => self.running.log.reopen_soon(),
                Ok(Event::Prepared(prepared)) => self.commit(prepared),
                Ok(Event::Close) => self.close(),
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.watch.look(monotonic(), &self.running.progress);
        }
    }

    fn ask(&mut self, order: Order) {
        let is_given_up = self.is_closed && order.subject() == Subject::Snapshot;
        if is_given_up {
            return;
        }
        let is_reload = matches!(order, Order::Reload(_));
        let turn = self.queue.ask(order);
        if is_reload && !matches!(turn, Turn::Now(_)) {
            self.tell_deferred(&turn);
        }
        if let Turn::Now(order) = turn {
            self.begin(order);
        }
    }

    fn tell_deferred(&self, turn: &Turn) {
        self.running.registry.process.reloads_deferred.add(1);
        // Those that join it have been told of.
        if let (Turn::Waits, Some(what)) = (turn, self.watch.what()) {
            tracing::info!("{what} is under way; the reload that was asked for follows it");
        }
    }

    /// On a thread of its own, so that a large CRL keeps nobody waiting.
    fn begin(&mut self, order: Order) {
        let mut next = Some(order);
        while let Some(order) = next.take() {
            let subject = order.subject();
            let (what, thread) = order.name();
            if subject == Subject::Snapshot {
                self.watch
                    .begin(what, monotonic(), &self.running.registry.process);
            }
            if let Err((error, order)) = self.prepare(thread, order) {
                order.give_up(&error, &self.running);
                next = self.end(&subject);
            }
        }
    }

    /// Prepares `order` on a thread of its own, named `thread`.
    ///
    /// # Errors
    /// No thread can be had; gives the order back.
    fn prepare(&self, thread: &str, order: Order) -> Result<(), (io::Error, Order)> {
        let (hand_over, handed) = bounded::<Order>(1);
        let (running, events) = (self.running.clone(), self.sender.clone());
        let preparing = move || {
            if let Ok(order) = handed.recv() {
                let _it_may_have_stopped = events.send(Event::Prepared(order.prepare(&running)));
            }
        };
        match thread::Builder::new().name(thread.to_owned()).spawn(preparing) {
            Ok(_) => {
                let _it_waits_for_it = hand_over.send(order);
                Ok(())
            }
            Err(error) => Err((error, order)),
        }
    }

    fn commit(&mut self, prepared: Prepared) {
        let subject = prepared.subject();
        if !(self.is_closed && subject == Subject::Snapshot) {
            prepared.commit(&self.running, &self.cores);
        }
        if let Some(next) = self.end(&subject) {
            self.begin(next);
        }
    }

    /// The change of `subject` has ended. Gives the next one.
    fn end(&mut self, subject: &Subject) -> Option<Order> {
        if *subject == Subject::Snapshot {
            self.watch.end(&self.running.registry.process);
        }
        self.queue.done(subject)
    }

    fn close(&mut self) {
        self.is_closed = true;
        self.queue.clear(&Subject::Snapshot);
    }
}

/// Between two looks at a job that may take long.
const LOOK_EVERY: Duration = Duration::from_secs(1);
