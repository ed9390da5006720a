//! The plain http listener: it sends everybody to https and does nothing else.

use std::io::BufReader;
use std::io::Write as _;

use bothways_tests::config::EDGE_NAME;
use bothways_tests::http1::{Response, read_response};
use bothways_tests::raw_client::Raw;
use bothways_tests::tls_client::{Ending, open};
use bothways_tests::{Client, Config, Distribution, Server, TrustStore};

fn server() -> Server {
    Server::start(serving(Distribution::edge("required").redirects()))
}

fn serving(distribution: Distribution) -> Config {
    let config = Config::new().trust_store(TrustStore::partners());
    config.distribution(distribution).listener("http")
}

fn ask(server: &Server, request: &str) -> Response {
    let mut tcp = open(server.listener(1));
    tcp.write_all(request.as_bytes()).unwrap();
    read_response(&mut BufReader::new(tcp)).unwrap()
}

#[test]
fn http_is_redirected_to_https_with_path_and_query() {
    let server = server();
    for host in [EDGE_NAME.to_owned(), format!("{EDGE_NAME}:8080")] {
        let response = ask(
            &server,
            &format!("GET /a/b?c=d HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        );
        assert_eq!(response.status, 301, "{response:?}");
        let location = response.header("location").unwrap();
        assert!(
            location.starts_with(&format!("https://{EDGE_NAME}")),
            "{location}"
        );
        assert!(location.ends_with("/a/b?c=d"), "{location}");
    }
    assert_eq!(server.metrics().requests("3xx"), 2);
}

#[test]
fn an_https_only_distribution_answers_http_with_403_and_no_location() {
    let server = Server::start(serving(Distribution::edge("required")));
    let response = ask(
        &server,
        &format!("GET / HTTP/1.1\r\nHost: {EDGE_NAME}\r\nConnection: close\r\n\r\n"),
    );
    assert_eq!((response.status, response.header("location")), (403, None));
    assert_eq!(server.metrics().requests("4xx"), 1);
}

#[test]
fn no_request_over_http_is_served() {
    let server = server();
    for (method, path) in [
        ("POST", "/"),
        ("OPTIONS", "*"),
        ("GET", "/metrics"),
        ("GET", "/../../etc/passwd"),
    ] {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {EDGE_NAME}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let status = ask(&server, &request).status;
        assert!((300..500).contains(&status), "{method} {path}: {status}");
    }
}

#[test]
fn a_location_cannot_be_split_by_what_the_client_sends() {
    let server = server();
    let request =
        format!("GET /%0d%0aSet-Cookie:x HTTP/1.1\r\nHost: {EDGE_NAME}\r\nConnection: close\r\n\r\n");
    let response = ask(&server, &request);
    assert_eq!(response.header("set-cookie"), None, "{response:?}");
}

#[test]
fn the_http_listener_speaks_no_tls() {
    let server = server();
    let mut raw = Raw::connect(server.listener(1));
    raw.send(Client::new().client_hello());
    raw.finish();
    let (bytes, ending) = raw.read_to_end();
    assert_ne!(ending, Ending::Timeout);
    assert_ne!(bytes.first(), Some(&0x16), "a TLS handshake record: {bytes:?}");
}
