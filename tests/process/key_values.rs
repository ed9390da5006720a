//! Key-value stores of a running server: commands, reloads, edits by hand, bad input.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;

use bothways_tests::control_socket::exchange;
use bothways_tests::server::{CONFIG_FILE, Ended, Reload, run_to_end};
use bothways_tests::{Config, Distribution, Server};

const SOCKET: &str = "control.sock";
const STORE: &str = "revocations";
const FILE: &str = "revocations.json";

fn config(import: &str) -> Config {
    Config::new()
        .distribution(Distribution::edge("none"))
        .control_socket(SOCKET)
        .key_value_store(STORE, import)
}

fn start(import: &str) -> Server {
    Server::start(config(import))
}

/// `bothways kvs <command> --config F <store> <arguments>`.
fn kvs(server: &Server, command: &str, arguments: &[&str]) -> Ended {
    server.command(&[&["kvs", command, "--config", CONFIG_FILE, STORE], arguments].concat())
}

fn done(ended: &Ended) -> &str {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    &ended.stdout
}

/// The ETag after a write, or beside a value.
fn etag(ended: &Ended) -> String {
    done(ended);
    let mut lines = ended.stdout.lines().chain(ended.stderr.lines());
    let etag = lines.find_map(|line| line.strip_prefix("ETag: "));
    etag.unwrap_or_else(|| panic!("{ended:?}")).to_owned()
}

fn refused(ended: &Ended, code: i32, parts: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(ended.stderr.starts_with("error: "), "{ended:?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "{ended:?}\n  wanted: {part}");
    }
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
}

fn on_disk(server: &Server) -> String {
    fs::read_to_string(server.path().join(FILE)).unwrap()
}

#[test]
fn a_serial_number_in_a_spelling_that_functions_never_see_is_told_of() {
    let server = start(r#"{"data":[{"key":"a","value":"1"}]}"#);
    let seen = "functions see 00:9e:2a:af:5c, which without colons is 009e2aaf5c";
    for spelling in ["9E2AAF5C", "9e:2a:af:5c", "serial=9E2AAF5C"] {
        let put = kvs(&server, "put", &[spelling, ""]);
        etag(&put);
        assert!(put.stderr.contains(seen), "{put:?}");
    }
    for other in ["009e2aaf5c", "00:9e:2a:af:5c", "alice"] {
        assert_eq!(kvs(&server, "put", &[other, ""]).stderr, "", "{other}");
    }
    server.write("more.json", r#"{"data":[{"key":"9E2AAF5C","value":""}]}"#);
    let import = kvs(&server, "import", &["more.json", "--merge"]);
    etag(&import);
    assert!(import.stderr.contains(seen), "{import:?}");
}

#[test]
fn keys_are_put_read_listed_and_deleted_on_a_running_server() {
    let server = start(r#"{"data":[{"key":"a","value":"1"}]}"#);
    let put = etag(&kvs(&server, "put", &["0a:0b", "-secret\n"]));
    let get = kvs(&server, "get", &["0a:0b"]);
    assert_eq!((done(&get), etag(&get)), ("-secret\n\n", put.clone()));
    assert_eq!(done(&kvs(&server, "list", &[])), "0a:0b\t-secret\\n\na\t1\n");
    assert_eq!(
        on_disk(&server),
        "{\"data\":[\n{\"key\":\"0a:0b\",\"value\":\"-secret\\n\"},\n{\"key\":\"a\",\"value\":\"1\"}\n]}\n"
    );
    let log = server.wait_for_log("key-value store written: put");
    assert!(
        log.contains(&put) && log.contains("0a:0b") && !log.contains("secret"),
        "{log}"
    );

    let describe = kvs(&server, "describe", &[]);
    for line in [
        "Name: revocations\n",
        "ItemCount: 2\n",
        "TotalSizeInBytes: 15\n",
        &format!("ETag: {put}\n"),
    ] {
        assert!(done(&describe).contains(line), "{describe:?}");
    }
    let json: serde_json::Value = serde_json::from_str(done(&kvs(&server, "list", &["--json"]))).unwrap();
    assert_eq!(json["items"][1], serde_json::json!({"key": "a", "value": "1"}));

    done(&kvs(&server, "delete", &["a"]));
    refused(&kvs(&server, "get", &["a"]), 1, &["there is no key \"a\""]);
    refused(&kvs(&server, "delete", &["a"]), 1, &["there is no key \"a\""]);
    server.stop();
}

#[test]
fn a_writer_whose_etag_is_out_of_date_is_told_the_current_one() {
    let server = start(r#"{"data":[]}"#);
    let first = etag(&kvs(&server, "describe", &[]));
    let second = etag(&kvs(&server, "put", &["a", "1", "--if-match", &first]));
    for late in [
        kvs(&server, "put", &["a", "2", "--if-match", &first]),
        kvs(&server, "delete", &["a", "--if-match", &first]),
        kvs(&server, "import", &[FILE, "--if-match", &first]),
    ] {
        refused(&late, 1, &["the store has changed", &second, "try again"]);
    }
    assert_eq!(done(&kvs(&server, "get", &["a"])), "1\n");
    done(&kvs(&server, "delete", &["a", "--if-match", &second]));
    assert_eq!(
        etag(&kvs(&server, "describe", &[])),
        first,
        "the same contents have the same ETag"
    );
}

#[test]
fn an_import_replaces_all_or_is_merged() {
    let server = start(r#"{"data":[{"key":"a","value":"1"}]}"#);
    server.write("more.json", r#"{"data":[{"key":"b","value":"2"}]}"#);
    done(&kvs(&server, "import", &["more.json", "--merge"]));
    assert_eq!(done(&kvs(&server, "list", &[])), "a\t1\nb\t2\n");
    done(&kvs(&server, "import", &["more.json"]));
    assert_eq!(done(&kvs(&server, "list", &[])), "b\t2\n");
    server.write(
        "twice.json",
        r#"{"data":[{"key":"c","value":""},{"key":"c","value":""}]}"#,
    );
    let twice = kvs(&server, "import", &["twice.json"]);
    refused(
        &twice,
        1,
        &["twice.json", "entry 2", "the key \"c\" has been given before"],
    );
    refused(&kvs(&server, "import", &["absent.json"]), 2, &["absent.json"]);
    assert_eq!(done(&kvs(&server, "list", &[])), "b\t2\n");
}

#[test]
fn what_breaks_a_limit_is_refused_with_the_limit() {
    let server = Server::start(
        config(r#"{"data":[]}"#)
            .limit("key_value_store_bytes", 1_024)
            .limit("key_bytes", 8)
            .limit("value_bytes", 600),
    );
    let long = "x".repeat(601);
    refused(
        &kvs(&server, "put", &["123456789", ""]),
        1,
        &["9 bytes, more than 8", "limits.key_bytes"],
    );
    refused(&kvs(&server, "put", &["", ""]), 1, &["the key is empty"]);
    refused(
        &kvs(&server, "put", &["a", &long]),
        1,
        &["601 bytes, more than 600", "limits.value_bytes"],
    );
    done(&kvs(&server, "put", &["a", &long[1..]]));
    refused(
        &kvs(&server, "put", &["b", &long[1..]]),
        1,
        &["more than 1024", "limits.key_value_store_bytes"],
    );
    server.write("large.json", vec![b' '; 1_025]);
    refused(
        &kvs(&server, "import", &["large.json"]),
        2,
        &[
            "large.json",
            "larger than 1024 bytes",
            "limits.key_value_store_bytes",
        ],
    );
    assert_eq!(done(&kvs(&server, "list", &[])).len(), 603);
}

#[test]
fn a_reload_reads_the_import_file_again_and_a_broken_one_keeps_the_old_state() {
    let server = start(r#"{"data":[{"key":"a","value":"1"}]}"#);
    server.write(FILE, r#"{"data":[{"key":"hand","value":"made"}]}"#);
    assert_eq!(done(&kvs(&server, "list", &[])), "a\t1\n", "not before a SIGHUP");
    server.reload_published();
    assert_eq!(done(&kvs(&server, "list", &[])), "hand\tmade\n");

    server.write(
        FILE,
        "{\"data\":[{\"key\":\"a\",\"value\":\"1\"},\n{\"key\":\"a\",\"value\":\"2\"}]}",
    );
    let Reload::Refused(line) = server.reload() else {
        panic!("a broken import file was published")
    };
    for part in ["key_value_stores[0].import", FILE, "entry 2", "line 2"] {
        assert!(line.contains(part), "{line}\n  wanted: {part}");
    }
    assert_eq!(done(&kvs(&server, "list", &[])), "hand\tmade\n");
}

#[test]
fn a_file_edited_by_hand_is_not_written_over() {
    let server = start(r#"{"data":[]}"#);
    let edited = r#"{"data":[{"key":"hand","value":"made"}]}"#;
    server.write(FILE, edited);
    refused(
        &kvs(&server, "put", &["a", "1"]),
        1,
        &[FILE, "changed on disk", "SIGHUP"],
    );
    assert_eq!(on_disk(&server), edited);
    server.reload_published();
    done(&kvs(&server, "put", &["a", "1"]));
    assert_eq!(done(&kvs(&server, "list", &[])), "a\t1\nhand\tmade\n");
}

#[test]
fn a_key_is_written_while_another_part_of_the_configuration_is_wrong() {
    let server = start(r#"{"data":[]}"#);
    let config = fs::read_to_string(server.path().join(CONFIG_FILE)).unwrap();
    let spoil = |from: &str, to: &str| {
        assert!(config.contains(from), "{config}");
        server.write(CONFIG_FILE, config.replacen(from, to, 1));
    };
    spoil("[[distributions]]", "[[distributions]]\nhalf_edited = 1");
    done(&kvs(&server, "put", &["a", "1"]));
    assert_eq!(done(&kvs(&server, "list", &[])), "a\t1\n");
    let reload = server.command(&["reload", "--config", CONFIG_FILE]);
    refused(&reload, 2, &["reload refused", "half_edited", "unknown key"]);

    spoil("socket = ", "sockt = ");
    let told = ["edge.toml: control.sockt: unknown key; did you mean \"socket\"?"];
    refused(&kvs(&server, "put", &["a", "2"]), 2, &told);
    spoil("[[distributions]]", "[[distributions");
    refused(
        &kvs(&server, "put", &["a", "2"]),
        2,
        &["edge.toml", "this is not TOML"],
    );
}

#[test]
fn stores_come_and_go_with_a_reload() {
    let server = start(r#"{"data":[{"key":"a","value":"1"}]}"#);
    done(&kvs(&server, "put", &["b", "2"]));
    server.write_config(
        &config(&on_disk(&server)).key_value_store("other", r#"{"data":[{"key":"o","value":""}]}"#),
    );
    server.reload_published();
    assert_eq!(done(&kvs(&server, "list", &[])), "a\t1\nb\t2\n");
    let other = server.command(&["kvs", "list", "--config", CONFIG_FILE, "other"]);
    assert_eq!(done(&other), "o\t\n");
    let stranger = server.command(&["kvs", "list", "--config", CONFIG_FILE, "revocation"]);
    refused(&stranger, 1, &["\"revocation\"", "\"revocations\", \"other\""]);
}

#[test]
fn only_the_owner_may_use_the_socket_and_it_goes_away_with_the_server() {
    let server = start(r#"{"data":[]}"#);
    let path = server.path().join(SOCKET);
    let found = fs::symlink_metadata(&path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o7777, 0o600);
    server.wait_for_log("ready listeners=");
    server.terminate();
    server.wait();
    assert!(!path.exists());
    refused(
        &kvs(&server, "list", &[]),
        2,
        &["no server can be reached", SOCKET],
    );
}

#[test]
fn the_socket_of_a_killed_server_is_taken_over_and_that_of_a_live_one_is_not() {
    let server = start(r#"{"data":[]}"#);
    let second = server.command(&["serve", "--config", CONFIG_FILE]);
    refused(
        &second,
        2,
        &["control.socket", SOCKET, "another server has this socket"],
    );
    done(&kvs(&server, "put", &["a", "1"]));
    let server = server.restart_after_kill();
    assert_eq!(done(&kvs(&server, "get", &["a"])), "1\n");
}

#[test]
fn a_file_in_the_place_of_the_socket_is_not_removed() {
    let config = config(r#"{"data":[]}"#).file(SOCKET, "precious");
    let ended = run_to_end("serve", &config, &config.render());
    refused(&ended, 2, &["control.socket", "is no socket", "(line "]);
}

#[test]
fn a_stuck_client_keeps_nobody_waiting() {
    let server = start(r#"{"data":[]}"#);
    let path = server.path().join(SOCKET);
    let mut stuck: Vec<UnixStream> = (0..8).map(|_| UnixStream::connect(&path).unwrap()).collect();
    done(&kvs(&server, "put", &["a", "1"]));
    for stream in &mut stuck {
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.contains("\"bad_request\""), "{reply}");
    }
}

#[test]
fn what_is_no_request_is_told_so() {
    let server = start(r#"{"data":[]}"#);
    let socket = server.path().join(SOCKET);
    for request in [
        "\n",
        "GET / HTTP/1.1\r\n",
        "{\"command\":\"kvs drop\",\"store\":\"revocations\"}\n",
    ] {
        let reply = exchange(&socket, request).unwrap();
        assert_eq!(
            (&reply["ok"], &reply["error"]),
            (&false.into(), &"bad_request".into()),
            "{reply}"
        );
    }
    assert_eq!(
        exchange(&socket, "x".repeat(1_000_000)).unwrap()["error"],
        "bad_request"
    );
    let large = r#"{"command":"kvs import","store":"revocations","bytes":99999999}"#;
    let reply = exchange(&socket, format!("{large}\n")).unwrap();
    assert!(
        reply["message"]
            .as_str()
            .unwrap()
            .contains("key_value_store_bytes"),
        "{reply}"
    );
    server.stop();
}

#[test]
fn a_function_that_nobody_made_is_not_published() {
    let server = start(r#"{"data":[]}"#);
    let ended = server.command(&["function", "publish", "--config", CONFIG_FILE, "deny-all"]);
    refused(&ended, 1, &["\"deny-all\""]);
}

#[test]
fn a_command_without_a_server_or_a_socket_says_what_to_do() {
    let config = Config::new().distribution(Distribution::edge("none"));
    let server = Server::start(config);
    refused(&kvs(&server, "list", &[]), 2, &["[control]", "edge.toml"]);
    refused(
        &server.command(&["kvs", "list", "--config", "absent.toml", STORE]),
        2,
        &["absent.toml"],
    );
    let usage = kvs(&server, "put", &["a", "1", "--if-match", "x"]);
    assert_eq!(usage.code, Some(2), "{usage:?}");
    assert!(usage.stderr.contains("64 hexadecimal digits"), "{usage:?}");
}

/// `check` and `serve` refuse this import file with all of `named` in the message.
fn import_refused(config: &Config, named: &[&str]) {
    for command in ["check", "serve"] {
        let ended = run_to_end(command, config, &config.render());
        refused(
            &ended,
            2,
            &[&["key_value_stores[0].import", FILE], named].concat(),
        );
    }
}

#[test]
fn an_import_file_that_cannot_be_used_ends_the_start() {
    import_refused(
        &config("{\"data\":[\n{\"key\":\"a\",\"value\":7}]}"),
        &["entry 1", "line 2", "a string"],
    );
    import_refused(&config(r#"{"data":[],"more":1}"#), &["unknown member \"more\""]);
    import_refused(&config("\u{feff}{}"), &["byte order mark"]);
    import_refused(
        &config(&" ".repeat(5_242_881)),
        &["more than 5242880 bytes", "limits.key_value_store_bytes"],
    );
    let absent = config("{}");
    let text = absent.render().replace(FILE, "absent.json");
    refused(
        &run_to_end("check", &absent, &text),
        2,
        &["key_value_stores[0].import", "absent.json"],
    );
}
