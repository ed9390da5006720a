//! The established connection of either side as hyper wants it: plaintext to be polled, over rustls, over the
//! socket's own buffers.
//!
//! - Outgoing: hyper's bytes are encrypted into the send buffer, in as many records as they take. They wait
//!   there until the task that polls hyper posts the [`Outbox`], so that the bytes of one poll are one send.
//! - Incoming: records are decrypted in the receive buffer, one at a time, and their plaintext is copied into
//!   hyper's buffer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use hyper::rt::{Read, ReadBufCursor, Write as HyperWrite};
use rustls::CommonState;

use super::machine::{Machine, Turn};
use super::outgoing::encrypted_bytes_max;
use super::side::Side;
use crate::runtime::{Duplex, Outbox};

/// A TLS connection past its handshake.
pub struct TlsStream<S> {
    machine: Machine<S>,
    io: Duplex,
    /// The peer says no more.
    has_ended: bool,
    /// The close_notify of this side was sent. From then on unread bytes are thrown away, so rustls, which
    /// remembers places in them, must not be called.
    is_closing: bool,
    /// Plaintext that found no room with its reader, or that its reader has given back: it comes first.
    waiting: BytesMut,
}

impl<S: Side> TlsStream<S> {
    /// Goes on after the handshake of `machine`. `waiting` is plaintext that came with its end.
    pub(crate) fn new(machine: Machine<S>, mut io: Duplex, waiting: BytesMut) -> Self {
        io.settle();
        Self {
            machine,
            io,
            has_ended: false,
            is_closing: false,
            waiting,
        }
    }

    /// Result of the handshake: version, suite, ALPN.
    pub fn connection(&self) -> &CommonState {
        self.machine.connection()
    }

    /// Outbox in which this stream leaves what is to be sent, for the task that polls it to post after each
    /// poll.
    pub fn outbox(&self) -> &Outbox {
        self.io.outbox()
    }

    /// Takes back plaintext that was read and not used.
    pub fn put_back(&mut self, unused: Bytes) {
        let waiting = std::mem::replace(&mut self.waiting, unused.into());
        self.waiting.extend_from_slice(&waiting);
    }

    /// True if there are bytes that nobody has asked for, even if they are only half a record.
    pub fn holds_bytes(&self) -> bool {
        !self.waiting.is_empty() || !self.io.unread().is_empty()
    }

    /// Ready when there is something to read: plaintext, the end of the stream, or an error.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.waiting.is_empty() && !self.has_ended && self.machine.fault().is_none() {
            let waiting = &mut self.waiting;
            let turned = self
                .machine
                .advance(&mut self.io, |plaintext| waiting.extend_from_slice(plaintext));
            // An error is met again by whoever reads.
            if ready!(self.poll_turned(cx, turned)).is_err() {
                break;
            }
        }
        Poll::Ready(())
    }

    /// Notes the result of the machine's turn, and reads more where it is blocked.
    fn poll_turned(
        &mut self,
        cx: &mut Context<'_>,
        turned: Result<Turn, rustls::Error>,
    ) -> Poll<io::Result<()>> {
        match turned {
            // An end without a close_notify is as good: the messages of HTTP say themselves where they end.
            Ok(Turn::Blocked) => self.has_ended = ready!(self.io.poll_fill(cx))? == 0,
            Ok(Turn::PeerClosed | Turn::Closed) => self.has_ended = true,
            // A fault is the machine's to keep.
            Ok(Turn::Further | Turn::Plaintext | Turn::Written) | Err(_) => {}
        }
        Poll::Ready(Ok(()))
    }

    /// Copies plaintext that is already there. `false`: there is none.
    fn take_waiting(&mut self, cursor: &mut ReadBufCursor<'_>) -> bool {
        if self.waiting.is_empty() {
            return false;
        }
        let taken = self.waiting.len().min(cursor.remaining());
        cursor.put_slice(self.waiting.get(..taken).unwrap_or_default());
        self.waiting.advance(taken);
        if self.waiting.is_empty() {
            self.waiting = BytesMut::new();
        }
        true
    }

    /// Fails with the fault of the connection, if there is one, once its alert was handed to the kernel:
    /// hyper drops the stream as soon as it has the error.
    fn poll_fault(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(fault) = self.machine.fault() else {
            return Poll::Ready(Ok(()));
        };
        let error = io::Error::new(io::ErrorKind::InvalidData, fault.clone());
        ready!(self.outbox().poll_flush(cx))?;
        Poll::Ready(Err(error))
    }

    fn poll_write_slices(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        ready!(self.poll_fault(cx))?;
        ready!(self.outbox().poll_room(cx))?;
        let waiting = &mut self.waiting;
        let written = self.machine.write(&mut self.io, slices, |plaintext| {
            waiting.extend_from_slice(plaintext)
        });
        if let Err(error) = written {
            ready!(self.poll_fault(cx))?;
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, error)));
        }
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }
}

impl<S: Side + Unpin> Read for TlsStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.take_waiting(&mut cursor) {
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_fault(cx))?;
            if this.has_ended {
                return Poll::Ready(Ok(()));
            }
            let waiting = &mut this.waiting;
            let turned = this.machine.advance(&mut this.io, |plaintext| {
                let (fits, rest) = plaintext.split_at(plaintext.len().min(cursor.remaining()));
                cursor.put_slice(fits);
                waiting.extend_from_slice(rest);
            });
            if turned == Ok(Turn::Plaintext) {
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_turned(cx, turned))?;
        }
    }
}

impl<S: Side + Unpin> HyperWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let bytes = bytes.get(..WRITE_BYTES_MAX).unwrap_or(bytes);
        self.get_mut().poll_write_slices(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_slices(cx, &first_bytes(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Waits for nothing: written bytes go out when the poll is over, and the bound is on the room for more.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.outbox().take_failure())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !std::mem::replace(&mut this.is_closing, true) {
            // After a fault there is, most often, an alert in its place.
            let _closed_anyway = this.machine.close(&mut this.io);
        }
        this.io.poll_shutdown(cx)
    }
}

/// The front of `slices`, [`WRITE_BYTES_MAX`] in all, so that no more waits, encrypted, for a peer that does
/// not read.
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

/// Slices taken from hyper at a time.
const SLICES_MAX: usize = 64;
/// Plaintext taken from hyper at a time: an ordinary large response, so that it is one send from one buffer
/// of the right size.
const WRITE_BYTES_MAX: usize = 128 * 1024;

// The largest buffer that a writer can fill is kept for its next use: allocated anew, it would be filled with
// zeros for each large response.
const _: () =
    assert!(Outbox::WAITING_BYTES_MAX + encrypted_bytes_max(WRITE_BYTES_MAX) <= Outbox::KEPT_BYTES_MAX);

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
