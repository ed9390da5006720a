//! The shipper's thread: it takes records off the queue once and offers each to every lane.
//!
//! It sleeps until 100 ms have passed, a batch waits or a command comes. It never writes, so no sink holds it
//! up. While at least one lane has room it goes on, and lanes without room lose records, counted. While no
//! lane has room it waits: the queue fills and the cores count what they drop. What was sent before a command
//! is offered to the lanes before the command.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError};

use super::lane::Feed;
use super::lane_writer::{Entry, ReopenAnswer};
use super::queue::BATCH_RECORDS_MAX;
use super::record::ConnectionRecord;
use super::room::Room;

/// Order from other threads. Each lane answers for itself.
#[derive(Debug)]
pub(super) enum Command {
    Reopen(Option<Sender<ReopenAnswer>>),
    Flush(Sender<()>),
    /// Writes everything and ends. Answered once, when every lane has ended.
    Stop(Sender<()>),
}

/// State that the thread owns.
pub(super) struct Shipping {
    pub records: Receiver<Box<ConnectionRecord>>,
    pub commands: Receiver<Command>,
    pub lanes: Vec<Feed>,
    pub room: Arc<Room>,
}

impl Shipping {
    pub(super) fn run(mut self) {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Reopen(answer)) => {
                    self.ship_waiting();
                    self.command(|| Entry::Reopen(answer.clone()));
                }
                Ok(Command::Flush(done)) => {
                    self.ship_waiting();
                    self.command(|| Entry::Flush(done.clone()));
                }
                Ok(Command::Stop(done)) => {
                    self.end();
                    let _ = done.try_send(());
                    return;
                }
                Err(TryRecvError::Disconnected) => return self.end(),
                Err(TryRecvError::Empty) => self.ship_or_sleep(),
            }
        }
    }

    fn ship_or_sleep(&mut self) {
        if self.ship_batch() == BATCH_RECORDS_MAX || !self.commands.is_empty() {
            return;
        }
        match self.has_room() {
            true => thread::park_timeout(BATCH_INTERVAL),
            false => self.await_room(),
        }
    }

    fn command(&self, entry: impl Fn() -> Entry) {
        self.lanes.iter().for_each(|lane| lane.command(entry()));
    }

    /// Ships what waits now. Bounded, however fast the cores send.
    fn ship_waiting(&mut self) {
        let mut left = self.records.len();
        while left > 0 {
            match self.ship_batch() {
                0 if self.records.is_empty() => break,
                0 => self.await_room(),
                shipped => left = left.saturating_sub(shipped),
            }
        }
    }

    /// Ships everything and waits for the lanes to write it.
    fn end(&mut self) {
        while !self.records.is_empty() {
            if self.ship_batch() == 0 {
                self.await_room();
            }
        }
        // All lanes are told to end before one of them is waited for.
        let threads: Vec<_> = self.lanes.drain(..).map(Feed::finish).collect();
        let ended: Vec<_> = threads.into_iter().map(thread::JoinHandle::join).collect();
        if let Some(panic) = ended.into_iter().find_map(Result::err) {
            resume_unwind(panic);
        }
    }

    /// Offers one batch of records to the lanes; the number of records in it.
    fn ship_batch(&mut self) -> usize {
        let mut records = 0;
        while records < BATCH_RECORDS_MAX && self.has_room() {
            let Ok(record) = self.records.try_recv() else {
                break;
            };
            self.lanes.iter_mut().for_each(|lane| lane.take(&record));
            records += 1;
        }
        self.lanes.iter_mut().for_each(Feed::hand_over);
        records
    }

    /// True if a record that is taken off the queue now comes to one lane at least.
    fn has_room(&self) -> bool {
        self.lanes.iter().any(Feed::has_room)
    }

    fn await_room(&self) {
        self.room.wait(BATCH_INTERVAL);
    }
}

/// A record waits at most so long for its batch, while a lane has room.
const BATCH_INTERVAL: Duration = Duration::from_millis(100);
