//! Thresholds, the files that reports are written to, the files that certificates are read from.

use std::process::Command;

use crate::support::pki::Pki;
use crate::support::server::{Behaviour, Server};
use crate::support::{Loadgen, signal, until, wait};

fn ordinary() -> (Pki, Server) {
    let pki = Pki::new();
    let server = Server::start(&pki, Behaviour::default());
    (pki, server)
}

#[test]
fn thresholds_decide_the_exit_code_and_are_shown_in_every_report() {
    let (pki, server) = ordinary();
    let page = pki.path("report.html");
    let loadgen = |thresholds: &[&str]| {
        let words: Vec<&str> = thresholds.iter().flat_map(|one| ["--threshold", *one]).collect();
        Loadgen::new(&pki, server.port)
            .identity(&pki, "good-1")
            .with("--mode keepalive --requests 50 --connections 2")
            .arguments(&words)
            .file("--html", &page)
            .run()
    };
    let run = loadgen(&["p99 < 50s", "failed <= 0", "rate > 0.001", "first_byte.p50 < 50s"]).expect_code(0);
    let held = run.json["thresholds"].as_array().unwrap();
    assert!(
        held.len() == 4 && held.iter().all(|one| one["held"] == true),
        "{held:?}"
    );
    assert_eq!(
        (&held[1]["measured"], &held[1]["unit"]),
        (&0.0.into(), &"operations".into())
    );

    let run = loadgen(&["p99 < 1us", "failed < 1%", "close.p50 < 1s"]).expect_code(3);
    let held: Vec<_> = run.json["thresholds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["held"].clone())
        .collect();
    assert_eq!(
        held,
        [false, true, false],
        "what cannot be measured does not hold"
    );
    assert_eq!(run.json["as_expected"], true);
    assert_eq!(run.number("/verdict/exit_code"), 3.0);
    assert!(
        run.stdout.contains("NOT every threshold held: p99 < 1us (was "),
        "{}",
        run.stdout
    );
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains("Not every threshold held") && html.contains("close.p50 &lt; 1s"));

    let mistake = loadgen(&["p99 < 20"]).expect_code(2);
    assert!(
        mistake.stderr.contains("is no threshold; write"),
        "{}",
        mistake.stderr
    );
}

#[test]
fn a_threshold_about_failures_takes_the_place_of_the_rule_that_there_be_none() {
    let pki = Pki::new();
    let response = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(
        &pki,
        Behaviour {
            response,
            ..Behaviour::default()
        },
    );
    let ordinary = Server::start(&pki, Behaviour::default());
    let text = "thresholds = [\"failed <= 60%\"]\n[[identities]]\nname = \"good\"\ncert = \"good-1.pem\"\nkey = \"good-1.key\"\n\
         [[mix]]\nname = \"get\"\nwork = \"keepalive\"\nidentities = \"good\"\n\
         [[mix]]\nname = \"odd\"\nwork = \"keepalive\"\nidentities = \"good\"\nexpect_status = [204]\n\
         [[phases]]\nname = \"load\"\nduration = \"4s\"\nrate = 5\nclients = 4\n";
    let file = pki.path("scenario.toml");
    std::fs::write(&file, text).unwrap();
    let run = |port| {
        Loadgen::new(&pki, port)
            .file("--scenario", &file)
            .with("--wait 20s")
            .run()
    };
    let half = run(ordinary.port).expect_code(0);
    assert_eq!(
        (half.number("/operations/ok"), half.number("/operations/failed")),
        (10.0, 10.0)
    );
    assert_eq!(half.json["as_expected"], false);
    assert!(half.stdout.contains("as the thresholds allow"), "{}", half.stdout);
    run(server.port).expect_code(3);
}

#[test]
fn a_report_is_there_whole_or_not_at_all() {
    let (pki, server) = ordinary();
    std::fs::write(pki.path("report.json"), "an earlier report").unwrap();
    let (mut child, json) = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .with("--mode keepalive --warm-up 0s --duration 10m")
        .spawn();
    until("some load", || server.count(|seen| &seen.requests) >= 10);
    assert_eq!(std::fs::read_to_string(&json).unwrap(), "an earlier report");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(std::fs::read_to_string(&json).unwrap(), "an earlier report");
    let folder = json.parent().unwrap();
    let partial = std::fs::read_dir(folder).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().contains("partial")
    });
    assert_eq!(partial.count(), 0);
    let absent = Loadgen::new(&pki, server.port).file("--html", &pki.path("absent/page.html"));
    let run = absent.with("--requests 1").run().expect_code(2);
    assert!(
        run.stderr.contains("--html") && run.stderr.contains("absent/page.html"),
        "{}",
        run.stderr
    );
}

#[test]
fn the_second_signal_ends_the_process_at_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let pki = Pki::new();
    let (child, _) = Loadgen::new(&pki, listener.local_addr().unwrap().port())
        .with("--warm-up 0s --duration 10m --timeout 10m --wait 10m")
        .spawn();
    let (connection, _) = listener.accept().unwrap();
    for name in ["TERM", "TERM"] {
        signal(&child, name);
        // The first is surely taken before the second is sent: both would be one else.
        let pending = format!("/proc/{}/status", child.id());
        until("the signal is taken", || {
            let status = std::fs::read_to_string(&pending).unwrap_or_default();
            status
                .lines()
                .filter(|line| line.starts_with("SigPnd") || line.starts_with("ShdPnd"))
                .all(|line| line.ends_with("0000000000000000"))
        });
    }
    assert_eq!(wait(child).status.code(), Some(128 + 15));
    drop(connection);
}

#[test]
fn a_certificate_file_in_which_something_would_be_passed_over_is_refused() {
    let (pki, server) = ordinary();
    let ca = std::fs::read_to_string(pki.path("server-ca.pem")).unwrap();
    let other = std::fs::read_to_string(Pki::new().path("server-ca.pem")).unwrap();
    let run = |text: &str| {
        std::fs::write(pki.path("roots.pem"), text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
        command.args(["--quiet", "--requests", "2", "--sni", "localhost", "--address"]);
        command
            .arg(format!("127.0.0.1:{}", server.port))
            .arg("--ca")
            .arg(pki.path("roots.pem"));
        command
            .arg("--cert")
            .arg(pki.path("good-1.pem"))
            .arg("--key")
            .arg(pki.path("good-1.key"));
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(
        run(&format!("\u{feff}{ca}{other}")).0,
        Some(0),
        "a byte order mark does not hide the first root"
    );
    assert_eq!(run(&format!("{other}\u{feff}{ca}")).0, Some(0));
    let (code, complaint) = run(&format!("{}{ca}", other.trim_end()));
    assert_eq!(code, Some(2), "{complaint}");
    assert!(
        complaint.contains("roots.pem: 2 sections begin in it") && complaint.contains("see line"),
        "{complaint}"
    );
}

#[test]
fn a_name_with_several_addresses_is_loaded_where_somebody_listens() {
    let (pki, server) = ordinary();
    let addresses = std::net::ToSocketAddrs::to_socket_addrs(&("localhost", server.port)).unwrap();
    let run = Loadgen::new(&pki, server.port)
        .identity(&pki, "good-1")
        .arguments(&["--requests", "2"])
        .address(&format!("localhost:{}", server.port))
        .run()
        .expect_code(0);
    assert_eq!(
        run.json["settings"]["address"],
        format!("127.0.0.1:{}", server.port)
    );
    let tried = run.json["settings"]["addresses_tried"].as_array().unwrap().len();
    let first_is_ours = addresses.clone().next().is_some_and(|address| address.is_ipv4());
    let expected = if addresses.count() < 2 {
        0
    } else if first_is_ours {
        1
    } else {
        2
    };
    assert_eq!(tried, expected);
}
