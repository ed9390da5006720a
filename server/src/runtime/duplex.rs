//! A connected socket as two owned-buffer directions that can be polled.
//!
//! io_uring wants to own a buffer for as long as an operation is in flight, hyper and rustls want to poll.
//! Between them stands one *pump* per direction: a boxed future that lives as long as the connection and loops
//! { take a buffer, run one operation, hand the buffer back }. So an armed read is never dropped while the
//! connection lives (it could swallow data), and an operation costs no allocation.
//!
//! Owns the buffers and their sizes, and counts the bytes. Knows nothing of TLS or HTTP.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use monoio::io::{
    AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable,
};
use monoio::net::TcpStream;
use monoio::time::{Sleep, sleep};

use super::tcp::Stream;

/// A first read buffer: one full TLS handshake flight of a client with a short chain.
const READ_BYTES_MIN: usize = 4 * 1024;
/// A read buffer once the peer has shown that it fills smaller ones.
const READ_BYTES_MAX: usize = 64 * 1024;
/// Bytes that may wait behind a send in flight before a writer has to wait.
const WRITE_BYTES_MAX: usize = 64 * 1024;
/// A send buffer larger than this is not kept by an idle connection.
const WRITE_BYTES_KEPT: usize = 4 * 1024;

/// How long, and how much, a peer may still send before the socket is closed over it.
const LINGER_TIME: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// Bytes moved so far, both directions, as the socket saw them.
#[derive(Default)]
pub struct DuplexStats {
    pub bytes_in: Cell<u64>,
    pub bytes_out: Cell<u64>,
    /// Set by those above while the peer may still be sending what nobody will read: closing then should linger.
    pub linger: Cell<bool>,
}

/// Both directions of one socket.
pub struct Duplex {
    reader: Direction,
    /// What was read and not yet consumed: `unread[consumed..]`.
    unread: Vec<u8>,
    consumed: usize,
    read_bytes: usize,
    writer: Direction,
    /// Waits for the send in flight to end.
    unsent: Vec<u8>,
    spare: Vec<u8>,
    shutdown: Rc<Cell<bool>>,
    /// Once lingering: until when, and what was read away so far.
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
    stats: Rc<DuplexStats>,
}

impl Duplex {
    /// Takes over `stream`.
    pub fn new(stream: Stream, stats: Rc<DuplexStats>) -> Self {
        let (read_half, write_half) = stream.0.into_split();
        let shutdown = Rc::new(Cell::new(false));
        Self {
            reader: Direction::new(|slot| read_pump(read_half, slot)),
            unread: Vec::new(),
            consumed: 0,
            read_bytes: READ_BYTES_MIN,
            writer: Direction::new(|slot| write_pump(write_half, slot, shutdown.clone())),
            unsent: Vec::new(),
            spare: Vec::new(),
            shutdown,
            lingering: None,
            stats,
        }
    }

    /// Connects to `address` and takes the socket over.
    ///
    /// # Errors
    /// As `connect(2)`.
    pub async fn connect(address: SocketAddr, stats: Rc<DuplexStats>) -> io::Result<Self> {
        Ok(Self::new(super::tcp::connect(address).await?, stats))
    }

    /// Bytes read and not yet consumed.
    pub fn unread(&self) -> &[u8] {
        self.unread.get(self.consumed..).unwrap_or_default()
    }

    /// Marks `count` unread bytes as consumed.
    pub fn consume(&mut self, count: usize) {
        self.consumed = self.consumed.saturating_add(count).min(self.unread.len());
    }

    /// Reads more once everything unread is consumed. `Ready(Ok(0))` is the peer's end of stream.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if !self.reader.busy {
            let mut buffer = std::mem::take(&mut self.unread);
            self.consumed = 0;
            buffer.clear();
            if buffer.capacity() != self.read_bytes {
                buffer = Vec::with_capacity(self.read_bytes);
            }
            self.reader.submit(buffer);
        }
        let (result, buffer) = ready!(self.reader.poll(cx));
        self.unread = buffer;
        let count = result.inspect_err(|_| self.unread.clear())?;
        self.unread.truncate(count);
        self.adapt(count);
        self.stats.bytes_in.set(self.stats.bytes_in.get() + count as u64);
        Poll::Ready(Ok(count))
    }

    /// Full reads earn a larger buffer, small ones give it back.
    fn adapt(&mut self, count: usize) {
        if count == self.read_bytes {
            self.read_bytes = (self.read_bytes * 4).min(READ_BYTES_MAX);
        } else if count < READ_BYTES_MIN {
            self.read_bytes = READ_BYTES_MIN;
        }
    }

    /// Where to append bytes to be sent; follow with [`Duplex::poll_flush`].
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.unsent
    }

    /// Whether a writer should wait before it appends more.
    pub fn is_congested(&self) -> bool {
        self.writer.busy && self.unsent.len() >= WRITE_BYTES_MAX
    }

    /// Starts sending what is outgoing, after an earlier send has ended, whose error surfaces here. Ready once it is
    /// started, not once it is sent.
    pub fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.writer.busy {
            ready!(self.poll_sent(cx))?;
        }
        if self.unsent.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let next = std::mem::replace(&mut self.unsent, std::mem::take(&mut self.spare));
        self.stats
            .bytes_out
            .set(self.stats.bytes_out.get() + next.len() as u64);
        self.writer.submit(next);
        match self.poll_sent(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    /// Ready once everything outgoing was handed to the kernel.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.writer.busy || !self.unsent.is_empty() {
            ready!(self.poll_send(cx))?;
            if self.writer.busy {
                ready!(self.poll_sent(cx))?;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (result, mut buffer) = ready!(self.writer.poll(cx));
        if buffer.capacity() <= WRITE_BYTES_KEPT {
            buffer.clear();
            self.spare = buffer;
        }
        Poll::Ready(result.map(drop))
    }

    /// Flushes, closes the sending direction (a FIN after the last byte), and lingers if [`DuplexStats::linger`] says so.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shutdown.get() {
            ready!(self.poll_flush(cx))?;
            self.shutdown.set(true);
            self.writer.submit(Vec::new());
        }
        if self.writer.busy {
            ready!(self.poll_sent(cx))?;
        }
        match self.stats.linger.get() {
            true => self.poll_linger(cx).map(Ok),
            false => Poll::Ready(Ok(())),
        }
    }

    /// Reads the peer's remaining bytes away, for [`LINGER_TIME`] and [`LINGER_BYTES_MAX`] at most: closing with unread
    /// bytes would make the kernel send a reset, which may overtake what was just sent, an alert or an early response
    /// (RFC 9293 §3.6.1).
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let (until, read) = self
                .lingering
                .get_or_insert_with(|| (Box::pin(sleep(LINGER_TIME)), 0));
            if *read >= LINGER_BYTES_MAX || until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            // An error ends it as an end of stream does.
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
    pub async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// [`Duplex::poll_shutdown`] as a future, lingering.
    ///
    /// # Errors
    /// As `send(2)`.
    pub async fn say_goodbye(&mut self) -> io::Result<()> {
        self.stats.linger.set(true);
        poll_fn(|cx| self.poll_shutdown(cx)).await
    }
}

type Finished = (io::Result<usize>, Vec<u8>);
type Pump = Pin<Box<dyn Future<Output = ()>>>;

/// Where one direction and its pump leave each other their buffers.
#[derive(Default)]
struct Slot {
    demand: Cell<Option<Vec<u8>>>,
    finished: Cell<Option<Finished>>,
}

impl Slot {
    /// Ready once a buffer was submitted. The pump is polled right after, so nobody needs waking.
    async fn demand(&self) -> Vec<u8> {
        poll_fn(|_| self.demand.take().map_or(Poll::Pending, Poll::Ready)).await
    }
}

struct Direction {
    slot: Rc<Slot>,
    pump: Pump,
    busy: bool,
}

impl Direction {
    fn new<F: Future<Output = ()> + 'static>(pump: impl FnOnce(Rc<Slot>) -> F) -> Self {
        let slot = Rc::new(Slot::default());
        Self {
            pump: Box::pin(pump(slot.clone())),
            slot,
            busy: false,
        }
    }

    fn submit(&mut self, buffer: Vec<u8>) {
        self.slot.demand.set(Some(buffer));
        self.busy = true;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Finished> {
        let ended = self.pump.as_mut().poll(cx).is_ready();
        debug_assert!(!ended, "a pump lives as long as its connection");
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

async fn write_pump(mut half: OwnedWriteHalf<TcpStream>, slot: Rc<Slot>, shutdown: Rc<Cell<bool>>) {
    loop {
        let buffer = slot.demand().await;
        let finished = if shutdown.get() {
            (half.shutdown().await.map(|()| 0), buffer)
        } else {
            half.write_all(buffer).await
        };
        slot.finished.set(Some(finished));
    }
}
