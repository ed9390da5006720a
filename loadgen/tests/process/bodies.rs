//! Requests with bodies: the server gets what was asked for, in every mode.

use crate::support::Loadgen;
use crate::support::h2;
use crate::support::misbehaving;
use crate::support::pki::Pki;
use crate::support::server::{Behaviour, Seen, Server, Stream};

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

#[test]
fn a_body_is_sent_whole_by_length_and_in_chunks() {
    let (pki, server) = serving(misbehaving::reads_bodies, b"http/1.1");
    for mode in ["handshake", "resume", "keepalive"] {
        for chunked in [false, true] {
            let (bytes, requests) = (server.count(|s| &s.body_bytes), server.count(|s| &s.requests));
            let options = if chunked { "--chunked" } else { "" };
            let run = Loadgen::new(&pki, server.port)
                .with(&format!(
                    "--mode {mode} --requests 6 --connections 2 --body-bytes 300000 {options}"
                ))
                .run()
                .expect_code(0);
            let requests = server.count(|s| &s.requests) - requests;
            assert!(requests >= 6);
            assert_eq!(
                server.count(|s| &s.body_bytes) - bytes,
                300_000 * requests,
                "{mode} {options}"
            );
            let head = server.seen.head.lock().unwrap().clone();
            assert!(head.starts_with("POST / HTTP/1.1\r\n"), "{head}");
            assert!(
                head.contains("content-type: application/octet-stream\r\n"),
                "{head}"
            );
            let framing = if chunked {
                "transfer-encoding: chunked\r\n"
            } else {
                "content-length: 300000\r\n"
            };
            assert!(head.contains(framing), "{head}");
            assert_eq!(run.number("/settings/body_bytes"), 300_000.0);
        }
    }
}

#[test]
fn a_body_comes_from_a_file_with_its_type_and_the_method_asked_for() {
    let (pki, server) = serving(misbehaving::reads_bodies, b"http/1.1");
    let file = pki.path("body.json");
    std::fs::write(&file, "{\"a\": 1}").unwrap();
    Loadgen::new(&pki, server.port)
        .file("--body-file", &file)
        .with("--method PUT --content-type application/json --mode keepalive --requests 3 --connections 1")
        .run()
        .expect_code(0);
    let head = server.seen.head.lock().unwrap().clone();
    assert!(
        head.starts_with("PUT / HTTP/1.1\r\n") && head.contains("content-type: application/json\r\n"),
        "{head}"
    );
    assert_eq!(server.count(|s| &s.body_bytes), 3 * 8);
    let run = Loadgen::new(&pki, server.port)
        .file("--body-file", &pki.path("absent"))
        .run()
        .expect_code(2);
    assert!(
        run.stderr.contains("--body-file") && run.stderr.contains("absent"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_scenarios_entry_has_a_body_of_its_own() {
    let (pki, server) = serving(misbehaving::reads_bodies, b"http/1.1");
    std::fs::write(pki.path("body"), "0123456789").unwrap();
    let entry =
        |name: &str, body: &str| format!("[[mix]]\nname = \"{name}\"\nwork = \"keepalive\"\n{body}\n");
    let text = entry("read", "")
        + &entry("write", "body_file = \"body\"\nexpect_status = [200]")
        + "[[phases]]\nname = \"load\"\nduration = \"4s\"\nrate = 5\nclients = 4\n\
           [[phases]]\nname = \"rest\"\nduration = \"300ms\"\nclients = 0\n";
    let file = pki.path("scenario.toml");
    std::fs::write(&file, text).unwrap();
    let run = Loadgen::new(&pki, server.port)
        .file("--scenario", &file)
        .with("--wait 20s")
        .run()
        .expect_code(0);
    assert_eq!(run.number("/entries/1/ok"), 10.0);
    assert_eq!(server.count(|s| &s.body_bytes), 100);
}

#[test]
fn an_h2_request_carries_its_body() {
    let (pki, server) = serving(h2::serve, b"h2");
    let run = Loadgen::new(&pki, server.port)
        .with("--mode h2 --requests 5 --connections 1 --streams 1 --body-bytes 2000")
        .run()
        .expect_code(0);
    assert_eq!(run.number("/operations/ok"), 5.0);
    assert!(server.count(|s| &s.body_bytes) >= 4 * 2000);
    let run = Loadgen::new(&pki, server.port)
        .with("--mode h2 --body-bytes 5 --chunked")
        .run()
        .expect_code(2);
    assert!(run.stderr.contains("no chunked coding"), "{}", run.stderr);
}

#[test]
fn an_answer_before_the_end_of_a_long_body_is_the_answer() {
    let (pki, server) = serving(misbehaving::refuses_bodies, b"http/1.1");
    for mode in ["handshake", "keepalive"] {
        let run = Loadgen::new(&pki, server.port)
            .with(&format!(
                "--mode {mode} --requests 3 --connections 1 --body-bytes 20000000"
            ))
            .run()
            .expect_code(1);
        assert_eq!(
            run.kind("/failures", "http status 413"),
            3,
            "{mode}: {}",
            run.stdout
        );
    }
}
