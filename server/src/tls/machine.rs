//! rustls' state machine of one connection, of either side, without I/O of its own: the peer's records in,
//! plaintext and our records out.
//!
//! Drives rustls' unbuffered interface. Records are decrypted where they were read, in the [`Duplex`], and
//! ours are written where they are sent from, its [`Outbox`]; so an idle connection holds no buffer of
//! rustls'. Owns the loop that this interface asks for, and that an alert is written when one is due.
//!
//! # Order of calls
//!
//! The methods of [`Machine`] are of four kinds:
//!
//! - *Input*: [`Machine::turn`] and [`Machine::advance`], after each read and before the first, until they
//!   say [`Turn::Blocked`]. A handshake takes `turn`, since a caller may have to note something at each
//!   ([`super::handshake`]); once it has ended, `advance` is called when somebody wants plaintext.
//! - *Output*: [`Machine::write`], once the handshake has ended, and not after `close`. It takes up what was
//!   read before, so plaintext comes out of it too.
//! - *The end*: [`Machine::close`], once. No output comes after it. Input may, until both sides have closed;
//!   whoever throws unread bytes away instead, as a stream that lingers does, makes no call after that.
//! - *Looks*: [`Machine::connection`] and [`Machine::fault`], at any time.
//!
//! An error of input, output or the end is final: each further call returns it again, and the alert that is
//! due is in the outbox. None of the methods sends: the task that polls the connection posts the outbox when
//! its poll is over. Between two calls the unread bytes of the [`Duplex`] may grow but not shrink, since
//! rustls may remember places in them.

use std::io::IoSlice;

use rustls::unbuffered::{ConnectionState, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{CommonState, Error, ProtocolVersion};

use super::alerts::plain_alert;
use super::faults;
use super::outgoing::{close_notify, encode, encrypt, encrypt_all};
use super::record_header::{PLAIN_BYTES_MAX, TLS12_BYTES_MAX, TLS13_BYTES_MAX, make_refusable};
use super::side::Side;
use crate::runtime::{Duplex, Outbox};

/// TLS of one connection, on the side `S`.
pub struct Machine<S> {
    connection: S,
    /// Error after which TLS cannot go on: rustls is asked for nothing more.
    fault: Option<Box<Error>>,
    /// The peer has said that it will say no more, which rustls tells once only.
    is_closed_by_peer: bool,
    /// Number of bytes that the last call has left unread. rustls may know its way in them, parts of a
    /// handshake message that it waits for the rest of, so none of them may be gone at the next call.
    kept: usize,
}

/// Result of one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There is more to be done with what was read.
    Further,
    /// Plaintext was handed out.
    Plaintext,
    /// The peer has to say more first.
    Blocked,
    /// The peer has said that it will say no more (close_notify).
    PeerClosed,
    /// Both have.
    Closed,
    /// The caller's bytes, or the close_notify, are in the outbox.
    Written,
}

type Traffic<'c, S> = WriteTraffic<'c, <S as Side>::Data>;

impl<S: Side> Machine<S> {
    /// Drives `connection`, of which nothing was read yet, its first message included.
    pub fn new(connection: S) -> Self {
        Self {
            connection,
            fault: None,
            is_closed_by_peer: false,
            kept: 0,
        }
    }

    /// State of the handshake and what it has negotiated.
    pub fn connection(&self) -> &CommonState {
        &self.connection
    }

    /// Error after which TLS cannot go on, if there was one.
    pub fn fault(&self) -> Option<&Error> {
        self.fault.as_deref()
    }

    /// Takes one step with what was read. One record's plaintext at most goes to `plaintext`, and what is to
    /// be answered to the outbox.
    ///
    /// # Errors
    /// The peer did something after which TLS cannot go on. The alert that says so, where there is one, is in
    /// the outbox.
    pub fn turn(&mut self, io: &mut Duplex, plaintext: impl FnMut(&[u8])) -> Result<Turn, Error> {
        let turn = self.step(io, plaintext, |_, _| Ok(Turn::Blocked))?;
        // The peer's close_notify may have been taken up by a write, which does not tell of it.
        let is_over = turn == Turn::Blocked && self.is_closed_by_peer;
        Ok(if is_over { Turn::PeerClosed } else { turn })
    }

    /// Takes turns until something was handed out, or the peer has to say more.
    ///
    /// # Errors
    /// As [`Machine::turn`].
    pub fn advance(&mut self, io: &mut Duplex, mut plaintext: impl FnMut(&[u8])) -> Result<Turn, Error> {
        loop {
            match self.turn(io, &mut plaintext)? {
                Turn::Further => {}
                turn => return Ok(turn),
            }
        }
    }

    /// Encrypts `slices` into the outbox, in as few records as they fit. What has been read before is
    /// decrypted first, to `plaintext`: one read's worth at most.
    ///
    /// # Errors
    /// As [`Machine::turn`]; or the keys are used up, or both sides have closed.
    pub fn write(
        &mut self,
        io: &mut Duplex,
        slices: &[IoSlice<'_>],
        plaintext: impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        let written = self.when_writable(io, plaintext, |traffic, outbox| match slices {
            [slice] => encrypt(traffic, outbox, slice),
            slices => encrypt_all(traffic, outbox, slices),
        })?;
        match written {
            Turn::Written => Ok(()),
            _ => Err(Error::General("the connection is closed".to_owned())),
        }
    }

    /// Puts a close_notify into the outbox, unless one was there before.
    ///
    /// # Errors
    /// As [`Machine::turn`].
    pub fn close(&mut self, io: &mut Duplex) -> Result<(), Error> {
        let nobody_reads = |_: &[u8]| {};
        self.when_writable(io, nobody_reads, close_notify).map(drop)
    }

    /// Takes turns until `write` has had its own, or there will be none.
    fn when_writable(
        &mut self,
        io: &mut Duplex,
        mut plaintext: impl FnMut(&[u8]),
        write: impl FnOnce(&mut Traffic<'_, S>, &Outbox) -> Result<(), EncryptError>,
    ) -> Result<Turn, Error> {
        let mut write = Some(write);
        loop {
            let turn = self.step(io, &mut plaintext, |traffic, outbox| {
                let written = write.take().map_or(Ok(()), |write| write(traffic, outbox));
                written.map_err(|_| Error::EncryptError)?;
                Ok(Turn::Written)
            });
            match turn? {
                Turn::Further | Turn::Plaintext | Turn::PeerClosed => {}
                turn => return Ok(turn),
            }
        }
    }

    fn step(
        &mut self,
        io: &mut Duplex,
        mut plaintext: impl FnMut(&[u8]),
        writable: impl FnOnce(&mut Traffic<'_, S>, &Outbox) -> Result<Turn, Error>,
    ) -> Result<Turn, Error> {
        // rustls would go on after some faults, with the records behind the one that was refused.
        if let Some(fault) = &self.fault {
            return Err(Error::clone(fault));
        }
        // Before rustls sees the header: it would wait for the rest of a record that is too long.
        let bytes_max = self.record_bytes_max();
        let is_too_long = make_refusable(io.split().0, bytes_max);
        // Where there is a key, whoever decrypts the record refuses it, so that the alert is encrypted.
        if is_too_long && self.connection.is_in_the_clear() {
            self.fail(&Error::PeerSentOversizedRecord, io);
            return Err(Error::PeerSentOversizedRecord);
        }
        let (unread, outbox) = io.split();
        // rustls indexes by the places that it remembers, and would panic.
        if unread.len() < self.kept {
            debug_assert!(false, "what is unread is rustls' until it is consumed");
            return Err(Error::General("bytes were lost before they were read".to_owned()));
        }
        let UnbufferedStatus {
            mut discard, state, ..
        } = self.connection.process(unread);
        let turn = state.and_then(|state| match state {
            ConnectionState::WriteTraffic(mut traffic) => writable(&mut traffic, outbox),
            ConnectionState::ReadTraffic(mut records) => {
                while let Some(record) = records.next_record() {
                    let record = record?;
                    discard += record.discard;
                    plaintext(record.payload);
                }
                Ok(Turn::Plaintext)
            }
            ConnectionState::EncodeTlsData(data) => encode(data, outbox).map(|()| Turn::Further),
            ConnectionState::TransmitTlsData(sent) => {
                // To rustls, the outbox is the wire: it only wants to hear that it may go on.
                sent.done();
                Ok(Turn::Further)
            }
            ConnectionState::BlockedHandshake => Ok(Turn::Blocked),
            ConnectionState::PeerClosed => Ok(Turn::PeerClosed),
            ConnectionState::Closed => Ok(Turn::Closed),
            // Early data, which no configuration of ours lets a client send.
            _ => Err(Error::General(
                "rustls is in a state that is not known here".to_owned(),
            )),
        });
        // Also after an error: `fail` calls rustls again, and must not show it the same bytes twice.
        io.consume(discard);
        self.kept = io.unread().len();
        self.is_closed_by_peer |= matches!(turn, Ok(Turn::PeerClosed | Turn::Closed));
        turn.inspect_err(|error| self.fail(error, io))
    }

    /// Writes what is due after an error, its alert last. rustls has none for some errors; where nothing is
    /// encrypted yet it is written here.
    fn fail(&mut self, fault: &Error, io: &mut Duplex) {
        self.fault = Some(Box::new(fault.clone()));
        let mut is_told = false;
        // Not a turn more than there is something to write: rustls would take up what was read.
        while self.connection.wants_write() {
            let (unread, outbox) = io.split();
            let encoded = match self.connection.process(unread).state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, outbox),
                _ => return,
            };
            if encoded.is_err() {
                return;
            }
            is_told = true;
        }
        if let Some(alert) = faults::alert(fault).filter(|_| !is_told && self.connection.is_in_the_clear()) {
            io.outbox().append(&plain_alert(alert));
        }
    }

    /// Octets that a record may hold now.
    fn record_bytes_max(&self) -> usize {
        match self.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => TLS13_BYTES_MAX,
            _ if self.connection.is_handshaking() => PLAIN_BYTES_MAX,
            _ => TLS12_BYTES_MAX,
        }
    }
}
