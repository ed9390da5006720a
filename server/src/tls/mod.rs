//! TLS records on a core: from the first byte of a ClientHello to plaintext, and back.
//!
//! Owns: reading a ClientHello, driving rustls over the socket's own buffers, the rules about records that
//! rustls does not keep, alerts, and plain words for rustls' errors. Does not own: who is admitted, under
//! which configuration, and what becomes of a session (`admission`).
//!
//! Runs on the cores. Nothing in it is shared between them but the table of cipher suites.

mod alerts;
pub mod client_hello;
mod faults;
mod foreign;
mod handshake;
pub mod hello;
mod machine;
mod names;
mod outgoing;
mod record_header;
mod records;
mod side;
mod stream;
mod unfit;

pub(crate) use self::alerts::{INTERNAL_ERROR, UNRECOGNIZED_NAME, plain_alert};
pub(crate) use self::faults::{CERTIFICATES_TOO_LARGE, NO_CERTIFICATE, NO_PROOF, sentence};
pub(crate) use self::handshake::{HandshakeFault, fill, handshake};
pub(crate) use self::machine::Machine;
pub(crate) use self::names::{cipher_name, protocol_name};
pub(crate) use self::record_header::PLAIN_BYTES_MAX;
pub(crate) use self::records::CIPHER_SUITES;
pub use self::side::ServerSide;
pub use self::stream::TlsStream;
pub use self::unfit::{Answer, Unfit};
