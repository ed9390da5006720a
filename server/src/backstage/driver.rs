//! The thread that serves the admin endpoint: waits for its listener and all its connections at once, and
//! polls hyper where something can be done.

use std::collections::VecDeque;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::bell::Bell;
use super::connection::Connection;
use crate::listening::{ACCEPT_RETRY, NotAccepted, Stopping};
use crate::metrics::Registry;

/// State that the thread owns, beside its connections.
pub(super) struct Driver {
    bell: Arc<Bell>,
    registry: Arc<Registry>,
    limit: Duration,
    stopping: Stopping,
}

impl Driver {
    /// `limit` is the time for a request to come in, and again for its response to go out.
    pub(super) fn new(registry: Arc<Registry>, limit: Duration, stopping: Stopping) -> io::Result<Self> {
        Ok(Self {
            bell: Arc::new(Bell::new()?),
            registry,
            limit,
            stopping,
        })
    }

    pub(super) fn run(self, listener: &TcpListener) {
        let waker = Waker::from(self.bell.clone());
        let mut cx = Context::from_waker(&waker);
        let mut open = Open::default();
        while !self.stopping.is_set() {
            let ready = open.wait(listener, &self.bell);
            let now = Instant::now();
            for (connection, is_ready) in open.connections.iter_mut().zip(ready.connections) {
                if is_ready || ready.bell {
                    connection.go_on(&mut cx, now);
                }
                if now >= connection.deadline() {
                    connection.time_is_over(&mut cx, now);
                }
            }
            open.connections.retain(|connection| !connection.is_over());
            if ready.listener {
                self.accept_all(listener, &mut open, &mut cx, now);
            }
        }
    }

    fn accept_all(&self, listener: &TcpListener, open: &mut Open, cx: &mut Context<'_>, now: Instant) {
        for _ in 0..ACCEPTS_AT_ONCE {
            match listener.accept().map_err(NotAccepted::from) {
                Ok((stream, _)) => self.admit(stream, open, cx, now),
                Err(NotAccepted::Gone) => {}
                Err(NotAccepted::NoneWaits) => return,
                Err(NotAccepted::NoRoom) => {
                    open.accept_again = Some(now + ACCEPT_RETRY);
                    return;
                }
            }
        }
    }

    /// Takes a connection in. A request that came with it is answered before anybody else is let in. Above
    /// `CONNECTIONS_MAX` the oldest is closed.
    fn admit(&self, stream: TcpStream, open: &mut Open, cx: &mut Context<'_>, now: Instant) {
        let Ok(mut connection) = Connection::new(stream, self.registry.clone(), self.limit, now) else {
            return;
        };
        connection.go_on(cx, now);
        if connection.is_over() {
            return;
        }
        if open.connections.len() >= CONNECTIONS_MAX {
            open.connections.pop_front();
        }
        open.connections.push_back(connection);
    }
}

#[derive(Default)]
struct Open {
    /// Open connections. The one that was accepted first comes first.
    connections: VecDeque<Connection>,
    /// Out of descriptors until then.
    accept_again: Option<Instant>,
}

impl Open {
    /// Waits until something can be done, or a time is over.
    fn wait(&mut self, listener: &TcpListener, bell: &Bell) -> Ready {
        let now = Instant::now();
        self.accept_again = self.accept_again.filter(|again| *again > now);
        let listener_events = match self.accept_again {
            Some(_) => PollFlags::empty(),
            None => PollFlags::IN,
        };
        let mut fds = vec![
            PollFd::new(listener, listener_events),
            PollFd::new(bell, PollFlags::IN),
        ];
        // One that waits for no socket is left out: its client may have gone, which poll would tell for ever.
        let waits = |connection: &Connection| !connection.line().events().is_empty();
        let waiting = self.connections.iter().filter(|connection| waits(connection));
        fds.extend(waiting.map(|connection| {
            let line = connection.line();
            PollFd::from_borrowed_fd(line.stream.as_fd(), line.events())
        }));
        let timeout = Timespec::try_from(self.wait_at_most(now)).ok();
        if poll(&mut fds, timeout.as_ref()).is_err() {
            // Interrupted, or out of memory: what is ready is found by trying.
            thread::sleep(WAIT_MIN);
        }
        let mut told = fds.iter().map(|fd| !fd.revents().is_empty());
        let mut next = || told.next().unwrap_or(false);
        let ready = Ready {
            listener: next(),
            bell: next(),
            connections: self.connections.iter().map(|it| waits(it) && next()).collect(),
        };
        if ready.bell {
            bell.hush();
        }
        ready
    }

    fn wait_at_most(&self, now: Instant) -> Duration {
        let deadlines = self.connections.iter().map(Connection::deadline);
        let wake_at = deadlines.chain(self.accept_again).min();
        let timeout = wake_at.map(|at| at.saturating_duration_since(now).min(WAIT_MAX).max(WAIT_MIN));
        timeout.unwrap_or(WAIT_MAX)
    }
}

/// Descriptors that the poll has found ready.
struct Ready {
    listener: bool,
    bell: bool,
    connections: Vec<bool>,
}

/// Connections open at a time: a few scrapers, and room for whoever comes to stay.
pub(super) const CONNECTIONS_MAX: usize = 128;
/// Accepted before the others have their turn again.
const ACCEPTS_AT_ONCE: usize = 64;
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Wait for a deadline that has passed within the clock's grain.
const WAIT_MIN: Duration = Duration::from_millis(1);
