//! The only place that names monoio: one io_uring runtime per core, its tasks, timers, sockets and mailbox.
//!
//! Owns: how a core's ring is set up and how it steps down where the kernel refuses, how a task is kept from
//! taking its core with it, and the owned-buffer sockets. Does not own: what runs on a core (`worker`).
//!
//! Written around monoio 0.2.4: an accept future is never dropped while armed (it leaks the descriptor),
//! no task wakes itself in a loop (it starves timers), a panic never leaves a task (it would end the core).

mod core;
mod duplex;
mod mailbox;
mod task;
mod tcp;

pub use self::core::{CoreRuntime, Driver, DriverChoice};
pub use self::duplex::{Duplex, DuplexStats};
pub use self::mailbox::{Mailbox, MailboxSender, mailbox};
pub use self::task::{Signal, SignalKind, spawn_guarded};
pub use self::tcp::{Listener, Stream, connect};

pub use monoio::time::{sleep, timeout};
