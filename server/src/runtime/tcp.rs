//! Listening and connected TCP sockets of one core.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::os::fd::{FromRawFd, IntoRawFd};

use monoio::io::Canceller;
use monoio::net::{TcpListener, TcpStream};

/// Connected socket, before it becomes a [`super::Duplex`].
pub struct Stream(pub(super) TcpStream);

impl Stream {
    /// The local address, one system call.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Takes the socket from this core's driver, so that another core can have it. Nothing was begun on it:
    /// [`super::Duplex`], which reads and writes, is made of the whole of a `Stream`.
    pub fn detach(self) -> DetachedStream {
        // SAFETY: monoio has given up the descriptor, which is open and now owned by nobody else.
        #[allow(unsafe_code)]
        DetachedStream(unsafe { StdStream::from_raw_fd(self.0.into_raw_fd()) })
    }
}

/// Connected socket that no driver knows: closed when dropped, on whichever thread.
pub struct DetachedStream(StdStream);

impl DetachedStream {
    /// Gives the socket to the driver of the core that calls this, which need not be of the kind that it came
    /// from.
    ///
    /// # Errors
    /// epoll has no room for it; it is closed.
    pub fn adopt(self) -> io::Result<Stream> {
        self.0.set_nonblocking(monoio::utils::is_legacy())?;
        TcpStream::from_std(self.0).map(Stream)
    }
}

/// Listening socket of one core. Its accept future is cancelled, never dropped.
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

    /// Takes a connection that was already queued when accepting stopped; `None` once the queue is empty.
    pub fn take_queued(&self) -> Option<(Stream, SocketAddr)> {
        self.queue.set_nonblocking(true).ok()?;
        loop {
            match self.queue.accept() {
                Ok((stream, peer)) => return Some((DetachedStream(stream).adopt().ok()?, peer)),
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

#[cfg(test)]
mod tests {
    use std::future::{Future, pending, poll_fn};
    use std::io::{Read as _, Write as _};
    use std::pin::Pin;
    use std::rc::Rc;
    use std::task::Poll;
    use std::time::Duration;

    use super::*;
    use crate::runtime::{CoreRuntime, DriverChoice, Duplex, DuplexStats, timeout};

    const BRIEFLY: Duration = Duration::from_millis(1);

    /// Long enough for the kernel to have been given what was submitted, and to have been asked what is
    /// complete.
    async fn a_turn_of_the_driver() {
        assert!(timeout(BRIEFLY, pending::<()>()).await.is_err());
    }

    #[test]
    fn a_connection_that_was_accepted_for_nobody_is_closed() {
        for choice in [DriverChoice::Auto, DriverChoice::Epoll] {
            for completed in [true, false] {
                let mut runtime = CoreRuntime::build(None, choice).expect("a runtime");
                runtime.block_on(accept_and_forget(completed));
            }
        }
    }

    /// Drops an armed accept after a client came, before or after the driver has heard of it.
    async fn accept_and_forget(completed: bool) {
        let socket = StdListener::bind("127.0.0.1:0").expect("a listener");
        let address = socket.local_addr().expect("its address");
        socket
            .set_nonblocking(true)
            .expect("a socket that does not block");
        let listener = Listener::adopt(socket).expect("a listener of this core");
        let mut accept = Box::pin(listener.accept());
        assert!(polled_once(accept.as_mut()).await.is_pending());
        a_turn_of_the_driver().await;
        let mut client = StdStream::connect(address).expect("a connection");
        if completed {
            a_turn_of_the_driver().await;
        }
        drop(accept);
        a_turn_of_the_driver().await;
        if listener.take_queued().is_some() {
            return; // it was never accepted
        }
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a time limit");
        let read = client.read(&mut [0]);
        assert!(matches!(read, Ok(0)), "completed: {completed}: {read:?}");
    }

    #[test]
    fn a_socket_that_one_core_has_accepted_is_served_by_another_of_either_kind() {
        for from in [DriverChoice::Auto, DriverChoice::Epoll] {
            for to in [DriverChoice::Auto, DriverChoice::Epoll] {
                let mut runtime = CoreRuntime::build(None, from).expect("a runtime");
                let (mut client, socket) = runtime.block_on(accept_and_detach());
                let server = std::thread::spawn(move || {
                    let mut runtime = CoreRuntime::build(None, to).expect("a runtime");
                    runtime.block_on(echo_five(socket));
                });
                client.write_all(b"hello").expect("room in the socket");
                let mut answer = Vec::new();
                client.read_to_end(&mut answer).expect("an end");
                assert_eq!(answer, b"hello", "{from:?} to {to:?}");
                drop(client);
                server.join().expect("a core that ends");
            }
        }
    }

    async fn accept_and_detach() -> (StdStream, DetachedStream) {
        let socket = StdListener::bind("127.0.0.1:0").expect("a listener");
        let address = socket.local_addr().expect("its address");
        socket
            .set_nonblocking(true)
            .expect("a socket that does not block");
        let listener = Listener::adopt(socket).expect("a listener of this core");
        let client = StdStream::connect(address).expect("a connection");
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a time limit");
        let (stream, _) = listener.accept().await.expect("it").expect("a connection");
        (client, stream.detach())
    }

    async fn echo_five(socket: DetachedStream) {
        let stream = socket.adopt().expect("a stream of this core");
        let mut duplex = Duplex::new(stream, Rc::new(DuplexStats::default()));
        while duplex.unread().len() < 5 {
            assert!(duplex.fill().await.expect("bytes") > 0);
        }
        duplex.outbox().append(duplex.unread());
        duplex.say_goodbye().await.expect("a goodbye");
    }

    async fn polled_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
        poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
    }
}
