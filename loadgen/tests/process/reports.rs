//! The reports of a run agree with each other and with what the server has seen.

use std::path::{Path, PathBuf};
use std::process::Command;

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
        .with("--mode keepalive --warm-up 1130ms --duration 1700ms --connections 3")
        .run()
        .expect_code(0);
    assert_eq!(run.json["format"], "bothways-loadgen/2");
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
fn every_field_of_the_json_file_is_described() {
    let pki = Pki::new();
    let server = Server::start(&pki, Behaviour::default());
    let options = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with("--requests 20 --rate 1000")
        .arguments(&["--threshold", "p99 < 9s"])
        .run()
        .expect_code(0);
    assert_described(
        &options,
        &[
            "",
            "/timeline",
            "/timeline/intervals/0",
            "/latency_curves/operation/0",
            "/open_loop",
            "/entries/0",
            "/window",
            "/generator",
            "/account",
            "/verdict",
            "/thresholds/0",
            "/statuses/0",
        ],
    );
    let text = "[[identities]]\nname = \"good\"\ncert = \"good-1.pem\"\nkey = \"good-1.key\"\n\
        [[mix]]\nname = \"get\"\nwork = \"keepalive\"\nidentities = \"good\"\n\
        [[phases]]\nname = \"hold\"\nduration = \"2s\"\nhold = 20\n\
        [[phases]]\nname = \"storm\"\nduration = \"3s\"\nrate = 20\nhold = 20\nreconnect = true\n";
    let file = pki.path("scenario.toml");
    std::fs::write(&file, text).unwrap();
    let scenario = Loadgen::new(&pki, server.port)
        .with(&format!("--server-pid {}", std::process::id()))
        .file("--scenario", &file)
        .run();
    assert_described(
        &scenario,
        &[
            "/phases/0",
            "/phases/0/account",
            "/phases/1/rate",
            "/phases/1/idle",
            "/phases/1/storm",
        ],
    );
    if !scenario.json["phases"][0]["idle"]["server_memory"].is_null() {
        assert_described(&scenario, &["/phases/0/idle/server_memory"]);
    }
}

/// Each field of these objects has its name in the document.
#[track_caller]
fn assert_described(run: &Run, objects: &[&str]) {
    let described = include_str!("../../README.md");
    for object in objects {
        for field in run.json.pointer(object).unwrap().as_object().unwrap().keys() {
            let named =
                described.contains(&format!("`{field}`")) || described.contains(&format!("\"{field}\""));
            assert!(named, "loadgen/README.md does not describe {field} of {object:?}");
        }
    }
}

#[test]
fn failures_are_in_the_timeline_too() {
    let (pki, run) = refused();
    let rows = run.json["timeline"]["intervals"].as_array().unwrap();
    assert_eq!(sum(rows, "failed", |_| true), 5.0);
    assert!(rows.iter().all(|row| row["latency_us"].is_null()));
    drop(pki);
}

#[test]
fn the_page_is_well_formed_self_contained_and_shows_what_the_json_says() {
    let pki = Pki::new();
    let server = Server::start(&pki, Behaviour::default());
    let page = pki.path("report.html");
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with("--requests 200 --connections 2 --header X-Test:<script>alert(1)</script> --header Authorization:s3cr3t")
        .file("--html", &page)
        .run()
        .expect_code(0);
    let text = text_of(&page);
    for expected in [
        "handshake localhost",
        "Every operation ended as expected",
        "200 ok",
        "<script>alert(1)</script>",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let command_line = run.json["settings"]["command_line"].as_str().unwrap();
    assert!(text.contains(command_line) && command_line.contains("--requests 200"));
    let both = run.json.to_string() + &std::fs::read_to_string(&page).unwrap();
    assert!(
        !both.contains("s3cr3t"),
        "a value that lets others in is in no report"
    );
}

#[test]
fn reports_of_earlier_runs_are_drawn_from_their_files() {
    let pki = Pki::new();
    let server = Server::start(&pki, Behaviour::default());
    let mut files = Vec::new();
    for name in ["first.json", "second.json"] {
        let run = Loadgen::new(&pki, server.port)
            .identity(&pki, "good-1")
            .with("--requests 20")
            .run()
            .expect_code(0);
        std::fs::write(pki.path(name), run.json.to_string()).unwrap();
        files.push(pki.path(name));
    }
    let page = pki.path("page.html");
    report(&files[..1], &page, 0);
    assert!(text_of(&page).contains("handshake localhost"));
    report(&files, &page, 0);
    let text = text_of(&page);
    assert!(
        text.contains("2 runs beside each other") && text.contains("second.json"),
        "{text}"
    );

    std::fs::write(pki.path("other.json"), "{}").unwrap();
    let complaint = report(&[files[0].clone(), pki.path("other.json")], &page, 2);
    assert!(
        complaint.contains("other.json") && complaint.contains("--json FILE"),
        "{complaint}"
    );
}

#[test]
fn a_report_is_at_most_100_columns_wide_and_plain_text() {
    let (_pki, run) = refused();
    assert!(
        run.stdout.lines().all(|line| line.chars().count() <= 100),
        "{}",
        run.stdout
    );
    assert!(
        !run.stdout.contains('\u{1b}') && run.stderr.is_empty(),
        "{}",
        run.stderr
    );
}

/// Runs `loadgen report`; gives back what it complains about.
#[track_caller]
fn report(files: &[PathBuf], page: &Path, code: i32) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    let output = command
        .arg("report")
        .args(files)
        .arg("--html")
        .arg(page)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    stderr
}

/// The text of a page, which must be well-formed and ask for nothing from anywhere.
#[track_caller]
fn text_of(page: &Path) -> String {
    let page = std::fs::read_to_string(page).unwrap();
    let options = roxmltree::ParsingOptions {
        allow_dtd: true,
        ..Default::default()
    };
    let tree = roxmltree::Document::parse_with_options(&page, options).unwrap();
    for node in tree.descendants() {
        assert!(
            node.tag_name().name() != "script" && !node.has_attribute("src") && !node.has_attribute("href")
        );
    }
    let text = tree
        .descendants()
        .filter(|node| node.is_text())
        .filter_map(|node| node.text());
    text.collect::<Vec<_>>().join("\n")
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
