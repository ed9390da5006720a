//! Admission: who comes in, from the first byte of a connection to a stream of plaintext and the client
//! behind it.
//!
//! Owns: the handshake of a client, its verifiers, the gate that it passes last, session tickets, and rustls'
//! configuration of a distribution. Does not own: records and alerts (`tls`), whether a certificate is
//! accepted (`trust` decides), which distribution a name belongs to (the snapshot decides).
//!
//! Runs on the cores; rustls' configurations and the vault of sessions are shared by all of them.

mod acceptor;
mod client;
mod consequence;
mod failure;
mod gate;
mod notes;
mod offer;
mod passthrough;
mod server_config;
mod session_state;
mod tickets;
mod vault;
mod verifier;

pub use self::acceptor::{Accepted, HandshakeFacts, first_octet};
pub use self::client::{CandidateDecision, ClientAuth, ClientPolicy, Inadmissible, Verification};
pub use self::consequence::Consequence;
pub use self::failure::{HandshakeError, HandshakeErrorKind, HelloRefused};
pub use self::gate::{Applicant, Barred, Gate, GateVersion, Ruling};
pub use self::notes::HandshakeNotes;
pub use self::server_config::{ServerIdentity, TlsPolicy, server_config};
pub use self::tickets::TicketScope;
pub use self::vault::SessionVault;
