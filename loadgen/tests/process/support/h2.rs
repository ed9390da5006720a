//! A minimal blocking HTTP/2 server: answers every request with 200 and a short body, without decoding the head.

use std::io::{Read, Write};
use std::sync::atomic::Ordering;

use super::server::{Seen, Stream};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// HPACK's static table: `:status: 200`.
const STATUS_200: &[u8] = &[0x88];

/// Serves until the client closes.
pub fn serve(stream: Stream, seen: &Seen) {
    let _ = answer(stream, seen, u32::MAX);
}

/// Takes requests and answers none.
pub fn hangs(stream: Stream, seen: &Seen) {
    let _ = answer(stream, seen, 0);
}

/// Serves ten requests per connection, and then declares the rest unprocessed.
pub fn serve_ten_then_go_away(stream: Stream, seen: &Seen) {
    let _ = answer(stream, seen, 10);
}

fn answer(mut stream: Stream, seen: &Seen, limit: u32) -> std::io::Result<()> {
    stream.read_exact(&mut [0; 24])?; // the preface
    frame(&mut stream, SETTINGS, 0, 0, &[])?;
    stream.flush()?;
    let mut answered = 0;
    loop {
        let (kind, flags, id, payload) = next_frame(&mut stream)?;
        match kind {
            SETTINGS if flags & ACK == 0 => frame(&mut stream, SETTINGS, ACK, 0, &[])?,
            PING if flags & ACK == 0 => frame(&mut stream, PING, ACK, 0, &payload)?,
            HEADERS if answered < limit => {
                answered += 1;
                seen.requests.fetch_add(1, Ordering::Relaxed);
                frame(&mut stream, HEADERS, END_HEADERS, id, STATUS_200)?;
                frame(&mut stream, DATA, END_STREAM, id, b"hello")?;
                if answered == limit {
                    let no_error = [id.to_be_bytes(), [0; 4]].concat();
                    frame(&mut stream, GOAWAY, 0, 0, &no_error)?;
                }
            }
            _ => {}
        }
        stream.flush()?;
    }
}

fn frame(stream: &mut Stream, kind: u8, flags: u8, id: u32, payload: &[u8]) -> std::io::Result<()> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(payload);
    stream.write_all(&bytes)
}

fn next_frame(stream: &mut Stream) -> std::io::Result<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head)?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload)?;
    Ok((head[3], head[4], id, payload))
}
