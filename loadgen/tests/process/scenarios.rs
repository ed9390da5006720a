//! Scenarios against a small server: phases, mixes, idle connections, storms; and the scenarios that loadgen
//! comes with.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::pki::Pki;
use crate::support::server::{Behaviour, Server};
use crate::support::{Loadgen, Run};

const KEEPALIVE: &str = "[[mix]]\nname = \"get\"\nwork = \"keepalive\"\nidentities = \"good\"\n";

fn ordinary() -> (Pki, Server) {
    let pki = Pki::new();
    let server = Server::start(&pki, Behaviour::default());
    (pki, server)
}

/// A scenario with the identities "good" and "stranger".
fn scenario(pki: &Pki, text: &str) -> PathBuf {
    let mut all = String::new();
    for (name, file) in [("good", "good-1"), ("stranger", "stranger")] {
        all += &format!("[[identities]]\nname = \"{name}\"\ncert = \"{file}.pem\"\nkey = \"{file}.key\"\n");
    }
    let path = pki.path("scenario.toml");
    std::fs::write(&path, all + text).unwrap();
    path
}

fn run(pki: &Pki, server: &Server, text: &str) -> Run {
    Loadgen::new(pki, server.port)
        .file("--scenario", &scenario(pki, text))
        .with("--wait 20s") // on a busy machine the last operations may need it
        .run()
}

fn phase(name: &str, duration: &str, rest: &str) -> String {
    format!("[[phases]]\nname = \"{name}\"\nduration = \"{duration}\"\n{rest}\n")
}

#[test]
fn a_ramp_starts_as_many_operations_as_its_integral_says_and_a_spike_too() {
    let (pki, server) = ordinary();
    // So slowly that all clients have connected before the spike.
    let phases = phase("ramp", "10s", "rate = { from = 0, to = 10 }")
        + &phase("spike", "200ms", "rate = 500")
        + &phase("hold", "2s", "rate = 10")
        + &phase("rest", "500ms", "clients = 0");
    let run = run(&pki, &server, &format!("{KEEPALIVE}{phases}")).expect_code(0);
    assert_eq!(run.number("/operations/ok"), 50.0 + 100.0 + 20.0);
    assert_eq!(server.count(|s| &s.requests), 170);
    let started: Vec<f64> = (0..4)
        .map(|i| run.number(&format!("/phases/{i}/started")))
        .collect();
    assert_eq!(started.iter().sum::<f64>(), 170.0, "{started:?}");
    assert!(started[1] > started[0], "{started:?}");
    assert_eq!(started[3], 0.0);
    let ended: f64 = (0..4).map(|i| run.number(&format!("/phases/{i}/ok"))).sum();
    assert_eq!(ended, 170.0, "each operation ends in one phase");
}

#[test]
fn clients_come_with_the_ramp_and_their_connections_go_with_its_end() {
    let (pki, server) = ordinary();
    let phases = phase("up", "1500ms", "clients = { from = 0, to = 8 }\nmeasured = false")
        + &phase("all", "1500ms", "clients = 8")
        + &phase("few", "1500ms", "clients = 2")
        + &phase("again", "1500ms", "clients = 8");
    let run = run(&pki, &server, &format!("{KEEPALIVE}{phases}")).expect_code(0);
    assert_eq!(run.number("/settings/connections"), 8.0);
    assert_eq!(run.number("/settings/warm_up_s"), 1.5);
    assert_eq!(server.count(|s| &s.connections), 8 + 6, "six went and came back");
    assert_eq!(run.number("/operations/failed"), 0.0);
}

#[test]
fn operations_are_mixed_by_weight_and_counted_apart() {
    let (pki, server) = ordinary();
    let text = format!(
        "{KEEPALIVE}weight = 6\n{}{}{}{}",
        "[[mix]]\nname = \"full\"\nwork = \"handshake\"\nweight = 2\nidentities = \"good\"\npath = \"/full\"\n",
        "[[mix]]\nname = \"stranger\"\nwork = \"handshake\"\nweight = 2\nidentities = \"stranger\"\nexpect = \"refused\"\n",
        phase("load", "5s", "rate = 20\nclients = 4"),
        phase("rest", "500ms", "clients = 0")
    );
    let run = run(&pki, &server, &text).expect_code(0);
    let ok: Vec<f64> = (0..3).map(|i| run.number(&format!("/entries/{i}/ok"))).collect();
    assert_eq!(ok, [60.0, 20.0, 20.0]);
    assert_eq!(run.number("/operations/ok"), 100.0);
    assert_eq!(run.kind("/entries/2/refusals", "alert unknown_ca (48)"), 20);
    assert_eq!(server.count(|s| &s.requests), 80);
    assert_eq!(run.number("/entries/1/latency_us/count"), 20.0);
    assert!(
        run.stdout.contains("stranger") && run.stdout.contains("phase"),
        "{}",
        run.stdout
    );
}

#[test]
fn idle_connections_are_held_tried_at_the_end_and_missed_when_the_server_dropped_them() {
    let (pki, server) = ordinary();
    let phases = phase("hold", "3s", "hold = 20");
    let run_once = || run(&pki, &server, &format!("{KEEPALIVE}weight = 0\n{phases}"));
    let held = run_once().expect_code(0);
    assert_eq!(held.number("/phases/0/idle/opened"), 20.0);
    assert_eq!(held.number("/phases/0/idle/alive"), 20.0);
    assert_eq!(server.count(|s| &s.connections), 20);
    assert_eq!(server.count(|s| &s.requests), 40);

    let tired = Server::start(
        &pki,
        Behaviour {
            requests_per_connection: 1,
            ..Behaviour::default()
        },
    );
    let dropped = run(&pki, &tired, &format!("{KEEPALIVE}weight = 0\n{phases}")).expect_code(1);
    assert_eq!(dropped.number("/phases/0/idle/alive"), 0.0);
    let lost = dropped
        .json
        .pointer("/phases/0/idle/lost")
        .unwrap()
        .as_array()
        .unwrap();
    assert_eq!(
        lost.iter()
            .map(|kind| kind["count"].as_u64().unwrap())
            .sum::<u64>(),
        20
    );
}

#[test]
fn sigint_ends_a_scenario_early_and_idle_connections_are_still_tried() {
    let (pki, server) = ordinary();
    let phases = phase("hold", "10m", "hold = 6") + &phase("never", "1m", "clients = 4");
    let path = scenario(&pki, &format!("{KEEPALIVE}{phases}"));
    let (child, json) = Loadgen::new(&pki, server.port).file("--scenario", &path).spawn();
    let began = Instant::now();
    while server.count(|s| &s.requests) < 6 && began.elapsed() < Duration::from_secs(20) {
        std::thread::yield_now();
    }
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    let run = Run::of(child.wait_with_output().unwrap(), &json).expect_code(0);
    assert_eq!(run.json["window"]["interrupted"], true);
    assert_eq!(run.number("/phases/0/idle/alive"), 6.0);
    assert_eq!(
        run.json["phases"].as_array().unwrap().len(),
        1,
        "the second phase never began"
    );
}

#[test]
fn a_storm_drops_every_connection_and_opens_it_again() {
    let (pki, server) = ordinary();
    let phases = phase("before", "3s", "hold = 12\nclients = 3")
        + &phase(
            "storm",
            "4s",
            "hold = 12\nclients = 3\nreconnect = true\nreconnect_within = \"200ms\"",
        );
    let run = run(
        &pki,
        &server,
        &format!("{KEEPALIVE}think_time = \"1ms\"\n{phases}"),
    )
    .expect_code(0);
    assert_eq!(run.number("/phases/1/storm/dropped"), 12.0);
    assert_eq!(run.number("/phases/1/storm/reopened"), 12.0);
    assert_eq!(run.number("/phases/1/idle/alive"), 12.0);
    assert!(
        run.number("/phases/1/storm/all_after_ms") >= 180.0,
        "spread over the time given"
    );
    assert_eq!(server.count(|s| &s.connections), 2 * (12 + 3));
}

#[test]
fn a_client_thinks_between_operations_and_a_connection_wears_out() {
    let (pki, server) = ordinary();
    let text = format!(
        "{KEEPALIVE}think_time = \"50ms\"\nthink_spread = \"10ms\"\nrequests_per_connection = 2\n{}",
        phase("run", "2s", "clients = 1")
    );
    let run = run(&pki, &server, &text).expect_code(0);
    let operations = run.number("/operations/ok");
    assert!(
        (2.0..=50.0).contains(&operations),
        "{operations} in two seconds with pauses of 40 to 60 ms"
    );
    let connections = server.count(|s| &s.connections) as f64;
    assert!(
        connections >= (operations / 2.0).floor(),
        "{connections} for {operations}"
    );
    assert_eq!(run.number("/operations/retried"), 0.0);
}

#[test]
fn a_response_of_another_size_is_a_failure() {
    let (pki, server) = ordinary();
    for (expected, code) in [("13", 0), ("{ from = 1, to = 12 }", 1)] {
        let text = format!(
            "{KEEPALIVE}response_bytes = {expected}\n{}",
            phase("run", "200ms", "clients = 1")
        );
        let run = run(&pki, &server, &text).expect_code(code);
        assert_eq!(
            run.kind("/entries/0/failures", "a body of 13 bytes") > 0,
            code == 1
        );
    }
}

#[test]
fn a_mistake_in_a_scenario_ends_with_code_2_and_names_file_line_and_key() {
    let (pki, server) = ordinary();
    let run = run(
        &pki,
        &server,
        &format!("{KEEPALIVE}{}", phase("x", "1s", "clinets = 3")),
    )
    .expect_code(2);
    assert!(
        run.stderr
            .contains("scenario.toml:16: phases[0].clinets: no such key"),
        "{}",
        run.stderr
    );
    let absent = Loadgen::new(&pki, server.port)
        .file("--scenario", Path::new("absent.toml"))
        .run()
        .expect_code(2);
    assert!(absent.stderr.contains("absent.toml"), "{}", absent.stderr);
    let beside = Loadgen::new(&pki, server.port)
        .file("--scenario", &pki.path("scenario.toml"))
        .with("--mode h2")
        .run()
        .expect_code(2);
    assert!(beside.stderr.contains("cannot be used with"), "{}", beside.stderr);
}

#[test]
fn a_bundle_is_many_identities_and_a_broken_one_is_named() {
    let (pki, server) = ordinary();
    let read = |name: &str| std::fs::read_to_string(pki.path(name)).unwrap();
    let bundle = |parts: &[&str]| {
        let text: String = parts.iter().map(|name| read(name)).collect();
        std::fs::write(pki.path("bundle.pem"), text).unwrap();
        Loadgen::new(&pki, server.port)
            .file("--bundle", &pki.path("bundle.pem"))
            .with("--requests 20 --connections 4")
            .run()
    };
    let run = bundle(&["good-1.key", "good-1.pem", "good-2.key", "good-2.pem"]).expect_code(0);
    assert_eq!(run.number("/settings/identities"), 2.0);
    let clients = server.seen.clients.lock().unwrap().clone();
    for name in ["good-1", "good-2"] {
        let leaf = pki.chain(name)[0].to_vec();
        let count = clients.iter().filter(|client| **client == leaf).count();
        assert!(count >= 5, "{name} was used {count} times");
    }
    for (parts, expected) in [
        (&["good-1.pem", "good-1.key"][..], "begins with a certificate"),
        (&["good-1.key"][..], "no certificate follows key number 1"),
        (
            &["good-1.key", "good-1.pem", "good-1.key", "good-2.pem"][..],
            "key number 2 is not that of the certificate",
        ),
        (&[][..], "contains no private key"),
    ] {
        let run = bundle(parts).expect_code(2);
        assert!(
            run.stderr.contains("bundle.pem") && run.stderr.contains(expected),
            "{}",
            run.stderr
        );
    }
}

/// Each is loaded with certificates beside it that `loadgen pki` has made, and stopped by a port that nobody
/// listens on.
#[test]
fn the_scenarios_that_loadgen_comes_with_are_loaded() {
    let (pki, server) = ordinary();
    let port = server.port;
    drop(server);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let made = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["pki", "--quiet", "--identities", "5", "--bad", "2", "--out"])
        .arg(pki.path("pki"))
        .status();
    assert!(made.unwrap().success());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let text = std::fs::read_to_string(folder.join(&name)).unwrap();
        let shorter = text.lines().map(|line| match line.split_once(" = ") {
            Some(("duration", _)) => "duration = \"50ms\"".to_owned(),
            Some(("reconnect_within", _)) => "reconnect_within = \"20ms\"".to_owned(),
            _ => line.to_owned(),
        });
        std::fs::write(pki.path(&name), shorter.collect::<Vec<_>>().join("\n")).unwrap();
        let run = Loadgen::new(&pki, port)
            .file("--scenario", &pki.path(&name))
            .run();
        let code = if text.contains("thresholds = ") { 3 } else { 1 };
        assert_eq!(run.code, code, "{name}: {}", run.stderr);
        assert!(run.stdout.contains("phase"), "{name}: {}", run.stdout);
        names.push(name);
    }
    assert!(names.len() >= 5, "{names:?}");
}
