//! An address belongs to one server, and what a server may open is told when it starts.

use bothways_tests::server::{Ended, run_to_end};
use bothways_tests::{Client, Config, Server};

/// Line of the configuration by which the harness lets the kernel choose an address. The admin endpoint's
/// line comes first, then the listeners' lines.
const ANYWHERE: &str = "address = \"127.0.0.1:0\"";

/// The usual edge at this address.
fn edge_at(address: &str) -> String {
    let text = Config::edge("none").without_admin().render();
    text.replacen(ANYWHERE, &format!("address = {address:?}"), 1)
}

fn refused(ended: &Ended, address: &str) {
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    for part in [
        address,
        "another process (bothways, process ",
        ") listens",
        "reuse_port",
    ] {
        assert!(ended.stderr.contains(part), "no {part:?}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("ready listeners="), "{}", ended.stderr);
}

#[test]
fn a_second_server_at_an_address_is_refused_and_the_first_serves_on() {
    for (cores, ip) in [(1, "127.0.0.1"), (2, "0.0.0.0")] {
        let server = Server::start(Config::edge("none").cores(cores));
        let port = server.address().port();
        let address = format!("{ip}:{port}");
        let ended = run_to_end("serve", &Config::edge("none"), &edge_at(&address));
        refused(&ended, &address);
        for _ in 0..8 {
            assert!(Client::new().get(server.address()).outcome.is_ok());
        }
        assert_eq!(server.stop().len(), 8, "every connection was the first server's");
    }
}

/// The kernel takes the ring of a killed process apart in its own time, and its listening socket with it.
#[test]
fn a_server_that_is_started_at_once_behind_a_killed_one_gets_its_address() {
    let port = {
        let server = Server::start(Config::edge("none"));
        server.address().port()
    };
    for _ in 0..5 {
        let text = edge_at(&format!("127.0.0.1:{port}"));
        let server = Server::start_as(Config::edge("none").without_admin(), text);
        assert!(Client::new().get(server.address()).outcome.is_ok());
        server.kill();
        server.wait();
    }
}

#[test]
fn the_address_of_another_servers_admin_endpoint_is_refused_in_either_place() {
    let server = Server::start(Config::edge("none"));
    let port = server.address().port();
    let text = Config::edge("none").render();
    let admin_at_listener = text.replacen(ANYWHERE, &format!("address = \"127.0.0.1:{port}\""), 1);
    let ended = run_to_end("serve", &Config::edge("none"), &admin_at_listener);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let said =
        format!("admin.address: cannot listen on 127.0.0.1:{port}: another process listens there already");
    assert!(ended.stderr.contains(&said), "{}", ended.stderr);
}

#[test]
fn servers_that_both_share_their_address_run_side_by_side() {
    let shared = |text: String| text.replacen("[runtime]", "[runtime]\nreuse_port = true", 1);
    let old = Server::start_as(Config::edge("none"), shared(Config::edge("none").render()));
    let port = old.address().port();
    let text = shared(edge_at(&format!("127.0.0.1:{port}")));
    let new = Server::start_as(Config::edge("none"), text);
    assert_eq!(new.address(), old.address());
    assert!(old.stop().is_empty(), "nobody came while both ran");
    assert!(Client::new().get(new.address()).outcome.is_ok());
    assert_eq!(new.stop().len(), 1);
}

#[test]
fn too_few_descriptors_are_told_at_the_start_with_numbers_and_a_remedy() {
    let server = Server::start_after("ulimit -n 1000", Config::edge("none"));
    let line = server.wait_for_log("RLIMIT_NOFILE");
    for part in [
        "may_open=1000",
        "needed=2256",
        "LimitNOFILE=",
        "connections_per_core",
    ] {
        assert!(line.contains(part), "no {part:?}: {line}");
    }
    let enough = Config::edge("none").limit("connections_per_core", 500);
    let server = Server::start_after("ulimit -Sn 300; ulimit -Hn 1000", enough);
    assert!(Client::new().get(server.address()).outcome.is_ok());
    let said = server.log().iter().any(|line| line.contains("RLIMIT_NOFILE"));
    assert!(!said, "{:?}", server.log());
}
