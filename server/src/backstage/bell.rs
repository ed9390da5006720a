//! The driver's waker: a descriptor that poll(2) watches. Any thread may ring it, so that a response may wait
//! for something that is no socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::Wake;

use rustix::event::{EventfdFlags, eventfd};

pub(super) struct Bell(OwnedFd);

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Takes all rings so far, so that poll(2) waits for the next. Does not block.
    pub(super) fn hush(&self) {
        let mut count = [0; 8];
        let _it_may_not_have_rung = rustix::io::read(&self.0, &mut count);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Refused only where 2⁶⁴-2 rings were not heard.
        let _it_rings_already = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}
