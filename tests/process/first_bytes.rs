//! The first bytes of an origin's body: looked at before the head goes on where they are there, and never
//! waited for.

use std::io::BufRead as _;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use bothways_tests::http1::read_head;
use bothways_tests::http2_streams::{DATA, End, HEADERS, Http2};
use bothways_tests::scripted::{Scripted, target};
use bothways_tests::{Client, Config, Distribution, Server};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Bodies that are no chunk from their first octet on.
const NO_CHUNKS: [&str; 8] = [
    "zz\r\nhello\r\n0\r\n\r\n",
    "\r\n5\r\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    ";name=value\r\nhello\r\n0\r\n\r\n",
    "10000000000000000\r\nhello\r\n0\r\n\r\n",
    "5\rhello\r\n0\r\n\r\n",
    "hello",
];

/// An origin that answers `/N` with the n-th of `bodies`, in one piece with the head.
fn origin(bodies: &'static [&'static str]) -> Scripted {
    Scripted::start(move |visit| {
        while let Some(head) = visit.head()? {
            let number: usize = target(&head)[1..].parse().expect("a number");
            visit.say(&format!("{CHUNKED}{}", bodies[number]))?;
        }
        Ok(())
    })
}

fn server(origin: &Scripted) -> Server {
    let distribution = Distribution::edge("none").proxies_to(&origin.url());
    Server::start(Config::new().distribution(distribution))
}

#[test]
fn a_body_that_is_broken_from_the_start_is_a_bad_gateway() {
    let origin = origin(&NO_CHUNKS);
    let server = server(&origin);
    let client = Client::new();
    let mut http1 = client.connect(server.address()).unwrap();
    let mut http2 = Http2::connect(Client::new(), server.address(), 65_535);
    for (number, body) in NO_CHUNKS.iter().enumerate() {
        let path = format!("/{number}");
        http1.write(client.request("GET", &path, "")).unwrap();
        let response = http1.read_response().unwrap();
        assert_eq!(response.status, 502, "{body:?}: {response:?}");
        let stream = http2.get(&path);
        let answer = http2.answer(stream);
        assert_eq!((answer.status, answer.end), (502, End::Whole), "{body:?}");
    }
    let count = 2 * NO_CHUNKS.len();
    let metrics = server.metrics();
    assert_eq!(metrics.requests("5xx"), count as u64);
    assert_eq!(metrics.requests("2xx"), 0);
    assert_eq!(origin.connections(), count, "none is used again");
    let line = server.wait_for_log("no response from the origin");
    assert!(line.contains("bad response") && line.contains("chunk"), "{line}");
}

#[test]
fn what_is_broken_after_its_first_bytes_still_breaks_off() {
    let origin = origin(&["5\r\nhello\r\nzz\r\n"]);
    let server = server(&origin);
    let mut http2 = Http2::connect(Client::new(), server.address(), 65_535);
    let stream = http2.get("/0");
    let answer = http2.answer(stream);
    assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]));
    assert!(matches!(answer.end, End::Reset(_)), "{answer:?}");
    server.wait_for_log("a response of the origin broke off");
}

#[test]
fn an_end_or_trailers_in_one_piece_with_the_head_reach_the_client() {
    let origin = origin(&["0\r\n\r\n", "0\r\nX-Sum: 7\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"]);
    let server = server(&origin);
    let client = Client::new();
    let mut http1 = client.connect(server.address()).unwrap();
    let mut http2 = Http2::connect(Client::new(), server.address(), 65_535);
    for (path, body) in [("/0", ""), ("/1", ""), ("/2", "hello")] {
        http1.write(client.request("GET", path, "")).unwrap();
        let response = http1.read_response().unwrap();
        assert_eq!((response.status, response.text().as_str()), (200, body), "{path}");
        let stream = http2.get(path);
        let head = http2.wait_for(HEADERS, stream).unwrap();
        match path {
            "/0" => assert!(head.ends_stream()),
            "/1" => assert!(http2.wait_for(HEADERS, stream).unwrap().ends_stream(), "trailers"),
            _ => {
                let answer = http2.answer(stream);
                assert_eq!((&answer.body[..], answer.end), (body.as_bytes(), End::Whole));
            }
        }
    }
    assert_eq!(origin.connections(), 1, "each was read to its end");
}

#[test]
fn a_head_that_comes_alone_goes_on_alone() {
    for framing in [
        "Transfer-Encoding: chunked",
        "Content-Length: 9",
        "Connection: close",
    ] {
        let (open, gate) = channel();
        let gate = Mutex::new(gate);
        let origin = Scripted::start(move |visit| {
            while visit.head()?.is_some() {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{framing}\r\n\r\n");
                visit.say(&head)?;
                // Silence, until the client has the head.
                gate.lock().unwrap().recv().expect("a test that goes on");
                match framing.starts_with('T') {
                    true => visit.say("9\r\ndata: 1\n\n\r\n0\r\n\r\n")?,
                    false => visit.say("data: 1\n\n")?,
                }
                if framing.starts_with("Conn") {
                    return Ok(());
                }
            }
            Ok(())
        });
        let server = server(&origin);
        let client = Client::new();
        let mut http1 = client.connect(server.address()).unwrap();
        http1
            .write(client.request("GET", "/", "Connection: close\r\n"))
            .unwrap();
        let head = read_head(http1.reader()).unwrap().expect("a head");
        assert!(head.start_line.contains(" 200 "), "{}", head.start_line);
        open.send(()).unwrap();
        let mut line = String::new();
        while !line.contains("data: 1") {
            line.clear();
            assert_ne!(http1.reader().read_line(&mut line).unwrap(), 0, "{framing}");
        }
        let mut http2 = Http2::connect(Client::new(), server.address(), 65_535);
        let stream = http2.get("/");
        assert!(!http2.wait_for(HEADERS, stream).unwrap().ends_stream());
        open.send(()).unwrap();
        assert_eq!(http2.wait_for(DATA, stream).unwrap().payload, b"data: 1\n\n");
    }
}
