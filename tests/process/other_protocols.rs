//! Protocols that are not passed on: their clients and the operator are told so.

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
