//! The TLS parameters that a connection agreed on, in a form that can be counted.

use std::fmt;

use rustls::{CipherSuite, NamedGroup, ProtocolVersion};

use crate::wire::Records;

/// TLS parameters of a connection, by the numbers of the TLS registries. 0 means unknown or none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Negotiated {
    version: u16,
    suite: u16,
    group: u16,
}

impl Negotiated {
    /// Reads the parameters of a connection whose handshake is done.
    pub fn of(records: &Records) -> Self {
        Negotiated {
            version: records.tls.protocol_version().map_or(0, u16::from),
            suite: records
                .tls
                .negotiated_cipher_suite()
                .map_or(0, |suite| u16::from(suite.suite())),
            group: records
                .tls
                .negotiated_key_exchange_group()
                .map_or(0, |group| u16::from(group.name())),
        }
    }
}

impl fmt::Display for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = match ProtocolVersion::from(self.version) {
            ProtocolVersion::TLSv1_3 => "TLSv1.3",
            ProtocolVersion::TLSv1_2 => "TLSv1.2",
            _ => "unknown version",
        };
        let suite = format!("{:?}", CipherSuite::from(self.suite)).replace("TLS13_", "TLS_");
        match self.group {
            0 => write!(f, "{version} {suite}, no key exchange"),
            group => write!(f, "{version} {suite} {:?}", NamedGroup::from(group)),
        }
    }
}
