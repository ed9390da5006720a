//! Ends of runs: in time whatever the server does, with every operation accounted for, and with a verdict
//! that tells a server that hangs, or a generator that stood still.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::support::h2;
use crate::support::misbehaving;
use crate::support::pki::Pki;
use crate::support::server::{Behaviour, Seen, Server, Stream};
use crate::support::{Loadgen, Run, signal, until, wait};

fn serving(serve: fn(Stream, &Seen)) -> (Pki, Server) {
    let pki = Pki::new();
    let behaviour = Behaviour {
        serve: Some(serve),
        client_certificates: false,
        ..Behaviour::default()
    };
    let server = Server::start(&pki, behaviour);
    (pki, server)
}

fn ends_in_time(mode: &str, serve: fn(Stream, &Seen), alpn: &'static [u8]) {
    let pki = Pki::new();
    let behaviour = Behaviour {
        serve: Some(serve),
        client_certificates: false,
        alpn,
        ..Behaviour::default()
    };
    let server = Server::start(&pki, behaviour);
    for options in ["", "--driver epoll", "--rate 50", "--rate 50 --driver epoll"] {
        let began = Instant::now();
        let run = Loadgen::new(&pki, server.port)
            .with(&format!(
                "--mode {mode} --connections 2 --warm-up 0s --duration 1s --timeout 50s {options}"
            ))
            .run()
            .expect_code(1);
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "before the time limit of an operation"
        );
        assert!(
            run.number("/account/in_flight") >= 1.0,
            "{mode} {options}: {}",
            run.stdout
        );
        assert!(run.number("/window/oldest_in_flight_ms") > 0.0);
    }
}

#[test]
fn a_run_of_handshakes_ends_though_the_server_answers_nothing() {
    ends_in_time("handshake", misbehaving::hangs, b"http/1.1");
}

#[test]
fn a_run_of_requests_ends_though_the_server_answers_nothing() {
    ends_in_time("keepalive", misbehaving::hangs, b"http/1.1");
}

#[test]
fn a_run_of_h2_requests_ends_though_the_server_answers_nothing() {
    ends_in_time("h2", h2::hangs, b"h2");
}

#[test]
fn a_server_that_stops_answering_does_not_pass() {
    let (pki, server) = serving(misbehaving::hangs_after_twenty);
    for rate in ["", "--rate 500"] {
        server
            .seen
            .requests
            .store(0, std::sync::atomic::Ordering::Relaxed);
        let run = Loadgen::new(&pki, server.port)
            .with(&format!(
                "--mode keepalive --connections 4 --warm-up 0s --duration 3s {rate}"
            ))
            .run()
            .expect_code(1);
        assert_eq!(run.number("/operations/ok"), 20.0);
        assert_eq!(run.number("/operations/failed"), 0.0);
        assert!(run.number("/window/oldest_in_flight_ms") > 300.0);
        let verdict = run.json["verdict"]["unexpected"].to_string();
        assert!(verdict.contains("got no answer for"), "{verdict}");
        let warnings = run.json["warnings"].to_string();
        assert!(
            warnings.contains("in flight at the end, the oldest for"),
            "{warnings}"
        );
        assert!(warnings.contains("no operation ended from"), "{warnings}");
        if !rate.is_empty() {
            let most = run.number("/latency_us/operation/max");
            assert!(
                most > 300_000.0,
                "what never ended took at least as long as it had been due: {most}"
            );
            assert!(run.number("/latency_us/operation/count") > 100.0);
        }
    }
}

#[test]
fn a_server_that_takes_no_more_connections_does_not_pass_though_no_operation_is_in_flight() {
    let pki = Pki::new();
    let behaviour = Behaviour {
        response: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        connections_max: 20,
        ..Behaviour::default()
    };
    let server = Server::start(&pki, behaviour);
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with("--mode keepalive --connections 2 --warm-up 0s --duration 5s")
        .run()
        .expect_code(1);
    assert_eq!(
        (run.number("/operations/ok"), run.number("/account/in_flight")),
        (20.0, 0.0)
    );
    let verdict = run.json["verdict"]["unexpected"].to_string();
    assert!(verdict.contains("none ended in the last"), "{verdict}");
}

#[test]
fn a_slow_server_passes_though_operations_are_in_flight_at_the_end() {
    let (pki, server) = serving(misbehaving::takes_400_ms);
    let run = Loadgen::new(&pki, server.port)
        .with("--mode keepalive --connections 4 --warm-up 0s --duration 3s")
        .run()
        .expect_code(0);
    assert!(run.number("/operations/ok") >= 4.0);
    assert_eq!(run.number("/window/waited_s"), 0.0);
}

#[test]
fn a_run_that_waits_counts_what_was_in_flight_and_its_window_ends_with_it() {
    let (pki, server) = serving(misbehaving::takes_400_ms);
    for pace in ["", "--rate 50"] {
        let run = Loadgen::new(&pki, server.port)
            .with(&format!(
                "--mode keepalive --connections 50 --warm-up 0s --duration 2s --wait 50s {pace}"
            ))
            .run()
            .expect_code(0);
        assert_eq!(run.number("/account/in_flight"), 0.0);
        assert_eq!(run.number("/account/asked"), run.number("/operations/ok"));
        let (seconds, waited) = (run.number("/window/seconds"), run.number("/window/waited_s"));
        assert!(
            waited > 0.0 && (seconds - waited - 2.0).abs() < 1e-6,
            "{seconds} {waited}"
        );
        let last = run.json["timeline"]["intervals"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .clone();
        let end = last["start_s"].as_f64().unwrap() + last["length_s"].as_f64().unwrap();
        assert!((end - seconds).abs() < 1e-4, "{end} {seconds}");
    }
}

#[test]
fn a_wait_has_an_end() {
    let (pki, server) = serving(misbehaving::hangs);
    let run = Loadgen::new(&pki, server.port)
        .with("--mode keepalive --connections 2 --warm-up 0s --duration 2s --wait 300ms --timeout 50s")
        .run()
        .expect_code(1);
    assert_eq!(run.number("/account/in_flight"), 2.0);
    assert!(run.number("/window/waited_s") >= 0.3);
}

/// A phase of load with these settings, and a rest.
fn phases(load: &str, rest: &str) -> String {
    format!(
        "[[mix]]\nname = \"get\"\nwork = \"handshake\"\n\
         [[phases]]\nname = \"load\"\n{load}\n\
         [[phases]]\nname = \"rest\"\nduration = \"{rest}\"\nclients = 0\n"
    )
}

fn scenario(pki: &Pki, server: &Server, text: &str) -> Loadgen {
    let file = pki.path("scenario.toml");
    std::fs::write(&file, text).unwrap();
    Loadgen::new(pki, server.port).file("--scenario", &file)
}

/// Ends a run whose load is over by a signal.
fn end_by(name: &str, child: Child, json: &Path) -> Run {
    signal(&child, name);
    Run::of(wait(child), json)
}

#[test]
fn operations_due_while_the_generator_is_stopped_over_the_end_of_their_phase_are_not_lost() {
    let (pki, server) = serving(|stream, seen| misbehaving::each(stream, seen, misbehaving::answer));
    let (child, json) = scenario(&pki, &server, &phases("duration = \"4s\"\nrate = 25", "60s")).spawn();
    until("most of the load", || server.count(|seen| &seen.requests) >= 95);
    signal(&child, "STOP");
    let stopped = Instant::now();
    until("the end of the phase", || {
        stopped.elapsed() > Duration::from_millis(500)
    });
    signal(&child, "CONT");
    until("all of the load", || server.count(|seen| &seen.requests) == 100);
    let run = end_by("TERM", child, &json);
    assert_eq!(run.json["window"]["interrupted"], true);
    assert_eq!(run.number("/phases/0/account/asked"), 100.0);
    assert_eq!(run.number("/phases/0/started"), 100.0);
    assert_eq!(run.number("/account/not_started"), 0.0);
    let limits = run.json["limits"].to_string();
    assert!(limits.contains("\"stalled\""), "{limits}");
}

#[test]
fn an_open_loop_with_too_few_clients_tells_what_it_never_started_and_does_not_pass() {
    let (pki, server) = serving(misbehaving::takes_50_ms);
    let run = scenario(
        &pki,
        &server,
        &phases("duration = \"1s\"\nrate = 100\nclients = 2", "1s"),
    )
    .run()
    .expect_code(1);
    let missed = run.number("/phases/0/account/not_started");
    assert!(
        missed > 50.0,
        "two clients cannot do more than forty in a second: {missed}"
    );
    assert_eq!(run.number("/phases/0/account/asked"), 100.0);
    assert_eq!(run.number("/phases/0/started"), 100.0 - missed);
    assert_eq!(run.number("/phases/1/account/asked"), 0.0);
    for expected in ["not started", "due and never started"] {
        assert!(run.stdout.contains(expected), "{}", run.stdout);
    }
}

#[test]
fn a_generator_that_stood_still_blames_itself_and_calls_its_figures_invalid() {
    let pki = Pki::new();
    let server = Server::start(&pki, Behaviour::default());
    let (child, json) = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with("--mode keepalive --rate 200 --connections 16 --warm-up 0s --duration 60s")
        .spawn();
    until("some load", || server.count(|seen| &seen.requests) >= 100);
    signal(&child, "STOP");
    let stopped = Instant::now();
    until("a long stall", || stopped.elapsed() > Duration::from_millis(700));
    signal(&child, "CONT");
    until("the load after the stall", || {
        server.count(|seen| &seen.requests) >= 500
    });
    let run = end_by("INT", child, &json);
    assert!(run.number("/generator/longest_stall_ms") >= 650.0);
    assert_eq!(run.json["generator"]["was_the_limit"], true);
    assert!(
        run.number("/open_loop/late_by_generator/over_1ms") >= 120.0,
        "{:#}",
        run.json["open_loop"]
    );
    assert_eq!(run.json["valid"], false);
    let (page, text) = (run.json["verdict"]["invalid"].to_string(), &run.stdout);
    assert!(page.contains("it stood still for"), "{page}");
    assert!(text.contains("NOT a valid measurement: "), "{text}");
}

#[test]
fn a_run_that_was_stopped_in_its_warm_up_has_no_window_and_blames_no_connection() {
    let pki = Pki::new();
    let server = Server::start(&pki, Behaviour::default());
    let (child, json) = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with("--mode keepalive --warm-up 10m --duration 1s --connections 4")
        .spawn();
    until("some load", || server.count(|seen| &seen.requests) >= 10);
    let run = end_by("TERM", child, &json).expect_code(1);
    assert_eq!(run.number("/operations/total"), 0.0);
    assert!(run.number("/warm_up/ok") >= 1.0);
    assert!(
        !run.json["warnings"].to_string().contains("not open yet"),
        "{}",
        run.json["warnings"]
    );
}
