//! HTTP/1.1 as a load generator needs it: one request at a time, its bytes prepared once; of the response the
//! status, the length, and whether the connection may be used again.
//!
//! [`Response`] is pushed bytes in any portions and does no I/O. Framing follows RFC 9112 §6.3.

use std::time::Instant;

use crate::failure::Failure;
use crate::plan::Entry;

/// The bytes of the request that every operation sends.
pub fn request(entry: &Entry, close: bool) -> Vec<u8> {
    let mut head = format!(
        "{} {} HTTP/1.1\r\nhost: {}\r\n",
        entry.method, entry.path, entry.host
    )
    .into_bytes();
    for (name, value) in &entry.headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    if !entry
        .headers
        .iter()
        .any(|(name, _)| name == http::header::USER_AGENT)
    {
        head.extend_from_slice(format!("user-agent: {USER_AGENT}\r\n").as_bytes());
    }
    head.extend_from_slice(framing_of(entry).as_bytes());
    if close {
        head.extend_from_slice(b"connection: close\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// The fields that say how long the body is; a method whose meaning has one says so when it is empty, too.
fn framing_of(entry: &Entry) -> String {
    match &entry.body {
        Some(body) if body.chunked => "transfer-encoding: chunked\r\n".to_owned(),
        Some(body) => format!("content-length: {}\r\n", body.bytes.len()),
        None if has_a_body_by_meaning(&entry.method) => "content-length: 0\r\n".to_owned(),
        None => String::new(),
    }
}

fn has_a_body_by_meaning(method: &http::Method) -> bool {
    matches!(
        *method,
        http::Method::POST | http::Method::PUT | http::Method::PATCH
    )
}

/// Value of the User-Agent header of every request.
pub const USER_AGENT: &str = concat!("loadgen/", env!("CARGO_PKG_VERSION"));

/// A response as far as it has come.
#[derive(Debug)]
pub struct Response {
    body: Body,
    /// The part of a head that came without its end.
    head: Vec<u8>,
    /// Status code; 0 until the head has come.
    pub status: u16,
    /// Bytes of the body, without its coding.
    pub body_bytes: u64,
    /// The connection ends after this response.
    pub close: bool,
    /// Time at which its first byte came.
    pub first_byte: Option<Instant>,
    /// The product that the server says it is, where that is asked for.
    pub server: Option<String>,
    wants_server: bool,
    /// The request was HEAD: there is no body whatever the head says.
    bodiless: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Head,
    Fixed(u64),
    Chunked(Chunk),
    UntilClose,
    Done,
}

/// The state within a chunked body (RFC 9112 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    /// In the size; the number so far and its digits.
    Size(u64, u8),
    /// After the size, up to the line's end.
    Extension(u64),
    Data(u64),
    /// At the CRLF after the data: how many of its two bytes have come.
    DataEnd(u8),
    /// In the trailer section: how many bytes the current line has.
    Trailer(u32),
}

impl Response {
    /// A response of which nothing has come; `head_request`: it answers a HEAD, and has no body.
    pub fn new(head_request: bool) -> Self {
        Response {
            body: Body::Head,
            head: Vec::new(),
            status: 0,
            body_bytes: 0,
            close: false,
            first_byte: None,
            server: None,
            wants_server: false,
            bodiless: head_request,
        }
    }

    /// Keeps the Server field of its head.
    pub fn with_server(mut self, wanted: bool) -> Self {
        self.wants_server = wanted;
        self
    }

    /// Takes the next bytes. `true`: the response is complete. Bytes after its end are an error, because
    /// nothing else was asked for.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<bool, Failure> {
        self.first_byte.get_or_insert_with(Instant::now);
        while !bytes.is_empty() && self.body != Body::Done {
            bytes = match self.body {
                Body::Head => self.push_head(bytes)?,
                Body::Fixed(left) => self.push_fixed(left, bytes),
                Body::Chunked(chunk) => self.push_chunked(chunk, bytes)?,
                Body::UntilClose => self.push_rest(bytes),
                Body::Done => &[],
            };
        }
        match (self.body == Body::Done, bytes.is_empty()) {
            (true, false) => Err(Failure::Unsolicited),
            (done, _) => Ok(done),
        }
    }

    /// The server has closed. `true`: that is how this response ends.
    pub fn end(&self) -> bool {
        self.body == Body::UntilClose
    }

    fn push_head<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Failure> {
        if self.head.is_empty() {
            return match self.parse_head(bytes)? {
                Some(length) => Ok(bytes.get(length..).unwrap_or_default()),
                None => {
                    self.head.extend_from_slice(bytes);
                    Ok(&[])
                }
            };
        }
        let earlier = self.head.len();
        self.head.extend_from_slice(bytes);
        let head = std::mem::take(&mut self.head);
        match self.parse_head(&head)? {
            Some(length) => Ok(bytes.get(length.saturating_sub(earlier)..).unwrap_or_default()),
            None if head.len() > HEAD_BYTES_MAX => Err(Failure::Malformed("head above 64 KiB")),
            None => {
                self.head = head;
                Ok(&[])
            }
        }
    }

    /// Parses a head; its length, or `None` when it is not complete.
    fn parse_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Failure> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Response::new(&mut headers);
        let length = match head.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Failure::Malformed("not an HTTP/1 head")),
        };
        let status = head.code.unwrap_or(0);
        if status == 101 {
            return Err(Failure::Malformed("a protocol switch that was not asked for"));
        }
        if status < 200 {
            return Ok(Some(length)); // an interim response: the real one follows
        }
        let framing = Framing::of(head.headers)?;
        if self.wants_server {
            self.server = server_field(head.headers);
        }
        self.status = status;
        self.close = framing.close || (head.version == Some(0) && !framing.keep_alive);
        self.body = self.body_after(status, &framing);
        self.close |= self.body == Body::UntilClose;
        Ok(Some(length))
    }

    fn body_after(&self, status: u16, framing: &Framing) -> Body {
        if self.bodiless || status == 204 || status == 304 {
            return Body::Done;
        }
        match (framing.chunked, framing.length) {
            (true, _) => Body::Chunked(Chunk::Size(0, 0)),
            (false, Some(0)) => Body::Done,
            (false, Some(length)) => Body::Fixed(length),
            (false, None) => Body::UntilClose,
        }
    }

    fn push_rest<'b>(&mut self, bytes: &[u8]) -> &'b [u8] {
        self.body_bytes += bytes.len() as u64;
        &[]
    }

    fn push_fixed<'b>(&mut self, left: u64, bytes: &'b [u8]) -> &'b [u8] {
        let (taken, rest) = split(bytes, left);
        self.body_bytes += taken;
        self.body = if taken == left {
            Body::Done
        } else {
            Body::Fixed(left - taken)
        };
        rest
    }

    fn push_chunked<'b>(&mut self, chunk: Chunk, bytes: &'b [u8]) -> Result<&'b [u8], Failure> {
        if let Chunk::Data(left) = chunk {
            let (taken, rest) = split(bytes, left);
            self.body_bytes += taken;
            self.body = Body::Chunked(if taken == left {
                Chunk::DataEnd(0)
            } else {
                Chunk::Data(left - taken)
            });
            return Ok(rest);
        }
        let Some((&byte, rest)) = bytes.split_first() else {
            return Ok(bytes);
        };
        self.body = chunk.step(byte)?;
        Ok(rest)
    }
}

impl Chunk {
    /// The state after a byte that is not chunk data.
    fn step(self, byte: u8) -> Result<Body, Failure> {
        let next = match (self, byte) {
            (Chunk::Size(size, digits), _) if byte.is_ascii_hexdigit() && digits < 15 => {
                let digit = (byte as char).to_digit(16).unwrap_or(0);
                Chunk::Size(size * 16 + u64::from(digit), digits + 1)
            }
            (Chunk::Size(size, 1..), b'\r' | b';' | b' ' | b'\t') => Chunk::Extension(size),
            (Chunk::Extension(0), b'\n') => Chunk::Trailer(0),
            (Chunk::Extension(size), b'\n') => Chunk::Data(size),
            (Chunk::Extension(size), _) => Chunk::Extension(size),
            (Chunk::DataEnd(0), b'\r') => Chunk::DataEnd(1),
            (Chunk::DataEnd(1), b'\n') => Chunk::Size(0, 0),
            (Chunk::Trailer(0), b'\n') => return Ok(Body::Done),
            (Chunk::Trailer(_), b'\n') => Chunk::Trailer(0),
            (Chunk::Trailer(length), b'\r') => Chunk::Trailer(length),
            (Chunk::Trailer(length), _) => Chunk::Trailer(length.saturating_add(1)),
            _ => return Err(Failure::Malformed("chunked coding")),
        };
        Ok(Body::Chunked(next))
    }
}

/// Framing of the body and future of the connection, as the head says.
#[derive(Debug, Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
}

impl Framing {
    fn of(headers: &[httparse::Header<'_>]) -> Result<Self, Failure> {
        let mut framing = Framing::default();
        for header in headers {
            if header.name.eq_ignore_ascii_case("content-length") {
                framing.set_length(header.value)?;
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                framing.chunked |= tokens(header.value).any(|token| token.eq_ignore_ascii_case(b"chunked"));
            } else if header.name.eq_ignore_ascii_case("connection") {
                framing.close |= tokens(header.value).any(|token| token.eq_ignore_ascii_case(b"close"));
                framing.keep_alive |=
                    tokens(header.value).any(|token| token.eq_ignore_ascii_case(b"keep-alive"));
            }
        }
        Ok(framing)
    }

    fn set_length(&mut self, value: &[u8]) -> Result<(), Failure> {
        let length = std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok());
        match (length, self.length) {
            (None, _) => Err(Failure::Malformed("content-length")),
            (Some(length), Some(earlier)) if length != earlier => {
                Err(Failure::Malformed("two content-lengths"))
            }
            (length, _) => {
                self.length = length;
                Ok(())
            }
        }
    }
}

fn server_field(headers: &[httparse::Header<'_>]) -> Option<String> {
    let field = headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("server"))?;
    let text = String::from_utf8_lossy(field.value);
    Some(text.chars().take(SERVER_CHARS_MAX).collect())
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// Splits off at most `limit` bytes: how many, and the rest.
fn split(bytes: &[u8], limit: u64) -> (u64, &[u8]) {
    let taken = usize::try_from(limit).unwrap_or(usize::MAX).min(bytes.len());
    (taken as u64, bytes.get(taken..).unwrap_or_default())
}

const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 64;
/// Enough of what a server says about itself for a report.
pub const SERVER_CHARS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes `text` whole, then again byte by byte: both must agree.
    fn read(text: &str) -> (Result<bool, Failure>, Response) {
        let mut whole = Response::new(false);
        let at_once = whole.push(text.as_bytes());
        let mut slow = Response::new(false);
        let mut last = Ok(false);
        for byte in text.as_bytes() {
            last = slow.push(std::slice::from_ref(byte));
            if last.is_err() {
                break;
            }
        }
        assert_eq!(at_once.is_err(), last.is_err(), "{text:?}");
        if at_once.is_ok() {
            assert_eq!(
                (&at_once, whole.status, whole.close),
                (&last, slow.status, slow.close),
                "{text:?}"
            );
        }
        (at_once, whole)
    }

    #[test]
    fn a_response_ends_with_its_content_length() {
        let (done, response) = read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!((done, response.status, response.close), (Ok(true), 200, false));
        let (done, _) = read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell");
        assert_eq!(done, Ok(false));
        let (done, _) = read("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(done, Ok(true));
    }

    #[test]
    fn a_chunked_response_ends_after_its_trailers() {
        for (body, bytes) in [
            ("5\r\nhello\r\n0\r\n\r\n", 5),
            ("5;name=value\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", 6),
            ("00005\r\nhello\r\n0\r\nX-Trailer: a\r\nY: b\r\n\r\n", 5),
            ("1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n", 26),
        ] {
            let (done, response) = read(&format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n{body}"
            ));
            assert_eq!((done, response.body_bytes), (Ok(true), bytes), "{body:?}");
        }
        let (done, _) = read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n");
        assert_eq!(done, Ok(false));
    }

    #[test]
    fn broken_framing_is_malformed() {
        for text in [
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        ] {
            assert!(read(text).0.is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_interim_response_is_skipped() {
        let text =
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let (done, response) = read(text);
        assert_eq!((done, response.status), (Ok(true), 200));
    }

    #[test]
    fn a_response_without_a_length_ends_when_the_server_closes() {
        let (done, response) = read("HTTP/1.1 200 OK\r\n\r\nanything");
        assert_eq!(done, Ok(false));
        assert!(response.end());
        assert!(response.close);
    }

    #[test]
    fn head_and_bodiless_statuses_have_no_body() {
        let mut response = Response::new(true);
        assert_eq!(
            response.push(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            Ok(true)
        );
        assert_eq!(read("HTTP/1.1 204 No Content\r\n\r\n").0, Ok(true));
    }

    #[test]
    fn the_connection_ends_when_the_server_says_so() {
        assert!(
            read("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n")
                .1
                .close
        );
        assert!(read("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").1.close);
        assert!(
            !read("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")
                .1
                .close
        );
    }
}
