#![allow(clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::admin::TIME_LIMIT;
use super::connection::{Connection, HEAD_BYTES_MAX};
use super::driver::CONNECTIONS_MAX;
use super::*;
use crate::metrics::Registry;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn serve(limit: Duration) -> (AdminServer, Arc<Registry>) {
    let registry = Arc::new(Registry::new(1));
    let listener = AdminListener::bind(LOOPBACK).unwrap();
    let server = listener.serve_within(Arc::clone(&registry), limit);
    (server.unwrap(), registry)
}

fn connect(server: &AdminServer) -> TcpStream {
    TcpStream::connect(server.local_addr()).unwrap()
}

/// Sends the bytes and reads to the end.
fn exchange(server: &AdminServer, request: &[u8]) -> String {
    let mut stream = connect(server);
    stream.write_all(request).unwrap();
    read_all(&mut stream)
}

fn read_all(stream: &mut TcpStream) -> String {
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn status(response: &str) -> &str {
    response.lines().next().unwrap_or_default()
}

#[test]
fn metrics_are_those_of_the_moment() {
    let (server, registry) = serve(TIME_LIMIT);
    let get = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(exchange(&server, get).contains("\nbothways_panics_total 0\n"));
    for core in &registry.cores {
        core.panics.add(1);
    }
    let response = exchange(&server, get);
    assert_eq!(status(&response), "HTTP/1.1 200 OK");
    assert!(response.contains("\nbothways_panics_total 1\n"));
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let length = format!("Content-Length: {}", body.len());
    assert!(head.lines().any(|line| line == length), "{head}");
}

#[test]
fn health_is_ok() {
    let (server, _) = serve(TIME_LIMIT);
    let response = exchange(&server, b"GET /healthz HTTP/1.1\r\n\r\n");
    assert_eq!(status(&response), "HTTP/1.1 200 OK");
    assert!(response.ends_with("\r\n\r\nok\n"));
}

#[test]
fn what_is_not_offered_is_refused() {
    let (server, _) = serve(TIME_LIMIT);
    let get = |request: &[u8]| exchange(&server, request);
    assert_eq!(
        status(&get(b"GET /admin HTTP/1.1\r\n\r\n")),
        "HTTP/1.1 404 Not Found"
    );
    let response = get(b"DELETE /metrics HTTP/1.1\r\n\r\n");
    assert_eq!(status(&response), "HTTP/1.1 405 Method Not Allowed");
    assert!(response.contains("\r\nAllow: GET\r\n"));
}

#[test]
fn every_response_announces_its_length_and_the_end_of_the_connection() {
    let (server, _) = serve(TIME_LIMIT);
    let mut head: Vec<String> = exchange(
        &server,
        b"GET http://a/healthz?x HTTP/1.1\r\nConnection: keep-alive\r\n\r\n",
    )
    .lines()
    .map(str::to_owned)
    .collect();
    head.sort_unstable();
    assert_eq!(
        head,
        [
            "",
            "Cache-Control: no-store",
            "Connection: close",
            "Content-Length: 3",
            "Content-Type: text/plain; charset=utf-8",
            "HTTP/1.1 200 OK",
            "ok"
        ]
    );
    let refused = exchange(&server, b"POST /metrics HTTP/1.1\r\nContent-Length: 2\r\n\r\nab");
    assert_eq!(status(&refused), "HTTP/1.1 405 Method Not Allowed");
    assert!(
        refused.contains("\r\nContent-Length: 0\r\n") && refused.ends_with("\r\n\r\n"),
        "{refused}"
    );
}

#[test]
fn a_client_that_wants_another_protocol_sees_the_end_of_its_answer_at_once() {
    for request in [
        "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let listener = TcpListener::bind(LOOPBACK).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        // Whoever closes too late fails the test instead of holding it up.
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.peek(&mut [0]).unwrap();
        let (now, registry) = (Instant::now(), Arc::new(Registry::new(1)));
        let mut connection = Connection::new(stream, registry, TIME_LIMIT, now).unwrap();
        connection.go_on(&mut Context::from_waker(Waker::noop()), now);
        assert!(!connection.is_over(), "the client has not closed: {request}");
        assert!(
            status(&read_all(&mut client)).starts_with("HTTP/1.1 "),
            "{request}"
        );
    }
}

#[test]
fn a_client_that_has_said_all_may_close_its_direction() {
    let (server, _) = serve(TIME_LIMIT);
    let mut stream = connect(&server);
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(read_all(&mut stream).ends_with("\r\n\r\nok\n"));
    let mut half = connect(&server);
    half.write_all(b"GET /healthz HT").unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut half), "");
}

#[test]
fn another_version_of_http_is_refused_at_once() {
    let (server, _) = serve(Duration::from_secs(600));
    for request in [
        "GET /metrics HTTP/2.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /metrics\r\n",
        "GET  /metrics HTTP/1.1\r\n",
    ] {
        let response = exchange(&server, request.as_bytes());
        assert_eq!(status(&response), "HTTP/1.1 400 Bad Request", "{request:?}");
    }
}

#[test]
fn garbage_is_refused_at_once() {
    let (server, _) = serve(Duration::from_secs(600));
    let client_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    assert_eq!(
        status(&exchange(&server, client_hello)),
        "HTTP/1.1 400 Bad Request"
    );
}

#[test]
fn an_overlong_head_is_refused_and_the_refusal_arrives() {
    let (server, _) = serve(TIME_LIMIT);
    let mut request = b"GET /metrics HTTP/1.1\r\nX: ".to_vec();
    request.resize(2 * HEAD_BYTES_MAX, b'x');
    assert_eq!(
        status(&exchange(&server, &request)),
        "HTTP/1.1 431 Request Header Fields Too Large"
    );
}

#[test]
fn a_head_may_have_as_many_fields_as_find_room_in_it() {
    let (server, _) = serve(TIME_LIMIT);
    let request = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "a:\r\n".repeat(2_000));
    assert!(request.len() < HEAD_BYTES_MAX);
    let response = exchange(&server, request.as_bytes());
    assert_eq!(status(&response), "HTTP/1.1 200 OK");
}

#[test]
fn a_request_that_comes_byte_by_byte_is_answered() {
    let (server, _) = serve(TIME_LIMIT);
    let mut stream = connect(&server);
    stream.set_nodelay(true).unwrap();
    for byte in b"GET /healthz HTTP/1.1\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    assert!(read_all(&mut stream).ends_with("ok\n"));
}

#[test]
fn silent_clients_are_put_out_and_nobody_waits_for_them() {
    let (server, _) = serve(Duration::from_secs(2));
    let mut silent: Vec<TcpStream> = (0..CONNECTIONS_MAX / 2).map(|_| connect(&server)).collect();
    let response = exchange(&server, b"GET /healthz HTTP/1.1\r\n\r\n");
    assert!(response.ends_with("ok\n"));
    for stream in &mut silent {
        assert_eq!(status(&read_all(stream)), "HTTP/1.1 408 Request Timeout");
    }
}

/// With time limits that no test could wait for.
#[test]
fn however_many_say_nothing_or_take_nothing_others_are_answered_at_once() {
    let (server, _) = serve(Duration::from_secs(600));
    let mut idle: Vec<TcpStream> = (0..3 * CONNECTIONS_MAX).map(|_| connect(&server)).collect();
    for stream in &mut idle {
        // Those that had to make room are gone.
        let _half_a_request = stream.write(b"GET /metrics HT");
    }
    for _ in 0..2 * CONNECTIONS_MAX {
        let response = exchange(&server, b"GET /healthz HTTP/1.1\r\n\r\n");
        assert!(response.ends_with("ok\n"));
    }
    let mut first = idle.swap_remove(0);
    let mut nothing = Vec::new();
    let _end_or_reset = first.read_to_end(&mut nothing);
    assert!(nothing.is_empty(), "the first made room");
}

#[test]
fn health_fails_from_the_beginning_of_the_end() {
    let (server, registry) = serve(TIME_LIMIT);
    registry.process.draining.set(1);
    let response = exchange(&server, b"GET /healthz HTTP/1.1\r\n\r\n");
    assert_eq!(status(&response), "HTTP/1.1 503 Service Unavailable");
    assert!(response.ends_with("\r\n\r\ndraining\n"));
    let metrics = exchange(&server, b"GET /metrics HTTP/1.1\r\n\r\n");
    assert!(metrics.contains("\nbothways_draining 1\n"));
}

#[test]
fn a_client_that_dribbles_is_put_out_as_a_silent_one_is() {
    let (server, _) = serve(Duration::from_millis(50));
    let mut stream = connect(&server);
    let pace = Some(Duration::from_millis(2));
    stream.set_read_timeout(pace).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").unwrap();
    let mut first = [0];
    let mut bytes_sent = 0;
    while stream.read(&mut first).is_err() {
        bytes_sent += stream.write(b"x").unwrap();
        assert!(bytes_sent < HEAD_BYTES_MAX / 2, "never put out");
    }
    stream.set_read_timeout(None).unwrap();
    assert_eq!(status(&read_all(&mut stream)), "TTP/1.1 408 Request Timeout");
}

#[test]
fn stopping_does_not_wait_for_silent_clients_and_frees_the_port() {
    let (server, _) = serve(Duration::from_secs(600));
    let address = server.local_addr();
    let silent: Vec<TcpStream> = (0..2 * CONNECTIONS_MAX).map(|_| connect(&server)).collect();
    drop(server);
    drop(silent);
    AdminListener::bind(address).unwrap();
}

#[test]
fn an_address_in_use_is_an_error_that_names_the_key() {
    let listener = AdminListener::bind(LOOPBACK).unwrap();
    let message = AdminListener::bind(listener.local_addr())
        .unwrap_err()
        .to_string();
    let address = listener.local_addr();
    assert!(message.starts_with(&format!("admin.address: cannot listen on {address}: ")));
}
