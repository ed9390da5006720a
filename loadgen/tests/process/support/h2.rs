//! A minimal blocking HTTP/2 server: answers every request with 200 and a short body, without decoding the
//! head.

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::misbehaving::take_time;
use super::server::{Seen, Stream};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// A setting.
const MAX_CONCURRENT_STREAMS: u8 = 3;
/// An error code.
const REFUSED_STREAM: u32 = 7;
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

/// Allows two streams at a time, and says so only when the first request has come and no other could follow
/// it yet.
pub fn allows_two_and_says_so_late(mut stream: Stream, seen: &Seen) {
    let _ = strict(&mut stream, seen);
}

fn strict(stream: &mut Stream, seen: &Seen) -> std::io::Result<()> {
    stream.read_exact(&mut [0; 24])?;
    let mut first = next_frame(stream)?;
    while first.0 != HEADERS {
        first = next_frame(stream)?;
    }
    if take_time(stream, Duration::from_millis(30)) && next_frame(stream)?.0 == HEADERS {
        let protocol_error = [[0; 4], 1u32.to_be_bytes()].concat();
        frame(stream, GOAWAY, 0, 0, &protocol_error)?;
        return stream.flush();
    }
    frame(stream, SETTINGS, 0, 0, &[0, MAX_CONCURRENT_STREAMS, 0, 0, 0, 2])?;
    frame(stream, SETTINGS, ACK, 0, &[])?;
    let mut next = first;
    loop {
        if next.0 == HEADERS {
            respond(stream, seen, next.2)?;
            stream.flush()?;
        }
        next = next_frame(stream)?;
    }
}

/// Refuses every stream, each after 1.5 s.
pub fn refuses_late(mut stream: Stream, seen: &Seen) {
    let _ = refuse(&mut stream, seen, Duration::from_millis(1_500));
}

/// Refuses every stream.
pub fn refuses(mut stream: Stream, seen: &Seen) {
    let _ = refuse(&mut stream, seen, Duration::ZERO);
}

fn refuse(stream: &mut Stream, seen: &Seen, after: Duration) -> std::io::Result<()> {
    stream.read_exact(&mut [0; 24])?;
    frame(stream, SETTINGS, 0, 0, &[])?;
    stream.flush()?;
    loop {
        let (kind, _, id, _) = next_frame(stream)?;
        if kind == HEADERS {
            seen.requests.fetch_add(1, Ordering::Relaxed);
            if !after.is_zero() {
                let (_keep, never) = channel::<()>();
                let _ = never.recv_timeout(after); // whatever else the client sends meanwhile
            }
            frame(stream, RST_STREAM, 0, id, &REFUSED_STREAM.to_be_bytes())?;
            stream.flush()?;
        }
    }
}

fn respond(stream: &mut Stream, seen: &Seen, id: u32) -> std::io::Result<()> {
    seen.requests.fetch_add(1, Ordering::Relaxed);
    frame(stream, HEADERS, END_HEADERS, id, STATUS_200)?;
    frame(stream, DATA, END_STREAM, id, b"hello")
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
                respond(&mut stream, seen, id)?;
                if answered == limit {
                    let no_error = [id.to_be_bytes(), [0; 4]].concat();
                    frame(&mut stream, GOAWAY, 0, 0, &no_error)?;
                }
            }
            DATA => drop(seen.body_bytes.fetch_add(payload.len() as u64, Ordering::Relaxed)),
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
