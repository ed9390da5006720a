//! TLS on a core: from the first byte of a ClientHello to a stream of plaintext.
//!
//! Owns: the handshake and its alerts, the stream that lets rustls write records straight into the socket's own
//! send buffer, session tickets, and the bridge from rustls' verifier interface to `trust`. Does not own: who is
//! admitted (`trust` decides), which distribution a name belongs to (the snapshot decides).

mod acceptor;
mod client;
pub mod client_hello;
mod faults;
mod foreign;
mod gate;
pub mod hello;
mod machine;
mod notes;
mod offer;
mod passthrough;
mod records;
mod server_config;
mod session;
mod session_state;
mod stream;
mod verifier;

pub use self::acceptor::{
    Accepted, Entrance, Farewell, HandshakeError, HandshakeErrorKind, HandshakeFacts, Refusal, accept,
};
pub use self::client::{CandidateDecision, ClientAuth, ClientPolicy, Inadmissible, Verification};
pub use self::faults::{CERTIFICATES_TOO_LARGE, NO_CERTIFICATE, NO_PROOF, sentence};
pub use self::gate::{Applicant, Barred, Gate, GateVersion, Negotiated, Ruling};
pub use self::notes::HandshakeNotes;
pub use self::server_config::{ServerConfigError, ServerIdentity, TlsPolicy, server_config};
pub use self::session::{SessionOwner, SessionVault, TicketScope};
pub use self::stream::TlsStream;
pub use self::verifier::alert_of;
