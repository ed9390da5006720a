//! Wait of a command for the answer of another thread: while its client waits too, and the server goes on.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::message::RefusalCode;
use super::refused::CommandRefused;
use crate::listening::Stopping;

/// A client that waits.
pub struct Waiting<'a> {
    pub(super) stream: &'a UnixStream,
    pub(super) stopping: &'a Stopping,
}

impl Waiting<'_> {
    /// Waits for the answer for `limit` at most. `what` is not there yet, if it does not come.
    ///
    /// # Errors
    /// It does not come in time, the server ends, or nobody waits any more.
    pub fn for_answer<T>(
        &self,
        answer: &Receiver<T>,
        limit: Duration,
        what: impl FnOnce() -> String,
    ) -> Result<T, CommandRefused> {
        let deadline = Instant::now() + limit;
        loop {
            let look_again = deadline.min(Instant::now() + LOOK_EVERY);
            match answer.recv_deadline(look_again) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => return Err(CommandRefused::ending()),
                Err(RecvTimeoutError::Timeout) if self.stopping.is_set() => {
                    return Err(CommandRefused::ending());
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline || self.has_gone() => {
                    return Err(CommandRefused::new(RefusalCode::Timeout, what()));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// True if the client has closed both directions. A client that has only said all it has to say still
    /// waits.
    fn has_gone(&self) -> bool {
        let mut fds = [PollFd::new(self.stream, PollFlags::empty())];
        let at_once = Timespec::default();
        let looked = poll(&mut fds, Some(&at_once));
        let [fd] = fds;
        looked.is_ok() && fd.revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(100);
