//! `bothways connections`: who is connected to a running server, and who is not.

use bothways_tests::pki::Pki;
use bothways_tests::server::{CONFIG_FILE, Ended};
use bothways_tests::tls_client::Connection;
use bothways_tests::{Client, Config, Distribution, Server, TrustStore};
use serde_json::Value;

fn config(mode: &str) -> Config {
    Config::new()
        .trust_store(TrustStore::partners().revocations("serials.txt", ""))
        .distribution(Distribution::edge(mode))
        .control_socket("control.sock")
}

fn open(server: &Server, client: &Client) -> Connection {
    let mut connection = client.connect(server.address()).unwrap();
    assert!(connection.exchange(&client.request("GET", "/", "")).is_ok());
    connection
}

fn ask(server: &Server, arguments: &[&str]) -> Ended {
    server.command(&[&["connections", "--config", CONFIG_FILE], arguments].concat())
}

fn told(server: &Server, arguments: &[&str]) -> Value {
    let ended = ask(server, &[arguments, &["--json"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

/// Ports of the clients that meet the conditions, in order.
fn ports(server: &Server, arguments: &[&str]) -> Vec<u64> {
    let answer = told(server, arguments);
    let rows = answer["connections"].as_array().unwrap();
    assert_eq!(answer["matched"], rows.len(), "{answer}");
    let mut ports: Vec<u64> = rows
        .iter()
        .map(|row| row["clientPort"].as_u64().unwrap())
        .collect();
    ports.sort_unstable();
    ports
}

fn sorted(connections: &[&Connection]) -> Vec<u64> {
    let mut ports: Vec<u64> = connections.iter().map(|it| u64::from(it.port)).collect();
    ports.sort_unstable();
    ports
}

#[test]
fn who_is_connected_is_listed_by_serial_subject_address_and_distribution() {
    let server = Server::start(config("optional").cores(2));
    let (alice, bob) = (Pki::shared().client("alice"), Pki::shared().client("bob"));
    let a = Client::with_identity(&alice);
    // The second connection of a client is resumed.
    let (first, second) = (open(&server, &a), open(&server, &a));
    let third = open(&server, &Client::with_identity(&bob));
    let nobody = open(&server, &Client::new());

    let all = sorted(&[&first, &second, &third, &nobody]);
    assert_eq!(ports(&server, &[]), all);
    assert_eq!(ports(&server, &["--address", "127.0.0.1"]), all);
    assert_eq!(ports(&server, &["--address", "::1"]), [0_u64; 0]);
    let of_alice = sorted(&[&first, &second]);
    let serial = alice.serial_text();
    let other_spelling = format!("0x00{}", serial.replace(':', "").to_uppercase());
    for spelling in [serial.as_str(), other_spelling.as_str()] {
        assert_eq!(ports(&server, &["--serial", spelling]), of_alice, "{spelling}");
    }
    assert_eq!(ports(&server, &["--subject", "cn=BOB"]), sorted(&[&third]));
    assert_eq!(
        ports(&server, &["--subject", "bob", "--serial", &serial]),
        [0_u64; 0]
    );
    assert_eq!(ports(&server, &["--distribution", "nowhere"]), [0_u64; 0]);

    let answer = told(&server, &["--subject", "bob"]);
    let row = &answer["connections"][0];
    assert_eq!(row["clientLeafCertSerialNumber"], bob.serial_text(), "{answer}");
    assert_eq!(row["clientLeafCertSubject"], bob.subject_in_records(), "{answer}");
    assert_eq!(row["requests"], 1, "{answer}");
    assert_eq!(row["httpVersion"], "HTTP/1.1", "{answer}");
    // The record, when it comes, has the same name.
    let id = row["connectionId"].as_str().unwrap().to_owned();
    let port = third.port;
    drop(third);
    assert_eq!(server.record_of(port).text("connectionId"), Some(id.as_str()));
    assert_eq!(ports(&server, &["--subject", "bob"]), [0_u64; 0]);
}

#[test]
fn the_table_has_a_line_for_each_and_says_what_it_leaves_out() {
    let server = Server::start(config("required"));
    let client = Client::with_identity(&Pki::shared().client("alice"));
    let _open: Vec<_> = (0..3).map(|_| open(&server, &client)).collect();
    let all = ask(&server, &[]);
    assert_eq!((all.code, all.stdout.lines().count()), (Some(0), 3), "{all:?}");
    assert_eq!(all.stderr, "3 open\n");
    let fields: Vec<&str> = all.stdout.lines().next().unwrap().split('\t').collect();
    assert_eq!((fields.len(), fields[0].len()), (8, 56), "{all:?}");
    let few = ask(&server, &["--limit", "2"]);
    assert_eq!(few.stdout.lines().count(), 2, "{few:?}");
    assert_eq!(few.stderr, "3 open, the oldest 2 shown; --limit shows more\n");
}

#[test]
fn a_revoked_client_is_no_longer_listed_once_its_connections_are_closed() {
    let server = Server::start(config("required"));
    let mallory = Pki::shared().client("mallory");
    let mut connection = open(&server, &Client::with_identity(&mallory));
    assert_eq!(
        ports(&server, &["--serial", &mallory.serial_text()]),
        sorted(&[&connection])
    );
    server.write("serials.txt", mallory.serial_text());
    server.reload_published();
    connection.wait_for_close();
    let port = connection.port;
    drop(connection);
    assert_eq!(server.record_of(port).text("closedBy"), Some("revocation"));
    assert_eq!(ports(&server, &["--serial", &mallory.serial_text()]), [0_u64; 0]);
}

#[test]
fn a_question_that_is_none_is_refused_with_a_remedy() {
    let server = Server::start(config("required"));
    for (arguments, part) in [
        (["--serial", "alice"], "hexadecimal"),
        (["--address", "127.0.0.1:443"], "without a port"),
    ] {
        let ended = ask(&server, &arguments);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(part), "{ended:?}");
    }
}
