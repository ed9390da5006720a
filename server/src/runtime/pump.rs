//! Pump: one direction of a socket as something that can be polled.
//!
//! io_uring wants to own a buffer for as long as an operation is in flight; hyper and rustls want to poll.
//! Between them stands one *pump* per direction: a boxed future that lives as long as the connection and
//! loops { take a buffer, run one operation, hand the buffer back }. So an armed operation is never dropped
//! while the connection lives (it could swallow data), and an operation costs no allocation.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use monoio::io::{AsyncReadRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::tcp::Stream;

type Finished = (io::Result<usize>, Vec<u8>);
type Pump = Pin<Box<dyn Future<Output = ()>>>;

/// Slot by which one direction and its pump exchange their buffers.
#[derive(Default)]
struct Slot {
    demand: Cell<Option<Vec<u8>>>,
    finished: Cell<Option<Finished>>,
    /// The next buffer is to be sent as the last that the peer will hear.
    is_last: Cell<bool>,
}

impl Slot {
    /// Ready once a buffer was submitted. The pump is polled right after, so nobody needs waking.
    async fn demand(&self) -> Vec<u8> {
        poll_fn(|_| self.demand.take().map_or(Poll::Pending, Poll::Ready)).await
    }
}

/// Data of a peer that nobody has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    Nothing,
    Bytes,
    /// An end of stream or an error: the connection is over.
    End,
}

pub(super) struct Direction {
    slot: Rc<Slot>,
    pump: Pump,
    busy: bool,
    /// Descriptor of the pump's socket, open for as long as the pump is not at its end.
    socket: RawFd,
}

/// The reading and the writing direction of `stream`.
pub(super) fn directions(stream: Stream) -> (Direction, Direction) {
    let socket = stream.0.as_raw_fd();
    let (read_half, write_half) = stream.0.into_split();
    let reader = Direction::new(socket, |slot| read_pump(read_half, slot));
    let writer = Direction::new(socket, |slot| write_pump(write_half, slot));
    (reader, writer)
}

impl Direction {
    fn new<F: Future<Output = ()> + 'static>(socket: RawFd, pump: impl FnOnce(Rc<Slot>) -> F) -> Self {
        let slot = Rc::new(Slot::default());
        Self {
            pump: Box::pin(pump(slot.clone())),
            slot,
            busy: false,
            socket,
        }
    }

    /// True if an operation is in flight.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Takes `buffer` for one operation, which begins with the next [`Self::poll`].
    pub(super) fn submit(&mut self, buffer: Vec<u8>) {
        self.slot.demand.set(Some(buffer));
        self.busy = true;
    }

    /// Does the same. Afterwards the sending direction of the socket is closed, and nothing may be submitted
    /// any more.
    pub(super) fn submit_last(&mut self, buffer: Vec<u8>) {
        self.slot.is_last.set(true);
        self.submit(buffer);
    }

    /// Sends what the socket has room for, at once and without the ring. Returns how many of `bytes` that
    /// was; none where the socket has no room. Not to be called while an operation is in flight, nor after
    /// the last.
    ///
    /// # Errors
    /// As `send(2)`.
    pub(super) fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        debug_assert!(
            !self.busy && !self.slot.is_last.get(),
            "bytes go out in their order"
        );
        // JUSTIFICATION: monoio gives out its sockets as numbers only. SAFETY: the pump owns its half of the
        // socket until it has sent the last bytes, after which nobody sends; so the descriptor is open, and
        // this one's, while `self` is borrowed.
        #[allow(unsafe_code)]
        let socket = unsafe { BorrowedFd::borrow_raw(self.socket) };
        match send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            sent => Ok(sent?),
        }
    }

    /// Data of the peer that the kernel holds and nobody has read. Not to be called after the last bytes were
    /// sent.
    pub(super) fn unread(&self) -> Unread {
        debug_assert!(!self.slot.is_last.get(), "the socket may be gone");
        // JUSTIFICATION: monoio gives out its sockets as numbers only.
        // SAFETY: the pump owns its half of the socket until it has sent the last bytes; so the descriptor is
        // open, and this one's, while `self` is borrowed. Bytes that are only looked at stay for the read
        // that is armed.
        #[allow(unsafe_code)]
        let socket = unsafe { BorrowedFd::borrow_raw(self.socket) };
        match recv(socket, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN) => Unread::Nothing,
            Ok((_, 1..)) => Unread::Bytes,
            Ok((_, 0)) | Err(_) => Unread::End,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Finished> {
        if self.busy {
            let _ended_after_the_last = self.pump.as_mut().poll(cx).is_ready();
        }
        match self.slot.finished.take() {
            Some(finished) => {
                self.busy = false;
                Poll::Ready(finished)
            }
            None => Poll::Pending,
        }
    }
}

async fn read_pump(mut half: OwnedReadHalf<TcpStream>, slot: Rc<Slot>) {
    loop {
        let buffer = slot.demand().await;
        let finished = half.read(buffer).await;
        slot.finished.set(Some(finished));
    }
}

async fn write_pump(mut half: OwnedWriteHalf<TcpStream>, slot: Rc<Slot>) {
    loop {
        let buffer = slot.demand().await;
        if slot.is_last.get() {
            let finished = write_last(&mut half, buffer).await;
            // Dropping this half closes the sending direction (`shutdown(2)`).
            drop(half);
            slot.finished.set(Some(finished));
            return;
        }
        let finished = half.write_all(buffer).await;
        slot.finished.set(Some(finished));
    }
}

/// Sends so that the FIN can go out with the last bytes. A send of its own, and its completion, would be two
/// packets more to make, to carry and to wake for.
async fn write_last(half: &mut OwnedWriteHalf<TcpStream>, mut buffer: Vec<u8>) -> Finished {
    if buffer.is_empty() {
        return (Ok(0), buffer);
    }
    let at_once = SendFlags::MORE | SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let sent = send(socket(half), &buffer, at_once).unwrap_or(0);
    if sent == buffer.len() {
        return (Ok(sent), buffer);
    }
    // The socket's own buffer is full, or it has failed, which the ordinary way will tell.
    buffer.drain(..sent);
    half.write_all(buffer).await
}

fn socket(half: &OwnedWriteHalf<TcpStream>) -> BorrowedFd<'_> {
    // JUSTIFICATION: monoio gives out its sockets as numbers only. SAFETY: nothing holds a mutable reference,
    // since this half's futures are not alive while it is borrowed here, and the other half only ever borrows
    // the stream to clone its descriptor; the descriptor stays open for as long as the half that is borrowed.
    #[allow(unsafe_code)]
    unsafe {
        BorrowedFd::borrow_raw((*half.0.get()).as_raw_fd())
    }
}
