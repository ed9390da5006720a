//! The admin endpoint: `GET /metrics` and `GET /healthz` over plain HTTP/1.1, on a thread of its own.
//!
//! The thread waits for all its connections at once (`poll`), so that one that says nothing, says it slowly
//! or takes its response slowly is in nobody's way. Each has two seconds for its request and two more for its
//! response; where more are open than can be, the one that was accepted first makes room. Every response
//! closes its connection. There is no authentication: the address belongs on loopback or a private network.
//! Touches no client connection and changes nothing.

mod connection;
pub mod request;
mod response;

use std::collections::VecDeque;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{error, fmt, io};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;

use self::connection::{Connection, Next};
use crate::metrics::Registry;

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
        self.listener.set_nonblocking(true)?;
        let listener = Arc::new(self.listener);
        let stopping = Arc::<AtomicBool>::default();
        let endpoint = Endpoint {
            listener: listener.clone(),
            stopping: stopping.clone(),
            registry,
            limit,
            connections: VecDeque::new(),
            accept_again: None,
        };
        let thread = thread::Builder::new()
            .name("bothways-admin".to_owned())
            .spawn(move || endpoint.run())?;
        Ok(AdminServer {
            address: self.address,
            listener,
            stopping,
            thread: Some(thread),
        })
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
    thread: Option<JoinHandle<()>>,
}

impl AdminServer {
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, cuts what goes on, and waits for the thread: well under a second.
    pub fn stop(self) {}
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.stopping.store(true, Relaxed);
        // On Linux this wakes the poll.
        let _ = SockRef::from(&*self.listener).shutdown(Shutdown::Both);
        let _its_message_is_in_the_log = self.thread.take().map(JoinHandle::join);
    }
}

/// State that the thread owns.
struct Endpoint {
    listener: Arc<TcpListener>,
    stopping: Arc<AtomicBool>,
    registry: Arc<Registry>,
    limit: Duration,
    /// Open connections. The one that was accepted first comes first.
    connections: VecDeque<Connection>,
    /// Out of descriptors until then.
    accept_again: Option<Instant>,
}

impl Endpoint {
    fn run(mut self) {
        while !self.stopping.load(Relaxed) {
            let ready = self.wait();
            let now = Instant::now();
            let registry = &self.registry;
            for (connection, is_ready) in self.connections.iter_mut().zip(ready.connections) {
                if is_ready {
                    connection.go_on(registry, now);
                }
                if now >= connection.deadline() {
                    connection.time_is_over(now);
                }
            }
            self.connections.retain(|connection| !connection.is_over());
            if ready.listener {
                self.accept_all(now);
            }
        }
    }

    /// Waits until something can be done, or a time is over.
    fn wait(&mut self) -> Ready {
        let now = Instant::now();
        self.accept_again = self.accept_again.filter(|again| *again > now);
        let listener_events = match self.accept_again {
            Some(_) => PollFlags::empty(),
            None => PollFlags::IN,
        };
        let mut fds = vec![PollFd::new(&*self.listener, listener_events)];
        fds.extend(self.connections.iter().map(|connection| {
            let events = match connection.next() {
                Next::Read => PollFlags::IN,
                Next::Write => PollFlags::OUT,
            };
            PollFd::from_borrowed_fd(connection.stream().as_fd(), events)
        }));
        let deadlines = self.connections.iter().map(Connection::deadline);
        let wake_at = deadlines.chain(self.accept_again).min();
        let timeout = wake_at.map(|at| at.saturating_duration_since(now).min(WAIT_MAX).max(WAIT_MIN));
        let timeout = Timespec::try_from(timeout.unwrap_or(WAIT_MAX)).ok();
        if poll(&mut fds, timeout.as_ref()).is_err() {
            // Interrupted, or out of memory: what is ready is found by trying.
            thread::sleep(WAIT_MIN);
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        Ready {
            listener: ready.next().unwrap_or(false),
            connections: ready.collect(),
        }
    }

    fn accept_all(&mut self, now: Instant) {
        for _ in 0..ACCEPTS_AT_ONCE {
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(stream, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) if self.stopping.load(Relaxed) => return,
                Err(error) if is_of_the_connection(&error) => {}
                // Out of descriptors, most likely: others have to close some first.
                Err(_) => {
                    self.accept_again = Some(now + ACCEPT_RETRY);
                    return;
                }
            }
        }
    }

    /// A request that came with its connection is answered before anybody else is let in.
    fn admit(&mut self, stream: TcpStream, now: Instant) {
        let Ok(mut connection) = Connection::new(stream, self.limit, now) else {
            return;
        };
        connection.go_on(&self.registry, now);
        if connection.is_over() {
            return;
        }
        if self.connections.len() >= CONNECTIONS_MAX {
            self.connections.pop_front();
        }
        self.connections.push_back(connection);
    }
}

/// Sockets that the poll has found ready.
struct Ready {
    listener: bool,
    connections: Vec<bool>,
}

/// accept(2): errors of a connection that ended before it was taken.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// Connections open at a time: a few scrapers, and room for whoever comes to stay.
const CONNECTIONS_MAX: usize = 128;
/// Accepted before the others have their turn again.
const ACCEPTS_AT_ONCE: usize = 64;
/// For a request to come in, and again for its response to go out. A scraper is near.
const TIME_LIMIT: Duration = Duration::from_secs(2);
const WAIT_MAX: Duration = Duration::from_secs(1);
/// A deadline that has passed within the clock's grain.
const WAIT_MIN: Duration = Duration::from_millis(1);
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
