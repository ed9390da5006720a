//! First octets of other protocols than TLS. They are told apart so that the record says what came, and so
//! that a client that speaks plain HTTP is answered in HTTP.

use super::alerts::{PROTOCOL_VERSION, UNEXPECTED_MESSAGE};
use super::record_header::{CHANGE_CIPHER_SPEC, HEARTBEAT};
use super::unfit::{Answer, Unfit};

/// True if `first`, the first octets of a connection, may still become a greeting of another protocol, but
/// are no whole greeting yet. `false`: these octets are TLS, or nothing came yet.
///
/// # Errors
/// It is another protocol.
pub(super) fn must_wait(first: &[u8]) -> Result<bool, Unfit> {
    match first {
        [] | [CHANGE_CIPHER_SPEC..=HEARTBEAT, ..] => Ok(false),
        [b'A'..=b'Z', ..] => word(first),
        [b'\r', ..] if PROXY_V2.starts_with(first) && first.len() < PROXY_V2.len() => Ok(true),
        first if first.starts_with(PROXY_V2) => Err(proxy()),
        [0x80..=0xff, _, 1, ..] => Err(Unfit::alert(
            PROTOCOL_VERSION,
            "the client sent a hello of SSL 2.0",
        )),
        [0x80..=0xff] | [0x80..=0xff, _] => Ok(true),
        _ => Err(unknown(first)),
    }
}

/// Judges a word in capitals: a method of HTTP, or the front of another protocol's greeting.
fn word(first: &[u8]) -> Result<bool, Unfit> {
    let length = first
        .iter()
        .take_while(|octet| octet.is_ascii_uppercase())
        .count();
    let (word, rest) = first.split_at(length);
    match (word, rest) {
        (_, []) if word.len() <= WORD_BYTES_MAX => Ok(true),
        (b"PROXY", [b' ', ..]) => Err(proxy()),
        (b"SSH", [b'-', ..]) => Err(Unfit::alert(UNEXPECTED_MESSAGE, "the client speaks SSH, not TLS")),
        (_, [b' ', b'/' | b'*', ..]) => Err(http()),
        (word, [b' ', ..]) if METHODS.contains(&word) => Err(http()),
        (_, [b' ']) => Ok(true),
        _ => Err(unknown(first)),
    }
}

fn http() -> Unfit {
    Unfit {
        reason: "the client spoke plain HTTP, and this port speaks TLS".into(),
        answer: Answer::Foreign(THIS_PORT_SPEAKS_TLS),
    }
}

fn proxy() -> Unfit {
    let reason = "a PROXY protocol header came before TLS: what stands in front of this port sends one, \
        and it is not read here";
    Unfit::alert(UNEXPECTED_MESSAGE, reason)
}

fn unknown(first: &[u8]) -> Unfit {
    let shown = first.get(..SHOWN_BYTES).unwrap_or(first).escape_ascii();
    Unfit::alert(
        UNEXPECTED_MESSAGE,
        format!("the client does not speak TLS: its first octets are \"{shown}\""),
    )
}

/// Answer to a client that has sent a request in the clear: 400, as other servers do.
const THIS_PORT_SPEAKS_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
Content-Type: text/plain\r\n\
Content-Length: 44\r\n\
Connection: close\r\n\
\r\n\
This port speaks TLS: ask for https instead.";

/// The PROXY protocol, version 2, §2.2.
const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Methods of HTTP, whose target need not begin with a slash; the last is HTTP/2's preface.
const METHODS: [&[u8]; 10] = [
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT", b"PRI",
];
/// Length of a word that may still become a method: longer than any in use.
const WORD_BYTES_MAX: usize = 20;
/// Number of foreign octets that the record shows.
const SHOWN_BYTES: usize = 16;
