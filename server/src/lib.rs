//! Bothways: an edge server that authenticates every client by certificate, thread per core, on io_uring.
//!
//! The library exists for the binary and the fuzz targets; it promises no stable interface. Its modules are
//! private, so that the compiler sees what nobody uses.
//! Dependencies between modules point down, in the order of this list (ARCHITECTURE.md has the table).

// Both panic where the stream is closed or full, and wait where nobody reads it: see `logs::Messages` and
// `cli`'s output.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;

mod app;

mod backstage;

mod control_socket;
mod worker;

mod http;
mod operations;
mod snapshot;

mod origin;

mod admission;
mod logs;

mod tls;

mod listening;
mod metrics;
mod runtime;

pub use cli::main;

/// Parsers of foreign bytes, for the fuzz targets alone.
pub mod parsers {
    pub use crate::control_socket::Request;
    pub use crate::tls::client_hello::ClientHello;
    pub use crate::tls::hello::HelloReader;
}

/// Building a snapshot, for the bench `reload` alone.
pub mod loading {
    pub use crate::admission::SessionVault;
    pub use crate::metrics::Directory;
    pub use crate::origin::AddressTable;
    pub use crate::snapshot::{Built, Snapshot, build, load_config};
}
