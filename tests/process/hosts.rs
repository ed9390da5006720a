//! The distribution that answers: chosen by SNI in the handshake, and never another one by Host.

use bothways_tests::curl::Curl;
use bothways_tests::s_client::SClient;
use bothways_tests::{Client, Config, Distribution, Pki, Server, TrustStore};

use crate::witnesses::assert_refused;

fn open() -> Distribution {
    Distribution::new("E1OPEN", &["open.example.com", "*.example.net"], "none").answers("open\n")
}

fn guarded() -> Distribution {
    Distribution::new(
        "E2GUARDED",
        &["guarded.example.com", "exact.example.net"],
        "required",
    )
    .answers("guarded\n")
}

fn two(open: Distribution) -> Server {
    Server::start(
        Config::new()
            .trust_store(TrustStore::partners())
            .distribution(open)
            .distribution(guarded()),
    )
}

#[test]
fn a_host_of_another_distribution_gets_421_on_http_1() {
    let server = two(open());
    let hosts = [
        "guarded.example.com",
        "GUARDED.example.com",
        "guarded.example.com.",
        "guarded.example.com:8443",
        "exact.example.net",
    ];
    for host in hosts {
        let attempt = Client::new()
            .sni("open.example.com")
            .host(host)
            .get(server.address());
        let response = attempt.outcome.response();
        assert_eq!(response.status, 421, "{host}: {response:?}");
        let record = server.record_of(attempt.port);
        assert_eq!(
            (record.status(), record.text("distributionId")),
            ("Success", Some("E1OPEN")),
            "{}",
            record.line
        );
    }
    assert_eq!(server.metrics().requests("4xx"), hosts.len() as u64);
}

#[test]
fn an_absolute_target_of_another_distribution_gets_421() {
    let server = two(open());
    let request =
        "GET https://guarded.example.com/ HTTP/1.1\r\nHost: open.example.com\r\nConnection: close\r\n\r\n";
    let attempt = Client::new()
        .sni("open.example.com")
        .send(server.address(), request);
    assert_eq!(attempt.outcome.response().status, 421);
}

#[test]
fn an_authority_of_another_distribution_gets_421_on_http_2() {
    let server = two(open());
    let curl = Curl::new(server.address(), "open.example.com")
        .http2()
        .header("Host: guarded.example.com");
    let output = curl.get("/");
    assert_eq!(
        (output.code, output.status, &*output.http_version),
        (0, 421, "2"),
        "{output:?}"
    );
    assert_eq!(
        server.record_of(output.port).text("distributionId"),
        Some("E1OPEN")
    );
    assert_eq!(server.metrics().requests("4xx"), 1);
}

#[test]
fn two_hosts_or_none_are_a_bad_request() {
    let server = two(open());
    for headers in ["", "Host: open.example.com\r\nHost: guarded.example.com\r\n"] {
        let request = format!("GET / HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        let attempt = Client::new()
            .sni("open.example.com")
            .send(server.address(), &request);
        let status = attempt.outcome.response().status;
        assert!([400, 421].contains(&status), "{headers:?}: {status}");
    }
}

#[test]
fn the_host_may_be_written_in_any_way_that_means_the_same() {
    let server = two(open());
    let ways = [
        "open.example.com",
        "OPEN.example.com",
        "open.example.com.",
        "open.example.com:443",
        "any.example.net",
    ];
    for host in ways {
        let attempt = Client::new()
            .sni("open.example.com")
            .host(host)
            .get(server.address());
        assert_eq!(attempt.outcome.response().text(), "open\n", "{host}");
    }
}

#[test]
fn the_sni_chooses_exactly_before_by_wildcard() {
    let server = two(open());
    let (open, guarded) = (open(), guarded());
    let identity = Pki::shared().client("alice");
    let choices = [
        ("open.example.com", "E1OPEN", "open\n"),
        ("guarded.example.com", "E2GUARDED", "guarded\n"),
        ("exact.example.net", "E2GUARDED", "guarded\n"),
        ("other.example.net", "E1OPEN", "open\n"),
    ];
    for (name, id, body) in choices {
        let attempt = Client::with_identity(&identity).sni(name).get(server.address());
        assert_eq!(attempt.outcome.response().text(), body, "{name}");
        let record = server.record_of(attempt.port);
        assert_eq!(
            (record.text("distributionId"), record.text("tlsSni")),
            (Some(id), Some(name)),
            "{}",
            record.line
        );
    }
    assert_ne!(open.identity().chain, guarded.identity().chain);
}

#[test]
fn the_sni_may_be_in_any_case_and_end_in_a_dot() {
    let server = two(open());
    let identity = Pki::shared().client("alice");
    for name in [
        "GUARDED.Example.COM",
        "guarded.example.com.",
        "Exact.Example.NET.",
    ] {
        let shown = SClient::new(server.address(), name).identity(&identity).get();
        assert!(shown.body_contains("guarded"), "{name}: {shown:?}");
        assert_eq!(
            server.next_record().text("distributionId"),
            Some("E2GUARDED"),
            "{name}"
        );
        let without = SClient::new(server.address(), name).get();
        assert_eq!(
            without.alert,
            Some(116),
            "{name} slips past the certificate: {without:?}"
        );
        assert_eq!(
            server.next_record().status(),
            "Failed:ClientCertMissing",
            "{name}"
        );
    }
}

#[test]
fn each_distribution_shows_its_own_certificate() {
    let (first, second) = (open(), guarded());
    let config = Config::new().trust_store(TrustStore::partners());
    let server = Server::start(config.distribution(first.clone()).distribution(second.clone()));
    for (name, distribution) in [("open.example.com", first), ("guarded.example.com", second)] {
        let connection = Client::new().sni(name).connect(server.address()).unwrap();
        assert_eq!(
            connection.server_certificate().as_ref(),
            distribution.identity().chain.first(),
            "{name}"
        );
    }
}

#[test]
fn no_or_an_unknown_name_gets_the_default_distribution() {
    let server = two(open().default(true));
    let nameless = Client::new()
        .without_sni()
        .sni("open.example.com")
        .get(server.address());
    let unknown = Client::new()
        .sni("nobody.example.org")
        .host("open.example.com")
        .get(server.address());
    for attempt in [nameless, unknown] {
        assert_eq!(attempt.outcome.response().text(), "open\n");
        assert_eq!(
            server.record_of(attempt.port).text("distributionId"),
            Some("E1OPEN")
        );
    }
}

#[test]
fn without_a_default_no_or_an_unknown_name_gets_alert_112() {
    let server = two(open());
    for client in [
        Client::new().without_sni(),
        Client::new().sni("nobody.example.org"),
    ] {
        let attempt = client.get(server.address());
        let record = assert_refused(&server, &attempt, &[112], "UnmappedConnectionError");
        assert!(!record.has("distributionId"), "{}", record.line);
    }
}

#[test]
fn http_2_is_spoken_where_it_is_offered() {
    let server = two(open());
    let output = Curl::new(server.address(), "open.example.com").http2().get("/");
    assert_eq!(
        (output.status, &*output.http_version, &*output.body),
        (200, "2", &b"open\n"[..]),
        "{output:?}"
    );
    let without_alpn = Client::new()
        .alpn(&[])
        .sni("open.example.com")
        .get(server.address());
    assert_eq!(without_alpn.outcome.response().text(), "open\n");
    let unknown_alpn = Client::new()
        .alpn(&["spdy/3"])
        .sni("open.example.com")
        .get(server.address());
    assert!(
        matches!(unknown_alpn.outcome, bothways_tests::Outcome::Alert(120, _)),
        "{unknown_alpn:?}"
    );
}
