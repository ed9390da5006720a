//! The threads that the control thread starts, and what share of a CPU they have.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crossbeam_channel::Sender;
use rustix::process::setpriority_process;

use super::control::Event;
use super::error::AppError;
use crate::worker::{self, CoreSetup};

/// Gives the thread that calls this a smaller share where it must share a CPU with a core. Not the smallest:
/// a revocation is waiting for it.
pub(super) fn yield_to_cores() {
    if let Err(error) = setpriority_process(None, RELOAD_NICENESS) {
        tracing::debug!(%error, "the reload keeps the priority of the cores");
    }
}

/// Starts the thread of a core. What becomes of it is an event, of its panic too.
pub(super) fn start_core(setup: CoreSetup, events: Sender<Event>) -> Result<(), AppError> {
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

/// About a ninth of what a core gets (sched(7)), and all of a CPU that is idle.
const RELOAD_NICENESS: i32 = 10;
