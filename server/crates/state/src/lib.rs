//! State that outlives the process, and the door to named files.
//!
//! Owns the key-value stores ([`key_values`]) and the only way to a file that a configuration or a command
//! names ([`files`]). No other part of the server opens, makes or replaces such a file. Knows no socket and
//! starts no thread. Blocks as a disk does, so no core may call what reads or writes; reading the map of a
//! store does neither.

// Standard output and error are the operator's, and printing waits where nobody reads them.
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![warn(unreachable_pub)]

pub mod files;
pub mod key_values;
