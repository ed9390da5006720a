//! rustls' state machine of one connection, without I/O of its own: the peer's records in, plaintext and our records out.
//!
//! By its unbuffered interface: records are decrypted where they were read, and ours written where they are sent from, so that an idle
//! connection holds no buffer of rustls'. Owns the loop that this interface asks for, and that an alert is written when one is due.

use std::cell::RefCell;
use std::io::IoSlice;
use std::sync::Arc;

use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};
use rustls::{Error, ProtocolVersion, ServerConfig};

use super::alerts::plain_alert;
use super::faults;
use super::record_header::{
    APPLICATION_DATA, CHANGE_CIPHER_SPEC, HEADER_BYTES, HEARTBEAT, PLAIN_BYTES_MAX, TLS12_BYTES_MAX,
    TLS13_BYTES_MAX,
};
use super::records::MARK_OF_TOO_LONG;
use crate::runtime::{Duplex, Outbox};

/// One connection.
pub struct Machine {
    connection: UnbufferedServerConnection,
    /// What the peer did that TLS cannot go on after: rustls is asked for nothing more.
    fault: Option<Box<Error>>,
    /// The peer has said that it will say no more, which rustls tells once only.
    is_closed_by_peer: bool,
    /// Bytes that the last turn has left unread. rustls may know its way in them, parts of a handshake message that it waits for the rest of,
    /// so none of them may be gone at the next turn.
    kept: usize,
}

/// What a turn has come to.
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
    /// What was to be written is in the outbox.
    Written,
}

type Traffic<'c> = WriteTraffic<'c, ServerConnectionData>;

impl Machine {
    /// A connection of which nothing was read yet, its ClientHello included.
    ///
    /// # Errors
    /// `config` can serve nobody.
    pub fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        Ok(Self {
            connection: UnbufferedServerConnection::new(config)?,
            fault: None,
            is_closed_by_peer: false,
            kept: 0,
        })
    }

    /// What was negotiated, and how far the handshake has come.
    pub fn connection(&self) -> &UnbufferedServerConnection {
        &self.connection
    }

    /// What the peer did that TLS cannot go on after.
    pub fn fault(&self) -> Option<&Error> {
        self.fault.as_deref()
    }

    /// One step with what was read: a record's plaintext at most goes to `plaintext`, and what is to be answered to the outbox.
    ///
    /// # Errors
    /// What the peer did that TLS cannot go on after. The alert that says so, where there is one, is in the outbox.
    pub fn turn(&mut self, io: &mut Duplex, plaintext: impl FnMut(&[u8])) -> Result<Turn, Error> {
        let turn = self.step(io, plaintext, |_, _| Ok(Turn::Blocked))?;
        // It may have been read by a write.
        let is_over = turn == Turn::Blocked && self.is_closed_by_peer;
        Ok(if is_over { Turn::PeerClosed } else { turn })
    }

    /// As many turns as it takes until something was handed out, or the peer has to say more.
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

    /// Encrypts `slices` into the outbox, in as few records as they fit. What has been read before is decrypted first, to `plaintext`: one read's
    /// worth at most.
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
        self.when_writable(io, nobody_reads, |traffic, outbox| {
            put(outbox, ALERT_BYTES_MAX, |room| traffic.queue_close_notify(room))
        })
        .map(drop)
    }

    /// Turns until `write` has had its turn, or there will be none.
    fn when_writable(
        &mut self,
        io: &mut Duplex,
        mut plaintext: impl FnMut(&[u8]),
        write: impl FnOnce(&mut Traffic<'_>, &Outbox) -> Result<(), EncryptError>,
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
        writable: impl FnOnce(&mut Traffic<'_>, &Outbox) -> Result<Turn, Error>,
    ) -> Result<Turn, Error> {
        if let Some(fault) = &self.fault {
            return Err(Error::clone(fault));
        }
        let bytes_max = self.record_bytes_max();
        let is_too_long = make_refusable(io.split().0, bytes_max);
        if is_too_long && self.is_in_the_clear() {
            self.fail(&Error::PeerSentOversizedRecord, io);
            return Err(Error::PeerSentOversizedRecord);
        }
        let (unread, outbox) = io.split();
        if unread.len() < self.kept {
            debug_assert!(false, "what is unread is rustls' until it is consumed");
            return Err(Error::General("bytes were lost before they were read".to_owned()));
        }
        let UnbufferedStatus {
            mut discard, state, ..
        } = self.connection.process_tls_records(unread);
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
            let encoded = match self.connection.process_tls_records(unread).state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, outbox),
                _ => return,
            };
            if encoded.is_err() {
                return;
            }
            is_told = true;
        }
        if let Some(alert) = faults::alert(fault).filter(|_| !is_told && self.is_in_the_clear()) {
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

    /// True if an answer to the peer needs no key. Under TLS 1.3 an answer needs a key after the ServerHello,
    /// under TLS 1.2 at the very end.
    fn is_in_the_clear(&self) -> bool {
        let version = self.connection.protocol_version();
        self.connection.is_handshaking() && version != Some(ProtocolVersion::TLSv1_3)
    }
}

/// Turns the record at the front, if its header breaks a rule, into one that those refuse who decrypt
/// ([`super::records`]), with the alert that is due: rustls itself answers decode_error, or waits for octets
/// that never come. Whatever was in it, nothing behind it is looked at any more. What is unread begins with a
/// record's header always, also where parts of a handshake message are kept. `true`: the record was too long.
fn make_refusable(unread: &mut [u8], bytes_max: usize) -> bool {
    let Some((header, _)) = unread.split_first_chunk_mut::<HEADER_BYTES>() else {
        // Not to be told apart from heartbeats later, which nobody may send either.
        if let Some(unknown @ (..CHANGE_CIPHER_SPEC | HEARTBEAT..)) = unread.first_mut() {
            *unknown = HEARTBEAT;
        }
        return false;
    };
    let [content_type, _, _, high, low] = *header;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let is_known = (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&content_type);
    let is_too_long = length > bytes_max;
    if is_too_long {
        *header = TOO_LONG;
    } else if !is_known || (length == 0 && content_type != APPLICATION_DATA) {
        *header = EMPTY;
    }
    is_too_long
}

fn encode(mut data: EncodeTlsData<'_, ServerConnectionData>, outbox: &Outbox) -> Result<(), Error> {
    let needed = match data.encode(&mut []) {
        Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => required_size,
        Ok(_) | Err(EncodeError::AlreadyEncoded) => return Ok(()),
    };
    outbox
        .fill(needed, |room| data.encode(room))
        .map_err(|error| Error::General(error.to_string()))
}

/// Whatever their sizes, into records that are full but for the last one of a large slice, and the last.
fn encrypt_all(
    traffic: &mut Traffic<'_>,
    outbox: &Outbox,
    slices: &[IoSlice<'_>],
) -> Result<(), EncryptError> {
    GATHERED.with_borrow_mut(|gathered| {
        gathered.clear();
        for slice in slices {
            let room = match gathered.is_empty() && slice.len() >= PLAIN_BYTES_MAX {
                true => 0,
                false => (PLAIN_BYTES_MAX - gathered.len()).min(slice.len()),
            };
            let (front, rest) = slice.split_at(room);
            gathered.extend_from_slice(front);
            if rest.is_empty() {
                continue;
            }
            encrypt(traffic, outbox, gathered)?;
            gathered.clear();
            match rest.len() >= PLAIN_BYTES_MAX {
                true => encrypt(traffic, outbox, rest)?,
                false => gathered.extend_from_slice(rest),
            }
        }
        encrypt(traffic, outbox, gathered)
    })
}

fn encrypt(traffic: &mut Traffic<'_>, outbox: &Outbox, bytes: &[u8]) -> Result<(), EncryptError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let records = bytes.len().div_ceil(PLAIN_BYTES_MAX);
    let encrypted = bytes.len() + records * RECORD_OVERHEAD_BYTES;
    put(outbox, encrypted, |room| traffic.encrypt(bytes, room))
}

/// Lets `write` append to the outbox, once more if it wants more room than `bytes`.
fn put(
    outbox: &Outbox,
    bytes: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), EncryptError> {
    match outbox.fill(bytes, &mut write) {
        Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) => {
            outbox.fill(required_size, write)
        }
        done => done,
    }
}

thread_local! {
    /// Small slices on their way into one record.
    static GATHERED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Records without content.
const EMPTY: [u8; HEADER_BYTES] = [APPLICATION_DATA, 3, 3, 0, 0];
const TOO_LONG: [u8; HEADER_BYTES] = [APPLICATION_DATA, 3, MARK_OF_TOO_LONG, 0, 0];

/// Header, type, tag and, before TLS 1.3, an explicit nonce.
const RECORD_OVERHEAD_BYTES: usize = 32;
/// An alert, encrypted.
const ALERT_BYTES_MAX: usize = 2 + RECORD_OVERHEAD_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    fn made_refusable(octets: &[u8]) -> Vec<u8> {
        let mut octets = octets.to_vec();
        make_refusable(&mut octets, TLS13_BYTES_MAX);
        octets
    }

    #[test]
    fn headers_that_break_no_rule_are_left_alone() {
        let kept: [&[u8]; 7] = [
            &[],
            &[22],
            &[23, 3, 3, 0x41],
            &[23, 3, 3, 0x41, 0],
            &[20, 3, 3, 0, 1, 1],
            &[21, 3, 3, 0, 2, 1, 0],
            &[23, 3, 3, 0, 0],
        ];
        for octets in kept {
            assert_eq!(made_refusable(octets), octets);
        }
    }

    #[test]
    fn headers_that_break_one_become_those_that_are_refused() {
        assert_eq!(made_refusable(&[99]), [HEARTBEAT]);
        assert_eq!(made_refusable(&[0, 3, 3, 0]), [HEARTBEAT, 3, 3, 0]);
        for empty in [
            [HEARTBEAT, 3, 3, 0, 9],
            [99, 0, 0, 0, 0],
            [21, 3, 3, 0, 0],
            [22, 3, 3, 0, 0],
        ] {
            assert_eq!(made_refusable(&empty), EMPTY, "{empty:?}");
        }
        for kind in [20, 21, 22, 23, 99] {
            assert_eq!(made_refusable(&[kind, 3, 3, 0x41, 1]), TOO_LONG, "{kind}");
        }
    }
}
