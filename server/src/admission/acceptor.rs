//! The handshake: ClientHello first, then the distribution that it names, then the rest under that one's policy.
//!
//! A failed handshake ends with its alert on the wire and the peer given time to read it.

use std::io;
use std::sync::Arc;

use bothways_config::HostName;
use bytes::BytesMut;
use rustls::{HandshakeKind, ServerConfig};
use rustls_pki_types::UnixTime;

use super::client::ClientAuth;
use super::gate::{Gate, Negotiated};
use super::notes::{HandshakeNotes, with_notes};
use super::offer;
use super::vault::{SessionOwner, SessionVault};
use crate::runtime::Duplex;
use crate::tls::client_hello::ClientHello;
use crate::tls::hello::HelloReader;
use crate::tls::{
    Answer, HandshakeFault, INTERNAL_ERROR, Machine, ServerSide, TlsStream, UNRECOGNIZED_NAME, Unfit, fill,
    handshake, plain_alert,
};

/// What was learnt of the handshake, for the record; as far as it came.
#[derive(Clone, Debug, Default)]
pub struct HandshakeFacts {
    /// The name in the `server_name` extension (RFC 6066 §3), as sent.
    pub server_name: Option<Box<str>>,
    /// True if an octet was read.
    pub begun: bool,
    /// True if a whole ClientHello was read.
    pub complete: bool,
    /// A sentence about what client and server have not in common, where that is so.
    pub nothing_in_common: Option<Box<str>>,
    pub negotiated: Negotiated,
    /// True if a session was resumed by a handshake that came to its end.
    pub resumed: bool,
}

/// What a ClientHello's name leads to.
pub struct Entrance<C> {
    pub config: Arc<ServerConfig>,
    pub gate: Gate,
    /// Passed through to [`Accepted`].
    pub chosen: C,
}

/// A finished handshake.
pub struct Accepted<C> {
    pub stream: Box<TlsStream<ServerSide>>,
    /// The admitted client.
    pub client: ClientAuth,
    pub resumed: bool,
    /// What the caller has chosen for the ClientHello.
    pub chosen: C,
}

/// Why there is no connection.
pub struct HandshakeError {
    pub kind: HandshakeErrorKind,
    /// Absent when the transport itself failed.
    pub farewell: Option<Farewell>,
}

/// A failed connection whose alert is still to be sent. Apart from the handshake, so that its time limit cannot turn
/// one failure into another.
pub struct Farewell(Duplex);

impl Farewell {
    /// Sends the alert, half-closes, and lets the peer read it before the socket goes.
    pub async fn say(mut self) {
        // The handshake has failed whether or not the alert gets through.
        let _failed_already = self.0.say_goodbye().await;
    }
}

/// The causes that need to be told apart; `HandshakeNotes::rejected` says more about a refused certificate.
#[derive(Debug)]
pub enum HandshakeErrorKind {
    /// The peer closed the connection, or reset it, before it sent an octet: a health check, most often.
    Unused,
    /// The socket failed, or the peer closed it.
    Transport(io::Error),
    /// The octets that came are no ClientHello, or break a rule of TLS.
    Unfit(Unfit),
    /// Refused before any work on it.
    Refused(Refusal),
    /// rustls refused what the client sent, or the gate barred the client within the handshake.
    Tls(rustls::Error),
    /// The gate barred the client when the handshake had ended. `HandshakeNotes::ruling` says why, in either case.
    Barred,
}

impl From<HandshakeFault> for HandshakeErrorKind {
    fn from(fault: HandshakeFault) -> Self {
        match fault {
            HandshakeFault::Transport(error) => Self::Transport(error),
            HandshakeFault::Tls(error) => Self::Tls(error),
        }
    }
}

/// Why a client goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No distribution serves the name in it.
    UnknownName,
    /// `handshakes_per_core` are under way.
    Busy,
}

impl Refusal {
    /// RFC 6066 §3: unrecognized_name; RFC 8446 §6.2: internal_error.
    fn alert(self) -> u8 {
        match self {
            Self::UnknownName => UNRECOGNIZED_NAME,
            Self::Busy => INTERNAL_ERROR,
        }
    }
}

/// Accepts one client. `begin` is asked at its first octet, since from there on it costs memory; what it gives lives
/// as long as the handshake. `choose` finds configuration and gate for the host that the client names.
///
/// The caller bounds the time; `facts` and `notes` are filled as far as the handshake came, also when it is cut short.
///
/// # Errors
/// The handshake failed; the alert waits in the error's farewell.
pub async fn accept<S, C>(
    mut io: Duplex,
    vault: &SessionVault,
    facts: &mut HandshakeFacts,
    notes: &mut HandshakeNotes,
    begin: impl FnOnce() -> Result<S, Refusal>,
    choose: impl FnOnce(Option<HostName>, Option<&str>) -> Result<Entrance<C>, Refusal>,
) -> Result<Accepted<C>, HandshakeError> {
    let mut reader = HelloReader::default();
    let read = match read_hello(&mut io, &mut reader, facts, begin).await {
        Ok(slot) => judge(reader.message(io.unread()), facts, choose).map(|entrance| (slot, entrance)),
        Err(kind) => Err(kind),
    };
    drop(reader);
    match read {
        // Boxed: a connection on which nothing was sent yet does not take the room of a handshake.
        Ok((_slot, entrance)) => Box::pin(admit(io, entrance, vault, facts, notes)).await,
        Err(kind) => Err(refused(io, kind)),
    }
}

/// The handshake from its ClientHello on, which is still unread, to the gate.
async fn admit<C>(
    mut io: Duplex,
    Entrance { config, gate, chosen }: Entrance<C>,
    vault: &SessionVault,
    facts: &mut HandshakeFacts,
    notes: &mut HandshakeNotes,
) -> Result<Accepted<C>, HandshakeError> {
    notes.gate = Some(gate);
    let mut machine = match ServerSide::new(config) {
        Ok(connection) => Machine::new(connection),
        Err(error) => return Err(refused(io, HandshakeErrorKind::Tls(error))),
    };
    let mut early = BytesMut::new();
    // A record that comes with the end of the handshake may be decrypted in the same turn: its plaintext is the
    // stream's to give out.
    let finished = handshake(&mut io, &mut machine, |io, machine| {
        notes.negotiated = Negotiated::of(machine.connection());
        with_notes(notes, || {
            machine.turn(io, |plaintext| early.extend_from_slice(plaintext))
        })
    });
    let finished = finished.await;
    facts.negotiated = Negotiated::of(machine.connection());
    if let Err(fault) = finished {
        return Err(refused(io, fault.into()));
    }
    let resumed = machine.connection().handshake_kind() == Some(HandshakeKind::Resumed);
    facts.resumed = resumed;
    let Some(client) = notes.client(resumed) else {
        return Err(refused(
            io,
            HandshakeErrorKind::Tls(rustls::Error::General(NOBODYS_SESSION.to_owned())),
        ));
    };
    if !notes.pass_gate_at_the_end(&client, resumed) {
        // rustls sends fatal alerts for what itself finds wrong, and has no call for another.
        let _closed_anyway = machine.close(&mut io);
        return Err(refused(io, HandshakeErrorKind::Barred));
    }
    settle(vault, notes, &client, resumed);
    Ok(Accepted {
        stream: Box::new(TlsStream::new(machine, io, early)),
        client,
        resumed,
        chosen,
    })
}

/// Reads the ClientHello, which stays unread: the TLS library reads it again when it is known for whom.
async fn read_hello<S>(
    io: &mut Duplex,
    reader: &mut HelloReader,
    facts: &mut HandshakeFacts,
    begin: impl FnOnce() -> Result<S, Refusal>,
) -> Result<S, HandshakeErrorKind> {
    if fill(io).await.is_err() {
        return Err(HandshakeErrorKind::Unused);
    }
    facts.begun = true;
    let slot = begin().map_err(HandshakeErrorKind::Refused)?;
    while !reader.read(io.unread()).map_err(HandshakeErrorKind::Unfit)? {
        fill(io).await.map_err(HandshakeErrorKind::Transport)?;
    }
    facts.complete = true;
    Ok(slot)
}

/// Finds out for whom a ClientHello is.
fn judge<C>(
    message: &[u8],
    facts: &mut HandshakeFacts,
    choose: impl FnOnce(Option<HostName>, Option<&str>) -> Result<Entrance<C>, Refusal>,
) -> Result<Entrance<C>, HandshakeErrorKind> {
    let hello = ClientHello::parse(message).map_err(HandshakeErrorKind::Unfit)?;
    facts.server_name = hello.sent_name();
    hello.check().map_err(HandshakeErrorKind::Unfit)?;
    let host = hello.host().map_err(HandshakeErrorKind::Unfit)?;
    let named = facts.server_name.as_deref().filter(|_| host.is_some());
    let entrance = choose(host, named).map_err(HandshakeErrorKind::Refused)?;
    facts.nothing_in_common = offer::nothing_in_common(&hello, &entrance.config).map(Box::from);
    Ok(entrance)
}

/// Says whose the session is, now that it is known whether it was resumed and that the client may come in, and binds the ticket issued
/// to it.
fn settle(vault: &SessionVault, notes: &mut HandshakeNotes, client: &ClientAuth, resumed: bool) {
    let redeemed = notes.redeemed.take().filter(|_| resumed);
    let owner = redeemed.unwrap_or_else(|| SessionOwner {
        client: client.clone(),
        authenticated_at: UnixTime::now(),
    });
    if let Some(key) = notes.issued {
        vault.bind(key, owner);
    }
}

fn refused(io: Duplex, kind: HandshakeErrorKind) -> HandshakeError {
    match &kind {
        HandshakeErrorKind::Unused | HandshakeErrorKind::Transport(_) => {
            return HandshakeError { kind, farewell: None };
        }
        HandshakeErrorKind::Unfit(Unfit { answer, .. }) => match *answer {
            Answer::Alert(number) => io.outbox().append(&plain_alert(number)),
            Answer::Foreign(octets) => io.outbox().append(octets),
            Answer::Nothing => {}
        },
        HandshakeErrorKind::Refused(refusal) => io.outbox().append(&plain_alert(refusal.alert())),
        HandshakeErrorKind::Tls(_) | HandshakeErrorKind::Barred => {}
    }
    HandshakeError {
        kind,
        farewell: Some(Farewell(io)),
    }
}

const NOBODYS_SESSION: &str = "a session was resumed that no ticket of this handshake redeemed";
