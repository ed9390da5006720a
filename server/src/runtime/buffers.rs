//! Send buffers that a core has at hand: a connection holds one only while it has something to send.
//!
//! Bounded in number and size; what is beyond is freed. Each thread has its own.

use std::cell::RefCell;

/// Buffers that wait for their next use.
const BUFFERS_MAX: usize = 8;
/// Size up to which a buffer is kept: as much as waits behind a send at most, encrypted. A larger one is
/// freed.
pub(super) const BYTES_MAX: usize = 256 * 1024;

thread_local! {
    static FREE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes to be sent. They are written into room that was filled with zeros once, in an earlier use perhaps.
#[derive(Default)]
pub(super) struct SendBuffer {
    room: Vec<u8>,
    filled: usize,
}

impl SendBuffer {
    /// Number of bytes to be sent.
    pub(super) fn len(&self) -> usize {
        self.filled
    }

    /// True if there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Bytes to be sent.
    pub(super) fn bytes(&self) -> &[u8] {
        self.room.get(..self.filled).unwrap_or_default()
    }

    /// Lets `write` put something behind what is there already, into `bytes` of room at least; `write` says
    /// how much that was.
    pub(super) fn fill<E>(
        &mut self,
        bytes: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        if self.room.capacity() == 0 {
            self.room = take();
        }
        let needed = self.filled + bytes;
        if self.room.len() < needed {
            self.room.resize(needed, 0);
        }
        let written = write(self.room.get_mut(self.filled..).unwrap_or_default())?;
        debug_assert!(
            self.filled + written <= self.room.len(),
            "no more was written than fits"
        );
        self.filled += written;
        Ok(())
    }

    /// Takes out everything but the first `sent` bytes, to be sent in another way.
    pub(super) fn rest(mut self, sent: usize) -> Vec<u8> {
        self.room.truncate(self.filled);
        self.room.drain(..sent);
        self.room
    }

    /// Keeps the buffer for another use: everything was sent.
    pub(super) fn give_back(self) {
        give_back(self.room);
    }
}

fn take() -> Vec<u8> {
    FREE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Keeps `buffer` for another use, whatever is in it.
pub(super) fn give_back(buffer: Vec<u8>) {
    if (1..=BYTES_MAX).contains(&buffer.capacity()) {
        FREE.with_borrow_mut(|free| {
            if free.len() < BUFFERS_MAX {
                free.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(buffer: &mut SendBuffer, bytes: &[u8]) {
        let written = buffer.fill(bytes.len(), |room| {
            room[..bytes.len()].copy_from_slice(bytes);
            Ok::<_, ()>(bytes.len())
        });
        assert!(written.is_ok());
    }

    #[test]
    fn what_is_filled_in_comes_out_and_nothing_of_an_earlier_life() {
        give_back(vec![1; 100]);
        let mut buffer = SendBuffer::default();
        append(&mut buffer, b"first");
        append(&mut buffer, b" second");
        assert_eq!(buffer.bytes(), b"first second");
        assert_eq!(buffer.rest(6), b"second");
    }

    #[test]
    fn a_write_that_fails_leaves_what_was_there() {
        let mut buffer = SendBuffer::default();
        append(&mut buffer, b"before");
        assert_eq!(buffer.fill(10, |_| Err("no")), Err("no"));
        assert_eq!(buffer.bytes(), b"before");
    }

    #[test]
    fn neither_large_buffers_are_kept_nor_many() {
        give_back(vec![1; BYTES_MAX + 1]);
        assert_eq!(take().capacity(), 0);
        (0..2 * BUFFERS_MAX).for_each(|_| give_back(vec![1; 100]));
        let kept = std::iter::repeat_with(take).take_while(|buffer| buffer.capacity() > 0);
        assert_eq!(kept.count(), BUFFERS_MAX);
    }
}
