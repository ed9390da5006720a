//! The one door into a core from other threads: an unbounded queue that few, slow senders (control) write to.
//!
//! A single long-lived task reads it, so that monoio's cross-thread wake-ups always find a living task.

use std::future::poll_fn;
use std::pin::Pin;

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_core::Stream;

/// The writing end, for the control thread.
pub struct MailboxSender<T>(UnboundedSender<T>);

/// The reading end, for the core's mailbox task.
pub struct Mailbox<T>(UnboundedReceiver<T>);

/// A fresh mailbox.
pub fn mailbox<T>() -> (MailboxSender<T>, Mailbox<T>) {
    let (sender, receiver) = unbounded();
    (MailboxSender(sender), Mailbox(receiver))
}

impl<T> MailboxSender<T> {
    /// Puts `message` into the mailbox, or gives it back when the core has ended.
    pub fn send(&self, message: T) -> Result<(), T> {
        self.0
            .unbounded_send(message)
            .map_err(futures_channel::mpsc::TrySendError::into_inner)
    }
}

impl<T> Clone for MailboxSender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Mailbox<T> {
    /// The next message, or `None` once every sender is gone.
    pub async fn receive(&mut self) -> Option<T> {
        poll_fn(|cx| Pin::new(&mut self.0).poll_next(cx)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{CoreRuntime, DriverChoice};

    #[test]
    fn a_message_from_another_thread_wakes_the_core() {
        for choice in [DriverChoice::Auto, DriverChoice::Epoll] {
            let (sender, mut mailbox) = mailbox();
            let mut runtime = CoreRuntime::build(None, choice).expect("a runtime");
            let writer = std::thread::spawn(move || sender.send(7));
            assert_eq!(runtime.block_on(mailbox.receive()), Some(7));
            assert!(matches!(writer.join(), Ok(Ok(()))));
        }
    }
}
