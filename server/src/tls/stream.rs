//! The established connection as hyper wants it: plaintext to be polled, over rustls, over the socket's own buffers.
//!
//! Outgoing: hyper's bytes go through rustls straight into the send buffer that io_uring will own, many records to a
//! send. They wait there until the [`Outbox`] is posted, by whoever polls hyper, so that what one poll has to say is one send.
//! Incoming: the receive buffer feeds rustls, whose plaintext is copied once into hyper's.

use std::io::{self, BufRead, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write as HyperWrite};
use rustls::ServerConnection;

use super::acceptor::write_records;
use crate::runtime::{Duplex, Outbox};

/// A TLS connection past its handshake.
pub struct TlsStream {
    connection: ServerConnection,
    io: Duplex,
    /// What the peer did that TLS cannot go on after.
    fault: Option<rustls::Error>,
    /// Plaintext that its reader has given back: it comes first.
    returned: Bytes,
}

impl TlsStream {
    pub(super) fn new(mut connection: ServerConnection, mut io: Duplex) -> Self {
        io.settle();
        // The send buffer applies the back-pressure; rustls' own limit would only cut writes short.
        connection.set_buffer_limit(None);
        Self {
            connection,
            io,
            fault: None,
            returned: Bytes::new(),
        }
    }

    /// rustls' side: version, suite, ALPN.
    pub fn connection(&self) -> &ServerConnection {
        &self.connection
    }

    /// Where this stream leaves what is to be sent, for the task that polls it to post after each poll.
    pub fn outbox(&self) -> &Outbox {
        self.io.outbox()
    }

    /// Takes back plaintext that was read and not used.
    pub fn put_back(&mut self, unused: Bytes) {
        debug_assert!(self.returned.is_empty(), "who reads has read all of it");
        self.returned = unused;
    }

    /// Ready when there is something to read: plaintext, the end of the stream, or an error.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.returned.is_empty() && is_without_plaintext(&mut self.connection) && self.fault.is_none() {
            // An error is met again by whoever reads.
            if ready!(self.poll_records(cx)).is_err() {
                break;
            }
        }
        Poll::Ready(())
    }

    /// Copies plaintext that is already there; `None` when there is none yet.
    fn take_plaintext(&mut self, cursor: &mut ReadBufCursor<'_>) -> Option<io::Result<()>> {
        if !self.returned.is_empty() {
            let taken = self.returned.len().min(cursor.remaining());
            cursor.put_slice(&self.returned.split_to(taken));
            return Some(Ok(()));
        }
        let mut reader = self.connection.reader();
        let taken = match reader.fill_buf() {
            Ok(chunk) => {
                let taken = chunk.len().min(cursor.remaining());
                cursor.put_slice(chunk.get(..taken).unwrap_or_default());
                taken
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            // The peer closed without close_notify: to HTTP, whose messages end themselves, an end like any other.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Some(Ok(())),
            Err(error) => return Some(Err(error)),
        };
        reader.consume(taken);
        Some(Ok(()))
    }

    /// Feeds rustls with bytes from the socket.
    fn poll_records(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.io.unread().is_empty() && ready!(self.io.poll_fill(cx))? == 0 {
            self.connection.read_tls(&mut io::empty())?;
            return Poll::Ready(Ok(()));
        }
        let taken = self.connection.read_tls(&mut self.io.unread())?;
        self.io.consume(taken);
        if let Err(error) = self.connection.process_new_packets() {
            self.fault = Some(error);
        }
        // Key updates and their like must not wait for hyper to write.
        write_records(&mut self.connection, &self.io);
        Poll::Ready(Ok(()))
    }

    /// The error that ends the connection, once its alert was handed to the kernel: hyper drops the stream with it.
    fn poll_fault(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(fault) = &self.fault else {
            return Poll::Ready(Ok(()));
        };
        let error = io::Error::new(io::ErrorKind::InvalidData, fault.clone());
        write_records(&mut self.connection, &self.io);
        ready!(self.outbox().poll_flush(cx))?;
        Poll::Ready(Err(error))
    }

    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        bytes: usize,
        write: impl FnOnce(&mut ServerConnection) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.outbox().poll_room(cx))?;
        let written = write(&mut self.connection)?;
        let records = bytes.div_ceil(RECORD_BYTES_MAX);
        let encrypted = bytes + records * RECORD_OVERHEAD_BYTES;
        self.outbox().outgoing().reserve(encrypted);
        write_records(&mut self.connection, &self.io);
        Poll::Ready(Ok(written))
    }
}

impl Read for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if let Some(result) = this.take_plaintext(&mut cursor) {
                return Poll::Ready(result);
            }
            ready!(this.poll_fault(cx))?;
            ready!(this.poll_records(cx))?;
        }
    }
}

impl HyperWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let bytes = bytes.get(..WRITE_BYTES_MAX).unwrap_or(bytes);
        self.get_mut()
            .poll_write_with(cx, bytes.len(), |connection| connection.writer().write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let slices = first_bytes(slices);
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        self.get_mut().poll_write_with(cx, bytes, |connection| {
            connection.writer().write_vectored(&slices)
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing is waited for: what was written goes out when the poll is over, and the room for more is what is bounded.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.outbox().take_failure())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.connection.send_close_notify();
        write_records(&mut this.connection, &this.io);
        this.io.poll_shutdown(cx)
    }
}

fn is_without_plaintext(connection: &mut ServerConnection) -> bool {
    matches!(connection.reader().fill_buf(), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// The front of `slices`, [`WRITE_BYTES_MAX`] in all: a peer that does not read must not make more wait, encrypted.
fn first_bytes<'a>(slices: &'a [IoSlice<'_>]) -> Vec<IoSlice<'a>> {
    let mut left = WRITE_BYTES_MAX;
    let mut first = Vec::with_capacity(slices.len().min(SLICES_MAX));
    for slice in slices.iter().take(SLICES_MAX) {
        let taken = slice.get(..left).unwrap_or(slice);
        left -= taken.len();
        first.push(IoSlice::new(taken));
        if left == 0 {
            break;
        }
    }
    first
}

/// Plaintext of one record (RFC 8446 §5.1).
const RECORD_BYTES_MAX: usize = 16 * 1024;
/// Header, type, tag and, before TLS 1.3, an explicit nonce.
const RECORD_OVERHEAD_BYTES: usize = 32;
/// Slices taken from hyper at a time.
const SLICES_MAX: usize = 64;
/// Plaintext taken from hyper at a time: an ordinary large response, so that it is one send from one buffer of the right size.
const WRITE_BYTES_MAX: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn a_write_takes_no_more_than_its_bound_however_the_bytes_are_sliced() {
        let large = vec![0; 3 * WRITE_BYTES_MAX];
        let total = |lengths: &[usize]| {
            let slices: Vec<_> = lengths
                .iter()
                .map(|length| IoSlice::new(&large[..*length]))
                .collect();
            first_bytes(&slices)
                .iter()
                .map(|slice| slice.len())
                .sum::<usize>()
        };
        assert_eq!(total(&[]), 0);
        assert_eq!(total(&[7, 0, 5]), 12);
        assert_eq!(total(&[100, 3 * WRITE_BYTES_MAX]), WRITE_BYTES_MAX);
        assert_eq!(total(&[WRITE_BYTES_MAX, 1]), WRITE_BYTES_MAX);
        assert_eq!(total(&[1; SLICES_MAX + 1]), SLICES_MAX);
    }
}
