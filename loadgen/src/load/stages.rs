//! Signals from the control thread to the load threads about the phases, so that its looks at the server fall
//! before and after what they do.
//!
//! A phase begins, for its idle connections and its storm, when the control thread has looked at the server's
//! memory; at its end they are tried only when it has looked again.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Poll, Waker};

/// Stage of each phase. Shared by all threads.
#[derive(Debug)]
pub struct Stages(Vec<AtomicU8>);

/// The stage of a phase; it only ever goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    ToCome = 0,
    Begun = 1,
    Ended = 2,
}

impl Stages {
    /// Stages of `phases` phases, none of which has begun.
    pub fn new(phases: usize) -> Self {
        Stages((0..phases).map(|_| AtomicU8::new(Stage::ToCome as u8)).collect())
    }

    /// Tells the load threads that phase number `phase` has reached `stage`.
    pub fn set(&self, phase: usize, stage: Stage) {
        if let Some(known) = self.0.get(phase) {
            known.fetch_max(stage as u8, Ordering::Release);
        }
    }

    /// The stage of phase number `phase`; one that does not exist counts as ended.
    pub fn get(&self, phase: usize) -> Stage {
        match self.0.get(phase).map(|stage| stage.load(Ordering::Acquire)) {
            Some(0) => Stage::ToCome,
            Some(1) => Stage::Begun,
            _ => Stage::Ended,
        }
    }

    /// A number that grows with every change.
    pub fn changes(&self) -> u32 {
        let stages = self
            .0
            .iter()
            .map(|stage| u32::from(stage.load(Ordering::Acquire)));
        stages.sum()
    }
}

/// Wakes up those of one thread who wait for something to change.
#[derive(Default)]
pub struct Bell(RefCell<Vec<Waker>>);

impl Bell {
    /// Wakes everybody who waits.
    pub fn ring(&self) {
        for waker in self.0.take() {
            waker.wake();
        }
    }

    /// Waits until `is_so`, which is looked at whenever the bell rings.
    pub async fn wait_until(&self, is_so: impl Fn() -> bool) {
        poll_fn(|cx| {
            if is_so() {
                return Poll::Ready(());
            }
            self.0.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
