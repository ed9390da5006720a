//! A socket without TLS as hyper wants it: the origin's side, and the plain listener's.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::runtime::Duplex;

/// Plain bytes over a [`Duplex`].
pub struct PlainStream(pub Duplex);

impl PlainStream {
    /// Reads as [`Read::poll_read`] does, and says how many bytes it took; `look` is shown them.
    pub(super) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        cursor: &mut ReadBufCursor<'_>,
        look: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<usize>> {
        let io = &mut self.0;
        if io.unread().is_empty() {
            ready!(io.poll_fill(cx))?;
        }
        let taken = io.unread().len().min(cursor.remaining());
        let bytes = io.unread().get(..taken).unwrap_or_default();
        look(bytes);
        cursor.put_slice(bytes);
        io.consume(taken);
        Poll::Ready(Ok(taken))
    }
}

impl Read for PlainStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().poll_take(cx, &mut cursor, |_| {}).map_ok(drop)
    }
}

impl Write for PlainStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let io = &mut self.get_mut().0;
        ready!(io.outbox().poll_room(cx))?;
        io.outbox().append(bytes);
        io.outbox().post(cx);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.outbox().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.poll_shutdown(cx)
    }
}
