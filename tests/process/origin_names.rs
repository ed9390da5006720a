//! Origins whose names move to other addresses while the server runs.
//!
//! The server's `getaddrinfo` is replaced by one that reads a file of the test (`hosts.c`), so that neither
//! root nor a network is needed.

use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use bothways_tests::scripted::Scripted;
use bothways_tests::tls_client::Connection;
use bothways_tests::workdir::Workdir;
use bothways_tests::{Client, Config, Distribution, PATIENCE, Server};

/// Two origins on the same port of two addresses.
struct Origins {
    first: Scripted,
    second: Scripted,
    /// A connection to the first has ended.
    ended: Receiver<()>,
}

fn origins() -> Origins {
    let (end, ended) = channel();
    let end = Mutex::new(end);
    let first = Scripted::start(move |visit| {
        while visit.head()?.is_some() {
            visit.answer("the first")?;
        }
        end.lock().unwrap().send(()).expect("a test that goes on");
        Ok(())
    });
    let second = Scripted::start_at(("127.0.0.2", first.port()), |visit| {
        while visit.head()?.is_some() {
            visit.answer("the second")?;
        }
        Ok(())
    });
    Origins { first, second, ended }
}

/// A server for which `app.test` is at the address that the file `hosts` says.
struct Named {
    hosts: Workdir,
    server: Server,
}

impl Named {
    fn start(origins: &Origins, address: &str, interval_s: u64) -> Self {
        let hosts = Workdir::new();
        let library = hosts.file("hosts.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/process/hosts.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(&library)
            .args([source, "-ldl"])
            .status();
        assert!(compiled.expect("a C compiler").success());
        let prelude = format!(
            "export LD_PRELOAD='{}' TEST_HOSTS='{}'",
            library.display(),
            hosts.file("hosts").display()
        );
        write_hosts(&hosts, address);
        let url = format!("http://app.test:{}", origins.first.port());
        let distribution = Distribution::edge("none")
            .proxies_to(&url)
            .origin_setting("connection_attempts = 1");
        let config = Config::new().distribution(distribution);
        let server = Server::start_after(&prelude, config.limit("resolve_interval_s", interval_s));
        Self { hosts, server }
    }

    fn move_to(&self, address: &str) {
        write_hosts(&self.hosts, address);
    }

    fn connect(&self) -> Connection {
        Client::new().connect(self.server.address()).unwrap()
    }

    fn wait_for(&self, result: &str) {
        let series = format!("bothways_origin_lookups_total{{result=\"{result}\"}}");
        let is_there = |metrics: &bothways_tests::metrics::Metrics| metrics.get(&series) > 0;
        self.server.wait_for_metrics(&series, is_there);
    }
}

/// Writes where the name leads. An empty address means nowhere.
fn write_hosts(hosts: &Workdir, address: &str) {
    let line = match address {
        "" => String::new(),
        address => format!("app.test {address}\n"),
    };
    hosts.write("hosts", line);
}

fn get(connection: &mut Connection) -> (u16, String) {
    connection.write(Client::new().request("GET", "/", "")).unwrap();
    let response = connection.read_response().unwrap();
    (response.status, response.text())
}

#[test]
fn a_name_that_moves_is_followed_and_one_that_is_gone_keeps_its_address() {
    let origins = origins();
    let named = Named::start(&origins, "127.0.0.1", 1);
    let mut client = named.connect();
    assert_eq!(get(&mut client), (200, "the first".to_owned()));

    named.move_to("127.0.0.2");
    named.wait_for("changed");
    let line = named.server.wait_for_log("an origin has other addresses now");
    assert!(line.contains("app.test") && line.contains("127.0.0.2"), "{line}");
    assert_eq!(get(&mut client), (200, "the second".to_owned()));
    // The connection that was kept to the old address is closed.
    origins.ended.recv_timeout(PATIENCE).expect("an end");

    named.move_to("");
    named.wait_for("failed");
    let line = named.server.wait_for_log("cannot look up the name of an origin");
    assert!(line.contains("the addresses found last stay"), "{line}");
    assert_eq!(get(&mut client), (200, "the second".to_owned()));
    assert_eq!(
        (origins.first.connections(), origins.second.connections()),
        (1, 1)
    );
}

#[test]
fn a_connection_that_cannot_be_made_is_a_reason_to_look_again_at_once() {
    let origins = origins();
    // Nobody listens there, and the next look-up by the clock is in an hour.
    let named = Named::start(&origins, "127.0.0.3", 3_600);
    let mut client = named.connect();
    assert_eq!(get(&mut client).0, 502);
    named.move_to("127.0.0.1");
    let answer = loop {
        match get(&mut client) {
            (502, _) => {}
            answer => break answer,
        }
    };
    assert_eq!(answer, (200, "the first".to_owned()));
}

#[test]
fn a_reload_looks_again_too() {
    let origins = origins();
    let named = Named::start(&origins, "127.0.0.1", 3_600);
    let mut client = named.connect();
    assert_eq!(get(&mut client), (200, "the first".to_owned()));
    named.move_to("127.0.0.2");
    named.server.reload_published();
    named.wait_for("changed");
    assert_eq!(get(&mut client), (200, "the second".to_owned()));
}
