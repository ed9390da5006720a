//! The control socket: commands to a running server, from the same machine and the same user.
//!
//! Owns the Unix socket of `[control]`, the form of what is said over it ([`message`]), a handful of threads that each serve one
//! connection at a time, and the client that the command line uses. A connection is one exchange:
//!
//! ```text
//! → {"command":"kvs put","store":"revocations","key":"0a0b","value":"","if_match":"1f…"}    one line
//! ← {"ok":true,"etag":"9c…"}                                                                 one line, then the end
//! ← {"ok":false,"error":"etag_mismatch","message":"…","etag":"77…"}                           … or this
//! ```
//!
//! After the line of `kvs import` come as many octets of an import file as its `bytes` says. Who may connect is a matter of the file's
//! mode, 0600. A line, and what follows it, is bounded by the limits of the stores, and has to be there in a few seconds; so has the answer to
//! be taken. Touches no client connection of the edge.

mod address;
mod answer;
mod client;
mod connections;
mod exchange;
mod message;

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;

pub use address::ClaimError;
use address::Claimed;
pub use client::{ClientError, send};
pub use connections::{Connection, Connections, ConnectionsWanted, ROWS_DEFAULT, ROWS_MAX};
pub use message::{Item, RefusalCode, Reply, Request};

use crate::kvs::{ETag, Store};

/// What commands act on.
pub trait Backend: Send + Sync + 'static {
    /// The stores of this moment.
    fn stores(&self) -> Vec<Arc<Store>>;

    /// Makes the code that the file of this function holds now its live version. A sentence about what has become of it, or why not.
    fn publish_function(&self, name: &str) -> Result<String, Refusal>;

    /// The clients that are connected now.
    fn connections(&self, wanted: &ConnectionsWanted) -> Result<Connections, Refusal>;
}

/// Why a command was not carried out, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: RefusalCode,
    pub message: String,
    /// Of the store that was asked for, as it is.
    pub etag: Option<ETag>,
}

impl Refusal {
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            etag: None,
        }
    }
}

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
    pub fn serve(self, backend: Arc<dyn Backend>) -> io::Result<ControlServer> {
        self.serve_within(&backend, TIME_LIMIT)
    }

    fn serve_within(self, backend: &Arc<dyn Backend>, limit: Duration) -> io::Result<ControlServer> {
        let mut server = ControlServer {
            claimed: Arc::new(self.0),
            stopping: Arc::default(),
            handlers: Vec::new(),
        };
        for _ in 0..HANDLERS {
            let handler = Handler {
                claimed: server.claimed.clone(),
                stopping: server.stopping.clone(),
                backend: backend.clone(),
                limit,
            };
            let thread = thread::Builder::new().name("control-socket".to_owned());
            server.handlers.push(thread.spawn(move || handler.run())?);
        }
        Ok(server)
    }
}

/// The running threads. Dropped, they end, and the socket's file is removed.
#[derive(Debug)]
pub struct ControlServer {
    claimed: Arc<Claimed>,
    stopping: Arc<AtomicBool>,
    handlers: Vec<JoinHandle<()>>,
}

impl ControlServer {
    pub fn path(&self) -> PathBuf {
        self.claimed.path().to_owned()
    }
}

impl Drop for ControlServer {
    /// A write that goes on is completed.
    fn drop(&mut self) {
        self.stopping.store(true, Relaxed);
        // On Linux this ends the accepts that wait.
        let _ = SockRef::from(self.claimed.listener()).shutdown(Shutdown::Both);
        for handler in self.handlers.drain(..) {
            let _ = handler.join();
        }
    }
}

struct Handler {
    claimed: Arc<Claimed>,
    stopping: Arc<AtomicBool>,
    backend: Arc<dyn Backend>,
    limit: Duration,
}

impl Handler {
    fn run(&self) {
        let listener: &UnixListener = self.claimed.listener();
        while !self.stopping.load(Relaxed) {
            match listener.accept() {
                Ok((stream, _)) => self.serve(&stream),
                // Out of descriptors, most likely: others have to close some first.
                Err(_) if !self.stopping.load(Relaxed) => thread::sleep(ACCEPT_RETRY),
                Err(_) => {}
            }
        }
    }

    /// A panic costs one connection, and not the thread.
    fn serve(&self, stream: &UnixStream) {
        let serve = || exchange::serve(stream, &*self.backend, self.limit, &self.stopping);
        let _its_message_is_in_the_log = catch_unwind(AssertUnwindSafe(serve));
    }
}

/// Connections served at a time, so that one stuck client is in nobody's way.
const HANDLERS: usize = 4;
/// For a request's line to come in, for what follows it, and again for the answer to go out, when they are short.
const TIME_LIMIT: Duration = Duration::from_secs(2);
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
