//! Core: its listeners, its connections, and what control asks of it.
//!
//! Owns everything that lives on one core's thread. A connection's way reads from top to bottom: `accept` (a
//! socket), `connection` (one client), `handshake`, `http1` and `http2`, `attempt` (its record). `life` runs
//! the core, `core` is the state that all of them share. Does not own what cores share: the published
//! snapshot, the session vault and the record queue are handed in.
//!
//! A core never blocks: no file, no name resolution, no contended lock.

mod accept;
mod attempt;
mod balance;
mod census;
mod connection;
mod connection_function;
mod core;
mod drive;
mod entrance;
mod grounds;
mod handshake;
mod http1;
mod http2;
mod life;
mod outcome;
mod plain;
mod registry;
mod rest;
mod streams;
mod sweep;
mod tick;
mod watch;

pub use self::accept::QUEUED_MAX;
pub use self::balance::places;
pub use self::census::{Census, Connected, Page, Wanted};
pub use self::connection_function::{barred, intermediates};
pub use self::core::Shared;
pub use self::entrance::ListenerSetup;
pub use self::life::{CoreMessage, CoreSetup, run};
