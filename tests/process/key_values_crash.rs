//! kill -9 at any moment: what was acknowledged is there after the restart.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use bothways_tests::control_socket::exchange;
use bothways_tests::{Config, Distribution, Server};

const SOCKET: &str = "control.sock";
const KILLS: usize = 20;

fn request(command: &str, rest: &str) -> String {
    format!("{{\"command\":\"kvs {command}\",\"store\":\"s\"{rest}}}\n")
}

/// Puts one number after the other, and tells each that was acknowledged, until the server is gone.
fn put_numbers(socket: PathBuf, from: usize) -> Receiver<usize> {
    let (tell, told) = channel();
    thread::spawn(move || {
        for number in from.. {
            let put = request("put", &format!(",\"key\":\"{number}\",\"value\":\"\""));
            match exchange(&socket, put) {
                Ok(reply) => assert_eq!(reply["ok"], true, "{reply}"),
                Err(_) => return,
            }
            if tell.send(number).is_err() {
                return;
            }
        }
    });
    told
}

#[test]
fn no_acknowledged_write_is_lost_to_kill_9() {
    let config = Config::new()
        .without_admin()
        .distribution(Distribution::edge("none"))
        .control_socket(SOCKET)
        .key_value_store("s", r#"{"data":[]}"#);
    let mut server = Server::start(config);
    let mut next = 0;
    for round in 0..KILLS {
        let acknowledged = put_numbers(server.path().join(SOCKET), next);
        // Each time after another number of writes; the writer is anywhere in the next one by then.
        acknowledged.iter().take(1 + round % 7).for_each(drop);
        server = server.restart_after_kill();
        let last = acknowledged.iter().last();
        let reply = exchange(&server.path().join(SOCKET), request("list", "")).unwrap();
        let items = reply["items"].as_array().unwrap();
        let mut numbers: Vec<usize> = items
            .iter()
            .map(|item| item["key"].as_str().unwrap().parse().unwrap())
            .collect();
        numbers.sort_unstable();
        let held = numbers.len();
        assert!(numbers.iter().copied().eq(0..held), "round {round}: {numbers:?}");
        // One more at most: written, and its answer lost.
        assert!(
            last.is_none_or(|last| held > last && held <= last + 2),
            "round {round}: {held} after {last:?}"
        );
        next = held;
    }
    assert!(next >= KILLS);
}
