//! The admin endpoint: `GET /metrics` and `GET /healthz` over plain HTTP/1.1, on threads of its own.
//!
//! Owns its listener and a handful of handler threads, each with one connection at a time. A request must be in within
//! two seconds and its response out within two more, so that silent clients keep a scraper out for so long at most. Every
//! response closes its connection. There is no authentication: the address belongs on loopback or a private network.
//! Touches no client connection and changes nothing.

pub mod request;
mod response;

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{error, fmt};

use socket2::SockRef;

use crate::metrics::Registry;
use request::{HEAD_BYTES_MAX, Progress, Refusal, Route};
use response::Response;

/// The bound socket, before anything is served; its address is known and a bad one was refused.
#[derive(Debug)]
pub struct AdminListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl AdminListener {
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let bind = || {
            let listener = TcpListener::bind(address)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bind().map_err(|source| BindError { address, source })
    }

    /// With the real port where 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    pub fn serve(self, registry: Arc<Registry>) -> io::Result<AdminServer> {
        self.serve_within(registry, TIME_LIMIT)
    }

    fn serve_within(self, registry: Arc<Registry>, limit: Duration) -> io::Result<AdminServer> {
        let mut server = AdminServer {
            address: self.address,
            listener: Arc::new(self.listener),
            stopping: Arc::default(),
            handlers: Vec::new(),
        };
        for _ in 0..HANDLERS {
            let handler = Handler {
                listener: Arc::clone(&server.listener),
                stopping: Arc::clone(&server.stopping),
                registry: Arc::clone(&registry),
                limit,
            };
            let thread = thread::Builder::new()
                .name("bothways-admin".to_owned())
                .spawn(move || handler.run())?;
            server.handlers.push(thread);
        }
        Ok(server)
    }
}

/// An address that cannot be listened on; the caller puts the configuration file's name in front.
#[derive(Debug)]
pub struct BindError {
    pub address: SocketAddr,
    pub source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, source } = self;
        let (why, remedy) = match source.kind() {
            io::ErrorKind::AddrInUse => (
                "another process listens there already".to_owned(),
                "end it, or choose another port",
            ),
            _ => (
                source.to_string(),
                "choose an address of this machine and a free port",
            ),
        };
        write!(f, "admin.address: cannot listen on {address}: {why}; {remedy}")
    }
}

impl error::Error for BindError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The running endpoint. Dropped, it stops too.
#[derive(Debug)]
pub struct AdminServer {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    stopping: Arc<AtomicBool>,
    handlers: Vec<JoinHandle<()>>,
}

impl AdminServer {
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, cuts what goes on, and waits for the threads: well under a second.
    pub fn stop(self) {}
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.stopping.store(true, Relaxed);
        // On Linux this ends the accepts that wait.
        let _ = SockRef::from(&*self.listener).shutdown(Shutdown::Both);
        for handler in self.handlers.drain(..) {
            let _ = handler.join();
        }
    }
}

struct Handler {
    listener: Arc<TcpListener>,
    stopping: Arc<AtomicBool>,
    registry: Arc<Registry>,
    limit: Duration,
}

impl Handler {
    fn run(&self) {
        while !self.is_stopping() {
            match self.listener.accept() {
                // What goes wrong with a client's connection is the client's to notice.
                Ok((stream, _)) => drop(self.handle(&stream)),
                // Out of descriptors, most likely: others have to close some first.
                Err(_) if !self.is_stopping() => thread::sleep(ACCEPT_RETRY),
                Err(_) => {}
            }
        }
    }

    fn handle(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let response = match self.read_request(stream)? {
            Ok(Route::Metrics) => Response::metrics(&self.registry),
            Ok(Route::Health) => Response::healthy(),
            Err(refusal) => Response::refusal(refusal),
        };
        self.write(stream, &response.into_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        self.discard_rest(stream)
    }

    /// The whole head is read before anything is answered: bytes left unread would turn the close into a reset.
    fn read_request(&self, mut stream: &TcpStream) -> io::Result<Result<Route, Refusal>> {
        let deadline = Instant::now() + self.limit;
        let mut head = [0; HEAD_BYTES_MAX];
        let mut filled = 0;
        loop {
            let Some(free) = head.get_mut(filled..).filter(|free| !free.is_empty()) else {
                return Ok(Err(Refusal::HeadTooLarge));
            };
            let Some(wait) = self.wait_until(deadline)? else {
                return Ok(Err(Refusal::TimedOut));
            };
            stream.set_read_timeout(Some(wait))?;
            match stream.read(free) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(error) if is_timeout(&error) => continue,
                Err(error) => return Err(error),
            }
            match request::parse(head.get(..filled).unwrap_or_default()) {
                Progress::Incomplete => {}
                Progress::Done(outcome) => return Ok(outcome),
            }
        }
    }

    fn write(&self, mut stream: &TcpStream, response: &[u8]) -> io::Result<()> {
        let deadline = Instant::now() + self.limit;
        let mut rest = response;
        while !rest.is_empty() {
            let Some(wait) = self.wait_until(deadline)? else {
                return Err(io::ErrorKind::TimedOut.into());
            };
            stream.set_write_timeout(Some(wait))?;
            match stream.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits a moment for the client to close, so that a response to an overlong request is not overtaken by a reset.
    fn discard_rest(&self, mut stream: &TcpStream) -> io::Result<()> {
        let deadline = Instant::now() + self.limit.min(LINGER);
        let mut scratch = [0; HEAD_BYTES_MAX];
        while let Some(wait) = self.wait_until(deadline)? {
            stream.set_read_timeout(Some(wait))?;
            match stream.read(&mut scratch) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How long to wait for the socket before looking again; none past the deadline. Short, so that a stop is noticed.
    fn wait_until(&self, deadline: Instant) -> io::Result<Option<Duration>> {
        if self.is_stopping() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        Ok((!left.is_zero()).then(|| left.clamp(SOCKET_WAIT_MIN, STOP_NOTICED_WITHIN)))
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

/// Connections served at a time.
const HANDLERS: usize = 4;
/// For a request to come in, and again for its response to go out. A scraper is near.
const TIME_LIMIT: Duration = Duration::from_secs(2);
/// For a client to close after its response.
const LINGER: Duration = Duration::from_millis(500);
/// The kernel takes a wait of less than a microsecond for one without end.
const SOCKET_WAIT_MIN: Duration = Duration::from_millis(1);
const STOP_NOTICED_WITHIN: Duration = Duration::from_millis(100);
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
