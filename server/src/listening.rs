//! Plain threads that accept connections: their start, their stop, and a word on connections that could not
//! be accepted. What is said over a connection is for the thread to know.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;

/// A listening socket with the thread that serves it. Dropped, the thread ends.
#[derive(Debug)]
pub struct Listening<L: AsFd> {
    listener: Arc<L>,
    stopping: Stopping,
    thread: Option<JoinHandle<()>>,
}

impl<L: AsFd + Send + Sync + 'static> Listening<L> {
    /// Starts a thread of this name. `serve` has to return soon after `stopping` is set; an accept(2) or a
    /// poll(2) that waits for the listener is woken then.
    ///
    /// # Errors
    /// As `pthread_create(3)`.
    pub fn start(
        name: &str,
        listener: L,
        stopping: &Stopping,
        serve: impl FnOnce(&L) + Send + 'static,
    ) -> io::Result<Self> {
        let listener = Arc::new(listener);
        let served = listener.clone();
        let thread = thread::Builder::new().name(name.to_owned());
        Ok(Self {
            listener,
            stopping: stopping.clone(),
            thread: Some(thread.spawn(move || serve(&served))?),
        })
    }
}

impl<L: AsFd> Listening<L> {
    pub fn listener(&self) -> &L {
        &self.listener
    }

    /// Sets `stopping` and waits for the thread to end.
    pub fn stop(&mut self) {
        self.stopping.0.store(true, Relaxed);
        // On Linux this ends an accept and wakes a poll.
        let _nothing_to_lose = SockRef::from(&*self.listener).shutdown(Shutdown::Both);
        let _its_message_is_in_the_log = self.thread.take().map(JoinHandle::join);
    }
}

impl<L: AsFd> Drop for Listening<L> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Sign that a server is about to end, for all its threads.
#[derive(Clone, Debug, Default)]
pub struct Stopping(Arc<AtomicBool>);

impl Stopping {
    pub fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Reason why nothing was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAccepted {
    /// No connection waits.
    NoneWaits,
    /// It ended before it was taken (accept(2)). The next one may do.
    Gone,
    /// Out of descriptors, most likely: others have to close some first. To be tried again after
    /// [`ACCEPT_RETRY`].
    NoRoom,
}

impl From<io::Error> for NotAccepted {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
        match error.kind() {
            WouldBlock => Self::NoneWaits,
            ConnectionAborted | ConnectionReset | Interrupted => Self::Gone,
            _ => Self::NoRoom,
        }
    }
}

pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);
