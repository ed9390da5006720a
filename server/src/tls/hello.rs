//! The first octets of a connection, until they are one whole ClientHello, in any number of records and
//! segments.
//!
//! Without I/O, so that it can be fuzzed. Owns the rule that nothing comes before a ClientHello: the first
//! octet that cannot belong to one ends the connection, with the alert that RFC 8446 names for it. Does not
//! own the contents of the message ([`super::client_hello`]). The TLS library reads the same octets again,
//! once the configuration is known; it would let some of the faults pass that are refused here, or answer
//! another alert.
//!
//! Bounds: a message of [`HELLO_BYTES_MAX`], refused as soon as its length is known; [`WIRE_BYTES_MAX`] on
//! the wire, records' headers included.

use std::ops::Range;

use super::alerts::{
    DECODE_ERROR, FATAL, ILLEGAL_PARAMETER, PROTOCOL_VERSION, RECORD_OVERFLOW, UNEXPECTED_MESSAGE, alert_name,
};
use super::foreign;
use super::record_header::{self, ALERT, HANDSHAKE, HEADER_BYTES, PLAIN_BYTES_MAX};
use super::unfit::{Answer, Unfit};
use crate::runtime::Duplex;

/// A ClientHello without its header. Large ones have a post-quantum key share, ECH and some tickets, and less
/// than 8 KiB.
pub const HELLO_BYTES_MAX: usize = 16 * 1024;
/// Octets that are read for one ClientHello, for the sake of clients that cut it into many records.
const WIRE_BYTES_MAX: usize = 32 * 1024;

// A ClientHello stays unread until it is known for whom it is.
const _: () = assert!(HELLO_BYTES_MAX < WIRE_BYTES_MAX && WIRE_BYTES_MAX < Duplex::UNREAD_BYTES_MAX);

/// Gathers one ClientHello.
#[derive(Default)]
pub struct HelloReader {
    /// Place, among the unread octets, of the first record that was not looked at yet.
    next: usize,
    /// Octets that earlier records have brought, where the message comes in several records.
    gathered: Vec<u8>,
    whole: Option<Whole>,
}

/// Place of the whole message.
enum Whole {
    /// Among the unread octets.
    Unread(Range<usize>),
    Gathered,
}

/// The front of a record.
struct Record<'a> {
    /// The octets that have come.
    payload: &'a [u8],
    is_complete: bool,
}

impl HelloReader {
    /// Looks at the unread octets, of which none may be consumed between two calls. `true`: the ClientHello
    /// is whole.
    ///
    /// # Errors
    /// The octets that came cannot become a ClientHello.
    pub fn read(&mut self, unread: &[u8]) -> Result<bool, Unfit> {
        if self.next == 0 && foreign::must_wait(unread)? {
            return Ok(false);
        }
        while self.whole.is_none() {
            let rest = unread.get(self.next..).unwrap_or_default();
            let Some(record) = record(rest, self.next > 0)? else {
                break;
            };
            let length = self.length(record.payload)?;
            if !record.is_complete {
                break;
            }
            let from = self.next + HEADER_BYTES;
            self.next = from + record.payload.len();
            match length {
                // The usual case: nothing is copied. Whatever stands behind the message in its record is
                // refused by the TLS library.
                Some(length) if self.gathered.is_empty() && record.payload.len() >= length => {
                    self.whole = Some(Whole::Unread(from..from + length));
                }
                length => {
                    self.gathered.extend_from_slice(record.payload);
                    let is_whole = length.is_some_and(|length| self.gathered.len() >= length);
                    self.whole = is_whole.then_some(Whole::Gathered);
                }
            }
        }
        if self.whole.is_none() && unread.len() > WIRE_BYTES_MAX {
            let reason = "the ClientHello comes in records of a few octets each, without an end";
            return Err(Unfit::alert(ILLEGAL_PARAMETER, reason));
        }
        Ok(self.whole.is_some())
    }

    /// The message with its header, once it is whole.
    pub fn message<'a>(&'a self, unread: &'a [u8]) -> &'a [u8] {
        match &self.whole {
            Some(Whole::Unread(range)) => unread.get(range.clone()).unwrap_or_default(),
            Some(Whole::Gathered) => &self.gathered,
            None => &[],
        }
    }

    /// Length of the message with its header, once the header has come. `fresh` are octets behind the
    /// gathered ones.
    fn length(&self, fresh: &[u8]) -> Result<Option<usize>, Unfit> {
        let mut front = self.gathered.iter().chain(fresh).copied();
        match front.next() {
            None => return Ok(None),
            Some(CLIENT_HELLO) => {}
            Some(other) => {
                let reason =
                    format!("the first handshake message is none of type client_hello, but of type {other}");
                return Err(Unfit::alert(UNEXPECTED_MESSAGE, reason));
            }
        }
        let (Some(a), Some(b), Some(c)) = (front.next(), front.next(), front.next()) else {
            return Ok(None);
        };
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if length > HELLO_BYTES_MAX {
            let reason = format!("a ClientHello of {length} octets; no more than {HELLO_BYTES_MAX} are read");
            return Err(Unfit::alert(ILLEGAL_PARAMETER, reason));
        }
        Ok(Some(MESSAGE_HEADER_BYTES + length))
    }
}

/// The record at the front of `rest`, as soon as its header is there. `has_begun`: a part of the ClientHello
/// has come before.
fn record(rest: &[u8], has_begun: bool) -> Result<Option<Record<'_>>, Unfit> {
    match rest.first() {
        None => return Ok(None),
        Some(&ALERT) => return alert(rest, has_begun),
        Some(&HANDSHAKE) => {}
        Some(&other) => return Err(unexpected(other, has_begun)),
    }
    let Some(length) = length_of(rest)? else {
        return Ok(None);
    };
    let payload = rest.get(HEADER_BYTES..).unwrap_or_default();
    Ok(Some(Record {
        is_complete: payload.len() >= length,
        payload: payload.get(..length).unwrap_or(payload),
    }))
}

/// The payload's length, once the header is there. Nothing and too much are refused: RFC 8446 §5.1.
fn length_of(rest: &[u8]) -> Result<Option<usize>, Unfit> {
    if rest.get(1).is_some_and(|major| *major != 3) {
        let reason = "a record of a protocol version that no TLS has";
        return Err(Unfit::alert(PROTOCOL_VERSION, reason));
    }
    let &[_, _, _, high, low, ..] = rest else {
        return Ok(None);
    };
    match usize::from(u16::from_be_bytes([high, low])) {
        0 => Err(Unfit::alert(UNEXPECTED_MESSAGE, "an empty record")),
        length if length > PLAIN_BYTES_MAX => {
            let reason =
                format!("a record of {length} octets, more than the {PLAIN_BYTES_MAX} that TLS allows");
            Err(Unfit::alert(RECORD_OVERFLOW, reason))
        }
        length => Ok(Some(length)),
    }
}

/// Reads an alert instead of a ClientHello. A client that gives up sends one, to which there is no answer;
/// any other is out of place.
fn alert(rest: &[u8], has_begun: bool) -> Result<Option<Record<'static>>, Unfit> {
    let Some(length) = length_of(rest)? else {
        return Ok(None);
    };
    if length != ALERT_BYTES {
        return Err(Unfit::alert(DECODE_ERROR, "an alert of a length that none has"));
    }
    let &[_, _, _, _, _, level, description, ..] = rest else {
        return Ok(None);
    };
    if has_begun && level != FATAL {
        return Err(unexpected(ALERT, has_begun));
    }
    let name = alert_name(description);
    Err(Unfit {
        reason: format!("the client ended the connection with alert {name} before a complete ClientHello")
            .into(),
        answer: Answer::Nothing,
    })
}

/// Refuses a record of another type before the ClientHello (RFC 8446 §5) or between its pieces (§5.1).
fn unexpected(content_type: u8, has_begun: bool) -> Unfit {
    let kind = record_header::name(content_type);
    let place = if has_begun {
        "between the pieces of"
    } else {
        "before"
    };
    Unfit::alert(UNEXPECTED_MESSAGE, format!("{kind} came {place} the ClientHello"))
}

const MESSAGE_HEADER_BYTES: usize = 4;
const ALERT_BYTES: usize = 2;
const CLIENT_HELLO: u8 = 1;

#[cfg(test)]
#[path = "hello_tests.rs"]
mod tests;
