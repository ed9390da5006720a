//! Files that block, and reloads with an answer: whatever a named file has become, a reload ends, and whoever
//! asked hears how.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use bothways_tests::server::{CONFIG_FILE, Ended, Reload};
use bothways_tests::{Client, Config, Distribution, Identity, Pki, Record, Server, TrustStore};

use crate::witnesses::{assert_admitted, assert_refused};

const SERIALS: &str = "serials.txt";
const REVOKED: &str = "ClientCertRejected";
const SIGUSR1: i32 = 10;

/// Two trust stores, two distributions; nobody is revoked.
fn config() -> Config {
    Config::new()
        .control_socket("control.sock")
        .trust_store(TrustStore::partners().revocations(SERIALS, "# nobody\n01\n"))
        .key_value_store("values", r#"{"data":[]}"#)
        .distribution(Distribution::edge("required"))
}

fn client() -> (Identity, Client) {
    let identity = Pki::shared().client("alice");
    let client = Client::with_identity(&identity);
    (identity, client)
}

fn serial(identity: &Identity) -> String {
    format!("{}\n", identity.serial_text())
}

fn reload(server: &Server) -> Ended {
    server.command(&["reload", "--config", CONFIG_FILE])
}

/// A FIFO that nobody writes to, in the place of the file.
fn become_a_fifo(server: &Server, file: &str) -> PathBuf {
    let path = server.path().join(file);
    let _it_may_be_new = fs::remove_file(&path);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

#[test]
fn a_list_that_is_a_fifo_refuses_one_reload_and_holds_up_none_after_it() {
    let server = Server::start(config());
    let (alice, client) = client();
    assert_admitted(&server, &client.get(server.address()), Some(&alice));

    let fifo = become_a_fifo(&server, SERIALS);
    let Reload::Refused(line) = server.reload() else {
        panic!("published");
    };
    assert!(
        line.contains("serials.txt: it is a FIFO, not a regular file"),
        "{line}"
    );

    fs::remove_file(fifo).unwrap();
    server.write(SERIALS, serial(&alice));
    server.reload_published();
    let attempt = Client::with_identity(&alice).get(server.address());
    assert_refused(&server, &attempt, &[44], REVOKED);
    let metrics = server.metrics();
    assert_eq!(metrics.get("bothways_reloads_total{result=\"refused\"}"), 1);
    assert_eq!(metrics.get("bothways_reload_under_way_seconds"), 0);
}

#[test]
fn every_kind_of_named_file_may_be_a_fifo_without_holding_up_a_reload_or_the_end() {
    let server = Server::start(config().connection_function(
        "gate",
        "function connectionHandler(c) { c.allow(); }",
        None,
    ));
    let names = fs::read_dir(server.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: Vec<String> = names.filter(|name| !name.ends_with(".sock")).collect();
    assert!(
        files.len() >= 7,
        "configuration, chain, key, bundle, list, function, import file: {files:?}"
    );
    for file in files {
        let contents = fs::read(server.path().join(&file)).unwrap();
        let fifo = become_a_fifo(&server, &file);
        let Reload::Refused(line) = server.reload() else {
            panic!("{file}: published");
        };
        assert!(line.contains("a FIFO, not a regular file"), "{file}: {line}");
        fs::remove_file(fifo).unwrap();
        server.write(&file, contents);
        server.reload_published();
    }
    let fifo = become_a_fifo(&server, "values.json");
    for _ in 0..5 {
        let put = server.command(&["kvs", "put", "--config", CONFIG_FILE, "values", "k", "v"]);
        assert_eq!(put.code, Some(1), "{put:?}");
    }
    fs::remove_file(fifo).unwrap();
    server.stop();
}

#[test]
fn a_log_that_is_a_fifo_without_a_reader_keeps_nobody_from_starting_and_ending() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("log.fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let path: &'static str = fifo.to_str().unwrap().to_owned().leak();
    let server = Server::start(config().records_to(path));
    server.wait_for_log("nobody reads this FIFO");
    let (_, client) = client();
    assert!(client.get(server.address()).outcome.is_ok());
    let lost = "bothways_records_dropped_total{reason=\"sink_error\"}";
    server.wait_for_metrics("the record is lost", |metrics| metrics.get(lost) == 1);
    // Without waiting for a writer: the server opens it when it has something to write.
    let reader = fs::File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&fifo)
        .unwrap();
    assert!(client.get(server.address()).outcome.is_ok());
    let written = "bothways_records_written_total";
    server.wait_for_metrics("the next is written", |metrics| metrics.get(written) == 1);
    let mut record = String::new();
    let _until_there_is_no_more = BufReader::new(reader).read_line(&mut record);
    assert_eq!(Record::parse(record.trim_end()).status(), "Success");
    server.stop();
}

#[test]
fn a_reload_that_was_asked_for_is_answered_with_what_it_has_changed() {
    let server = Server::start(config());
    let (alice, client) = client();
    assert_admitted(&server, &client.get(server.address()), Some(&alice));
    server.write(SERIALS, format!("02\n{}", serial(&alice)));
    let ended = reload(&server);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        ended.stdout,
        "reload published: generation 2; distributions: 1; revocation entries: partners 2 (before: 1)\n"
    );
    // The answer comes when the new snapshot is in force, and not before.
    let attempt = Client::with_identity(&alice).get(server.address());
    assert_refused(&server, &attempt, &[44], REVOKED);

    let json = server.command(&["reload", "--config", CONFIG_FILE, "--json"]);
    assert!(
        json.stdout
            .contains(r#""generation":3,"distributions":1,"revocation_entries":{"partners":2}"#),
        "{json:?}"
    );
}

#[test]
fn a_reload_that_is_refused_tells_whoever_asked_for_it_why() {
    let server = Server::start(config());
    server.write(SERIALS, "none of the clients\n");
    let ended = reload(&server);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.stderr.contains("reload refused, the old snapshot stays: ") && ended.stderr.contains(SERIALS),
        "{ended:?}"
    );
    let (alice, client) = client();
    assert_admitted(&server, &client.get(server.address()), Some(&alice));
}

#[test]
fn a_reload_without_a_server_or_a_usable_configuration_says_so() {
    let server = Server::start(config());
    server.write("other.toml", fs::read(server.path().join(CONFIG_FILE)).unwrap());
    server.write(CONFIG_FILE, "not TOML");
    assert_eq!(reload(&server).code, Some(2));
    server.kill();
    server.wait();
    let ended = server.command(&["reload", "--config", "other.toml"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("no server can be reached at"), "{ended:?}");
}

#[test]
fn only_the_log_is_opened_anew_by_sigusr1_and_by_the_command() {
    let server = Server::start(config().records_to("connection.log"));
    let log = server.path().join("connection.log");
    let get = || Client::new().get(server.address());
    let lines = |path: &PathBuf| fs::read_to_string(path).unwrap_or_default().lines().count();
    let written = |count| {
        let series = "bothways_records_written_total";
        server.wait_for_metrics("records are written", |metrics| metrics.get(series) == count);
    };
    get();
    written(1);
    let first = server.path().join("connection.log.1");
    fs::rename(&log, &first).unwrap();
    let ended = server.command(&["logs", "reopen", "--config", CONFIG_FILE]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.ends_with("connection.log: reopened\n"), "{ended:?}");
    get();
    written(2);
    assert_eq!((lines(&first), lines(&log)), (1, 1));

    let second = server.path().join("connection.log.2");
    fs::rename(&log, &second).unwrap();
    server.signal(SIGUSR1);
    while !log.exists() {
        std::thread::yield_now();
    }
    get();
    written(3);
    assert_eq!((lines(&second), lines(&log)), (1, 1));
    assert_eq!(server.metrics().get("bothways_snapshot_generation"), 1);

    let again = server.command(&["logs", "reopen", "--config", CONFIG_FILE]);
    assert!(again.stdout.contains("what is open already"), "{again:?}");
    fs::rename(&log, &first).unwrap();
    fs::create_dir(&log).unwrap();
    let refused = server.command(&["logs", "reopen", "--config", CONFIG_FILE]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("the file that is open stays in use"),
        "{refused:?}"
    );
}
