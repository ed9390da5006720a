//! Protocols that are not passed on: their clients and the operator are told so.

use std::io::{self, Read as _, Write as _};
use std::net::TcpListener;

use bothways_tests::config::EDGE_NAME;
use bothways_tests::curl::Curl;
use bothways_tests::origin::{Origin, Received};
use bothways_tests::{Client, Config, Distribution, Server};

fn proxy(origin: &Origin) -> Server {
    let distribution = Distribution::edge("none").proxies_to(&origin.url());
    Server::start(Config::new().distribution(distribution))
}

fn refused(server: &Server, reason: &str) -> u64 {
    let series = format!("bothways_requests_refused_total{{reason=\"{reason}\"}}");
    server.metrics().get(&series)
}

#[test]
fn a_websocket_handshake_is_answered_501_in_words() {
    let origin = Origin::start();
    let server = proxy(&origin);
    let client = Client::new();
    let handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut connection = client.connect(server.address()).unwrap();
    let outcome = connection.exchange(&client.request("GET", "/chat", handshake));
    let response = outcome.response();
    assert_eq!(response.status, 501);
    assert!(
        response.text().contains("WebSocket is not passed on"),
        "{}",
        response.text()
    );
    assert_eq!((refused(&server, "websocket"), origin.connections()), (1, 0));
    assert!(
        server
            .wait_for_log("a request was refused")
            .contains("asks for a WebSocket")
    );
    // The connection is good for what can be served.
    let outcome = connection.exchange(&client.request("GET", "/", "Connection: Upgrade\r\nUpgrade: h2c\r\n"));
    assert_eq!(
        Received::parse(&outcome.response().body).values("upgrade"),
        [""; 0]
    );
}

#[test]
fn a_grpc_call_gets_a_status_that_grpc_clients_show() {
    let origin = Origin::start();
    let server = proxy(&origin);
    let call = |kind: &str| {
        let curl = Curl::new(server.address(), EDGE_NAME).header("TE: trailers");
        // Without a message: how a body that nobody reads ends is another test's matter.
        curl.arguments(&["--request", "POST", "--header", &format!("Content-Type: {kind}")])
    };
    let output = call("application/grpc+proto")
        .http2()
        .get("/package.Service/Method");
    assert_eq!((output.code, output.status), (0, 200), "{output:?}");
    assert_eq!(output.header("grpc-status"), Some("12"));
    assert!(
        output.header("grpc-message").unwrap().contains("HTTP/1.1"),
        "{output:?}"
    );
    assert_eq!(
        call("application/grpc").get("/package.Service/Method").status,
        501
    );
    assert_eq!((refused(&server, "grpc"), origin.connections()), (2, 0));
    assert!(server.wait_for_log("a request was refused").contains("gRPC"));
    let web = call("application/grpc-web")
        .http2()
        .get("/package.Service/Method");
    assert_eq!(
        Received::parse(&web.body).values("content-type"),
        ["application/grpc-web"]
    );
}

/// An origin that says this as soon as somebody connects (`at_once`), or when it has been asked, and nothing
/// more.
fn says(octets: &'static [u8], at_once: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut tcp in listener.incoming().flatten() {
            let _asked = at_once || tcp.read(&mut [0]).is_ok();
            let _gone = tcp
                .write_all(octets)
                .and_then(|()| io::copy(&mut tcp, &mut io::sink()));
        }
    });
    url
}

#[test]
fn an_origin_that_speaks_another_protocol_is_told_as_that() {
    // SETTINGS and GOAWAY of HTTP/2; an alert of TLS.
    const HTTP2: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01";
    const TLS: &[u8] = b"\x15\x03\x01\0\x02\x02\x46";
    for (octets, at_once, told) in [
        (HTTP2, false, "the origin speaks HTTP/2; only HTTP/1.1"),
        (HTTP2, true, "the origin speaks HTTP/2; only HTTP/1.1"),
        (TLS, false, "the origin speaks TLS"),
    ] {
        let distribution = Distribution::edge("none").proxies_to(&says(octets, at_once));
        let server = Server::start(Config::new().distribution(distribution));
        let output = Curl::new(server.address(), EDGE_NAME).get("/");
        assert_eq!((output.code, output.status), (0, 502), "{told}: {output:?}");
        let line = server.wait_for_log("no response from the origin");
        assert!(line.contains(told), "at once {at_once}: {line}");
        assert_eq!(server.metrics().requests("5xx"), 1);
    }
}
