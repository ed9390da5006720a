//! Listening and connected TCP sockets of one core.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::AsRawFd;

use monoio::io::Canceller;
use monoio::net::{TcpListener, TcpStream};

/// A connected socket, before it becomes a [`super::Duplex`].
pub struct Stream(pub(super) TcpStream);

impl Stream {
    /// The local address, one system call.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The descriptor's number, for messages.
    pub fn descriptor(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

/// A listening socket of one core. Its accept future is cancelled, never dropped.
pub struct Listener {
    listener: TcpListener,
    /// The same socket, for taking what is queued once accepting has stopped.
    queue: StdListener,
    canceller: RefCell<Canceller>,
    stopped: Cell<bool>,
}

impl Listener {
    /// Takes over `listener`, which is bound and listening. To be called on the core.
    ///
    /// # Errors
    /// The descriptor cannot be duplicated or registered.
    pub fn adopt(listener: StdListener) -> io::Result<Self> {
        let queue = listener.try_clone()?;
        queue.set_nonblocking(monoio::utils::is_legacy())?;
        Ok(Self {
            listener: TcpListener::from_std(listener)?,
            queue,
            canceller: RefCell::default(),
            stopped: Cell::new(false),
        })
    }

    /// The next connection, or `None` after [`Listener::stop`].
    ///
    /// # Errors
    /// As `accept(2)`: out of descriptors, or a connection that died in the queue.
    pub async fn accept(&self) -> io::Result<Option<(Stream, SocketAddr)>> {
        if self.stopped.get() {
            return Ok(None);
        }
        let handle = self.canceller.borrow().handle();
        match self.listener.cancelable_accept(handle).await {
            Ok((stream, peer)) => Ok(Some((Stream(stream), peer))),
            Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends a waiting [`Listener::accept`]; a connection that raced it is still handed out.
    pub fn stop(&self) {
        self.stopped.set(true);
        self.canceller.take().cancel();
    }

    /// One connection that was already queued when accepting stopped; `None` once the queue is empty.
    pub fn take_queued(&self) -> Option<(Stream, SocketAddr)> {
        self.queue.set_nonblocking(true).ok()?;
        loop {
            match self.queue.accept() {
                Ok((stream, peer)) => {
                    stream.set_nonblocking(monoio::utils::is_legacy()).ok()?;
                    return TcpStream::from_std(stream)
                        .ok()
                        .map(|stream| (Stream(stream), peer));
                }
                Err(error) if died_in_queue(&error) => {}
                Err(_) => return None,
            }
        }
    }
}

/// Connects to `address`, with Nagle's algorithm off.
///
/// # Errors
/// As `connect(2)`.
pub async fn connect(address: SocketAddr) -> io::Result<Stream> {
    let stream = TcpStream::connect_addr(address).await?;
    stream.set_nodelay(true)?;
    Ok(Stream(stream))
}

fn died_in_queue(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
    )
}
