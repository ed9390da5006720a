//! The control socket: commands to a running server, from the same machine and the same user.
//!
//! Owns the Unix socket of `[control]`, the form of what is said over it ([`message`]), a thread for each
//! command that is under way (so many and no more: further ones are refused), and the client that the command
//! line uses. A connection is one exchange:
//!
//! ```text
//! → {"command":"kvs put","store":"revoked","key":"0a0b","value":"","if_match":"1f…"}   one line
//! ← {"ok":true,"etag":"9c…"}                                            one line, then the end
//! ← {"ok":false,"error":"etag_mismatch","message":"…","etag":"77…"}     … or this
//! ```
//!
//! After the line of `kvs import` come as many octets of an import file as its `bytes` says. Who may connect
//! is a matter of the file's mode, 0600. A line, and what follows it, is bounded by the limits of the stores,
//! and has to be there in a few seconds; so has the answer to be taken. Touches no client connection of the
//! edge.

mod address;
mod answer;
mod backend;
mod client;
mod connections;
mod exchange;
mod key_values;
mod message;
mod refused;
mod waiting;

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

pub use address::ClaimError;
use address::Claimed;
pub use backend::{Backend, Questions};
pub use client::{ClientError, send, send_within};
pub use connections::{Connection, Connections, ConnectionsWanted, ROWS_DEFAULT, ROWS_MAX};
pub use message::{Item, RefusalCode, Reply, Request};
pub use refused::CommandRefused;

use crate::listening::{ACCEPT_RETRY, Listening, NotAccepted, Stopping};

/// The bound socket, before anything is answered; clients that come already wait.
#[derive(Debug)]
pub struct ControlSocket(Claimed);

impl ControlSocket {
    /// Takes the place of a socket that a dead server has left, and of nothing else.
    ///
    /// # Errors
    /// Another server has the socket, or it cannot be made.
    pub fn bind(path: &Path) -> Result<Self, ClaimError> {
        Claimed::claim(path).map(Self)
    }

    /// # Errors
    /// A thread cannot be started.
    pub fn serve(self, backend: Backend) -> io::Result<ControlServer> {
        self.serve_within(backend, TIME_LIMIT)
    }

    fn serve_within(self, backend: Backend, limit: Duration) -> io::Result<ControlServer> {
        let shared = Arc::new(Shared {
            backend,
            limit,
            stopping: Stopping::default(),
            commands: Mutex::new(0),
            ended: Condvar::new(),
        });
        let accepting = {
            let shared = shared.clone();
            move |claimed: &Claimed| accept(claimed.listener(), &shared)
        };
        let accepting = Listening::start("control-socket", self.0, &shared.stopping, accepting)?;
        Ok(ControlServer { shared, accepting })
    }
}

/// The running threads. Dropped, they end, and the socket's file is removed.
pub struct ControlServer {
    shared: Arc<Shared>,
    accepting: Listening<Claimed>,
}

impl ControlServer {
    pub fn path(&self) -> PathBuf {
        self.accepting.listener().path().to_owned()
    }
}

impl Drop for ControlServer {
    /// A write that goes on is completed, if it is done in a few seconds: what a file system that hangs holds
    /// up is left behind.
    fn drop(&mut self) {
        self.accepting.stop();
        let left = self.shared.await_end(END_TIME);
        if left > 0 {
            tracing::warn!(
                left,
                "commands on the control socket have not ended and are left behind"
            );
        }
    }
}

/// State that all threads see.
struct Shared {
    backend: Backend,
    limit: Duration,
    stopping: Stopping,
    /// Commands under way.
    commands: Mutex<usize>,
    ended: Condvar,
}

impl Shared {
    /// Takes a place for a command, if there is one.
    fn begin(self: &Arc<Self>) -> Option<Place> {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        (*commands < COMMANDS_MAX).then(|| {
            *commands += 1;
            Place(self.clone())
        })
    }

    /// Waits until no command is under way; how many are, when that takes too long.
    fn await_end(&self, limit: Duration) -> usize {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .ended
            .wait_timeout_while(commands, limit, |commands| *commands > 0);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The place of a command, given back when it is dropped.
struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.commands.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.ended.notify_all();
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    while !shared.stopping.is_set() {
        match listener.accept().map_err(NotAccepted::from) {
            Ok((stream, _)) => start(stream, shared),
            Err(NotAccepted::NoRoom) if !shared.stopping.is_set() => thread::sleep(ACCEPT_RETRY),
            Err(_) => {}
        }
    }
}

/// On a thread of its own: a command may wait for a disk, or for a reload.
fn start(stream: UnixStream, shared: &Arc<Shared>) {
    let Some(place) = shared.begin() else {
        return exchange::refuse(
            &stream,
            RefusalCode::Busy,
            "too many commands are under way; try again",
        );
    };
    let serving = move || {
        let shared = &place.0;
        let serve = || exchange::serve(&stream, &shared.backend, shared.limit, &shared.stopping);
        // A panic costs one connection.
        let _its_message_is_in_the_log = catch_unwind(AssertUnwindSafe(serve));
    };
    let thread = thread::Builder::new().name("command".to_owned());
    if let Err(error) = thread.spawn(serving) {
        // With the thread its stream is gone, and the client hears that no answer comes.
        tracing::error!(%error, "cannot start a thread for a command");
    }
}

/// Commands under way, so that those that wait are in nobody's way.
const COMMANDS_MAX: usize = 32;
/// Time for a request's line to come in, for what follows the line, and again for the answer to go out, when
/// they are short.
const TIME_LIMIT: Duration = Duration::from_secs(2);
/// Time for the commands that are under way when the server ends.
const END_TIME: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
