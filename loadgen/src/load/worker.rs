//! A client: an operation after the other, each of the entry that the mix says.
//!
//! A client keeps a connection for each entry whose connections stay open (a stream, where the work is h2),
//! and opens it before its first operation, not within it. While the phase has no work for it, it has none
//! open.

use std::rc::Rc;

use super::gate::{Next, Start};
use super::job::Job;
use super::tally::Done;
use super::{Core, fresh, h2, keepalive};
use crate::options::Work;

/// Runs client number `client` of the plan until the run is over.
pub async fn run(core: Rc<Core>, client: usize) {
    let mut hands: Vec<Hand> = core
        .jobs
        .iter()
        .filter(|job| job.entry.weight > 0)
        .map(|job| Hand::new(&core, job, client))
        .collect();
    while core.gate.wait_for_turn(client).await {
        work(&core, &mut hands, client).await;
        for hand in &mut hands {
            hand.let_go().await;
        }
    }
}

/// Works until the phase has nothing more for this client to do.
async fn work(core: &Core, hands: &mut [Hand], client: usize) {
    while !core.gate.is_closed() {
        for hand in &mut *hands {
            hand.prepare().await;
        }
        match core.gate.next(client).await {
            Next::Start(start) => operate(core, hands, client, start).await,
            Next::Again if core.gate.is_turn(client) => {}
            Next::Again | Next::Over => return,
        }
    }
}

async fn operate(core: &Core, hands: &mut [Hand], client: usize, start: Start) {
    let begun = core.recorder.borrow_mut().begin(start);
    let entry = core.deck.borrow_mut().draw();
    let hand = hands.iter_mut().find(|hand| hand.job().index == entry);
    let hand = hand.expect("the deck has the entries with a weight, and there is a hand for each");
    let done = hand.operate().await;
    core.finish(begun, entry, done);
    hand.settle().await;
    if let Some(think) = hand.job().entry.think {
        let time = think.time(core.random.borrow_mut().f64());
        core.gate.rest(client, time).await;
    }
}

/// A client's place for the work of one entry.
enum Hand {
    Fresh(fresh::Hand),
    Keepalive(keepalive::Hand),
    H2(h2::Hand),
}

impl Hand {
    fn new(core: &Rc<Core>, job: &Rc<Job>, client: usize) -> Self {
        let (core, job) = (core.clone(), job.clone());
        match job.entry.work {
            Work::Handshake | Work::Resume => Hand::Fresh(fresh::Hand::new(core, job, client)),
            Work::Keepalive => Hand::Keepalive(keepalive::Hand::new(core, job, client)),
            Work::H2 => Hand::H2(h2::Hand::new(core, job)),
        }
    }

    fn job(&self) -> &Job {
        match self {
            Hand::Fresh(hand) => &hand.job,
            Hand::Keepalive(hand) => &hand.job,
            Hand::H2(hand) => &hand.job,
        }
    }

    /// Does what has to be done before an operation and is no part of it.
    async fn prepare(&mut self) {
        match self {
            Hand::Fresh(hand) => hand.prepare().await,
            Hand::Keepalive(hand) => hand.prepare().await,
            Hand::H2(hand) => hand.prepare().await,
        }
    }

    async fn operate(&mut self) -> Done {
        match self {
            Hand::Fresh(hand) => hand.operate().await,
            Hand::Keepalive(hand) => hand.operate().await,
            Hand::H2(hand) => hand.operate().await,
        }
    }

    /// Does what has to be done after an operation and is no part of it.
    async fn settle(&mut self) {
        match self {
            Hand::Fresh(hand) => hand.settle().await,
            Hand::Keepalive(hand) => hand.settle().await,
            Hand::H2(hand) => hand.settle().await,
        }
    }

    /// Closes what is open.
    async fn let_go(&mut self) {
        match self {
            Hand::Fresh(_) => {}
            Hand::Keepalive(hand) => hand.let_go().await,
            Hand::H2(hand) => hand.let_go().await,
        }
    }
}
