//! Sending side of a socket: bytes are put down at any time and go out together when they are posted.
//!
//! All that one poll of a connection has to say (a ticket, a response, a close_notify) is thus one send, not
//! one for each layer that said "flush". The stream in hyper's hands and the task that polls hyper share an
//! [`Outbox`]: the one fills it, the other posts it when the poll is over.
//!
//! Owns the order of bytes, their bound, and who is woken when a send ends. Does not own the operations
//! (`pump`), nor the buffers between two uses (`buffers`). An outbox stays on the core of its socket.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker, ready};

use super::buffers::{self, SendBuffer};
use super::core::sends_end_by_themselves;
use super::pump::{Direction, Unread};
use super::stats::DuplexStats;

/// Handle on the sending side of one socket.
///
/// The order of calls is an invariant of those who share it:
/// - A writer asks [`Outbox::poll_room`] first. When that is ready it appends once ([`Outbox::append`],
///   [`Outbox::fill`]). Small things that end a connection, an alert say, may go without asking. Nothing is
///   sent by this alone.
/// - The task calls [`Outbox::post`] once, as the last thing of each poll. Bytes that are appended later wait
///   for the next poll.
/// - [`Outbox::is_idle`] and [`Outbox::take_failure`] are for the time after that: they tell of sends whose
///   end woke nobody.
/// - [`Outbox::poll_flush`] is for those who have to wait until all is sent.
/// - [`Outbox::poll_shut`] comes last. After its first call nothing may be appended: it would not be sent.
#[derive(Clone)]
pub struct Outbox(Rc<RefCell<Sending>>);

struct Sending {
    writer: Direction,
    /// Bytes not yet handed to the kernel.
    unsent: SendBuffer,
    /// Error of a send that nobody waited for.
    failure: Option<io::Error>,
    is_shut: bool,
    /// The task is to be woken when the send in flight has ended.
    is_awaited: bool,
    stats: Rc<DuplexStats>,
}

impl Outbox {
    /// Bytes that may wait, behind a send in flight or for the end of a poll, before a writer has to.
    pub const WAITING_BYTES_MAX: usize = 64 * 1024;
    /// Size up to which a core keeps a buffer of sent bytes for its next use.
    pub const KEPT_BYTES_MAX: usize = buffers::BYTES_MAX;

    pub(super) fn new(writer: Direction, stats: Rc<DuplexStats>) -> Self {
        Self(Rc::new(RefCell::new(Sending {
            writer,
            unsent: SendBuffer::default(),
            failure: None,
            is_shut: false,
            is_awaited: false,
            stats,
        })))
    }

    /// Makes a peephole: a look at the same socket that does not keep it open.
    pub fn peephole(&self) -> Peephole {
        Peephole(Rc::downgrade(&self.0))
    }

    /// Appends `bytes` to what is to be sent.
    pub fn append(&self, bytes: &[u8]) {
        let copied = self.fill(bytes.len(), |room| {
            if let Some(room) = room.get_mut(..bytes.len()) {
                room.copy_from_slice(bytes);
            }
            Ok::<_, Infallible>(bytes.len())
        });
        let Ok(()) = copied;
    }

    /// Lets `write` append to what is to be sent, into room for `bytes` at least; it says how much that was.
    ///
    /// # Errors
    /// What `write` says; nothing was appended then.
    pub fn fill<E>(&self, bytes: usize, write: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<(), E> {
        self.0.borrow_mut().unsent.fill(bytes, write)
    }

    /// Ready when more may be appended.
    ///
    /// # Errors
    /// An earlier send has failed.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sending = &mut *self.0.borrow_mut();
        sending.take_failure()?;
        while sending.unsent.len() >= Self::WAITING_BYTES_MAX {
            ready!(sending.poll_sent(cx))?;
            sending.begin()?;
            let _in_flight = sending.poll_with(cx, false)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what is outgoing, without anybody waiting for its end: a failure surfaces with the next bytes.
    /// To be called at the end of a poll, whose task is woken if there is more to post then.
    pub fn post(&self, cx: &mut Context<'_>) {
        let sending = &mut *self.0.borrow_mut();
        if let Err(error) = sending.post(cx) {
            sending.failure = Some(error);
            cx.waker().wake_by_ref();
        }
    }

    /// True if nothing waits to be sent, no send is in flight and none has failed.
    pub fn is_idle(&self) -> bool {
        let sending = &mut *self.0.borrow_mut();
        if sending.is_awaited {
            return false;
        }
        let polled = sending.poll_with(&mut Context::from_waker(Waker::noop()), false);
        if let Poll::Ready(Err(error)) = polled {
            sending.failure = Some(error);
            return false;
        }
        polled.is_ready() && sending.failure.is_none() && sending.unsent.is_empty()
    }

    /// The error of a send that nobody has waited for.
    ///
    /// # Errors
    /// As `send(2)`.
    pub fn take_failure(&self) -> io::Result<()> {
        self.0.borrow_mut().take_failure()
    }

    /// Ready once everything outgoing was handed to the kernel.
    ///
    /// # Errors
    /// As `send(2)`.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sending = &mut *self.0.borrow_mut();
        sending.take_failure()?;
        loop {
            ready!(sending.poll_sent(cx))?;
            if sending.unsent.is_empty() {
                return Poll::Ready(Ok(()));
            }
            sending.begin()?;
        }
    }

    /// Flushes and closes the sending direction: a FIN with, or after, the last byte.
    ///
    /// # Errors
    /// As `send(2)`.
    pub fn poll_shut(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sending = &mut *self.0.borrow_mut();
        sending.take_failure()?;
        if !sending.is_shut {
            ready!(sending.poll_sent(cx))?;
            sending.is_shut = true;
            let last = std::mem::take(&mut sending.unsent);
            sending.count(last.len());
            sending.writer.submit_last(last.rest(0));
        }
        sending.poll_sent(cx)
    }
}

/// Shows what the peer of a socket has said that nobody has read.
pub struct Peephole(Weak<RefCell<Sending>>);

impl Peephole {
    /// Looks with one system call. A socket is at its end if it is gone, or if only the end is left to be
    /// sent.
    pub fn look(&self) -> Unread {
        let Some(sending) = self.0.upgrade() else {
            return Unread::End;
        };
        let sending = sending.borrow();
        match sending.is_shut {
            true => Unread::End,
            false => sending.writer.unread(),
        }
    }
}

impl Sending {
    fn take_failure(&mut self) -> io::Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }

    fn post(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            // The end of a send wakes the task only if there is something to do then: bytes wait behind it,
            // or the driver goes on with a send only while it is polled. Without this each response would
            // wake its task once more for nothing.
            let tell = !self.unsent.is_empty() || !sends_end_by_themselves();
            let Poll::Ready(ended) = self.poll_with(cx, tell) else {
                return Ok(());
            };
            ended?;
            if self.unsent.is_empty() {
                return Ok(());
            }
            // Then round again: what `begin` leaves to the ring is submitted only when it is polled.
            self.begin()?;
        }
    }

    /// Sends what waits; the writer has to be idle. Most often the socket has room and the bytes go at once.
    /// The rest goes to the ring, which waits for room.
    fn begin(&mut self) -> io::Result<()> {
        let unsent = std::mem::take(&mut self.unsent);
        if self.is_shut {
            // Nothing comes after the last, and there is no socket of ours to send it on.
            return Ok(());
        }
        let sent = self.writer.send_now(unsent.bytes())?;
        self.count(unsent.len());
        if sent < unsent.len() {
            self.writer.submit(unsent.rest(sent));
        } else {
            unsent.give_back();
        }
        Ok(())
    }

    fn count(&self, sent: usize) {
        let bytes_out = &self.stats.bytes_out;
        bytes_out.set(bytes_out.get() + sent as u64);
    }

    /// Ready when no send is in flight; else the task is woken when that is so.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with(cx, true)
    }

    fn poll_with(&mut self, cx: &mut Context<'_>, tell: bool) -> Poll<io::Result<()>> {
        if !self.writer.is_busy() {
            return Poll::Ready(Ok(()));
        }
        // A task that waits stays to be woken, also when a poll that does not wait comes in between.
        self.is_awaited |= tell;
        let polled = match self.is_awaited {
            true => self.writer.poll(cx),
            false => self.writer.poll(&mut Context::from_waker(Waker::noop())),
        };
        let (result, buffer) = ready!(polled);
        self.is_awaited = false;
        buffers::give_back(buffer);
        Poll::Ready(result.map(drop))
    }
}
