//! Mailbox: the one door into a core from other threads, an unbounded queue.
//!
//! Its senders are few and slow (control), or bound themselves what they have under way (cores that hand
//! connections over). A single long-lived task reads it, so that monoio's cross-thread wake-ups always find a
//! living task.

use std::future::poll_fn;
use std::pin::Pin;

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_core::Stream;

/// Writing end, for the control thread and for other cores.
pub struct MailboxSender<T>(UnboundedSender<T>);

/// Reading end, for the core's mailbox task.
pub struct Mailbox<T>(UnboundedReceiver<T>);

/// Makes a mailbox.
pub fn mailbox<T>() -> (MailboxSender<T>, Mailbox<T>) {
    let (sender, receiver) = unbounded();
    (MailboxSender(sender), Mailbox(receiver))
}

impl<T> MailboxSender<T> {
    /// Puts `message` into the mailbox, or gives it back when the core takes no more or has ended.
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

    /// Closes the mailbox: from now on senders get their messages back. [`Mailbox::receive`] gives out all
    /// that were sent before, to the last, then `None`.
    pub fn close(&mut self) {
        self.0.close();
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

    #[test]
    fn of_what_is_sent_while_a_mailbox_closes_nothing_is_lost() {
        for choice in [DriverChoice::Auto, DriverChoice::Epoll] {
            let (sender, mut mailbox) = mailbox();
            let writers: Vec<_> = (0..2)
                .map(|_| {
                    let sender = sender.clone();
                    std::thread::spawn(move || (1_u64..).take_while(|n| sender.send(*n).is_ok()).count())
                })
                .collect();
            let mut runtime = CoreRuntime::build(None, choice).expect("a runtime");
            let received = runtime.block_on(async {
                let mut received = usize::from(mailbox.receive().await.is_some());
                mailbox.close();
                while mailbox.receive().await.is_some() {
                    received += 1;
                }
                received
            });
            let sent = writers.into_iter().map(|writer| writer.join().expect("a count"));
            assert_eq!(received, sent.sum::<usize>());
        }
    }
}
