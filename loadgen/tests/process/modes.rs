//! Each mode against a small server: what loadgen reports is what the server has seen.

use crate::support::h2;
use crate::support::pki::Pki;
use crate::support::server::{Behaviour, Seen, Server, Stream, Tickets};
use crate::support::{Loadgen, Run};

#[test]
fn handshake_mode_makes_a_full_handshake_for_each_operation_and_cycles_identities() {
    let pki = Pki::new();
    let server = Server::start(&pki, Behaviour::default());
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .identity(&pki, "good-2")
        .with("--mode handshake --requests 20 --connections 4 --header X-Test:yes --path /where")
        .run()
        .expect_code(0);
    assert_eq!(run.number("/operations/ok"), 20.0);
    assert_eq!(run.number("/handshakes/full"), 20.0);
    assert_eq!(run.number("/handshakes/resumed"), 0.0);
    assert_eq!(run.number("/handshakes/client_certificate_requested"), 20.0);
    assert_eq!(run.number("/latency_us/operation/count"), 20.0);
    assert_eq!(
        (server.count(|s| &s.full), server.count(|s| &s.requests)),
        (20, 20)
    );
    let clients = server.seen.clients.lock().unwrap();
    for name in ["good-1", "good-2"] {
        let leaf = pki.chain(name)[0].to_vec();
        assert!(
            clients.iter().filter(|client| **client == leaf).count() >= 5,
            "{name} was used"
        );
    }
    let head = server.seen.head.lock().unwrap().clone();
    assert!(
        head.starts_with("GET /where HTTP/1.1\r\nhost: localhost\r\nx-test: yes\r\n"),
        "{head}"
    );
    assert!(run.stdout.contains("every operation ended as expected"));
}

fn resumed(tls: &str) {
    let pki = Pki::new();
    let server = Server::start(&pki, Behaviour::default());
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with(&format!(
            "--mode resume --requests 20 --connections 4 --tls {tls}"
        ))
        .run()
        .expect_code(0);
    assert_eq!(run.number("/operations/ok"), 20.0);
    assert_eq!(run.number("/operations/not_resumed"), 0.0);
    assert_eq!(run.number("/handshakes/resumed"), 20.0);
    assert_eq!(server.count(|s| &s.resumed), 20);
    assert!(
        server.count(|s| &s.full) <= 4,
        "only to get the first ticket of each connection slot"
    );
}

#[test]
fn resume_mode_resumes_every_operation_with_single_use_tickets_of_tls_1_3() {
    resumed("1.3");
}

#[test]
fn resume_mode_resumes_every_operation_with_sessions_of_tls_1_2() {
    resumed("1.2");
}

#[test]
fn a_ticket_that_is_not_honoured_counts_as_not_resumed_and_not_as_ok() {
    let pki = Pki::new();
    let server = Server::start(
        &pki,
        Behaviour {
            tickets: Tickets::Declined,
            ..Behaviour::default()
        },
    );
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with("--mode resume --requests 6 --connections 2")
        .run()
        .expect_code(1);
    assert_eq!(run.number("/operations/ok"), 0.0);
    assert_eq!(run.number("/operations/not_resumed"), 6.0);
    assert_eq!(server.count(|s| &s.resumed), 0);
}

#[test]
fn a_server_without_tickets_cannot_be_resumed() {
    let pki = Pki::new();
    let server = Server::start(
        &pki,
        Behaviour {
            tickets: Tickets::None,
            ..Behaviour::default()
        },
    );
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with("--mode resume --requests 2 --connections 1")
        .run()
        .expect_code(1);
    assert_eq!(
        run.kind("/failures", "nothing to resume: the server gave no ticket"),
        2
    );
}

fn keepalive(behaviour: Behaviour) -> (Run, Server) {
    let pki = Pki::new();
    let server = Server::start(&pki, behaviour);
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with("--mode keepalive --requests 30 --connections 2")
        .run()
        .expect_code(0);
    assert_eq!(run.number("/operations/ok"), 30.0);
    assert_eq!(server.count(|s| &s.requests), 30);
    (run, server)
}

#[test]
fn keepalive_mode_uses_each_connection_for_many_requests() {
    let (run, server) = keepalive(Behaviour::default());
    assert_eq!(server.count(|s| &s.connections), 2);
    assert_eq!(run.number("/handshakes/full"), 2.0);
    assert_eq!(run.number("/latency_us/tls_handshake/count"), 2.0);
}

#[test]
fn keepalive_mode_reads_chunked_responses() {
    let response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\n,ho\r\n0\r\nT: v\r\n\r\n";
    keepalive(Behaviour {
        response,
        ..Behaviour::default()
    });
}

#[test]
fn keepalive_mode_reconnects_when_the_server_announces_the_end() {
    let response = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let (run, server) = keepalive(Behaviour {
        response,
        ..Behaviour::default()
    });
    let connections = server.count(|s| &s.connections);
    assert!(
        (30..=31).contains(&connections),
        "{connections}: one more was opened ahead, at most"
    );
    assert_eq!(run.number("/operations/retried"), 0.0);
}

#[test]
fn keepalive_mode_sends_a_request_again_when_the_server_had_closed_the_idle_connection() {
    let (run, _) = keepalive(Behaviour {
        requests_per_connection: 5,
        ..Behaviour::default()
    });
    assert!(run.number("/operations/retried") > 0.0);
    assert_eq!(run.number("/operations/failed"), 0.0);
}

fn http2(serve: fn(Stream, &Seen)) -> (Run, Server) {
    let pki = Pki::new();
    let behaviour = Behaviour {
        serve: Some(serve),
        alpn: b"h2",
        ..Behaviour::default()
    };
    let server = Server::start(&pki, behaviour);
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with("--mode h2 --requests 60 --connections 2 --streams 4")
        .run()
        .expect_code(0);
    assert_eq!(run.number("/operations/ok"), 60.0);
    assert_eq!(server.count(|s| &s.requests), 60);
    (run, server)
}

#[test]
fn h2_mode_multiplexes_requests_over_its_connections() {
    let (run, server) = http2(h2::serve);
    assert_eq!(server.count(|s| &s.connections), 2);
    assert_eq!(run.number("/settings/streams"), 4.0);
}

#[test]
fn h2_mode_repeats_what_a_goaway_left_unprocessed() {
    let (run, server) = http2(h2::serve_ten_then_go_away);
    assert!(server.count(|s| &s.connections) >= 6);
    assert_eq!(run.number("/operations/failed"), 0.0);
}

#[test]
fn a_server_without_h2_is_reported() {
    let pki = Pki::new();
    let server = Server::start(
        &pki,
        Behaviour {
            alpn: b"",
            ..Behaviour::default()
        },
    );
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with("--mode h2 --requests 2 --connections 1")
        .run()
        .expect_code(1);
    let alert = run.kind("/failures", "alert no_application_protocol (120)");
    assert_eq!(
        alert + run.kind("/failures", "the server did not agree to h2 (ALPN)"),
        2
    );
}

#[test]
fn an_open_loop_starts_operations_on_schedule() {
    let pki = Pki::new();
    let server = Server::start(&pki, Behaviour::default());
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with("--mode keepalive --requests 51 --connections 4 --rate 100")
        .run()
        .expect_code(0);
    assert_eq!(run.number("/operations/ok"), 51.0);
    assert!(
        run.number("/window/seconds") >= 0.5,
        "the 51st operation is due after 500 ms"
    );
    assert_eq!(run.number("/open_loop/backlog_at_end"), 0.0);
    assert_eq!(run.number("/latency_us/from_actual_start/count"), 51.0);
}

#[test]
fn several_threads_share_the_operations() {
    let cores = std::thread::available_parallelism().unwrap().get().min(2);
    let pki = Pki::new();
    let server = Server::start(&pki, Behaviour::default());
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with(&format!(
            "--mode keepalive --requests 31 --connections 3 --cores {cores}"
        ))
        .run()
        .expect_code(0);
    assert_eq!(run.number("/operations/ok"), 31.0);
    assert_eq!(server.count(|s| &s.requests), 31);
    assert_eq!(run.json["settings"]["cores"].as_array().unwrap().len(), cores);
}

#[test]
fn every_mode_works_on_epoll_too() {
    let pki = Pki::new();
    let server = Server::start(&pki, Behaviour::default());
    for options in [
        "--mode handshake",
        "--mode resume",
        "--mode keepalive",
        "--mode keepalive --rate 500",
    ] {
        let run = Loadgen::new(&pki, server.port)
            .identity(&pki, "good-1")
            .with(&format!("{options} --requests 20 --connections 3 --driver epoll"))
            .run()
            .expect_code(0);
        assert_eq!(run.number("/operations/ok"), 20.0, "{options}");
        assert_eq!(run.json["driver"], "epoll");
    }
}
