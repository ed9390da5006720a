//! Changes to a running server: what an operator can do, whoever asks for it.
//!
//! Owns one queue with one order and one answer for each change: reloads, publications of functions, writes
//! of key-value stores, logs opened anew. The only publisher of snapshots. A change goes four steps:
//!
//! ```text
//! asked ─▶ its turn ─▶ prepared on a thread of its own: files read, built, written ─▶ committed, answered
//! ```
//!
//! Changes of one subject ([`order::Subject`]: the snapshot, one store, the log) are prepared one after
//! another, as they were asked for. Changes of different subjects are prepared side by side, so that a write
//! that revokes a client does not wait for a reload that reads millions of serial numbers. Every commit is a
//! swap in memory, and all commits are made by one thread, one after another. So whatever cores see came in
//! one order, and no change is half seen.
//!
//! A change that is refused leaves everything as it was, and is answered with the reason. It is logged here
//! and nowhere else. Does not know who asks: a signal, the control socket, or what else may come.
//!
//! Threads: `operations` for turns and commits, which waits for no file; one more for each change that is
//! prepared.

mod asker;
mod changes;
mod key_values;
mod order;
mod publish;
mod queue;
mod reload;
mod reopen;
mod running;
mod watch;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use bothways_state::files::Progress;
use crossbeam_channel::{Receiver, Sender};

pub use self::asker::TooMany;
use self::asker::{Asker, Places};
use self::changes::Event;
use self::key_values::WriteOrder;
pub use self::key_values::{KeyValuesWrite, NotWritten, Written};
use self::order::Order;
use self::publish::PublishOrder;
pub use self::publish::Published;
use self::reload::ReloadOrder;
pub use self::reload::{ReloadReport, Reloaded, show_counts};
use self::reopen::ReopenOrder;
pub use self::reopen::Reopened;
pub use self::running::{Cores, Running};

/// Handle by which changes are asked for. The answer to each comes once, over the channel that asking yields;
/// a channel that is closed without an answer says that the server is about to end.
#[derive(Clone)]
pub struct Operations {
    events: Sender<Event>,
    places: Places,
    progress: Progress,
}

impl Operations {
    /// Reads the configuration and all that it names again, and publishes what comes of it.
    ///
    /// # Errors
    /// Too many changes wait already. The same holds for each of the others.
    pub fn reload(&self) -> Result<Receiver<Reloaded>, TooMany> {
        self.ask(|asker| Order::Reload(ReloadOrder::of(asker)))
    }

    /// Makes the code that the file of this function holds now its live version.
    pub fn publish_function(&self, name: String) -> Result<Receiver<Published>, TooMany> {
        self.ask(|asker| Order::Publish(PublishOrder { name, asker }))
    }

    /// Changes a key-value store. When the answer comes, the change is durable and every core sees it.
    pub fn write_key_values(&self, write: KeyValuesWrite) -> Result<Receiver<Written>, TooMany> {
        self.ask(|asker| Order::Write(Box::new(WriteOrder { write, asker })))
    }

    /// Opens the connection log anew.
    pub fn reopen_logs(&self) -> Result<Receiver<Reopened>, TooMany> {
        self.ask(|asker| Order::Reopen(ReopenOrder::of(asker)))
    }

    /// SIGUSR1: opens the connection log anew; nobody waits for the answer.
    pub fn log_was_rotated(&self) {
        self.tell(Event::LogRotated);
    }

    /// SIGHUP: the log was rotated, and a reload is asked for that nobody waits for.
    pub fn hang_up(&self) {
        self.log_was_rotated();
        self.tell(Event::Asked(Order::Reload(ReloadOrder::default())));
    }

    /// File that the reload or the publication under way has opened last.
    pub fn reading(&self) -> Option<PathBuf> {
        self.progress.last_opened()
    }

    fn ask<T>(&self, order: impl FnOnce(Asker<T>) -> Order) -> Result<Receiver<T>, TooMany> {
        let (asker, answer) = self.places.take()?;
        self.tell(Event::Asked(order(asker)));
        Ok(answer)
    }

    /// An event that is never handled is dropped with the queue, and its asker too, which closes the channel
    /// of the answer.
    fn tell(&self, event: Event) {
        let _told_by_the_closed_channel = self.events.send(event);
    }
}

/// The thread that gives each change its turn. Dropped, it ends.
pub struct OperationsThread {
    operations: Operations,
    thread: Option<JoinHandle<()>>,
}

impl OperationsThread {
    /// Starts the thread, for a server whose cores run already.
    ///
    /// # Errors
    /// As `pthread_create(3)`.
    pub fn start(running: Running, cores: impl Cores) -> io::Result<Self> {
        let (events, inbox) = crossbeam_channel::unbounded();
        let operations = Operations {
            events: events.clone(),
            places: Places::default(),
            progress: running.progress.clone(),
        };
        let changes = changes::Changes::new(Arc::new(running), cores, events, inbox);
        let thread = std::thread::Builder::new().name("operations".to_owned());
        Ok(Self {
            operations,
            thread: Some(thread.spawn(move || changes.run())?),
        })
    }

    pub fn operations(&self) -> &Operations {
        &self.operations
    }

    /// Gives up reloads and publications, for the cores have ended: whoever waits for one hears that no
    /// answer will come. Writes of key-value stores go on.
    pub fn close(&self) {
        self.operations.tell(Event::Close);
    }
}

impl Drop for OperationsThread {
    /// A change that is being prepared is left behind: what a file system that hangs holds up never ends.
    fn drop(&mut self) {
        self.operations.tell(Event::Stop);
        let _its_message_is_in_the_log = self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
