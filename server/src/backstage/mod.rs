//! Everything that runs off the cores beside commands and changes: what is served and what is fetched.
//!
//! Owns the admin endpoint ([`AdminListener`]: `GET /metrics` and `GET /healthz` over plain HTTP/1.1) and the
//! thread that looks names of origins up again ([`Resolver`]). Touches no client connection and no core,
//! beyond reading counters and swapping addresses that cores read.
//!
//! The endpoint is hyper's server on one plain thread ([`driver`]) that waits for all its connections at once
//! (poll(2)). A connection that says nothing, says it slowly or takes its response slowly is in nobody's way:
//! each has two seconds for its request and two more for its response. Where more are open than can be, the
//! one that was accepted first makes room. Every response closes its connection. There is no authentication:
//! the address belongs on loopback or a private network.

mod admin;
mod bell;
mod connection;
mod driver;
mod page;
mod resolver;
mod socket;

pub use self::admin::{AdminListener, AdminServer};
pub use self::resolver::Resolver;

#[cfg(test)]
mod tests;
