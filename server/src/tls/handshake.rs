//! The handshake of either side: turns of a [`Machine`] and reads of its socket, until both sides have keys.
//!
//! Sends what a turn has put down before it waits for the peer. What the last turn has put down stays in the
//! outbox, and may be followed by more that rustls still holds: it goes out with the first bytes of the
//! application, or before somebody waits for the peer's. The caller bounds the time.

use std::future::poll_fn;
use std::io;

use super::machine::{Machine, Turn};
use super::side::Side;
use crate::runtime::Duplex;

/// Error that ended a handshake.
#[derive(Debug)]
pub enum HandshakeFault {
    /// The socket failed, or the peer closed it.
    Transport(io::Error),
    /// TLS failed; the alert, if one is due, is in the outbox.
    Tls(rustls::Error),
}

/// Drives `machine` through its handshake. Each turn is taken by `turn`, which calls [`Machine::turn`].
///
/// # Errors
/// The handshake has failed.
pub async fn handshake<S: Side>(
    io: &mut Duplex,
    machine: &mut Machine<S>,
    mut turn: impl FnMut(&mut Duplex, &mut Machine<S>) -> Result<Turn, rustls::Error>,
) -> Result<(), HandshakeFault> {
    loop {
        let turned = turn(io, machine).map_err(HandshakeFault::Tls)?;
        if !machine.connection().is_handshaking() {
            return Ok(());
        }
        match turned {
            Turn::Blocked => fill(io).await.map_err(HandshakeFault::Transport)?,
            Turn::PeerClosed | Turn::Closed => {
                return Err(HandshakeFault::Transport(io::ErrorKind::UnexpectedEof.into()));
            }
            Turn::Further | Turn::Plaintext | Turn::Written => {}
        }
    }
}

/// Reads more, and sends meanwhile what is outgoing: a flight may be more than the kernel takes at once.
///
/// # Errors
/// The socket failed, or the peer closed it (`UnexpectedEof`).
pub async fn fill(io: &mut Duplex) -> io::Result<()> {
    let filled = poll_fn(|cx| {
        io.outbox().post(cx);
        io.outbox().take_failure()?;
        io.poll_fill(cx)
    });
    match filled.await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
