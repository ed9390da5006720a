//! Operations from being asked for to their end: none may be lost.
//!
//! An operation is asked for when it is due (open loop) or when a client begins it (closed loop), and belongs
//! to the phase of that time for ever. Each number here is counted by itself, where it happens: that they add
//! up is checked ([`Account::missing`]), not brought about.

use std::time::Duration;

/// The operations of one phase, or of a run, its warm-up included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Operations that were due, or begun by a client that was free.
    pub asked: u64,
    /// Ended as expected while the run lasted.
    pub ok: u64,
    /// Ended otherwise than expected.
    pub failed: u64,
    /// Ended by a full handshake in place of a resumed one.
    pub not_resumed: u64,
    /// Begun, and not ended when the run did.
    pub in_flight: u64,
    /// Due, and never begun.
    pub not_started: u64,
}

impl Account {
    /// The number of operations that were asked for and are unaccounted for; below zero: counted twice.
    pub fn missing(&self) -> i128 {
        let known = [
            self.ok,
            self.failed,
            self.not_resumed,
            self.in_flight,
            self.not_started,
        ];
        i128::from(self.asked) - known.map(i128::from).iter().sum::<i128>()
    }

    /// Adds the operations of another phase or thread.
    pub fn add(&mut self, other: &Account) {
        self.asked += other.asked;
        self.ok += other.ok;
        self.failed += other.failed;
        self.not_resumed += other.not_resumed;
        self.in_flight += other.in_flight;
        self.not_started += other.not_started;
    }
}

/// An operation under way.
#[derive(Clone, Copy, Debug)]
pub struct Flight {
    /// Time at which it was due, from the start of the run.
    pub due: Duration,
    /// Time at which a client took it, from the start of the run.
    pub began: Duration,
    /// The phase in which it was asked for.
    pub phase: usize,
    /// Due by a schedule, not because its client was free.
    pub scheduled: bool,
}

/// The operations under way on one thread. As many places as there were ever at the same time.
#[derive(Debug, Default)]
pub struct Flights {
    places: Vec<Option<Flight>>,
    free: Vec<usize>,
}

/// The place of a flight.
#[derive(Debug)]
pub struct Ticket(usize);

impl Flights {
    /// Takes a place for an operation that begins.
    pub fn begin(&mut self, flight: Flight) -> Ticket {
        match self.free.pop() {
            Some(place) => {
                if let Some(free) = self.places.get_mut(place) {
                    *free = Some(flight);
                }
                Ticket(place)
            }
            None => {
                self.places.push(Some(flight));
                Ticket(self.places.len() - 1)
            }
        }
    }

    /// Takes back the ticket, which nobody else has.
    pub fn end(&mut self, Ticket(place): Ticket) -> Flight {
        self.free.push(place);
        let flight = self.places.get_mut(place).and_then(Option::take);
        flight.expect("a ticket is made for a flight and taken back once")
    }

    /// The operations that are under way now.
    pub fn all(&self) -> impl Iterator<Item = &Flight> {
        self.places.iter().flatten()
    }
}
