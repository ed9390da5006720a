//! Bothways: an edge server that authenticates every client by certificate, thread per core, on io_uring.
//!
//! The library exists for the binary, the fuzz targets and the tests; it promises no stable interface.
//! Dependencies between modules point down, in the order of this list (ARCHITECTURE.md has the table).

// Both panic where the stream is closed or full, and wait where nobody reads it: see `logs::Messages` and
// `cli`'s output.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod cli;

pub mod app;

pub mod backstage;

pub mod control_socket;
pub mod worker;

pub mod http;
pub mod operations;
pub mod snapshot;

pub mod origin;

pub mod admission;
pub mod logs;

pub mod tls;

pub mod listening;
pub mod metrics;
pub mod runtime;
