//! Signals: caught from the first moment, handed to the control thread by a thread of their own, and obeyed
//! while there is no control thread yet.
//!
//! A start may take long, or never end: names are asked of a resolver, files may lie on a network file system
//! that hangs. Who tells the process to end then has it end.

use std::convert::Infallible;
use std::process;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use super::error::AppError;
use super::event::Event;
use crate::logs::Messages;

/// Catches the signals from here on, so that none that comes during the start is lost or deadly.
///
/// # Errors
/// The process may not handle signals.
pub fn signals() -> Result<Signals, AppError> {
    Signals::new([SIGHUP, SIGUSR1, SIGTERM, SIGINT])
        .map_err(|error| AppError::Setup(format!("cannot handle signals: {error}")))
}

/// Held while the server starts.
pub(super) struct Starting {
    _dropped_when_started: Sender<Infallible>,
}

/// Starts the thread that turns signals into events. Until the guard is dropped, one that tells the process
/// to end is waited for no longer than an ordinary start takes.
///
/// # Errors
/// There is no thread to be had.
pub(super) fn forward(
    mut signals: Signals,
    events: Sender<Event>,
    messages: Messages,
) -> Result<Starting, AppError> {
    let (guard, started) = bounded(0);
    let forwarding = move || {
        for signal in signals.forever() {
            if events.send(Event::Signal(signal)).is_err() {
                return;
            }
            if matches!(signal, SIGTERM | SIGINT) && !has_started(&started, START_TIME) {
                tracing::error!("told to end, and the start has not ended: ending at once");
                let _whoever_does_not_read_loses_it = messages.flush(MESSAGES_FLUSH_TIME);
                process::exit(1);
            }
        }
    };
    let thread = thread::Builder::new()
        .name("signals".to_owned())
        .spawn(forwarding);
    thread.map_err(|error| AppError::Setup(format!("cannot start the signal thread: {error}")))?;
    Ok(Starting {
        _dropped_when_started: guard,
    })
}

fn has_started(started: &Receiver<Infallible>, limit: Duration) -> bool {
    started.recv_timeout(limit) == Err(RecvTimeoutError::Disconnected)
}

/// Time for what is still to be said when the process ends, in case standard error is slow.
pub const MESSAGES_FLUSH_TIME: Duration = Duration::from_secs(1);
/// Time that a start has to finish, once the process is told to end.
const START_TIME: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_has_not_ended_is_not_waited_for_without_end() {
        let (guard, started) = bounded(0);
        assert!(!has_started(&started, Duration::from_millis(1)));
        drop(guard);
        assert!(has_started(&started, Duration::from_secs(600)));
    }
}
