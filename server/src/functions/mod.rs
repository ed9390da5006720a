//! The customer's JavaScript: connection functions and viewer functions, as the managed service runs them.
//!
//! Owns the engine (one QuickJS runtime per core and function), its limits, the objects that functions see, and what their answers
//! mean. Does no I/O and knows no socket: callers hand in facts and get a decision back. Runs on the cores, inside the handshake too.

mod budget;
mod call;
mod codec;
mod compile;
mod connection;
mod engine;
mod fault;
mod function;
mod natives;
mod pool;
mod source;
mod trial;
pub mod viewer;

pub use connection::{
    ConnectionEvent, ConnectionOutcome, Decision, Denial, TlsFacts, call_connection, call_connection_at,
};
pub use function::{CompileError, Function, FunctionKind, FunctionLimits, FunctionSource, LiveFunction};
pub use pool::retire;
pub use trial::try_connection;

#[cfg(test)]
mod connection_tests;
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
