//! A TLS connection as hyper wants it: poll functions over completion I/O.
//!
//! A submitted read owns its buffer until the kernel is done with it, so it must never be dropped half-way.
//! Each direction therefore has one [`Pump`]: a future that lives as long as the connection, takes buffers
//! from a cell, waits for the operation, and puts the result back. The poll functions only exchange buffers
//! and poll the pumps: nothing is allocated per operation, and nothing is `unsafe`.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use monoio::BufResult;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::TcpStream;

use super::{Connection, Plaintext, Records, other};
use crate::failure::Failure;

/// An established connection; reads and writes proceed independently.
pub struct Duplex {
    records: Records,
    reader: Pump,
    writer: Pump,
    /// The buffer for the next write, when none is in flight.
    outbound: Vec<u8>,
    /// Plaintext bytes given to rustls since the last write was submitted.
    unsent: usize,
}

impl Duplex {
    /// Takes over a connection whose handshake is done.
    pub fn new(connection: Connection) -> Self {
        let Connection {
            stream,
            records,
            outbound,
        } = connection;
        let (read_half, write_half) = stream.into_split();
        Duplex {
            records,
            reader: Pump::new(|cells| read_forever(read_half, cells)),
            writer: Pump::new(|cells| write_forever(write_half, cells)),
            outbound,
            unsent: 0,
        }
    }

    fn broken(&self, failure: Failure) -> io::Error {
        let error = other(&failure);
        self.records.progress.failure.borrow_mut().get_or_insert(failure);
        error
    }

    /// Reads records from the socket; ready when some, or the end, have come.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.reader.busy() {
            self.reader.submit(self.records.take_inbound());
        }
        let (result, buffer) = ready!(self.reader.poll(cx));
        match result {
            Ok(bytes) => {
                self.records.arrived(buffer, bytes);
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(self.broken(Failure::from_io(&error, self.records.stage())))),
        }
    }

    /// Sends what rustls holds; ready when all of it has left.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.writer.busy() {
                let (result, buffer) = ready!(self.writer.poll(cx));
                self.outbound = buffer;
                result.map_err(|error| self.broken(Failure::from_io(&error, self.records.stage())))?;
            }
            if !self.records.tls.wants_write() {
                return Poll::Ready(Ok(()));
            }
            let mut outbound = std::mem::take(&mut self.outbound);
            outbound.clear();
            self.records.take_outbound(&mut outbound);
            self.unsent = 0;
            self.writer.submit(outbound);
        }
    }
}

impl Read for Duplex {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match this.records.plaintext() {
                Plaintext::Chunk(chunk) => {
                    let length = chunk.len().min(cursor.remaining());
                    cursor.put_slice(chunk.get(..length).unwrap_or_default());
                    this.records.consume(length);
                    return Poll::Ready(Ok(()));
                }
                Plaintext::End | Plaintext::Cut => return Poll::Ready(Ok(())),
                Plaintext::NotYet => {}
            }
            match this.records.feed() {
                Ok(true) => {}
                Ok(false) => ready!(this.poll_fill(cx))?,
                Err(failure) => {
                    let _ = this.poll_drain(cx); // our alert, if there is one
                    return Poll::Ready(Err(this.broken(failure)));
                }
            }
        }
    }
}

impl Write for Duplex {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.unsent > UNSENT_BYTES_MAX {
            ready!(this.poll_drain(cx))?;
        }
        let written = this.records.tls.writer().write_vectored(slices)?;
        this.unsent += written;
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_drain(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.records.tls.send_close_notify();
        this.poll_drain(cx)
    }
}

/// Direction of a socket: at most one operation in flight, never abandoned while the pump lives.
struct Pump {
    cells: Rc<Cells>,
    drive: Pin<Box<dyn Future<Output = Infallible>>>,
}

#[derive(Default)]
struct Cells {
    demand: Cell<Option<Vec<u8>>>,
    done: Cell<Option<BufResult<usize, Vec<u8>>>>,
    busy: Cell<bool>,
}

impl Pump {
    fn new<F: Future<Output = Infallible> + 'static>(drive: impl FnOnce(Rc<Cells>) -> F) -> Self {
        let cells = Rc::new(Cells::default());
        Pump {
            cells: cells.clone(),
            drive: Box::pin(drive(cells)),
        }
    }

    /// `true`: an operation is in flight or its result not fetched.
    fn busy(&self) -> bool {
        self.cells.busy.get()
    }

    /// Starts an operation with `buffer` at the next poll.
    fn submit(&mut self, buffer: Vec<u8>) {
        self.cells.demand.set(Some(buffer));
        self.cells.busy.set(true);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<BufResult<usize, Vec<u8>>> {
        let _ = self.drive.as_mut().poll(cx);
        match self.cells.done.take() {
            Some(done) => {
                self.cells.busy.set(false);
                Poll::Ready(done)
            }
            None => Poll::Pending,
        }
    }
}

impl Cells {
    /// The next buffer. No waker is kept: whoever sets a demand polls the pump.
    async fn demand(&self) -> Vec<u8> {
        poll_fn(|_| self.demand.take().map_or(Poll::Pending, Poll::Ready)).await
    }
}

async fn read_forever(mut socket: OwnedReadHalf<TcpStream>, cells: Rc<Cells>) -> Infallible {
    loop {
        let done = socket.read(cells.demand().await).await;
        cells.done.set(Some(done));
    }
}

async fn write_forever(mut socket: OwnedWriteHalf<TcpStream>, cells: Rc<Cells>) -> Infallible {
    loop {
        let done = socket.write_all(cells.demand().await).await;
        cells.done.set(Some(done));
    }
}

/// hyper is held back while this much is queued and unsent.
const UNSENT_BYTES_MAX: usize = 128 * 1024;
