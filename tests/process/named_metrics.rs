//! Metrics under the names of the configuration: distributions and their trust stores, origins, certificates,
//! CRLs.

use std::net::TcpListener;

use bothways_tests::config::EDGE;
use bothways_tests::metrics::Metrics;
use bothways_tests::origin::Origin;
use bothways_tests::pki::Pki;
use bothways_tests::{Client, Config, Distribution, Server, TrustStore};

fn connections(metrics: &Metrics, distribution: &str, store: &str, status: &str) -> u64 {
    metrics.get(&format!(
        "bothways_distribution_connections_total{{distribution=\"{distribution}\",trust_store=\"{store}\",status=\"{status}\"}}"
    ))
}

#[test]
fn connections_are_counted_by_distribution_and_trust_store() {
    let other = Distribution::new("E2OPEN", &["open.example.com"], "none");
    let server = Server::start(Config::edge("required").distribution(other).cores(2));
    let alice = Client::with_identity(&Pki::shared().client("alice"));
    let ports: Vec<u16> = [
        alice.get(server.address()),
        alice.get(server.address()),
        Client::new().get(server.address()),
        Client::new()
            .sni("open.example.com")
            .host("open.example.com")
            .get(server.address()),
    ]
    .iter()
    .map(|attempt| attempt.port)
    .collect();
    ports.iter().for_each(|port| drop(server.record_of(*port)));
    let metrics = server.metrics();
    assert_eq!(
        connections(&metrics, EDGE, "partners", "Success"),
        2,
        "{metrics:#?}"
    );
    assert_eq!(
        connections(&metrics, EDGE, "partners", "Failed:ClientCertMissing"),
        1,
        "{metrics:#?}"
    );
    assert_eq!(connections(&metrics, "E2OPEN", "", "Success"), 1, "{metrics:#?}");
    assert_eq!(
        metrics.sum("bothways_distribution_connections_total"),
        4,
        "{metrics:#?}"
    );
    assert_eq!(metrics.connections("Success"), 3, "{metrics:#?}");
}

#[test]
fn counts_of_a_distribution_outlive_a_reload_and_end_with_it() {
    let server = Server::start(Config::edge("none"));
    server.record_of(Client::new().get(server.address()).port);
    server.reload_published();
    server.record_of(Client::new().get(server.address()).port);
    assert_eq!(connections(&server.metrics(), EDGE, "", "Success"), 2);

    server.write_config(&Config::new().distribution(Distribution::new("E3", &["three.example.com"], "none")));
    server.reload_published();
    // The cores give the old snapshot up when they next look at the new one.
    let gone = |metrics: &Metrics| {
        metrics
            .names()
            .all(|name| name != "bothways_distribution_connections_total")
            || connections(metrics, EDGE, "", "Success") == 0
    };
    let client = Client::new().sni("three.example.com").host("three.example.com");
    server.record_of(client.get(server.address()).port);
    let metrics = server.wait_for_metrics("the end of the old counters", gone);
    assert_eq!(connections(&metrics, "E3", "", "Success"), 1, "{metrics:#?}");
}

#[test]
fn the_dates_that_a_snapshot_depends_on_are_told() {
    let pki = Pki::shared();
    let store = TrustStore::new("partners", &pki.root.pem()).revocations("a.crl", pki.root.crl(&[]));
    let server = Server::start(
        Config::new()
            .trust_store(store)
            .distribution(Distribution::edge("required")),
    );
    let metrics = server.metrics();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let certificate = format!("bothways_certificate_not_after_seconds{{distribution=\"{EDGE}\"}}");
    assert!(metrics.get(&certificate) > now, "{metrics:#?}");
    let sum = |name: &str| metrics.sum(name);
    assert!(
        (1..=now).contains(&sum("bothways_crl_this_update_seconds")),
        "{metrics:#?}"
    );
    assert!(sum("bothways_crl_next_update_seconds") > now, "{metrics:#?}");
}

fn origin(metrics: &Metrics, distribution: &str, result: &str) -> u64 {
    metrics.get(&format!(
        "bothways_origin_requests_total{{distribution=\"{distribution}\",origin=\"app\",result=\"{result}\"}}"
    ))
}

#[test]
fn requests_are_counted_by_distribution_and_by_what_came_of_them_at_the_origin() {
    let app = Origin::start();
    let down = Distribution::new("E2DOWN", &["down.example.com"], "none").proxies_to(&nobody());
    let up = Distribution::edge("none").proxies_to(&app.url());
    let server = Server::start(Config::new().distribution(up).distribution(down));
    let client = Client::new();
    for _ in 0..3 {
        assert!(client.get(server.address()).outcome.is_ok());
    }
    let lost = Client::new().sni("down.example.com").host("down.example.com");
    assert_eq!(lost.get(server.address()).outcome.response().status, 502);
    let metrics = server.metrics();
    assert_eq!(origin(&metrics, EDGE, "response"), 3, "{metrics:#?}");
    assert_eq!(origin(&metrics, "E2DOWN", "connect_failed"), 1, "{metrics:#?}");
    assert_eq!(origin(&metrics, "E2DOWN", "response"), 0, "{metrics:#?}");
    let labels = format!("{{distribution=\"{EDGE}\",origin=\"app\"}}");
    assert_eq!(
        metrics.get(&format!("bothways_origin_response_seconds_count{labels}")),
        3
    );
    let requests = |distribution: &str, class: &str| {
        metrics.get(&format!(
            "bothways_distribution_requests_total{{distribution=\"{distribution}\",trust_store=\"\",class=\"{class}\"}}"
        ))
    };
    assert_eq!(
        (requests(EDGE, "2xx"), requests(EDGE, "5xx")),
        (3, 0),
        "{metrics:#?}"
    );
    assert_eq!(
        (requests("E2DOWN", "2xx"), requests("E2DOWN", "5xx")),
        (0, 1),
        "{metrics:#?}"
    );
    assert_eq!(
        (metrics.requests("2xx"), metrics.requests("5xx")),
        (3, 1),
        "{metrics:#?}"
    );
}

/// An address at which nobody listens.
fn nobody() -> String {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    format!("http://127.0.0.1:{port}")
}
