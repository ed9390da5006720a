//! The customer's JavaScript: connection functions and viewer functions, as the managed service runs them.
//!
//! Owns the engine (one QuickJS runtime per core and function), its limits, the objects that functions see, and what their answers
//! mean. Does no I/O and knows no socket: callers hand in facts and get a decision back. Runs on the cores, inside the handshake too.

mod connection;
mod function;
pub mod viewer;

pub use connection::{ConnectionEvent, ConnectionOutcome, Decision, Denial, TlsFacts, call_connection};
pub use function::{CompileError, Function, FunctionKind, FunctionLimits, FunctionSource, LiveFunction};
