//! Scenarios that are accepted, and what is said of those that are not.

use std::path::Path;
use std::time::Duration;

use clap::Parser;

use super::source::Source;
use crate::options::{Cipher, Expect, Options, Tls, Work};
use crate::plan::phase::{Pace, Ramp};
use crate::plan::{Plan, UsageError};

const S: Duration = Duration::from_secs(1);

fn plan_beside(text: &str, arguments: &str) -> Result<Plan, UsageError> {
    let words = ["loadgen", "--scenario", "dir/load.toml"];
    let options = Options::try_parse_from(words.into_iter().chain(arguments.split_whitespace()));
    let source = Source::new(Path::new("dir/load.toml"), text.to_owned());
    super::build(&source, &options.expect("clap accepts the arguments"), &[0, 1])
}

fn plan(text: &str) -> Plan {
    plan_beside(text, "").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn complaint(text: &str) -> String {
    match plan_beside(text, "") {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(UsageError(message)) => message,
    }
}

const MINIMAL: &str = r#"
[target]
address = "127.0.0.1:1"
insecure = true

[[mix]]
name = "full"
work = "handshake"

[[phases]]
name = "hold"
duration = "10s"
clients = 4
"#;

/// The minimal scenario with one piece of its text replaced.
fn edited(from: &str, to: &str) -> String {
    assert!(MINIMAL.contains(from), "{from:?}");
    MINIMAL.replacen(from, to, 1)
}

#[test]
fn a_minimal_scenario_is_a_plan() {
    let plan = plan(MINIMAL);
    assert_eq!(
        (plan.clients, plan.connections, plan.warm_up()),
        (4, 4, Duration::ZERO)
    );
    assert_eq!(plan.duration(), Some(10 * S));
    assert_eq!(
        (plan.entries[0].work, plan.entries[0].weight, plan.entries[0].set),
        (Work::Handshake, 1, None)
    );
    assert_eq!(plan.timeout, 10 * S);
}

#[test]
fn phases_follow_each_other_and_the_first_may_be_a_warm_up() {
    let text = edited(
        "clients = 4\n",
        "clients = { from = 0, to = 8 }\nmeasured = false\n[[phases]]\nname = \"spike\"\nduration = \"500ms\"\nrate = 1000\nclients = 50\n",
    );
    let plan = plan(&text);
    assert_eq!((plan.warm_up(), plan.duration()), (10 * S, Some(S / 2)));
    assert_eq!(plan.phases[0].pace, Pace::Closed(Ramp { from: 0.0, to: 8.0 }));
    let (rate, clients) = (Ramp::constant(1000.0), 50);
    assert_eq!(plan.phases[1].pace, Pace::Open { rate, clients });
    assert_eq!(
        (plan.phases[1].start, plan.phases[1].end),
        (10 * S, 10 * S + S / 2)
    );
    assert_eq!((plan.clients, plan.rate()), (50, Some(1000.0)));
}

#[test]
fn everything_that_an_entry_can_say_is_taken() {
    let text = edited(
        "work = \"handshake\"\n",
        r#"work = "h2"
weight = 7
identities = "many"
path = "/1k"
method = "HEAD"
headers = { X-Test = "yes" }
streams = 8
requests_per_connection = 100
think_time = "100ms"
think_spread = "50ms"
response_bytes = { from = 10, to = 20 }
tls = "1.3"
cipher = "aes128"
[[identities]]
name = "many"
bundle = "pki/good.pem"
"#,
    );
    let plan = plan(&text);
    let entry = &plan.entries[0];
    assert_eq!((entry.weight, entry.streams, entry.set), (7, 8, Some(0)));
    assert_eq!(entry.response_bytes, Some(10..=20));
    assert_eq!(entry.think.unwrap().spread, Duration::from_millis(50));
    assert_eq!(
        (entry.tls.tls, entry.tls.cipher),
        (Some(Tls::V13), Some(Cipher::Aes128))
    );
    assert_eq!(
        plan.sets[0].bundles,
        [Path::new("dir/pki/good.pem")],
        "relative to the scenario's folder"
    );
    assert_eq!(
        plan.clients_together, 8,
        "clients that share connections are on one thread"
    );
}

#[test]
fn options_win_over_the_target() {
    let plan = plan_beside(
        MINIMAL,
        "--address 127.0.0.1:9 --sni b.example --tls 1.2 --timeout 3s --cores 2",
    );
    let plan = plan.unwrap();
    assert_eq!(plan.address.port(), 9);
    assert_eq!(plan.server_name.to_str(), "b.example");
    assert_eq!(plan.entries[0].tls.tls, Some(Tls::V12));
    assert_eq!((plan.timeout, plan.cores.len()), (3 * S, 2));
}

#[test]
fn options_that_a_scenario_says_are_refused_beside_it() {
    for option in [
        "--mode h2",
        "--rate 5",
        "--duration 3s",
        "--path /x",
        "--expect ok",
        "--connections 2",
    ] {
        let words = ["loadgen", "--scenario", "x.toml"];
        let error = Options::try_parse_from(words.into_iter().chain(option.split(' '))).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("cannot be used with"), "{error}");
    }
}

#[test]
fn an_entry_that_is_to_be_refused_and_its_statuses() {
    let plan = plan(&edited(
        "work = \"handshake\"",
        "work = \"handshake\"\nexpect = \"refused\"\nrefusal_status = [400]",
    ));
    assert_eq!(plan.entries[0].expect, Expect::Refused);
    assert_eq!(
        (plan.expect(), plan.entries[0].refusal_status.as_slice()),
        (Expect::Refused, [400].as_slice())
    );
}

#[test]
fn mistakes_are_told_with_file_line_key_and_remedy() {
    for (from, to, expected) in [
        ("clients = 4", "clients = [", "load.toml:13: this is not TOML"),
        (
            "clients = 4",
            "connections = 4",
            "load.toml:13: phases[0].connections: no such key; known here: name, duration, clients, rate",
        ),
        (
            "clients = 4",
            "clients = \"x\"",
            "load.toml:13: phases[0].clients: invalid type: string \"x\", expected a number, or { from",
        ),
        (
            "clients = 4",
            "clients = { from = 1 }",
            "to is missing; add to = …",
        ),
        (
            "clients = 4",
            "clients = -1",
            "load.toml:13: phases[0].clients: must be between 0 and",
        ),
        (
            "clients = 4",
            "",
            "load.toml:10: phases[0]: says no load; give clients",
        ),
        (
            "clients = 4",
            "rate = 5\nclients = { from = 1, to = 2 }",
            "load.toml:14: phases[0].clients: is a limit beside rate",
        ),
        (
            "clients = 4",
            "hold = 5",
            "phases[0].hold_entry: give the entry of the mix with work = \"keepalive\"",
        ),
        (
            "clients = 4",
            "clients = 1\nreconnect = true",
            "phases[0].reconnect: nothing is open yet",
        ),
        (
            "clients = 4",
            "clients = 1\n[[phases]]\nname = \"b\"\nduration = \"2s\"\nreconnect = true\nreconnect_within = \"2s\"",
            "phases[1].reconnect_within: must be shorter than the phase",
        ),
        (
            "clients = 4",
            "clients = 1\nmeasured = false",
            "phases: none of them is measured",
        ),
        (
            "\"10s\"",
            "\"10 parsecs\"",
            "load.toml:12: phases[0].duration: write 500ms, 10s, 2m or 1h",
        ),
        ("\"10s\"", "0", "phases[0].duration: must be above zero"),
        (
            "\"10s\"",
            "\"23h\"\nclients = 1\n[[phases]]\nname = \"b\"\nduration = \"2h\"",
            "phases[1].duration: must be above zero, and all",
        ),
        (
            "work = \"handshake\"",
            "work = \"x\"",
            "load.toml:8: mix[0].work: unknown variant `x`, expected one of `handshake`",
        ),
        (
            "work = \"handshake\"",
            "",
            "load.toml:6: mix[0]: work is missing; add work = …",
        ),
        (
            "work = \"handshake\"",
            "work = \"handshake\"\nstreams = 4",
            "mix[0].streams: has a meaning only with work = \"h2\"",
        ),
        (
            "work = \"handshake\"",
            "work = \"h2\"\nexpect = \"refused\"",
            "mix[0].expect: has a meaning only with work = \"handshake\"",
        ),
        (
            "work = \"handshake\"",
            "work = \"handshake\"\nidentities = \"x\"",
            "mix[0].identities: there are no [[identities]] of the name \"x\"",
        ),
        (
            "work = \"handshake\"",
            "work = \"handshake\"\npath = \"x\"",
            "mix[0].path: \"x\" must start with /",
        ),
        (
            "work = \"handshake\"",
            "work = \"handshake\"\nheaders = { Host = \"x\" }",
            "mix[0].headers.Host: host is set by loadgen itself",
        ),
        (
            "work = \"handshake\"",
            "work = \"handshake\"\nweight = 0",
            "mix: no entry has a weight above zero",
        ),
        (
            "work = \"handshake\"",
            "work = \"handshake\"\nthink_spread = \"1s\"",
            "mix[0].think_spread: has a meaning only with think_time",
        ),
        (
            "insecure = true",
            "",
            "target.ca: how should the server be verified? Give ca",
        ),
        (
            "insecure = true",
            "insecure = true\nca = [\"x\"]",
            "target.ca: has no meaning beside insecure = true",
        ),
        (
            "address = \"127.0.0.1:1\"",
            "",
            "target: nothing to load: give a URL",
        ),
        (
            "[target]",
            "[[identities]]\nname = \"a\"\ncert = \"x\"\n[target]",
            "identities[0]: give either cert and key, or a bundle",
        ),
        (
            "[target]",
            "thresholds = [\"p99 < 20ms\", \"p99 < 20\"]\n[target]",
            "load.toml:2: thresholds[1]: \"p99 < 20\" is no threshold; write \"p99 < 20ms\"",
        ),
        (
            "[target]",
            "[targets]",
            "load.toml:2: targets: no such key; known here: seed, wait, thresholds, target",
        ),
    ] {
        let complaint = complaint(&edited(from, to));
        assert!(
            complaint.starts_with("dir/load.toml") && complaint.contains(expected),
            "{to}: {complaint}"
        );
    }
}

#[test]
fn a_client_does_not_think_in_an_open_loop() {
    let text = edited("clients = 4", "rate = 4").replace(
        "work = \"handshake\"",
        "work = \"handshake\"\nthink_time = \"1s\"",
    );
    assert!(
        complaint(&text).contains("mix[0].think_time: has no meaning in an open loop"),
        "{text}"
    );
}
