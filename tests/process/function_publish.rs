//! Functions of a running server, changed through its control socket: code is published, and data that it
//! looks up is written.

use bothways_tests::server::{CONFIG_FILE, Ended};
use bothways_tests::tls_client::Version::{Tls12, Tls13};
use bothways_tests::{Client, Config, Distribution, Pki, Server, TrustStore};

use crate::witnesses::{assert_admitted, assert_refused};

const DENIED: &str = "ConnectionFunctionDenied";
const ALLOW: &str = "function connectionHandler(connection) { connection.allow(); }";
const DENY: &str = "function connectionHandler(connection) { connection.deny(); }";
const LOOK_UP: &str = "import cf from 'cloudfront';
const denied = cf.kvs();
async function connectionHandler(connection) {
    const serial = connection.clientCertificate.certificates.leaf.serialNumber;
    await denied.exists(serial.replaceAll(':', '')) ? connection.deny() : connection.allow();
}";

fn edge(code: &str, store: Option<&str>) -> Config {
    Config::new()
        .control_socket("control.sock")
        .trust_store(TrustStore::partners())
        .key_value_store("serials", r#"{"data":[]}"#)
        .connection_function("gate", code, store)
        .distribution(Distribution::edge("required").mtls_setting("connection_function = \"gate\""))
}

fn publish(server: &Server) -> Ended {
    server.command(&["function", "publish", "--config", CONFIG_FILE, "gate"])
}

#[test]
fn a_published_function_decides_from_the_next_connection_on_and_touches_no_open_one() {
    for version in [Tls12, Tls13] {
        let server = Server::start(edge(ALLOW, None).cores(2));
        let alice = Pki::shared().client("alice");
        let client = Client::speaking(version, Some(&alice));
        let mut open = client.connect(server.address()).unwrap();
        assert!(open.exchange(&client.request("GET", "/", "")).is_ok());

        server.write("gate.js", DENY);
        assert_admitted(&server, &client.get(server.address()), Some(&alice));
        let ended = publish(&server);
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(0), "published\n"),
            "{ended:?}"
        );

        assert_refused(&server, &client.get(server.address()), &[49], DENIED);
        assert!(
            open.exchange(&client.request("GET", "/", "")).is_ok(),
            "{version:?}"
        );
        open.close();
        assert_eq!(server.record_of(open.port).status(), "Success");
        let again = publish(&server);
        assert!(again.stdout.starts_with("unchanged"), "{again:?}");
        assert_eq!(
            server
                .metrics()
                .get("bothways_reloads_total{result=\"published\"}"),
            0
        );
    }
}

#[test]
fn what_became_of_a_publication_is_logged_once() {
    let server = Server::start(edge(ALLOW, None));
    let told = |command: &mut dyn FnMut()| -> Vec<String> {
        let before = server.log().len();
        command();
        // Messages come in order, so after this one there is nothing left of those before.
        server.reload_published();
        let log = server.log().split_off(before);
        log.into_iter().filter(|line| line.contains("function")).collect()
    };
    let unchanged = told(&mut || drop(publish(&server)));
    assert!(
        matches!(&*unchanged, [line] if line.contains("its code is what is live already")),
        "{unchanged:#?}"
    );
    server.write("gate.js", DENY);
    let published = told(&mut || drop(publish(&server)));
    assert!(
        matches!(&*published, [line] if line.contains("function published")),
        "{published:#?}"
    );
    let refused = told(&mut || {
        server.write("gate.js", "function connectionHandler(connection) {");
        assert_eq!(publish(&server).code, Some(1));
        server.write("gate.js", DENY);
    });
    assert!(
        matches!(&*refused, [line] if line.contains("function not published; what was live stays")),
        "{refused:#?}"
    );
}

#[test]
fn a_function_that_is_broken_is_not_published_and_the_live_one_stays() {
    let server = Server::start(edge(DENY, None));
    server.write(
        "gate.js",
        "function connectionHandler(connection) {\n    connection.allow(;\n}",
    );
    let ended = publish(&server);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("gate.js:2:"), "{ended:?}");
    let client = Client::with_identity(&Pki::shared().client("alice"));
    assert_refused(&server, &client.get(server.address()), &[49], DENIED);
}

#[test]
fn a_key_that_was_put_counts_on_every_core_as_soon_as_the_command_has_ended() {
    let server = Server::start(edge(LOOK_UP, Some("serials")).cores(2));
    let (alice, bob) = (Pki::shared().client("alice"), Pki::shared().client("bob"));
    // Without a ticket each time, so that an alert can tell.
    let get = |who| Client::with_identity(who).get(server.address());
    let key = alice.serial_text().replace(':', "");
    let write = |command: &str, value: &[&str]| {
        let arguments = [
            &["kvs", command, "--config", CONFIG_FILE, "serials", &*key],
            value,
        ]
        .concat();
        let ended = server.command(&arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    };
    for _ in 0..3 {
        for _ in 0..8 {
            assert_admitted(&server, &get(&alice), Some(&alice));
        }
        write("put", &[""]);
        for _ in 0..8 {
            assert_refused(&server, &get(&alice), &[49], DENIED);
        }
        assert_admitted(&server, &get(&bob), Some(&bob));
        write("delete", &[]);
    }
}
