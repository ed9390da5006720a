//! loadgen's scenarios against the server: what the one reports is what the other has counted.

use std::process::Command;

use bothways_tests::Server;
use bothways_tests::config::{Config, Distribution, TrustStore};
use bothways_tests::loadgen::Loadgen;

const IDENTITIES: &str = r#"
[[identities]]
name = "good"
bundle = "pki/good.pem"
[[identities]]
name = "untrusted"
bundle = "pki/untrusted.pem"
[[identities]]
name = "expired"
bundle = "pki/expired.pem"
[[identities]]
name = "revoked"
bundle = "pki/revoked.pem"
"#;

/// A hundred operations, and time for the last of them to end.
/// At a rate that a busy machine reaches, too, by clients so few that they have soon connected.
const HUNDRED: &str = r#"
[[phases]]
name = "load"
duration = "5s"
rate = 20
clients = 16
[[phases]]
name = "rest"
duration = "1s"
clients = 0
"#;

/// An edge that trusts the clients of this PKI, and takes its revocations from the file of this name.
fn server(loadgen: &Loadgen, revocations: &str) -> Server {
    let store = TrustStore::new("partners", &loadgen.pki("client-ca.pem"))
        .revocations(revocations, loadgen.pki(revocations));
    let config = Config::new().trust_store(store);
    Server::start(config.distribution(Distribution::edge("required")))
}

fn entry(name: &str, weight: u32, rest: &str) -> String {
    format!("[[mix]]\nname = \"{name}\"\nweight = {weight}\nwork = \"handshake\"\n{rest}\n")
}

#[test]
fn a_mix_of_good_and_bad_clients_is_admitted_and_refused_to_the_last_one() {
    for revocations in ["revoked-serials.txt", "revoked.crl"] {
        let loadgen = Loadgen::new(20, 5);
        let server = server(&loadgen, revocations);
        let mut scenario = IDENTITIES.to_owned();
        scenario += &entry("good", 5, "identities = \"good\"");
        scenario += &entry("missing", 2, "expect = \"refused\"");
        for bad in ["untrusted", "expired", "revoked"] {
            scenario += &entry(bad, 1, &format!("identities = \"{bad}\"\nexpect = \"refused\""));
        }
        let run = loadgen.run(&server, &format!("{scenario}{HUNDRED}"));
        assert_eq!(run.code, Some(0), "{}", run.text);
        for (name, count) in [
            ("good", 50),
            ("missing", 20),
            ("untrusted", 10),
            ("expired", 10),
            ("revoked", 10),
        ] {
            assert_eq!(run.entry(name)["ok"], count, "{name}: {}", run.text);
        }
        for (name, alert) in [("missing", 116), ("expired", 45), ("revoked", 44)] {
            assert_eq!(
                run.entry(name)["refusals"][0]["alert"],
                alert,
                "{name}: {}",
                run.text
            );
        }
        let metrics = server.wait_for_metrics("every connection has ended", |metrics| {
            metrics.sum("bothways_connections_total") >= 100
        });
        assert_eq!(metrics.connections("Success"), 50);
        assert_eq!(metrics.connections("Failed:ClientCertMissing"), 20);
        assert_eq!(metrics.sum("bothways_connections_total"), 100);
    }
}

#[test]
fn a_bad_client_that_is_admitted_is_a_failure_of_its_entry_alone() {
    let loadgen = Loadgen::new(2, 2);
    let server = server(&loadgen, "revoked-serials.txt");
    let mix = entry("good", 1, "identities = \"good\"")
        + &entry(
            "thought to be bad",
            1,
            "identities = \"good\"\nexpect = \"refused\"",
        );
    let run = loadgen.run(&server, &format!("{IDENTITIES}{mix}{HUNDRED}"));
    assert_eq!(run.code, Some(1), "{}", run.text);
    assert_eq!(
        (&run.entry("good")["ok"], &run.entry("good")["failed"]),
        (&50.into(), &0.into())
    );
    let failures = &run.entry("thought to be bad")["failures"];
    assert_eq!(failures[0]["kind"], "unexpectedly admitted (http status 200)");
    assert_eq!(failures[0]["count"], 50);
}

#[test]
fn every_kind_of_work_goes_together_and_resumptions_are_resumed() {
    let loadgen = Loadgen::new(10, 1);
    let server = server(&loadgen, "revoked-serials.txt");
    let mut scenario = IDENTITIES.to_owned();
    for work in ["handshake", "resume", "keepalive", "h2"] {
        scenario += &format!(
            "[[mix]]\nname = \"{work}\"\nwork = \"{work}\"\nidentities = \"good\"\nresponse_bytes = 3\n"
        );
    }
    let run = loadgen.run(&server, &format!("{scenario}{HUNDRED}"));
    assert_eq!(run.code, Some(0), "{}", run.text);
    for work in ["handshake", "resume", "keepalive", "h2"] {
        assert_eq!(run.entry(work)["ok"], 25, "{}", run.text);
    }
    assert!(server.metrics().handshakes("resumed") >= 25);
}

#[test]
fn idle_connections_stay_open_through_phases_and_a_storm_and_are_weighed() {
    let loadgen = Loadgen::new(10, 1);
    let server = server(&loadgen, "revoked-serials.txt");
    let run = loadgen.run(
        &server,
        &format!(
            r#"{IDENTITIES}
[[mix]]
name = "idle"
work = "keepalive"
identities = "good"
[[phases]]
name = "open"
duration = "3s"
hold = 50
[[phases]]
name = "storm"
duration = "6s"
hold = 50
reconnect = true
"#
        ),
    );
    assert_eq!(run.code, Some(0), "{}", run.text);
    let (open, storm) = (run.phase("open"), run.phase("storm"));
    assert_eq!(
        (&open["idle"]["opened"], &open["idle"]["alive"]),
        (&50.into(), &50.into())
    );
    assert!(
        open["idle"]["server_memory"]["bytes_per_connection"].is_u64(),
        "{}",
        run.report
    );
    assert_eq!(
        (&storm["idle"]["opened"], &storm["idle"]["alive"]),
        (&0.into(), &50.into())
    );
    assert_eq!(
        (&storm["storm"]["dropped"], &storm["storm"]["reopened"]),
        (&50.into(), &50.into())
    );
    let all_after_ms = storm["storm"]["all_after_ms"].as_f64();
    assert!(all_after_ms.is_some_and(|ms| ms > 0.0 && ms < 6000.0), "{storm}");
    let metrics = server.metrics();
    assert_eq!(metrics.handshakes("full"), 100);
    assert_eq!(
        metrics.requests("2xx"),
        200,
        "when opened, at the end of a phase, and the same again"
    );
}

#[test]
fn openssl_judges_the_certificates_of_loadgen_as_their_names_say() {
    let loadgen = Loadgen::new(2, 2);
    let verify = |bundle: &str| {
        let output = Command::new("openssl")
            .args([
                "verify",
                "-crl_check",
                "-CAfile",
                "ca.pem",
                "-CRLfile",
                "revoked.crl",
            ])
            .args(["-purpose", "sslclient", "-untrusted", bundle, bundle])
            .current_dir(loadgen.path().join("pki"))
            .output()
            .expect("openssl is installed");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert!(
        verify("good.pem").contains("good.pem: OK"),
        "{}",
        verify("good.pem")
    );
    assert!(
        verify("expired.pem").contains("certificate has expired"),
        "{}",
        verify("expired.pem")
    );
    assert!(
        verify("revoked.pem").contains("certificate revoked"),
        "{}",
        verify("revoked.pem")
    );
    let untrusted = verify("untrusted.pem");
    assert!(
        untrusted.contains("verification failed") && !untrusted.contains(": OK"),
        "{untrusted}"
    );
}

/// scripts/soak in short.
#[test]
fn reloads_and_bad_clients_under_load_cost_no_good_client_and_no_record() {
    const RELOADS: u64 = 5;
    let loadgen = Loadgen::new(20, 5);
    let server = server(&loadgen, "revoked-serials.txt");
    let mut scenario = IDENTITIES.to_owned();
    for work in ["handshake", "resume", "keepalive", "h2"] {
        scenario +=
            &format!("[[mix]]\nname = \"{work}\"\nweight = 2\nwork = \"{work}\"\nidentities = \"good\"\n");
    }
    for bad in ["untrusted", "revoked"] {
        scenario += &entry(bad, 1, &format!("identities = \"{bad}\"\nexpect = \"refused\""));
    }
    let run = std::thread::scope(|scope| {
        let run = scope.spawn(|| loadgen.run(&server, &format!("{scenario}{HUNDRED}")));
        server.wait_for_metrics("load", |metrics| metrics.connections("Success") > 0);
        (0..RELOADS).for_each(|_| server.reload_published());
        run.join().unwrap()
    });
    assert_eq!(run.code, Some(0), "{}", run.text);
    let metrics = server.metrics();
    assert_eq!(
        metrics.get("bothways_reloads_total{result=\"published\"}"),
        RELOADS
    );
    assert_eq!(metrics.sum("bothways_records_dropped_total"), 0);
    let accepted = metrics.get("bothways_connections_accepted_total");
    assert_eq!(run.entry("revoked")["refusals"][0]["alert"], 44, "{}", run.text);
    assert_eq!(server.stop().len() as u64, accepted);
}
