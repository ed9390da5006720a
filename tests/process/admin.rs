//! The admin endpoint.

use bothways_tests::{Client, Config, Pki, Server};

#[test]
fn the_health_page_says_ok() {
    let server = Server::start(Config::edge("required"));
    let health = server.admin("/healthz");
    assert_eq!((health.status, health.text().as_str()), (200, "ok\n"));
    assert_eq!(server.admin("/elsewhere").status, 404);
}

#[test]
fn every_documented_metric_is_on_the_page() {
    let server = Server::start(Config::edge("required"));
    let identity = Pki::shared().client("alice");
    let attempt = Client::with_identity(&identity).get(server.address());
    server.record_of(attempt.port);
    let metrics = server.metrics();
    let documented = [
        "bothways_connections_total",
        "bothways_connections_accepted_total",
        "bothways_connections_open",
        "bothways_handshakes_open",
        "bothways_handshakes_total",
        "bothways_requests_total",
        "bothways_tickets_issued_total",
        "bothways_tickets_redeemed_total",
        "bothways_tickets_declined_total",
        "bothways_shed_total",
        "bothways_panics_total",
        "bothways_records_written_total",
        "bothways_records_dropped_total",
        "bothways_reloads_total",
        "bothways_snapshot_generation",
        "bothways_revocation_entries",
    ];
    for name in documented {
        assert!(
            metrics.names().any(|known| known == name),
            "{name} is missing: {metrics:#?}"
        );
    }
    assert_eq!(metrics.get("bothways_connections_accepted_total"), 1);
    assert_eq!(metrics.get("bothways_connections_open"), 0);
    assert_eq!(metrics.get("bothways_handshakes_open"), 0);
    assert_eq!(metrics.get("bothways_panics_total"), 0);
}

#[test]
fn an_operator_may_do_without_the_admin_endpoint() {
    let server = Server::start(Config::edge("optional").without_admin());
    assert!(Client::new().get(server.address()).outcome.is_ok());
    server.stop();
}
