//! The reports of a run agree with each other and with what the server has seen.

use serde_json::Value;

use crate::support::pki::Pki;
use crate::support::server::{Behaviour, Server};
use crate::support::{Loadgen, Run};

#[test]
fn the_timeline_sums_to_the_totals_of_the_window() {
    let pki = Pki::new();
    let server = Server::start(&pki, Behaviour::default());
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with("--mode keepalive --warm-up 130ms --duration 700ms --connections 3")
        .run()
        .expect_code(0);
    assert_eq!(run.json["format"], "bothways-loadgen/1");
    let rows = run.json["timeline"]["intervals"].as_array().unwrap();
    assert_eq!(
        sum(rows, "ok", |start| start >= 0.0),
        run.number("/operations/ok")
    );
    assert_eq!(sum(rows, "ok", |start| start < 0.0), run.number("/warm_up/ok"));
    assert_eq!(
        sum(rows, "ok", |_| true),
        server.count(|seen| &seen.requests) as f64 - run.number("/window/in_flight_at_end"),
        "all that the server answered, but what was under way at the end"
    );
    let length = sum(rows, "length_s", |start| start >= 0.0);
    assert!((length - run.number("/window/seconds")).abs() < 1e-5, "{length}");
    assert!(rows.iter().any(|row| row["connections_open"] == 3), "{rows:#?}");
    let received = sum(rows, "received_bytes", |start| start >= 0.0);
    assert_eq!(received, run.number("/throughput/received_bytes"));
}

#[test]
fn a_run_by_number_of_operations_has_a_timeline_that_sums_too() {
    let pki = Pki::new();
    let server = Server::start(&pki, Behaviour::default());
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with("--requests 30 --connections 2")
        .run()
        .expect_code(0);
    let rows = run.json["timeline"]["intervals"].as_array().unwrap();
    assert_eq!(sum(rows, "ok", |_| true), 30.0);
    assert_eq!(
        sum(rows, "received_bytes", |_| true),
        run.number("/throughput/received_bytes")
    );
    let curve = run.json["latency_curves"]["operation"].as_array().unwrap();
    assert_eq!(curve.last().unwrap()["count"], 30);
}

#[test]
fn failures_are_in_the_timeline_too() {
    let (pki, run) = refused();
    let rows = run.json["timeline"]["intervals"].as_array().unwrap();
    assert_eq!(sum(rows, "failed", |_| true), 5.0);
    assert!(rows.iter().all(|row| row["latency_us"].is_null()));
    drop(pki);
}

/// A run against a port that nobody listens on.
fn refused() -> (Pki, Run) {
    let pki = Pki::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let run = Loadgen::new(&pki, port).with("--requests 5").run().expect_code(1);
    (pki, run)
}

fn sum(rows: &[Value], field: &str, wanted: impl Fn(f64) -> bool) -> f64 {
    rows.iter()
        .filter(|row| wanted(row["start_s"].as_f64().unwrap()))
        .map(|row| row[field].as_f64().unwrap())
        .sum()
}
