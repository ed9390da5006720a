//! The operator's messages when nobody hears them: no core waits for them, nothing ends because of them.

use std::os::unix::net::UnixStream;

use bothways_tests::unheard::Unheard;
use bothways_tests::{Client, Config, Distribution, Outcome};

const SIGHUP: i32 = 1;
const SIGTERM: i32 = 15;
/// More lines than a pipe of 4 KiB holds.
const RELOADS: u64 = 60;

/// Every request makes the core say that the origin is down.
fn with_a_dead_origin() -> Config {
    Config::new().distribution(Distribution::edge("none").proxies_to("http://127.0.0.1:1"))
}

fn status(server: &Unheard) -> u16 {
    match Client::new().get(server.address()).outcome {
        Outcome::Ok { response, .. } => response.status,
        other => panic!("no response: {other:?}"),
    }
}

fn reload(server: &mut Unheard, times: u64) {
    for number in 0..times {
        server.signal(SIGHUP);
        server.wait_for_metrics(|metrics| metrics.get("bothways_snapshot_generation") == 2 + number);
    }
}

#[test]
fn a_stderr_that_nobody_reads_holds_up_neither_clients_nor_reloads_nor_the_end() {
    let mut server = Unheard::not_read(&with_a_dead_origin());
    reload(&mut server, RELOADS);
    assert_eq!(status(&server), 502, "the core had something to say");
    assert_eq!(status(&server), 502, "and goes on");
    server.signal(SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn what_waited_for_a_reader_is_told_when_there_is_one_again() {
    let mut server = Unheard::not_read(&with_a_dead_origin());
    reload(&mut server, RELOADS);
    let heard = server.read_again();
    let lines = heard.until(&format!("reload published generation={} ", RELOADS + 1));
    let published = lines
        .iter()
        .filter(|line| line.contains("reload published"))
        .count();
    assert_eq!(published as u64, RELOADS, "{lines:#?}");
    server.signal(SIGTERM);
    heard.until("drained");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_stderr_whose_reader_has_gone_ends_nothing_and_the_losses_are_counted() {
    let mut server = Unheard::reader_gone(&with_a_dead_origin());
    assert_eq!(status(&server), 502);
    reload(&mut server, 2);
    let lost = "bothways_messages_dropped_total{reason=\"sink_error\"}";
    let metrics = server.wait_for_metrics(|metrics| metrics.get(lost) >= 3);
    assert_eq!(metrics.get("bothways_panics_total"), 0, "{metrics:#?}");
    assert_eq!(status(&server), 502);
    server.signal(SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_stderr_on_a_full_disk_keeps_nobody_from_starting_reloading_and_ending() {
    let config = with_a_dead_origin().control_socket("control.sock");
    let mut server = Unheard::disk_full(&config, "control.sock");
    server.signal(SIGHUP);
    UnixStream::connect(server.workdir().file("control.sock")).expect("it goes on");
    server.signal(SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}
