//! HTTP/2 by hand, one request a connection: what no library would send, and what the server then does with
//! the stream.

use std::io::Read as _;
use std::net::SocketAddr;

use crate::tls_client::{Client, Connection};

/// End of a stream for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// With a response of this status, whose body came to so many octets.
    Response { status: u16, body: usize },
    /// The server reset it, or ended the connection, with this error code (RFC 9113 §7).
    Error(u32),
    /// The connection ended without a word.
    Closed,
}

/// PROTOCOL_ERROR, which is what a malformed request gets.
pub const PROTOCOL_ERROR: u32 = 1;

/// Sends a request with these fields, pseudo-header fields first, and this body; reads until its stream has
/// ended.
pub fn ask(client: &Client, address: SocketAddr, fields: &[(&str, &str)], body: Option<&[u8]>) -> StreamEnd {
    let client = client.clone().alpn(&["h2"]);
    let mut connection = client.connect(address).expect("a handshake");
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    let block: Vec<u8> = fields
        .iter()
        .flat_map(|(name, value)| literal(name, value))
        .collect();
    let end = if body.is_none() { END_STREAM } else { 0 };
    bytes.extend(frame(HEADERS, END_HEADERS | end, 1, &block));
    if let Some(body) = body {
        bytes.extend(frame(DATA, END_STREAM, 1, body));
    }
    connection.write(bytes).expect("a server that reads");
    end_of(&mut connection)
}

/// A GET of `path`, as far as the pseudo-header fields go.
pub fn pseudo<'a>(method: &'a str, authority: &'a str, path: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        (":method", method),
        (":scheme", "https"),
        (":authority", authority),
        (":path", path),
    ]
}

fn end_of(connection: &mut Connection) -> StreamEnd {
    let (mut status, mut body) = (0, 0);
    while let Some(frame) = next_frame(connection) {
        match frame.kind {
            HEADERS if status == 0 => status = status_of(&frame.payload),
            DATA => body += frame.payload.len(),
            RST_STREAM => return StreamEnd::Error(number(&frame.payload)),
            GOAWAY => return StreamEnd::Error(number(&frame.payload[4..])),
            _ => {}
        }
        if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
            return StreamEnd::Response { status, body };
        }
    }
    StreamEnd::Closed
}

struct Frame {
    kind: u8,
    flags: u8,
    payload: Vec<u8>,
}

/// RFC 9113 §4.1; `None` at the end of the connection.
fn next_frame(connection: &mut Connection) -> Option<Frame> {
    let mut head = [0; 9];
    connection.reader().read_exact(&mut head).ok()?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    connection.reader().read_exact(&mut payload).ok()?;
    Some(Frame {
        kind: head[3],
        flags: head[4],
        payload,
    })
}

fn number(octets: &[u8]) -> u32 {
    u32::from_be_bytes(octets[..4].try_into().expect("four octets"))
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// RFC 7541 §6.2.2: not indexed, not compressed.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        let length = text.len();
        if length < 127 {
            field.push(length as u8);
        } else {
            // A length of two octets more: up to 16,510.
            let rest = length - 127;
            field.extend([127, (rest % 128) as u8 | 128, (rest / 128) as u8]);
        }
        field.extend(text.bytes());
    }
    field
}

/// `:status`, which comes first: from the static table, or a literal of three digits.
fn status_of(block: &[u8]) -> u16 {
    // A change of the dynamic table's size may stand before it.
    let block = &block[block.iter().take_while(|octet| **octet & 0xe0 == 0x20).count()..];
    match *block {
        [indexed @ 0x88..=0x8e, ..] => STATUSES[usize::from(indexed - 0x88)],
        [0x48 | 0x08, length, ref text @ ..] => {
            let text = &text[..usize::from(length & 0x7f)];
            let digits = if length & 0x80 == 0 {
                text.to_vec()
            } else {
                huffman_digits(text)
            };
            String::from_utf8_lossy(&digits).parse().expect("a status")
        }
        _ => panic!("no status first: {block:02x?}"),
    }
}

/// RFC 7541, appendix B: `0` to `2` have five bits, `3` to `9` six.
fn huffman_digits(text: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = text
        .iter()
        .flat_map(|octet| (0..8).rev().map(move |at| octet >> at & 1))
        .collect();
    let value = |bits: &[u8]| bits.iter().fold(0, |sum, bit| sum << 1 | bit);
    let (mut digits, mut rest) = (Vec::new(), &bits[..]);
    while rest.len() >= 5 && digits.len() < 3 {
        let short = value(&rest[..5]);
        if short <= 2 {
            digits.push(b'0' + short);
            rest = &rest[5..];
        } else {
            digits.push(b'3' + value(&rest[..6]) - 0x19);
            rest = &rest[6..];
        }
    }
    digits
}

const STATUSES: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_in_every_form() {
        for (block, status) in [
            (&[0x88][..], 200),
            (&[0x20, 0x8c, 0x01], 400),
            (b"\x48\x03431", 431),
            // RFC 7541 §C.6.1: "302" takes two octets.
            (&[0x48, 0x82, 0x64, 0x02], 302),
            // "501".
            (&[0x48, 0x82, 0x6c, 0x01], 501),
        ] {
            assert_eq!(status_of(block), status, "{block:02x?}");
        }
    }
}
