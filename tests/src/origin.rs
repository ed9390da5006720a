//! A small HTTP/1.1 origin, one thread per connection. What it does depends on the path:
//!
//! | path | response |
//! |---|---|
//! | `/bytes/N` | N octets of a known pattern, with Content-Length |
//! | `/chunked/N` | the same, chunked |
//! | `/sum` | reads the request body, answers `LENGTH SUM` (see `Sum`) |
//! | `/early` | answers before it reads the request body |
//! | `/late` | reads the request body once the test has opened the gate, and answers as `/sum` |
//! | `/gate` | answers once the test has opened the gate |
//! | `/stall` | reads the request and answers nothing |
//! | `/cut` | announces 100 octets, sends 10, closes |
//! | `/halt` | announces 100 octets, sends 10, and nothing more |
//! | `/drip/N` | N octets, chunked, with `DRIP` between one and the next |
//! | `/drop` | reads the request, closes without an answer |
//! | `/switch` | answers 101 Switching Protocols, which nobody asked for |
//! | `/garbage` | sends what is no HTTP, closes |
//! | `/close` | answers with Connection: close |
//! | `/reply/N` | status N with `X-Origin`, two cookies and, where there may be one, the body `REPLY` |
//! | else | the request head as JSON: method, target, version, headers as [name, value] pairs |

use std::io::{self, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::PATIENCE;
use crate::http1::{Body, Head, read_body, read_head};
use crate::lines::Lines;

/// Less than a second, the shortest time for which a server waits for an origin.
pub const DRIP: Duration = Duration::from_millis(400);

/// The body of `/reply/N`.
pub const REPLY: &str = "the origin's reply\n";

/// The body of `/early`.
pub const EARLY: &str = "I have heard enough\n";

pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// "METHOD target" of each request, when its head has arrived.
    requests: Lines,
    /// `LENGTH SUM` of each request body of `/early`, when it has ended.
    uploads: Lines,
    connections: AtomicUsize,
    gate_is_open: Mutex<bool>,
    gate_opens: Condvar,
}

impl Shared {
    fn pass_the_gate(&self) {
        let open = self.gate_is_open.lock().unwrap();
        drop(self.gate_opens.wait_while(open, |open| !*open).unwrap());
    }
}

impl Origin {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("a bound socket");
        let shared = Arc::new(Shared::default());
        let served = shared.clone();
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                served.connections.fetch_add(1, Ordering::SeqCst);
                let served = served.clone();
                std::thread::spawn(move || serve(tcp, &served));
            }
        });
        Self { address, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Requests for `target` whose head has arrived so far.
    pub fn requests_for(&self, target: &str) -> usize {
        let fits = |line: &&String| line.ends_with(&format!(" {target}"));
        self.shared.requests.all().iter().filter(fits).count()
    }

    /// Waits until the head of the `count`th request for `target` has arrived.
    pub fn wait_for_request(&self, target: &str, count: usize) {
        let fits = |line: &str| line.ends_with(&format!(" {target}"));
        let so_far = |number: usize| {
            self.shared.requests.all()[..=number]
                .iter()
                .filter(|line| fits(line))
                .count()
        };
        let lines = &self.shared.requests;
        let mut from = 0;
        while let Some((number, _)) = lines.wait(from, PATIENCE, |_, line| fits(line)) {
            if so_far(number) >= count {
                return;
            }
            from = number + 1;
        }
        panic!("request {count} for {target} never came; came: {:?}", lines.all());
    }

    /// `LENGTH SUM` of the first request body of `/early`.
    pub fn first_upload(&self) -> String {
        let first = self.shared.uploads.wait(0, PATIENCE, |_, _| true);
        first.expect("an upload that ends").1
    }

    /// Lets every request for `/gate` or `/late`, waiting or to come, be answered.
    pub fn open_gate(&self) {
        *self.shared.gate_is_open.lock().unwrap() = true;
        self.shared.gate_opens.notify_all();
    }
}

/// The address of a port where nobody listens.
pub fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    format!("http://{}", listener.local_addr().expect("a bound socket"))
}

/// The request head that the origin received, from the JSON in its response.
pub struct Received(Value);

impl Received {
    pub fn parse(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        Self(serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e} in the origin's answer {text:?}")))
    }

    pub fn method(&self) -> &str {
        self.0["method"].as_str().expect("a text")
    }

    pub fn target(&self) -> &str {
        self.0["target"].as_str().expect("a text")
    }

    /// Every header line, in order.
    pub fn headers(&self) -> Vec<(&str, &str)> {
        let pairs = self.0["headers"].as_array().expect("a list");
        pairs
            .iter()
            .map(|pair| {
                (
                    pair[0].as_str().expect("a text"),
                    pair[1].as_str().expect("a text"),
                )
            })
            .collect()
    }

    /// The values of every header whose name differs from `name` only by case and by `_` for `-`.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let plain = |name: &str| name.to_ascii_lowercase().replace('_', "-");
        self.headers()
            .into_iter()
            .filter(|(n, _)| plain(n) == plain(name))
            .map(|(_, value)| value)
            .collect()
    }
}

/// Length and checksum of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    pub length: u64,
    pub sum: u64,
}

impl Sum {
    pub fn of(bytes: &[u8]) -> Self {
        let mut sum = Self::default();
        sum.add(bytes);
        sum
    }

    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.sum = self.sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
        }
        self.length += bytes.len() as u64;
    }

    pub fn text(&self) -> String {
        format!("{} {}", self.length, self.sum)
    }
}

/// The first `length` octets of the known pattern.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

fn serve(tcp: TcpStream, shared: &Shared) {
    let Ok(mut out) = tcp.try_clone() else { return };
    let mut source = BufReader::with_capacity(64 << 10, tcp);
    while let Ok(Some(head)) = read_head(&mut source) {
        let words: Vec<&str> = head.start_line.split(' ').collect();
        let [method, target, _] = words[..] else { return };
        shared.requests.push(format!("{method} {target}"));
        let early = target == "/early";
        if early && send(&mut out, EARLY).is_err() {
            return;
        }
        if target == "/late" {
            shared.pass_the_gate();
        }
        let mut sum = Sum::default();
        let whole = read_body(&mut source, Body::of_request(&head), |piece| sum.add(piece));
        if early {
            shared.uploads.push(sum.text());
            continue;
        }
        let went_on = whole.and_then(|()| answer(&mut out, &head, target, sum, shared));
        if !went_on.unwrap_or(false) {
            return;
        }
    }
}

/// Answers one request; false where the connection is to be closed.
fn answer(out: &mut TcpStream, head: &Head, target: &str, sum: Sum, shared: &Shared) -> io::Result<bool> {
    let path = target.split('?').next().unwrap_or_default();
    match path.split('/').skip(1).collect::<Vec<_>>()[..] {
        ["bytes", length] => {
            let body = pattern(length.parse().unwrap_or(0));
            write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
            out.write_all(&body)?;
        }
        ["chunked", length] => {
            out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            for piece in pattern(length.parse().unwrap_or(0)).chunks(10_000) {
                write!(out, "{:x}\r\n", piece.len())?;
                out.write_all(piece)?;
                out.write_all(b"\r\n")?;
            }
            out.write_all(b"0\r\n\r\n")?;
        }
        ["sum" | "late"] => send(out, &sum.text())?,
        ["gate"] => {
            shared.pass_the_gate();
            send(out, "through the gate\n")?;
        }
        ["stall"] => {
            // Until the other side gives up.
            io::copy(out, &mut io::sink())?;
            return Ok(false);
        }
        ["cut"] => {
            out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789")?;
            return Ok(false);
        }
        ["halt"] => {
            out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789")?;
            io::copy(out, &mut io::sink())?;
            return Ok(false);
        }
        ["drip", octets] => {
            out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            for _ in 0..octets.parse().unwrap_or(0) {
                out.write_all(b"1\r\n.\r\n")?;
                let open = shared.gate_is_open.lock().unwrap();
                drop(shared.gate_opens.wait_timeout_while(open, DRIP, |open| !*open));
            }
            out.write_all(b"0\r\n\r\n")?;
        }
        ["drop"] => return Ok(false),
        ["switch"] => {
            out.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")?;
            io::copy(out, &mut io::sink())?;
            return Ok(false);
        }
        ["garbage"] => {
            out.write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n")?;
            return Ok(false);
        }
        ["reply", status] => {
            let body = if ["204", "304"].contains(&status) {
                ""
            } else {
                REPLY
            };
            let length = if status == "204" {
                String::new()
            } else {
                format!("Content-Length: {}\r\n", REPLY.len())
            };
            write!(
                out,
                "HTTP/1.1 {status} Origin Says\r\n{length}X-Origin: yes\r\nSet-Cookie: a=1; Secure; Path=/\r\nSet-Cookie: b=2\r\n\r\n{}",
                if head.start_line.starts_with("HEAD ") {
                    ""
                } else {
                    body
                }
            )?;
        }
        ["close"] => {
            out.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbye\n")?;
            return Ok(false);
        }
        _ => send(out, &echo(head))?,
    }
    Ok(true)
}

fn echo(head: &Head) -> String {
    let words: Vec<&str> = head.start_line.split(' ').collect();
    json!({ "method": words[0], "target": words[1], "version": words[2], "headers": head.headers })
        .to_string()
}

fn send(out: &mut TcpStream, body: &str) -> io::Result<()> {
    write!(
        out,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::read_response;

    #[test]
    fn the_origin_answers_by_path_on_one_connection() {
        let origin = Origin::start();
        let mut tcp = crate::tls_client::open(origin.address);
        let mut source = BufReader::new(tcp.try_clone().unwrap());
        let mut get = |request: &str| {
            tcp.write_all(request.as_bytes()).unwrap();
            read_response(&mut source).unwrap().body
        };
        let received = Received::parse(&get("GET /x?y HTTP/1.1\r\nHost: h\r\nA_b: 1\r\na-B: 2\r\n\r\n"));
        assert_eq!((received.method(), received.target()), ("GET", "/x?y"));
        assert_eq!(received.values("a-b"), ["1", "2"]);
        assert_eq!(get("GET /bytes/70000 HTTP/1.1\r\n\r\n"), pattern(70_000));
        assert_eq!(get("GET /chunked/70000 HTTP/1.1\r\n\r\n"), pattern(70_000));
        let posted = get("POST /sum HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
        assert_eq!(posted, Sum::of(b"abc").text().into_bytes());
        origin.open_gate();
        assert_eq!(get("GET /gate HTTP/1.1\r\n\r\n"), b"through the gate\n");
        origin.wait_for_request("/gate", 1);
        assert_eq!(origin.connections(), 1);
    }
}
