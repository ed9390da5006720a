//! The two sides of a TLS connection, as rustls has them: one type for a server, one for a client.
//!
//! Everything above is written once for both, and compiled for each.

use std::ops::{Deref, DerefMut};

use rustls::ProtocolVersion;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{UnbufferedConnectionCommon, UnbufferedStatus};

/// The side that was connected to.
pub type ServerSide = UnbufferedServerConnection;
/// The side that has connected.
pub type ClientSide = UnbufferedClientConnection;

/// rustls' connection of one side.
pub trait Side: DerefMut + Deref<Target = UnbufferedConnectionCommon<<Self as Side>::Data>> {
    /// State of this side alone, within rustls.
    type Data;

    /// Takes up records from `unread`, decrypted in their place, until there is something to do.
    fn process<'c, 'i>(&'c mut self, unread: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    /// True if an alert to the peer needs no key, for certain.
    fn is_in_the_clear(&self) -> bool;
}

impl Side for ServerSide {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, unread: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(unread)
    }

    /// A server encrypts under TLS 1.3 behind its ServerHello, under TLS 1.2 at the very end.
    fn is_in_the_clear(&self) -> bool {
        self.is_handshaking() && self.protocol_version() != Some(ProtocolVersion::TLSv1_3)
    }
}

impl Side for ClientSide {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, unread: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(unread)
    }

    /// A client encrypts under TLS 1.2 before it has the server's last message, and rustls does not say since
    /// when. So only what comes before the ServerHello is answered in the clear here.
    fn is_in_the_clear(&self) -> bool {
        self.protocol_version().is_none()
    }
}
