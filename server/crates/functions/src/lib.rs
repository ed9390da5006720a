//! The customer's JavaScript: connection functions and viewer functions, as the managed service runs them.
//!
//! Owns the engine (one QuickJS runtime per core and function), its limits, the objects that functions see,
//! and what their answers mean. Does no I/O and knows no socket: callers hand in facts and get a decision
//! back. Runs on the cores, inside the handshake too.
//!
//! No call can see what another left behind:
//! - The code is a factory (`program.rs`): each call makes all of its module-level variables, functions and
//!   classes anew.
//! - Everything else that it can reach, the language's own objects included, is frozen (`prelude/harden.js`).
//!   This costs an engine 1.3 ms once, and a call nothing.
//! - Code that writes to a frozen object is called again in an engine of its own, and if that helps, it gets
//!   one for each call from then on: about 0.3 ms a call.
//! - What a call has queued runs, or is stopped, before its answer counts; its garbage is collected before it
//!   can weigh on another.
//! - After a call that ran out of time or memory its engine is thrown away, and the next call makes another
//!   (1.6 ms).
//!
//! Limits are looked at every ten thousand steps of the interpreter and every 64 KiB allocated. Native
//! operations count their work in such steps (`server/vendor/rquickjs-sys/BOTHWAYS.md`), so a search in an
//! array of a thousand million holes is cut short as well. `Date` is UTC where it says so, and the server's
//! zone elsewhere.

// Standard output and error are the operator's, and printing waits where nobody reads them.
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![warn(unreachable_pub)]

mod budget;
mod call;
mod certificate_renames;
mod codec;
mod compile;
mod connection;
mod engine;
mod fault;
mod function;
mod header_rules;
mod natives;
mod pool;
mod program;
mod source;
mod trial;
pub mod viewer;
mod viewer_natives;

pub use connection::{
    ConnectionEvent, ConnectionOutcome, Decision, Denial, TlsFacts, call_connection, call_connection_at,
};
pub use function::{Function, LiveFunction};
pub use pool::retire;
pub use source::{CompileError, FunctionKind, FunctionLimits, FunctionSource};
pub use trial::try_connection;

#[cfg(test)]
mod connection_tests;
#[cfg(test)]
mod interrupt_tests;
#[cfg(test)]
mod isolation_tests;
#[cfg(test)]
mod limits_tests;
#[cfg(test)]
mod modules_tests;
#[cfg(test)]
mod store_tests;
#[cfg(test)]
mod testing;
