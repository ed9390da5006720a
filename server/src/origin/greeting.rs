//! The protocol that an origin speaks, by the first octets of its answer: where that is not HTTP/1.1, the
//! operator is told which.

use std::fmt;

/// A protocol that origins are not spoken to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// A SETTINGS frame, with which every HTTP/2 connection begins (RFC 9113 §3.4), or the GOAWAY of a server
    /// that has had enough.
    Http2,
    /// An alert (RFC 8446 §6), which is what a TLS server answers to plain text.
    Tls,
}

impl Greeting {
    /// The one that `octets`, the first of an answer, begin; `None`: HTTP/1.1, or nothing that is known.
    pub fn of(octets: &[u8]) -> Option<Self> {
        match octets {
            // Length (3), type, flags, stream 0 (4): RFC 9113 §4.1.
            [0, _, _, SETTINGS | GOAWAY, 0 | 1, 0, 0, 0, 0, ..] => Some(Self::Http2),
            [ALERT, 3, 0..=4, 0, 2, ..] => Some(Self::Tls),
            _ => None,
        }
    }
}

impl fmt::Display for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http2 => "the origin speaks HTTP/2; only HTTP/1.1 is spoken to origins",
            Self::Tls => "the origin speaks TLS; only plain HTTP/1.1 is spoken to origins",
        })
    }
}

const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ALERT: u8 = 21;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_protocols_are_known_by_their_first_octets() {
        for (octets, expected) in [
            (&b"HTTP/1.1 200 OK\r\n"[..], None),
            (b"", None),
            (b"\0\0", None),
            (b"\0\0\0\x04\0\0\0\0\0", Some(Greeting::Http2)),
            (b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64", Some(Greeting::Http2)),
            (b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01", Some(Greeting::Http2)),
            (b"\0\0\x08\x06\0\0\0\0\0", None),
            (b"\x15\x03\x01\x00\x02\x02\x46", Some(Greeting::Tls)),
            (b"\x16\x03\x01 this is no HTTP", None),
        ] {
            assert_eq!(Greeting::of(octets), expected, "{octets:02x?}");
        }
    }
}
