//! Octets that begin no TLS connection: the reason for the record, and the answer to the peer.

use std::borrow::Cow;

/// Octets that begin no TLS connection.
#[derive(Debug, PartialEq, Eq)]
pub struct Unfit {
    /// A sentence for the record.
    pub reason: Cow<'static, str>,
    pub answer: Answer,
}

/// Answer to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A fatal alert of this number.
    Alert(u8),
    /// Octets of another protocol.
    Foreign(&'static [u8]),
    /// None: the peer has ended the connection itself.
    Nothing,
}

impl Unfit {
    pub(super) fn alert(number: u8, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: reason.into(),
            answer: Answer::Alert(number),
        }
    }
}
