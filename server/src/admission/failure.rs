//! A handshake that failed: its cause, and the connection on which the alert is still to be sent.
//!
//! Owns the answers that rustls does not give: to octets that are no ClientHello, and to a client that is
//! refused before rustls has read anything. Does not own the words for the record (`worker`).

use std::io;

use crate::runtime::Duplex;
use crate::tls::{Answer, HandshakeFault, INTERNAL_ERROR, UNRECOGNIZED_NAME, Unfit, plain_alert};

/// A connection that comes to nothing.
pub struct HandshakeError {
    pub kind: HandshakeErrorKind,
    /// Absent when the transport itself failed.
    pub farewell: Option<Farewell>,
}

/// A failed connection whose alert is still to be sent. Apart from the handshake, so that its time limit
/// cannot turn one failure into another.
pub struct Farewell(Duplex);

/// Causes that need to be told apart. [`super::HandshakeNotes`] say more about a client that was refused.
#[derive(Debug)]
pub enum HandshakeErrorKind {
    /// The peer closed the connection, or reset it, before it sent an octet: a health check, most often.
    Unused,
    /// The socket failed, or the peer closed it.
    Transport(io::Error),
    /// The octets that came are no ClientHello, or break a rule of TLS.
    Unfit(Unfit),
    /// Refused before any work on it.
    Refused(HelloRefused),
    /// rustls refused what the client sent, or the gate barred the client within the handshake.
    Tls(rustls::Error),
    /// The gate barred the client when the handshake had ended.
    Barred,
}

/// A client that goes no further than its ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloRefused {
    /// No distribution serves the name in it.
    UnknownName,
    /// `handshakes_per_core` are under way.
    Busy,
}

impl HandshakeError {
    /// Ends the connection `io`, and puts the answer that is due into its outbox.
    pub(super) fn of(io: Duplex, kind: HandshakeErrorKind) -> Self {
        match &kind {
            HandshakeErrorKind::Unused | HandshakeErrorKind::Transport(_) => {
                return Self { kind, farewell: None };
            }
            HandshakeErrorKind::Unfit(Unfit { answer, .. }) => match *answer {
                Answer::Alert(number) => io.outbox().append(&plain_alert(number)),
                Answer::Foreign(octets) => io.outbox().append(octets),
                Answer::Nothing => {}
            },
            HandshakeErrorKind::Refused(refusal) => io.outbox().append(&plain_alert(refusal.alert())),
            // Theirs is in the outbox already.
            HandshakeErrorKind::Tls(_) | HandshakeErrorKind::Barred => {}
        }
        Self {
            kind,
            farewell: Some(Farewell(io)),
        }
    }
}

impl Farewell {
    /// Sends the alert, half-closes, and lets the peer read it before the socket goes.
    pub async fn say(mut self) {
        // The handshake has failed whether or not the alert gets through.
        let _failed_already = self.0.say_goodbye().await;
    }
}

impl From<HandshakeFault> for HandshakeErrorKind {
    fn from(fault: HandshakeFault) -> Self {
        match fault {
            HandshakeFault::Transport(error) => Self::Transport(error),
            HandshakeFault::Tls(error) => Self::Tls(error),
        }
    }
}

impl HelloRefused {
    /// RFC 6066 §3: unrecognized_name; RFC 8446 §6.2: internal_error.
    fn alert(self) -> u8 {
        match self {
            Self::UnknownName => UNRECOGNIZED_NAME,
            Self::Busy => INTERNAL_ERROR,
        }
    }
}
