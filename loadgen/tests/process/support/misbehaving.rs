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

/// Waits so long, or until the client says more or goes.
fn take_time(stream: &Stream, time: Duration) {
    stream.sock.set_read_timeout(Some(time)).unwrap();
    let _ = stream.sock.peek(&mut [0]);
    stream.sock.set_read_timeout(None).unwrap();
}

/// An ordinary answer.
pub fn answer(stream: &mut Stream, _: u64) -> Option<()> {
    stream.write_all(OK).ok()
}

/// Hands each request's number, from 1 and of all connections, to `answer`; `None` ends the connection. So does a request
/// that says it is the last, once it is answered.
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
