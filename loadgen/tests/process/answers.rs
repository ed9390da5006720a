//! Responses that are none, that are cut, redirected or refused, and servers that are slow to close.

use serde_json::json;

use crate::support::h2;
use crate::support::misbehaving;
use crate::support::pki::Pki;
use crate::support::server::{Behaviour, Seen, Server, Stream};
use crate::support::{Loadgen, Run};

fn serving(serve: fn(Stream, &Seen), alpn: &'static [u8]) -> (Pki, Server) {
    let pki = Pki::new();
    let behaviour = Behaviour {
        serve: Some(serve),
        client_certificates: false,
        alpn,
        ..Behaviour::default()
    };
    let server = Server::start(&pki, behaviour);
    (pki, server)
}

fn run(serve: fn(Stream, &Seen), options: &str, code: i32) -> (Run, Server) {
    let alpn: &[u8] = if options.contains("h2") {
        b"h2"
    } else {
        b"http/1.1"
    };
    let (pki, server) = serving(serve, alpn);
    let run = Loadgen::new(&pki, server.port)
        .with(options)
        .run()
        .expect_code(code);
    (run, server)
}

#[test]
fn a_response_that_nobody_asked_for_answers_nothing() {
    let (run, _) = run(
        misbehaving::answers_twice,
        "--mode keepalive --requests 40 --connections 1",
        1,
    );
    let unsolicited = run.kind("/failures", "unsolicited bytes from the server");
    assert!(unsolicited > 0, "{}", run.stdout);
    assert_eq!(run.number("/operations/failed"), unsolicited as f64);
}

#[test]
fn an_idle_connection_that_the_server_gives_up_with_a_408_is_the_same_as_one_that_it_closes() {
    let (run, server) = run(
        misbehaving::gives_up_idle_connections,
        "--mode keepalive --requests 10 --connections 1 --rate 10",
        0,
    );
    assert_eq!(
        (run.number("/operations/ok"), run.number("/operations/failed")),
        (10.0, 0.0)
    );
    assert_eq!(run.json["statuses"], json!([{"status": 200, "count": 10}]));
    assert_eq!(server.count(|seen| &seen.requests), 10);
    assert!(run.number("/operations/retried") > 0.0);
}

#[test]
fn a_body_that_ends_with_the_connection_is_whole_only_after_close_notify() {
    for mode in ["handshake", "keepalive"] {
        let options = format!("--mode {mode} --requests 5 --connections 2");
        let (cut, _) = run(misbehaving::cuts_bodies, &options, 1);
        let kind = "closed without close_notify within a response that ends with the connection";
        assert_eq!(cut.kind("/failures", kind), 5, "{mode}: {}", cut.stdout);
        let (whole, _) = run(misbehaving::ends_bodies_by_closing, &options, 0);
        assert_eq!(whole.number("/operations/ok"), 5.0);
    }
}

#[test]
fn waiting_for_a_server_that_does_not_close_is_told() {
    let (run, _) = run(
        misbehaving::never_closes,
        "--mode handshake --requests 4 --connections 4",
        0,
    );
    let limits = run.json["limits"].to_string();
    assert!(
        limits.contains("\"close\"") && limits.contains("4 not within a second"),
        "{limits}"
    );
    assert!(run.json["latency_us"]["close"].is_null());
    assert!(
        run.number("/window/seconds") < run.number("/account/asked"),
        "operations do not take that second"
    );
}

#[test]
fn the_time_to_the_servers_close_is_recorded() {
    let (run, _) = run(
        misbehaving::closes_late,
        "--mode handshake --requests 4 --connections 1 --wait 9s",
        0,
    );
    let close = &run.json["latency_us"]["close"];
    assert!(
        close["count"].as_u64() >= Some(3) && close["min"].as_f64() > Some(30_000.0),
        "{close}"
    );
    assert!(run.json["limits"].to_string().contains("\"close\""));
}

#[test]
fn responses_are_counted_by_status_and_redirects_are_told_or_refused() {
    let pki = Pki::new();
    let response = "HTTP/1.1 302 Found\r\nLocation: /login\r\nServer: odd/1.2\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(
        &pki,
        Behaviour {
            response,
            ..Behaviour::default()
        },
    );
    let loadgen = || {
        Loadgen::new(&pki, server.port)
            .identity(&pki, "good-1")
            .with("--mode keepalive --requests 6")
    };
    let run = loadgen().run().expect_code(0);
    assert_eq!(run.json["statuses"], json!([{"status": 302, "count": 6}]));
    assert_eq!(run.json["entries"][0]["statuses"], run.json["statuses"]);
    assert!(
        run.json["warnings"].to_string().contains("redirects"),
        "{}",
        run.json["warnings"]
    );
    assert!(run.stdout.contains("by status: 6 302"), "{}", run.stdout);
    assert_eq!(run.json["settings"]["server_version"], "odd/1.2");
    assert_eq!(run.number("/latency_us/first_byte/count"), 6.0);
    let run = loadgen()
        .with("--expect-status 200 --server-version mine")
        .run()
        .expect_code(1);
    assert_eq!(run.kind("/failures", "http status 302"), 6);
    assert_eq!(run.json["settings"]["server_version"], "mine");
    let run = loadgen().with("--expect-status 302").run().expect_code(0);
    assert!(!run.json["warnings"].to_string().contains("redirects"));
}

#[test]
fn h2_requests_wait_for_the_servers_settings_and_its_limit_is_told() {
    let (run, server) = run(
        h2::allows_two_and_says_so_late,
        "--mode h2 --requests 40 --connections 2 --streams 8",
        0,
    );
    assert_eq!(run.number("/operations/ok"), 40.0);
    assert_eq!(server.count(|seen| &seen.requests), 40);
    assert_eq!(run.number("/h2_streams_allowed"), 2.0);
    let limits = run.json["limits"].to_string();
    assert!(
        limits.contains("\"streams\"") && limits.contains("--streams 2"),
        "{limits}"
    );
}

#[test]
fn an_h2_request_that_is_refused_again_and_again_fails_by_that_name() {
    let (run, server) = run(
        h2::refuses,
        "--mode h2 --requests 3 --connections 1 --streams 1",
        1,
    );
    assert_eq!(
        run.kind("/failures", "h2: RST_STREAM REFUSED_STREAM"),
        3,
        "{}",
        run.stdout
    );
    assert_eq!(run.number("/operations/retried"), 9.0);
    assert_eq!(server.count(|seen| &seen.requests), 12);
}

#[test]
fn the_time_limit_is_that_of_the_operation_however_often_it_is_sent() {
    let options = "--mode h2 --requests 2 --connections 1 --streams 1 --timeout 4s";
    let (run, _) = run(h2::refuses_late, options, 1);
    assert_eq!(
        run.kind("/failures", "timed out before a response"),
        2,
        "{}",
        run.stdout
    );
}
