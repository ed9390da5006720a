//! The built loadgen against small servers: what it reports is what they have seen.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod answers;
mod bodies;
mod endings;
mod modes;
mod outcomes;
mod pki;
mod reports;
mod scenarios;
mod support;
mod verdicts;
