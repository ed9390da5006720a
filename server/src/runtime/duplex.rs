//! Connected socket as two owned-buffer directions that can be polled.
//!
//! Owns the receiving side: its buffer, which is lent to an operation while one is armed, and the size of
//! that buffer. Sending is the [`Outbox`]'s, the operations are those of `pump`. Counts the bytes. Knows
//! nothing of TLS or HTTP.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use monoio::time::{Sleep, sleep, timeout};

use super::outbox::Outbox;
use super::pump::{Direction, directions};
use super::stats::DuplexStats;
use super::tcp::Stream;

/// First read buffer that is more than a ClientHello: one full TLS handshake flight of a client with a short
/// chain.
const READ_BYTES_FIRST: usize = 4 * 1024;
/// Very first read buffer, which is lent to the kernel for as long as the peer says nothing: a ClientHello
/// with a post-quantum key share.
const READ_BYTES_HELLO: usize = 2 * 1024;
/// Read buffer of a settled connection, which is lent to the kernel for as long as the peer is silent: a
/// small request.
const READ_BYTES_MIN: usize = 512;
/// Read buffer once the peer has shown that it fills smaller ones.
const READ_BYTES_MAX: usize = 64 * 1024;
/// Largest read buffer before anything is known of the peer.
const READ_BYTES_MAX_FIRST: usize = 16 * 1024;

/// Time that a peer may still send before the socket is closed over it, and its bytes.
const LINGER_TIME: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a peer that was refused.
const GOODBYE_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a peer's farewell, at most. A peer that is only about to go says TLS's close_notify, in a record.
const FAREWELL_BYTES_MAX: u64 = 64;
/// Time for a farewell, lingering included.
const GOODBYE_TIME: Duration = Duration::from_secs(2);

// A read buffer grows in this order, and one that is full has room behind it while its message is not whole.
const _: () = assert!(
    READ_BYTES_MIN <= READ_BYTES_HELLO
        && READ_BYTES_HELLO <= READ_BYTES_FIRST
        && READ_BYTES_FIRST <= READ_BYTES_MAX_FIRST
        && READ_BYTES_MAX_FIRST <= READ_BYTES_MAX
        && READ_BYTES_MAX < Duplex::UNREAD_BYTES_MAX
);
const _: () = assert!(LINGER_TIME.as_millis() < GOODBYE_TIME.as_millis());

/// Both directions of one socket.
pub struct Duplex {
    reader: Direction,
    /// Bytes that were read: `unread[consumed..]` are not yet consumed.
    unread: Vec<u8>,
    consumed: usize,
    read_bytes: usize,
    read_bytes_min: usize,
    read_bytes_max: usize,
    outbox: Outbox,
    /// While lingering: its end, and the bytes read away so far.
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
    linger_bytes_max: usize,
    /// The peer has ended its direction.
    is_at_end: bool,
    stats: Rc<DuplexStats>,
}

impl Duplex {
    /// Bytes that may wait for the rest of their message: a handshake message of the largest size in records
    /// of an ordinary one, or a record.
    pub const UNREAD_BYTES_MAX: usize = 96 * 1024;

    /// Takes over `stream`.
    pub fn new(stream: Stream, stats: Rc<DuplexStats>) -> Self {
        let (reader, writer) = directions(stream);
        Self {
            reader,
            unread: Vec::new(),
            consumed: 0,
            read_bytes: READ_BYTES_HELLO,
            read_bytes_min: READ_BYTES_FIRST,
            read_bytes_max: READ_BYTES_MAX_FIRST,
            outbox: Outbox::new(writer, stats.clone()),
            lingering: None,
            linger_bytes_max: LINGER_BYTES_MAX,
            is_at_end: false,
            stats,
        }
    }

    /// Connects to `address` and takes the socket over.
    ///
    /// # Errors
    /// As `connect(2)`.
    pub async fn connect(address: SocketAddr, stats: Rc<DuplexStats>) -> io::Result<Self> {
        let mut duplex = Self::new(super::tcp::connect(address).await?, stats);
        duplex.read_bytes_max = READ_BYTES_MAX;
        Ok(duplex)
    }

    /// Bytes read and not yet consumed.
    pub fn unread(&self) -> &[u8] {
        self.unread.get(self.consumed..).unwrap_or_default()
    }

    /// The same bytes, to be decrypted where they are, and the place for what is to be sent in answer.
    pub fn split(&mut self) -> (&mut [u8], &Outbox) {
        (
            self.unread.get_mut(self.consumed..).unwrap_or_default(),
            &self.outbox,
        )
    }

    /// Marks `count` unread bytes as consumed.
    pub fn consume(&mut self, count: usize) {
        self.consumed = self.consumed.saturating_add(count).min(self.unread.len());
    }

    /// Settles the connection: from now on requests come with silence between them, of a peer that is known.
    pub fn settle(&mut self) {
        self.read_bytes_max = READ_BYTES_MAX;
        self.read_bytes_min = READ_BYTES_MIN;
        self.read_bytes = READ_BYTES_MIN;
    }

    /// Reads once more, behind what is unread, which stays there meanwhile. Ready with the number of bytes
    /// that came: 0 at the end of the stream.
    ///
    /// # Errors
    /// As `recv(2)`; `InvalidData` where [`Duplex::UNREAD_BYTES_MAX`] are unread.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if !self.reader.is_busy() {
            if self.unread().len() >= Self::UNREAD_BYTES_MAX {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            let buffer = self.buffer();
            self.reader.submit(buffer);
        }
        let (result, mut buffer) = ready!(self.reader.poll(cx));
        let count = result?;
        self.is_at_end = count == 0;
        buffer.truncate(count);
        if self.unread().is_empty() {
            self.unread = buffer;
        } else {
            self.unread.drain(..self.consumed);
            self.unread.extend_from_slice(&buffer);
        }
        self.consumed = 0;
        self.adapt(count);
        self.stats.bytes_in.set(self.stats.bytes_in.get() + count as u64);
        Poll::Ready(Ok(count))
    }

    /// An empty buffer to read into: that of what was read before, where nothing of it is left and its size
    /// is right.
    fn buffer(&mut self) -> Vec<u8> {
        if self.unread().is_empty() {
            self.consumed = 0;
            let mut buffer = std::mem::take(&mut self.unread);
            buffer.clear();
            if buffer.capacity() == self.read_bytes {
                return buffer;
            }
        }
        Vec::with_capacity(self.read_bytes)
    }

    /// Full reads earn a larger buffer, small ones give it back.
    fn adapt(&mut self, count: usize) {
        if count == self.read_bytes {
            self.read_bytes = (self.read_bytes * 4).min(self.read_bytes_max);
        } else if count < self.read_bytes_min {
            self.read_bytes = self.read_bytes_min;
        }
    }

    /// Outbox of the same socket.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Flushes, closes the sending direction (a FIN after the last byte), and lingers if
    /// [`DuplexStats::linger`] says so, or if the peer is in the midst of something else: a head that is too
    /// large, say.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_amid = self.stats.linger.get() || self.stats.unsettled() > FAREWELL_BYTES_MAX;
        ready!(self.outbox.poll_shut(cx))?;
        match is_amid && !self.is_at_end {
            true => self.poll_linger(cx).map(Ok),
            false => Poll::Ready(Ok(())),
        }
    }

    /// Reads the peer's remaining bytes away, for [`LINGER_TIME`] and `linger_bytes_max` at most: closing
    /// with unread bytes would make the kernel send a reset, which may overtake what was just sent, an alert
    /// or an early response (RFC 9293 §3.6.1). What is unread goes as well: nobody may ask for it after this.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let (until, read) = self
                .lingering
                .get_or_insert_with(|| (Box::pin(sleep(LINGER_TIME)), 0));
            if *read >= self.linger_bytes_max || until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            self.consume(self.unread().len());
            // An error ends the lingering as an end of stream does.
            let count = ready!(self.poll_fill(cx)).unwrap_or(0);
            match (count, &mut self.lingering) {
                (1.., Some((_, read))) => *read += count,
                _ => return Poll::Ready(()),
            }
        }
    }

    /// [`Duplex::poll_fill`] as a future.
    ///
    /// # Errors
    /// As `recv(2)`.
    #[cfg(test)]
    pub async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// [`Duplex::poll_shutdown`] as a future, lingering. A peer that does not read is not waited for.
    ///
    /// # Errors
    /// As `send(2)`; `TimedOut` where the peer has left no room for what was to be said.
    pub async fn say_goodbye(&mut self) -> io::Result<()> {
        // No more is to be learnt of this peer: what was read goes, and what still comes is thrown away in
        // small pieces.
        (self.unread, self.consumed) = (Vec::new(), 0);
        (self.read_bytes, self.read_bytes_max) = (READ_BYTES_FIRST, READ_BYTES_FIRST);
        self.stats.linger.set(true);
        self.linger_bytes_max = GOODBYE_BYTES_MAX;
        timeout(GOODBYE_TIME, poll_fn(|cx| self.poll_shutdown(cx))).await?
    }
}
