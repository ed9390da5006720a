//! Servers with a fault on purpose, for [`super::server::Behaviour::serve`].

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::server::{Seen, Stream};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// Reads requests and never answers.
pub fn hangs(mut stream: Stream, seen: &Seen) {
    while head(&mut stream).is_some() {
        seen.requests.fetch_add(1, Ordering::Relaxed);
    }
}

/// Answers the first twenty requests of all connections, and then none any more.
pub fn hangs_after_twenty(stream: Stream, seen: &Seen) {
    each(stream, seen, |stream, number| {
        if number <= 20 {
            stream.write_all(OK).ok()
        } else {
            Some(())
        }
    });
}

/// Answers each request after 50 ms.
pub fn takes_50_ms(stream: Stream, seen: &Seen) {
    slowly(stream, seen, 50);
}

/// Answers each request after 400 ms.
pub fn takes_400_ms(stream: Stream, seen: &Seen) {
    slowly(stream, seen, 400);
}

fn slowly(stream: Stream, seen: &Seen, ms: u64) {
    each(stream, seen, |stream, _| {
        take_time(stream, Duration::from_millis(ms));
        stream.write_all(OK).ok()
    });
}

/// Answers each request twice.
pub fn answers_twice(stream: Stream, seen: &Seen) {
    each(stream, seen, |stream, _| {
        stream.write_all(OK).ok()?;
        stream.flush().ok()?;
        stream.write_all(OK).ok()
    });
}

/// Says 408 on a connection that has been idle for 20 ms, and closes it.
pub fn gives_up_idle_connections(stream: Stream, seen: &Seen) {
    each(stream, seen, |stream, _| {
        stream.write_all(OK).ok()?;
        stream.flush().ok()?;
        if take_time(stream, Duration::from_millis(20)) {
            return Some(());
        }
        let _ = stream
            .write_all(b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        stream.conn.send_close_notify();
        let _ = stream.flush();
        None
    });
}

/// Ends a response of unknown length by closing, in the middle and without a word.
pub fn cuts_bodies(mut stream: Stream, seen: &Seen) {
    if head(&mut stream).is_some() {
        seen.requests.fetch_add(1, Ordering::Relaxed);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nok, but not all of i");
    }
}

/// The same, but says that this was all.
pub fn ends_bodies_by_closing(mut stream: Stream, seen: &Seen) {
    if head(&mut stream).is_some() {
        seen.requests.fetch_add(1, Ordering::Relaxed);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nok");
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
}

/// Keeps connections though the client has asked for their end.
pub fn never_closes(mut stream: Stream, seen: &Seen) {
    while head(&mut stream).is_some() {
        seen.requests.fetch_add(1, Ordering::Relaxed);
        let _ = stream.write_all(OK);
    }
}

/// Closes 50 ms after its response.
pub fn closes_late(mut stream: Stream, seen: &Seen) {
    if head(&mut stream).is_some() {
        seen.requests.fetch_add(1, Ordering::Relaxed);
        let _ = stream.write_all(OK);
        take_time(&stream, Duration::from_millis(50));
    }
}

/// Reads the whole of each request, and says how many bytes its body had.
pub fn reads_bodies(mut stream: Stream, seen: &Seen) {
    while let Some(head) = head(&mut stream) {
        let Some(length) = body_of(&mut stream, &head) else {
            return;
        };
        seen.requests.fetch_add(1, Ordering::Relaxed);
        seen.body_bytes.fetch_add(length, Ordering::Relaxed);
        let close = head.contains("connection: close");
        *seen.head.lock().unwrap() = head;
        if stream.write_all(OK).is_err() || close {
            break;
        }
    }
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

/// Answers 413 as soon as it knows how long a request's body is.
pub fn refuses_bodies(mut stream: Stream, seen: &Seen) {
    if head(&mut stream).is_some() {
        seen.requests.fetch_add(1, Ordering::Relaxed);
        let _ = stream.write_all(b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        let _ = stream.flush();
        while stream.sock.read(&mut [0; 65536]).is_ok_and(|bytes| bytes > 0) {}
    }
}

fn body_of(stream: &mut Stream, head: &str) -> Option<u64> {
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    if field("transfer-encoding: chunked").is_some() {
        return chunks_of(stream);
    }
    let length = field("content-length: ").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(length as u64)
}

fn chunks_of(stream: &mut Stream) -> Option<u64> {
    let mut all = 0;
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            line.push(byte[0]);
        }
        let length = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
        stream.read_exact(&mut vec![0; length + 2]).ok()?;
        all += length as u64;
        if length == 0 {
            return Some(all);
        }
    }
}

/// Waits so long, or until the client says more or goes: then `true`.
pub fn take_time(stream: &Stream, time: Duration) -> bool {
    stream.sock.set_read_timeout(Some(time)).unwrap();
    let more = stream.sock.peek(&mut [0]).is_ok();
    stream.sock.set_read_timeout(None).unwrap();
    more
}

/// An ordinary answer.
pub fn answer(stream: &mut Stream, _: u64) -> Option<()> {
    stream.write_all(OK).ok()
}

/// Hands each request's number, from 1 and of all connections, to `answer`; `None` ends the connection. So
/// does a request that says it is the last, once it is answered.
pub fn each(mut stream: Stream, seen: &Seen, mut answer: impl FnMut(&mut Stream, u64) -> Option<()>) {
    while let Some(head) = head(&mut stream) {
        let number = seen.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if answer(&mut stream, number).is_none() {
            return;
        }
        if head.contains("connection: close") {
            break;
        }
    }
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

/// The head of the next request; `None` when the client has closed.
pub fn head(stream: &mut Stream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}
