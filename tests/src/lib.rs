//! Harness of the process tests: everything that drives the built `bothways` binary from outside.
//!
//! Owns: a PKI made at run time, the server process and its output, clients (curl, `openssl s_client`, a
//! rustls client, raw TCP) and a small origin. Does not own: any code of the server, which these crates never
//! link, so that a test and the server cannot share a mistake.
//!
//! Waiting is always for an event (a line, a record, bytes, an exit) with `PATIENCE` as the bound, never for
//! time to pass. A harness function that cannot do its part panics: that is a failed test.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

pub mod article;
pub mod client_hello;
pub mod config;
pub mod control_socket;
mod crl;
pub mod curl;
mod der;
pub mod http1;
pub mod http2;
pub mod http2_streams;
mod lines;
pub mod loadgen;
pub mod metrics;
mod odd_cas;
pub mod odd_keys;
pub mod origin;
mod pem;
pub mod pki;
pub mod raw_client;
pub mod record;
pub mod s_client;
pub mod scripted;
pub mod scripted_origin;
pub mod server;
mod server_check;
mod signal;
#[cfg(test)]
mod stand_in;
pub mod tcp;
mod tickets;
pub mod tls_client;
mod tls_records;
pub mod unheard;
pub mod workdir;

use std::time::Duration;

pub use config::{Config, Distribution, TrustStore};
pub use pki::{Identity, Pki};
pub use record::Record;
pub use server::Server;
pub use tls_client::{Client, Outcome};

/// The longest that any single event may take. Generous, since the tests share a small machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
