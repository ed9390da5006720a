//! The send buffers that a core has at hand: a connection holds one only while it has something to send.
//!
//! Bounded in number and size; what is beyond is freed. Every thread has its own.

use std::cell::RefCell;

/// Buffers that wait for their next use.
const BUFFERS_MAX: usize = 8;
/// A buffer that has grown larger is freed: as much as waits behind a send at most, encrypted.
const BYTES_MAX: usize = 256 * 1024;

thread_local! {
    static FREE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer, of whatever capacity the last use has left it.
pub(super) fn take() -> Vec<u8> {
    FREE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Keeps `buffer` for another use.
pub(super) fn give_back(mut buffer: Vec<u8>) {
    if (1..=BYTES_MAX).contains(&buffer.capacity()) {
        buffer.clear();
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

    #[test]
    fn a_buffer_comes_back_empty_and_one_that_is_too_large_does_not() {
        give_back(vec![1; 100]);
        let again = take();
        assert!(again.is_empty() && again.capacity() >= 100);
        give_back(vec![1; BYTES_MAX + 1]);
        assert_eq!(take().capacity(), 0);
    }

    #[test]
    fn no_more_are_kept_than_the_bound() {
        (0..2 * BUFFERS_MAX).for_each(|_| give_back(vec![1; 100]));
        let kept = std::iter::repeat_with(take).take_while(|buffer| buffer.capacity() > 0);
        assert_eq!(kept.count(), BUFFERS_MAX);
    }
}
