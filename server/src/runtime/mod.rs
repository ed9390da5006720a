//! Runtime of a core, and the only place that names monoio: one io_uring runtime per core, its tasks, timers,
//! sockets and mailbox.
//!
//! Owns: how a core's ring is set up and how it steps down where the kernel refuses, how a task is kept from
//! taking its core with it, and the owned-buffer sockets. Does not own: what runs on a core (`worker`).
//!
//! Written around monoio 0.2.4: a panic never leaves a task (it would end the core), and an armed operation
//! is cancelled rather than dropped. Tasks may wake themselves, as hyper's do while a client keeps sending.
//! The released monoio would then run no timer, no other task, no completion and no message of that core. The
//! linked one is patched: see server/vendor/monoio/BOTHWAYS.md.

mod buffers;
mod core;
mod duplex;
#[cfg(test)]
mod fairness_tests;
mod mailbox;
mod memory;
mod outbox;
#[cfg(test)]
mod outbox_tests;
mod pump;
mod stats;
mod task;
mod tcp;

pub use self::core::{CoreRuntime, Driver, DriverChoice};
pub use self::duplex::Duplex;
pub use self::mailbox::{Mailbox, MailboxSender, mailbox};
pub use self::memory::give_back_free_pages;
pub use self::outbox::{Outbox, Peephole};
pub use self::pump::Unread;
pub use self::stats::DuplexStats;
pub use self::task::{Signal, SignalKind, run_guarded, spawn_guarded};
pub use self::tcp::{DetachedStream, Listener, Stream};

pub use monoio::time::{sleep, timeout};
