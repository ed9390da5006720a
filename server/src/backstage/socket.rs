//! A client's socket as hyper reads and writes it: never waits. Instead it notes what the driver has to wait
//! for.

use std::cell::Cell;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use rustix::event::PollFlags;

/// A socket, shared by hyper's connection and the driver's, which outlives the former.
pub(super) struct Line {
    pub(super) stream: TcpStream,
    /// Operations that could not be completed since the last [`Line::take_up`].
    blocked: Cell<PollFlags>,
    has_written: Cell<bool>,
}

impl Line {
    pub(super) fn new(stream: TcpStream) -> io::Result<Rc<Self>> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Rc::new(Self {
            stream,
            blocked: Cell::new(PollFlags::empty()),
            has_written: Cell::new(false),
        }))
    }

    /// Forgets what could not be completed before: it is tried again now.
    pub(super) fn take_up(&self) {
        self.blocked.set(PollFlags::empty());
    }

    /// Events to wait for. None: something else than the socket is waited for.
    pub(super) fn events(&self) -> PollFlags {
        self.blocked.get()
    }

    /// There is more to read, and it is left for later.
    pub(super) fn want_more(&self) {
        self.blocked.set(self.blocked.get() | PollFlags::IN);
    }

    pub(super) fn has_written(&self) -> bool {
        self.has_written.get()
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.tried(PollFlags::IN, || (&self.stream).read(buffer))
    }

    pub(super) fn write(&self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.tried(PollFlags::OUT, || (&self.stream).write(bytes));
        if let Poll::Ready(Ok(1..)) = written {
            self.has_written.set(true);
        }
        written
    }

    fn tried(
        &self,
        event: PollFlags,
        mut operation: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match operation() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked.set(self.blocked.get() | event);
                    return Poll::Pending;
                }
                done => return Poll::Ready(done),
            }
        }
    }
}

/// hyper's side of a socket.
pub(super) struct Socket(pub(super) Rc<Line>);

impl Read for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut piece = [0; PIECE_BYTES];
        let room = buffer.remaining().min(PIECE_BYTES);
        let read = self.0.read(piece.get_mut(..room).unwrap_or_default());
        read.map_ok(|read| buffer.put_slice(piece.get(..read).unwrap_or_default()))
    }
}

impl Write for Socket {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.write(bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends our direction alone; the driver waits for the client to end the other.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.stream.shutdown(Shutdown::Write))
    }
}

/// A request head is seldom larger.
const PIECE_BYTES: usize = 4_096;
