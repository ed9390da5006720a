//! HTTP/2 by hand (RFC 9113): one connection whose windows, pings and half-sent bodies are the test's
//! business.

use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::net::SocketAddr;

use crate::config::EDGE_NAME;
use crate::tls_client::{Client, Connection};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const ACK: u8 = 0x1;

/// RFC 9113 §7.
pub const NO_ERROR: u32 = 0;
pub const CANCEL: u32 = 8;

/// The largest frame that nobody has to agree to.
const FRAME_MAX: usize = 16_384;

/// A frame from the server.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn ends_stream(&self) -> bool {
        [DATA, HEADERS].contains(&self.kind) && self.flags & END_STREAM != 0
    }

    /// The error code of a RST_STREAM.
    pub fn code(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().expect("a code"))
    }
}

/// End of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// With END_STREAM.
    Whole,
    Reset(u32),
    /// With its connection.
    Closed,
}

/// Answer of a server on one stream.
#[derive(Debug)]
pub struct Answer {
    /// 0 where no response began.
    pub status: u16,
    pub body: Vec<u8>,
    pub end: End,
}

pub struct Http2 {
    pub connection: Connection,
    next_stream: u32,
    read: VecDeque<Frame>,
    /// Octets that the server still allows to be sent, on the connection and on the stream that was opened
    /// last.
    windows: [i64; 2],
    stream_window_first: i64,
    pings_answered: u64,
}

impl Http2 {
    /// Connects as `client`, whose ALPN is set here; each stream begins with `window` octets that the server
    /// may send.
    pub fn connect(client: Client, address: SocketAddr, window: u32) -> Self {
        let client = client.alpn(&["h2"]);
        let connection = client.connect(address).expect("a handshake");
        let mut http2 = Self {
            connection,
            next_stream: 1,
            read: VecDeque::new(),
            windows: [65_535; 2],
            stream_window_first: 65_535,
            pings_answered: 0,
        };
        let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        // No table of fields (SETTINGS_HEADER_TABLE_SIZE), and the window (SETTINGS_INITIAL_WINDOW_SIZE).
        let mut settings = vec![0, 1, 0, 0, 0, 0, 0, 4];
        settings.extend_from_slice(&window.to_be_bytes());
        push_frame(&mut hello, SETTINGS, 0, 0, &settings);
        http2.connection.write(hello).expect("an open connection");
        http2
    }

    /// Opens a stream with a request; returns its number. `ends`: there is no body.
    pub fn ask(&mut self, method: &str, path: &str, ends: bool) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        let mut block = Vec::new();
        let fields = [
            (":method", method),
            (":scheme", "https"),
            (":authority", EDGE_NAME),
            (":path", path),
        ];
        for (name, value) in fields {
            push_literal(&mut block, name, value);
        }
        let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
        self.windows[1] = self.stream_window_first;
        self.send(HEADERS, flags, stream, &block)
            .expect("an open connection");
        stream
    }

    pub fn get(&mut self, path: &str) -> u32 {
        self.ask("GET", path, true)
    }

    /// Sends a piece of a body within the server's windows, which it waits for. False where the server has
    /// ended the stream first.
    pub fn send_body(&mut self, stream: u32, mut body: &[u8], ends: bool) -> bool {
        loop {
            let room = self.windows.iter().copied().min().expect("two windows").max(0);
            let room = usize::try_from(room).expect("not negative").min(FRAME_MAX);
            let piece = &body[..body.len().min(room)];
            let is_last = piece.len() == body.len();
            if is_last || !piece.is_empty() {
                let flags = if is_last && ends { END_STREAM } else { 0 };
                if self.send(DATA, flags, stream, piece).is_err() {
                    return false;
                }
                let length = i64::try_from(piece.len()).expect("a small piece");
                self.windows = self.windows.map(|window| window - length);
                body = &body[piece.len()..];
                if is_last {
                    return true;
                }
                continue;
            }
            match self.read_one() {
                Ok(None) => {}
                Ok(Some(frame)) => {
                    let is_over = frame.stream == stream && frame.kind == RST_STREAM;
                    self.read.push_back(frame);
                    if is_over {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
    }

    pub fn ping(&mut self) -> io::Result<()> {
        self.send(PING, 0, 0, b"01234567")
    }

    /// Sends a PING and reads until its answer has come: what the server had said before is read then.
    pub fn round_trip(&mut self) -> io::Result<()> {
        let answered = self.pings_answered + 1;
        self.ping()?;
        while self.pings_answered < answered {
            if let Some(frame) = self.read_one()? {
                self.read.push_back(frame);
            }
        }
        Ok(())
    }

    /// Gives a stream up, as a client does that wants the answer no more.
    pub fn cancel(&mut self, stream: u32) -> io::Result<()> {
        self.send(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
    }

    /// Sends one octet of a body, whatever the windows are: for streams that send few.
    pub fn send_octet(&mut self, stream: u32) -> io::Result<()> {
        self.send(DATA, 0, stream, b"x")
    }

    /// The answer on `stream`, if that has ended by what was read so far.
    pub fn ended(&mut self, stream: u32) -> Option<Answer> {
        let is_end = |frame: &Frame| frame.ends_stream() || frame.kind == RST_STREAM;
        let has_ended = self
            .read
            .iter()
            .any(|frame| frame.stream == stream && is_end(frame));
        has_ended.then(|| self.answer(stream))
    }

    /// Lets the server send so much more on `stream`, 0 being the connection.
    pub fn open_window(&mut self, stream: u32, octets: u32) -> io::Result<()> {
        self.send(WINDOW_UPDATE, 0, stream, &octets.to_be_bytes())
    }

    /// Reads until `stream` has ended.
    pub fn answer(&mut self, stream: u32) -> Answer {
        let mut answer = Answer {
            status: 0,
            body: Vec::new(),
            end: End::Closed,
        };
        while let Some(frame) = self.find(|frame| frame.stream == stream) {
            match frame.kind {
                HEADERS => answer.status = status(&frame.payload),
                DATA => answer.body.extend_from_slice(&frame.payload),
                RST_STREAM => {
                    answer.end = End::Reset(frame.code());
                    return answer;
                }
                _ => {}
            }
            if frame.ends_stream() {
                answer.end = End::Whole;
                return answer;
            }
        }
        answer
    }

    /// Reads until a frame of this kind has come on `stream`; others are kept.
    pub fn wait_for(&mut self, kind: u8, stream: u32) -> Option<Frame> {
        self.find(|frame| frame.kind == kind && frame.stream == stream)
    }

    fn find(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        if let Some(place) = self.read.iter().position(&wanted) {
            return self.read.remove(place);
        }
        loop {
            let frame = self.read_frame().ok()?;
            if wanted(&frame) {
                return Some(frame);
            }
            self.read.push_back(frame);
        }
    }

    /// The next frame that is not for the connection's housekeeping.
    fn read_frame(&mut self) -> io::Result<Frame> {
        loop {
            if let Some(frame) = self.read_one()? {
                return Ok(frame);
            }
        }
    }

    /// Reads one frame; none where it was for the connection's housekeeping.
    fn read_one(&mut self) -> io::Result<Option<Frame>> {
        let mut head = [0; 9];
        let reader = self.connection.reader();
        reader.read_exact(&mut head)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        reader.read_exact(&mut payload)?;
        let [kind, flags] = [head[3], head[4]];
        let stream = u32::from_be_bytes(head[5..].try_into().expect("four octets"));
        match kind {
            SETTINGS if flags & ACK == 0 => self.take_settings(&payload)?,
            WINDOW_UPDATE => {
                let more = u32::from_be_bytes(payload[..4].try_into().expect("four octets"));
                if stream == 0 || stream + 2 == self.next_stream {
                    self.windows[usize::from(stream != 0)] += i64::from(more);
                }
            }
            PING => self.pings_answered += u64::from(flags & ACK != 0),
            SETTINGS => {}
            _ => {
                return Ok(Some(Frame {
                    kind,
                    flags,
                    stream,
                    payload,
                }));
            }
        }
        Ok(None)
    }

    fn take_settings(&mut self, payload: &[u8]) -> io::Result<()> {
        for setting in payload.chunks_exact(6) {
            let value = u32::from_be_bytes(setting[2..].try_into().expect("four octets"));
            if setting[..2] == [0, 4] {
                self.windows[1] += i64::from(value) - self.stream_window_first;
                self.stream_window_first = i64::from(value);
            }
        }
        self.send(SETTINGS, ACK, 0, &[])
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let mut frame = Vec::with_capacity(9 + payload.len());
        push_frame(&mut frame, kind, flags, stream, payload);
        self.connection.write(frame)
    }
}

/// RFC 9113 §4.1.
pub fn push_frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a small frame");
    out.extend_from_slice(&length.to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// A field that no table knows (RFC 7541 §6.2.2), its texts not compressed.
fn push_literal(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(0);
    for text in [name, value] {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 127);
        out.push(length.expect("a short text"));
        out.extend_from_slice(text.as_bytes());
    }
}

/// `:status`, which servers send first: indexed (RFC 7541 appendix A, 8 to 14), or as a literal with a name
/// from the table.
fn status(block: &[u8]) -> u16 {
    let block = match block {
        // A change of the table's size comes before the fields.
        [size, rest @ ..] if size >> 5 == 1 => rest,
        _ => block,
    };
    match block {
        [index @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)],
        [0x08 | 0x48 | 0x18, 3, a, b, c, ..] => [a, b, c]
            .iter()
            .fold(0, |status, digit| status * 10 + u16::from(**digit - b'0')),
        // Huffman: digits 0 to 2 have five bits, 00000 to 00010; 3 to 9 have six, 011001 to 011111.
        [0x08 | 0x48 | 0x18, length @ 0x82..=0x83, text @ ..] => {
            huffman_digits(&text[..usize::from(length & 0x7f)])
        }
        other => panic!("no status in {other:?}"),
    }
}

fn huffman_digits(octets: &[u8]) -> u16 {
    let bits: String = octets.iter().map(|octet| format!("{octet:08b}")).collect();
    let (mut rest, mut status) = (bits.as_str(), 0);
    for _ in 0..3 {
        let five = u16::from_str_radix(&rest[..5], 2).expect("bits");
        let (digit, taken) = match five {
            0..=2 => (five, 5),
            _ => (
                u16::from_str_radix(&rest[..6], 2).expect("bits") - 0b01_1001 + 3,
                6,
            ),
        };
        status = status * 10 + digit;
        rest = &rest[taken..];
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_however_it_is_spelt() {
        assert_eq!(status(&[0x88]), 200);
        assert_eq!(status(&[0x3f, 0x8d]), 404, "after a change of size");
        assert_eq!(status(&[0x48, 3, b'5', b'0', b'3']), 503);
        // RFC 7541 C.6.1: 302.
        assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), 302);
    }
}
