//! The handshake of a client, in three stages: the first octet, the ClientHello, the rest under the policy of
//! the distribution that the ClientHello names.
//!
//! A stage is a type, and only the stage before makes it: [`first_octet`] makes a [`Begun`], which becomes a
//! [`Greeted`], which becomes an [`Accepted`]. Between two stages the caller counts, chooses and builds the
//! gate. At each stage the client may be refused; the [`HandshakeError`] then holds the connection, its alert
//! still to be sent.
//!
//! The caller bounds the time. `facts` and `notes` are filled as far as the handshake came, also when it is
//! cut short. Runs in the connection's own task.

use std::sync::Arc;

use bothways_config::HostName;
use bytes::BytesMut;
use rustls::{HandshakeKind, ServerConfig};
use rustls_pki_types::UnixTime;

use super::client::ClientAuth;
use super::failure::{HandshakeError, HandshakeErrorKind, HelloRefused};
use super::gate::{Gate, GateState, Negotiated};
use super::notes::{HandshakeNotes, with_notes};
use super::offer;
use super::vault::{SessionOwner, SessionVault};
use crate::runtime::Duplex;
use crate::tls::client_hello::ClientHello;
use crate::tls::hello::HelloReader;
use crate::tls::{Machine, ServerSide, TlsStream, fill, handshake};

/// Facts about a handshake for the record, as far as it came.
#[derive(Clone, Debug, Default)]
pub struct HandshakeFacts {
    /// The name in the `server_name` extension (RFC 6066 §3), as sent.
    pub server_name: Option<Box<str>>,
    /// True if an octet was read.
    pub begun: bool,
    /// True if a whole ClientHello was read.
    pub complete: bool,
    /// A sentence about the first thing that client and server have not in common, where there is one.
    pub nothing_in_common: Option<Box<str>>,
    pub negotiated: Negotiated,
    /// True if a session was resumed by a handshake that came to its end.
    pub resumed: bool,
}

/// A connection of which an octet was read. From here on it costs memory, so the caller counts it first.
pub struct Begun {
    io: Duplex,
}

/// A connection whose ClientHello is whole and has led to `chosen`. rustls has not read it yet.
pub struct Greeted<C> {
    io: Duplex,
    config: Arc<ServerConfig>,
    pub chosen: C,
}

/// A finished handshake.
pub struct Accepted<C> {
    pub stream: Box<TlsStream<ServerSide>>,
    /// The admitted client.
    pub client: ClientAuth,
    pub resumed: bool,
    /// Value that the caller has chosen for the ClientHello.
    pub chosen: C,
}

/// Waits for the first octet of a client.
///
/// # Errors
/// The client closed, or reset, the connection before it sent one.
pub async fn first_octet(mut io: Duplex, facts: &mut HandshakeFacts) -> Result<Begun, HandshakeError> {
    match fill(&mut io).await {
        Ok(()) => {
            facts.begun = true;
            Ok(Begun { io })
        }
        Err(_) => Err(HandshakeError::of(io, HandshakeErrorKind::Unused)),
    }
}

impl Begun {
    /// Refuses the client before its ClientHello is read.
    pub fn refuse(self, refusal: HelloRefused) -> HandshakeError {
        HandshakeError::of(self.io, HandshakeErrorKind::Refused(refusal))
    }

    /// Reads the ClientHello. `choose` finds configuration and distribution for the host that it names.
    ///
    /// # Errors
    /// The octets that came are no ClientHello, it breaks a rule, or nothing is served under its name.
    pub async fn read_hello<C>(
        mut self,
        facts: &mut HandshakeFacts,
        choose: impl FnOnce(Option<HostName>) -> Option<(Arc<ServerConfig>, C)>,
    ) -> Result<Greeted<C>, HandshakeError> {
        let mut reader = HelloReader::default();
        let read = match self.read_whole(&mut reader, facts).await {
            Ok(()) => judge(reader.message(self.io.unread()), facts, choose),
            Err(kind) => Err(kind),
        };
        match read {
            Ok((config, chosen)) => Ok(Greeted {
                io: self.io,
                config,
                chosen,
            }),
            Err(kind) => Err(HandshakeError::of(self.io, kind)),
        }
    }

    /// Reads until the ClientHello is whole. It stays unread: rustls reads it again under the configuration
    /// that it leads to.
    async fn read_whole(
        &mut self,
        reader: &mut HelloReader,
        facts: &mut HandshakeFacts,
    ) -> Result<(), HandshakeErrorKind> {
        while !reader.read(self.io.unread()).map_err(HandshakeErrorKind::Unfit)? {
            fill(&mut self.io).await.map_err(HandshakeErrorKind::Transport)?;
        }
        facts.complete = true;
        Ok(())
    }
}

impl<C> Greeted<C> {
    /// Runs the rest of the handshake, up to the gate and past it.
    ///
    /// # Errors
    /// The handshake failed, or the client may not come in.
    pub async fn admit(
        self,
        gate: Gate,
        vault: &SessionVault,
        facts: &mut HandshakeFacts,
        notes: &mut HandshakeNotes,
    ) -> Result<Accepted<C>, HandshakeError> {
        notes.gate = GateState::Closed(gate);
        // Boxed: a connection on which nothing was sent yet does not take the room of a handshake.
        Box::pin(self.shake_hands(vault, facts, notes)).await
    }

    async fn shake_hands(
        self,
        vault: &SessionVault,
        facts: &mut HandshakeFacts,
        notes: &mut HandshakeNotes,
    ) -> Result<Accepted<C>, HandshakeError> {
        let Self {
            mut io,
            config,
            chosen,
        } = self;
        let mut machine = match ServerSide::new(config) {
            Ok(connection) => Machine::new(connection),
            Err(error) => return Err(HandshakeError::of(io, HandshakeErrorKind::Tls(error))),
        };
        let mut early = BytesMut::new();
        // A record behind the last message of the handshake may be decrypted in the same turn. Its plaintext
        // is the stream's to hand out.
        let shaken = handshake(&mut io, &mut machine, |io, machine| {
            notes.negotiated = Negotiated::of(machine.connection());
            with_notes(notes, || {
                machine.turn(io, |plaintext| early.extend_from_slice(plaintext))
            })
        });
        let shaken = shaken.await;
        facts.negotiated = Negotiated::of(machine.connection());
        if let Err(fault) = shaken {
            return Err(HandshakeError::of(io, fault.into()));
        }
        let resumed = machine.connection().handshake_kind() == Some(HandshakeKind::Resumed);
        facts.resumed = resumed;
        let client = match notes.client(resumed) {
            Ok(client) => client,
            Err(error) => return Err(HandshakeError::of(io, HandshakeErrorKind::Tls(error))),
        };
        if !notes.pass_gate_at_the_end(&client, resumed) {
            // rustls sends fatal alerts for faults that itself finds, and has no call for another.
            let _closed_anyway = machine.close(&mut io);
            return Err(HandshakeError::of(io, HandshakeErrorKind::Barred));
        }
        bind_ticket(vault, notes, &client, resumed);
        Ok(Accepted {
            stream: Box::new(TlsStream::new(machine, io, early)),
            client,
            resumed,
            chosen,
        })
    }
}

/// Finds out for whom a ClientHello is.
fn judge<C>(
    message: &[u8],
    facts: &mut HandshakeFacts,
    choose: impl FnOnce(Option<HostName>) -> Option<(Arc<ServerConfig>, C)>,
) -> Result<(Arc<ServerConfig>, C), HandshakeErrorKind> {
    let hello = ClientHello::parse(message).map_err(HandshakeErrorKind::Unfit)?;
    facts.server_name = hello.sent_name();
    hello.check().map_err(HandshakeErrorKind::Unfit)?;
    let host = hello.host().map_err(HandshakeErrorKind::Unfit)?;
    let unknown = HandshakeErrorKind::Refused(HelloRefused::UnknownName);
    let (config, chosen) = choose(host).ok_or(unknown)?;
    facts.nothing_in_common = offer::nothing_in_common(&hello, &config).map(Box::from);
    Ok((config, chosen))
}

/// Binds the ticket issued in the handshake to its client: only now is it known whether a session was
/// resumed, and that the client may come in.
fn bind_ticket(vault: &SessionVault, notes: &mut HandshakeNotes, client: &ClientAuth, resumed: bool) {
    if let Some(key) = notes.issued {
        let owner = notes.take_owner(resumed).unwrap_or_else(|| SessionOwner {
            client: client.clone(),
            authenticated_at: UnixTime::now(),
        });
        vault.bind(key, owner);
    }
}
