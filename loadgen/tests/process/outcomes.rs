//! Ends of operations and runs: refusals, failures, mistakes in the options, SIGINT.

use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::support::pki::Pki;
use crate::support::server::{Behaviour, Seen, Server, Stream};
use crate::support::{Loadgen, Run};

#[test]
fn a_missing_certificate_is_refused_under_tls_1_3_after_the_clients_handshake() {
    let (pki, server) = ordinary();
    let run = Loadgen::new(&pki, server.port)
        .with("--expect refused --requests 10 --connections 2 --tls 1.3")
        .run()
        .expect_code(0);
    assert_eq!(run.number("/operations/ok"), 10.0);
    assert_eq!(run.kind("/refusals", "alert certificate_required (116)"), 10);
    assert_eq!(server.count(|s| &s.requests), 0);
    assert!(run.stdout.contains("refused as expected"));
}

#[test]
fn a_missing_certificate_is_refused_under_tls_1_2() {
    let (pki, server) = ordinary();
    let run = Loadgen::new(&pki, server.port)
        .with("--expect refused --requests 6 --tls 1.2")
        .run()
        .expect_code(0);
    assert_eq!(run.number("/operations/ok"), 6.0);
    assert_eq!(server.count(|s| &s.requests), 0);
}

#[test]
fn an_untrusted_certificate_is_refused_by_name_of_the_alert() {
    let (pki, server) = ordinary();
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "stranger")
        .with("--expect refused --requests 10")
        .run()
        .expect_code(0);
    assert_eq!(run.kind("/refusals", "alert unknown_ca (48)"), 10);
    assert_eq!(run.json["refusals"][0]["alert"], 48);
}

#[test]
fn a_refusal_that_was_not_expected_is_a_failure_by_alert() {
    let (pki, server) = ordinary();
    for mode in ["handshake", "resume", "keepalive"] {
        let run = Loadgen::new(&pki, server.port)
            .identity(&pki, "stranger")
            .with(&format!("--mode {mode} --requests 4 --connections 2"))
            .run()
            .expect_code(1);
        assert_eq!(
            run.kind("/failures", "alert unknown_ca (48)"),
            4,
            "{mode}: {}",
            run.stdout
        );
        assert!(run.stdout.contains("NOT every operation ended as expected"));
    }
}

#[test]
fn a_client_that_should_be_refused_and_is_admitted_is_a_failure() {
    let (pki, server) = ordinary();
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with("--expect refused --requests 4")
        .run()
        .expect_code(1);
    assert_eq!(
        run.kind("/failures", "unexpectedly admitted (http status 200)"),
        4
    );
}

#[test]
fn a_server_that_closes_without_having_asked_for_a_certificate_has_not_refused_it() {
    let pki = Pki::new();
    let behaviour = Behaviour {
        serve: Some(|_: Stream, _: &Seen| {}),
        client_certificates: false,
        ..Behaviour::default()
    };
    let server = Server::start(&pki, behaviour);
    let run = Loadgen::new(&pki, server.port)
        .with("--expect refused --requests 3")
        .run()
        .expect_code(1);
    assert_eq!(run.number("/operations/ok"), 0.0);
    assert_eq!(run.number("/operations/failed"), 3.0);
}

#[test]
fn a_refusal_by_status_counts_when_it_is_allowed() {
    let pki = Pki::new();
    let response = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
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
            .with("--expect refused --requests 3")
    };
    let run = loadgen().with("--refusal-status 400").run().expect_code(0);
    assert_eq!(run.kind("/refusals", "http status 400"), 3);
    let run = loadgen().run().expect_code(1);
    assert_eq!(
        run.kind("/failures", "unexpectedly admitted (http status 400)"),
        3
    );
}

#[test]
fn an_error_status_is_a_failure() {
    let pki = Pki::new();
    let response = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(
        &pki,
        Behaviour {
            response,
            ..Behaviour::default()
        },
    );
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with("--mode keepalive --requests 4")
        .run()
        .expect_code(1);
    assert_eq!(run.kind("/failures", "http status 503"), 4);
}

#[test]
fn a_server_that_our_ca_did_not_sign_is_not_loaded() {
    let (pki, server) = ordinary();
    let other = Pki::new();
    let run = Loadgen::new(&other, server.port)
        .identity(&pki, "good-1")
        .with("--requests 2")
        .run()
        .expect_code(1);
    assert_eq!(run.number("/operations/failed"), 2.0);
    assert!(
        run.stdout.contains("tls: invalid peer certificate"),
        "{}",
        run.stdout
    );
    assert_eq!(server.count(|s| &s.requests), 0);
}

#[test]
fn a_closed_port_is_a_connection_refused() {
    let (pki, server) = ordinary();
    let port = server.port;
    drop(server);
    let run = Loadgen::new(&pki, port).with("--requests 3").run().expect_code(1);
    assert_eq!(run.kind("/failures", "connect: refused"), 3);
}

#[test]
fn a_silent_server_ends_an_operation_at_its_time_limit() {
    let pki = Pki::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let run = Loadgen::new(&pki, listener.local_addr().unwrap().port())
        .with("--requests 2 --timeout 1s")
        .run()
        .expect_code(1);
    assert_eq!(run.kind("/failures", "timed out during the handshake"), 2);
}

#[test]
fn the_servers_cpu_time_and_memory_are_measured() {
    let (pki, server) = ordinary();
    let pid = std::process::id();
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with(&format!("--requests 20 --server-pid {pid}"))
        .run()
        .expect_code(0);
    assert!(run.number("/server/cpu_us_per_operation") > 1.0);
    assert!(run.number("/server/resident_bytes") > 1e6);
    assert!(run.number("/generator/cpu_us_per_operation") > 1.0);
}

#[test]
fn sigint_ends_the_run_early_with_a_report() {
    let (pki, server) = ordinary();
    let (child, json) = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with("--mode keepalive --warm-up 0 --duration 10m")
        .spawn();
    let began = Instant::now();
    while server.seen.requests.load(Ordering::Relaxed) < 10 && began.elapsed() < Duration::from_secs(20) {
        std::thread::yield_now();
    }
    assert!(
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let run = Run::of(child.wait_with_output().unwrap(), &json).expect_code(0);
    assert_eq!(run.json["window"]["interrupted"], true);
    assert!(run.number("/operations/ok") >= 10.0);
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn mistakes_end_with_code_2_and_name_file_and_remedy() {
    let (pki, server) = ordinary();
    let loadgen = || Loadgen::new(&pki, server.port).with("--requests 1");
    let absent = pki.path("absent.pem");
    let (good, other_key, ca) = (
        pki.path("good-1.pem"),
        pki.path("good-2.key"),
        pki.path("server-ca.pem"),
    );
    for (loadgen, expected) in [
        (
            loadgen().file("--cert", &absent).file("--key", &other_key),
            "absent.pem: cannot be read as PEM",
        ),
        (
            loadgen().file("--cert", &good).file("--key", &absent),
            "absent.pem: no private key can be read",
        ),
        (
            loadgen().file("--cert", &good).file("--key", &other_key),
            "good-2.key: not the key of",
        ),
        (
            loadgen().file("--cert", &other_key).file("--key", &other_key),
            "good-2.key: contains no certificate",
        ),
        (loadgen().file("--cert", &ca), "give one --key for each --cert"),
        (
            loadgen().with("--server-pid 4000000000"),
            "--server-pid 4000000000",
        ),
        (loadgen().with("--mode nonsense"), "invalid value 'nonsense'"),
    ] {
        let run = loadgen.run().expect_code(2);
        assert!(
            run.stderr.starts_with("error: ") && run.stderr.contains(expected),
            "{expected}: {}",
            run.stderr
        );
    }
}

fn ordinary() -> (Pki, Server) {
    let pki = Pki::new();
    let server = Server::start(&pki, Behaviour::default());
    (pki, server)
}
