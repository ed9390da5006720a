//! The certificate headers: exact, only those asked for, and never the client's own.

use bothways_tests::config::EDGE_NAME;
use bothways_tests::curl::Curl;
use bothways_tests::origin::{Origin, Received};
use bothways_tests::pki::{Leaf, Pki};
use bothways_tests::{Client, Config, Distribution, Identity, Server, TrustStore};

const ALL: [&str; 7] = [
    "CloudFront-Viewer-Cert-Serial-Number",
    "CloudFront-Viewer-Cert-Issuer",
    "CloudFront-Viewer-Cert-Subject",
    "CloudFront-Viewer-Cert-Present",
    "CloudFront-Viewer-Cert-Sha256",
    "CloudFront-Viewer-Cert-Validity",
    "CloudFront-Viewer-Cert-Pem",
];

fn proxy(origin: &Origin, mode: &str, headers: &[&'static str]) -> Server {
    let distribution = Distribution::edge(mode)
        .proxies_to(&origin.url())
        .request_headers(headers);
    Server::start(
        Config::new()
            .trust_store(TrustStore::partners())
            .distribution(distribution),
    )
}

fn client_3(leaf: Leaf) -> Identity {
    let subject = [
        ("C", "US"),
        ("ST", "Washington"),
        ("L", "Seattle"),
        ("O", "Acme, Inc."),
        ("OU", "client-3"),
        ("CN", "client_.com"),
    ];
    Pki::shared().issuing.issue(leaf.subject(&subject))
}

fn received(client: &Client, server: &Server, headers: &str) -> Received {
    let request = client.request("GET", "/echo", headers);
    let attempt = client.send(server.address(), &request);
    Received::parse(&attempt.outcome.response().body)
}

/// PEM as the header carries it: space and newline encoded, `+`, `/`, `=` and `-` as they are.
fn encoded(pem: &str) -> String {
    pem.replace(' ', "%20").replace('\n', "%0A")
}

#[test]
fn all_seven_headers_have_the_documented_formats() {
    let origin = Origin::start();
    let server = proxy(&origin, "required", &ALL);
    let identity = client_3(Leaf::client("").serial(&[0x9e, 0x2a, 0x00, 0xaf]));
    let received = received(
        &Client::with_identity(&identity),
        &server,
        "Connection: close\r\n",
    );
    let expected = [
        (
            "CloudFront-Viewer-Cert-Serial-Number",
            "00:9e:2a:00:af".to_owned(),
        ),
        (
            "CloudFront-Viewer-Cert-Issuer",
            "CN=Partners Issuing CA,O=Bothways tests".to_owned(),
        ),
        (
            "CloudFront-Viewer-Cert-Subject",
            "CN=client_.com,OU=client-3,O=Acme\\, Inc.,L=Seattle,ST=Washington,C=US".to_owned(),
        ),
        ("CloudFront-Viewer-Cert-Present", "1".to_owned()),
        ("CloudFront-Viewer-Cert-Sha256", identity.sha256()),
        (
            "CloudFront-Viewer-Cert-Validity",
            "NotBefore=2024-01-01T00:00:00Z;NotAfter=2045-01-01T00:00:00Z".to_owned(),
        ),
        ("CloudFront-Viewer-Cert-Pem", encoded(&identity.leaf_pem())),
    ];
    for (name, value) in expected {
        assert_eq!(received.values(name), [value.as_str()], "{name}");
    }
}

#[test]
fn the_headers_are_the_same_on_a_resumed_session_and_over_http_2() {
    let origin = Origin::start();
    let server = proxy(&origin, "required", &ALL);
    let identity = client_3(Leaf::client(""));
    let client = Client::with_identity(&identity);
    let values = |received: &Received| ALL.map(|name| received.values(name).join("|"));
    let first = values(&received(&client, &server, "Connection: close\r\n"));
    let request = client.request("GET", "/echo", "Connection: close\r\n");
    let again = client.send(server.address(), &request).outcome;
    assert!(again.resumed(), "{again:?}");
    assert_eq!(values(&Received::parse(&again.response().body)), first);
    let h2 = Curl::new(server.address(), EDGE_NAME)
        .identity(&identity)
        .http2()
        .get("/echo");
    assert_eq!(h2.http_version, "2", "{h2:?}");
    assert_eq!(values(&Received::parse(&h2.body)), first);
}

#[test]
fn only_the_headers_that_the_policy_names_are_added() {
    let origin = Origin::start();
    let named = ["CloudFront-Viewer-Cert-Subject", "CloudFront-Viewer-Cert-Present"];
    let server = proxy(&origin, "required", &named);
    let received = received(
        &Client::with_identity(&Pki::shared().client("alice")),
        &server,
        "Connection: close\r\n",
    );
    for name in ALL {
        assert_eq!(
            received.values(name).len(),
            usize::from(named.contains(&name)),
            "{name}"
        );
    }
}

#[test]
fn without_a_certificate_only_its_absence_is_told() {
    let origin = Origin::start();
    let server = proxy(&origin, "optional", &ALL);
    let received = received(&Client::new(), &server, "Connection: close\r\n");
    for name in ALL {
        let expected: &[&str] = if name.ends_with("Present") { &["0"] } else { &[] };
        assert_eq!(received.values(name), expected, "{name}");
    }
}

/// Every way in which a client might slip its own copy in.
const SPOOFS: &str = "CloudFront-Viewer-Cert-Subject: CN=admin\r\n\
    cloudfront-viewer-cert-subject: CN=admin2\r\n\
    CLOUDFRONT-VIEWER-CERT-PRESENT: spoofed\r\n\
    CloudFront_Viewer_Cert_Serial_Number: spoofed\r\n\
    CloudFront-Viewer_Cert-Sha256: spoofed\r\n\
    cloudfront_viewer_cert_issuer: spoofed\r\n\
    CloudFront-Viewer-Cert-Validity: spoofed\r\n\
    CloudFront-Viewer-Cert-Pem: spoofed\r\n\
    X-Innocent: stays\r\n";

fn spoofed(connection: &str) -> String {
    format!("{SPOOFS}Connection: {connection}\r\n")
}

const CONNECTIONS: [&str; 2] = [
    "close",
    "close, CloudFront-Viewer-Cert-Subject, cloudfront-viewer-cert-present, CloudFront_Viewer_Cert_Pem",
];

#[test]
fn spoofed_headers_are_stripped_where_nothing_is_added() {
    let origin = Origin::start();
    for (mode, identity) in [
        ("none", None),
        ("optional", None),
        ("required", Some(Pki::shared().client("alice"))),
    ] {
        let server = proxy(&origin, mode, &[]);
        let client = identity.as_ref().map_or_else(Client::new, Client::with_identity);
        for connection in CONNECTIONS {
            let received = received(&client, &server, &spoofed(connection));
            for name in ALL {
                assert_eq!(
                    received.values(name),
                    [""; 0],
                    "{mode}, Connection: {connection}: {name}"
                );
            }
            assert_eq!(received.values("X-Innocent"), ["stays"], "{mode}");
        }
    }
}

#[test]
fn spoofed_headers_are_replaced_where_the_policy_adds_them() {
    let origin = Origin::start();
    let server = proxy(&origin, "required", &ALL);
    let identity = client_3(Leaf::client(""));
    let client = Client::with_identity(&identity);
    let honest = received(&client, &server, "Connection: close\r\n");
    for connection in CONNECTIONS {
        let received = received(&client, &server, &spoofed(connection));
        for name in ALL {
            assert_eq!(
                received.values(name),
                honest.values(name),
                "Connection: {connection}: {name}"
            );
            assert_eq!(received.values(name).len(), 1, "{name}");
        }
    }
}

#[test]
fn spoofed_headers_are_stripped_over_http_2() {
    let origin = Origin::start();
    let server = proxy(&origin, "optional", &["CloudFront-Viewer-Cert-Present"]);
    let mut curl = Curl::new(server.address(), EDGE_NAME).http2();
    for line in SPOOFS.lines() {
        curl = curl.header(line);
    }
    let output = curl.get("/echo");
    assert_eq!((output.status, &*output.http_version), (200, "2"), "{output:?}");
    let received = Received::parse(&output.body);
    for name in ALL {
        let expected: &[&str] = if name.ends_with("Present") { &["0"] } else { &[] };
        assert_eq!(received.values(name), expected, "{name}");
    }
    assert_eq!(received.values("X-Innocent"), ["stays"]);
}

#[test]
fn what_a_client_says_was_forwarded_is_continued_or_removed() {
    let origin = Origin::start();
    let server = proxy(&origin, "none", &[]);
    let claims = "X-Forwarded-For: 192.0.2.1\r\nx-forwarded-for: 192.0.2.2, 192.0.2.3\r\n\
        X_Forwarded_For: 192.0.2.9\r\nX-Forwarded_Proto: http\r\nX-Forwarded-Proto: http\r\n\
        X_Forwarded_Host: other.example.com\r\nX-Forwarded-Host: other.example.com\r\n\
        Forwarded: for=192.0.2.9;host=other.example.com\r\nX-Forwarded-Port: 80\r\nConnection: close\r\n";
    let received = received(&Client::new(), &server, claims);
    assert_eq!(
        received.values("x-forwarded-for"),
        ["192.0.2.1, 192.0.2.2, 192.0.2.3, 127.0.0.1"]
    );
    assert_eq!(received.values("x-forwarded-proto"), ["https"]);
    assert_eq!(received.values("x-forwarded-port"), ["80"]);
    for name in ["x-forwarded-host", "forwarded"] {
        assert_eq!(received.values(name), [""; 0], "{name}");
    }
}

/// Claims under the names that others give them, with the octets that CGI and its like fold.
const CLAIMS: [&str; 16] = [
    "X-SSL-Client-Cert",
    "X-SSL-Client-S-DN",
    "SSL-Client-S-DN",
    "ssl-client-verify",
    "SSL_CLIENT_S_DN",
    "X.SSL.Client.Verify",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Tls-Client-Cert-Info",
    "X-Amzn-Mtls-Clientcert-Subject",
    "X-ARR-ClientCert",
    "X-Client-Cert-Subject-DN",
    "Cf-Client-Cert-Sha256",
    "CloudFront.Viewer~Cert-Subject",
    "client'cert",
    "X-Real-IP",
    "X.Forwarded.For",
];

#[test]
fn claims_under_other_proxies_names_never_arrive() {
    let origin = Origin::start();
    for mode in ["optional", "required"] {
        let server = proxy(&origin, mode, &["CloudFront-Viewer-Cert-Subject"]);
        for http2 in [false, true] {
            let mut curl = Curl::new(server.address(), EDGE_NAME).header("X-Innocent: stays");
            if mode == "required" {
                curl = curl.identity(&Pki::shared().client("alice"));
            }
            for name in CLAIMS {
                curl = curl.header(&format!("{name}: CN=admin"));
            }
            let output = if http2 { curl.http2() } else { curl }.get("/echo");
            assert_eq!(output.status, 200, "{output:?}");
            let received = Received::parse(&output.body);
            let forged: Vec<_> = received
                .headers()
                .into_iter()
                .filter(|(_, value)| value.contains("admin"))
                .collect();
            assert_eq!(forged, [], "{mode}, http2 {http2}");
            assert_eq!(received.values("x-innocent"), ["stays"]);
            let subjects = received.values("cloudfront-viewer-cert-subject").len();
            assert_eq!(subjects, usize::from(mode == "required"));
        }
    }
}

#[test]
fn names_are_added_to_the_claims_and_let_through() {
    let origin = Origin::start();
    let distribution = Distribution::edge("none").proxies_to(&origin.url());
    let lists = "identity_headers = { remove = [\"X-Badge-*\", \"X-Forwarded-For\"], let_through = [\"Cf-Connecting-Ip\"] }";
    let server = Server::start(Config::new().distribution(distribution.setting(lists)));
    let claims = "X-Badge-Id: 1\r\nX_Badge_Id: 2\r\nX-Forwarded-For: 192.0.2.1\r\nCF-Connecting-IP: 192.0.2.2\r\n\
        cf_connecting_ip: 192.0.2.3\r\nConnection: close\r\n";
    let received = received(&Client::new(), &server, claims);
    assert_eq!(received.values("x-badge-id"), [""; 0]);
    assert_eq!(received.values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(received.values("cf-connecting-ip"), ["192.0.2.2"]);
}

#[test]
fn the_origin_gets_the_connections_id_where_a_policy_names_it() {
    let origin = Origin::start();
    let forged = "Bothways-Connection-Id: forged\r\nbothways_connection_id: forged\r\nBothways.Connection.Id: forged\r\nConnection: close\r\n";
    for named in [
        &["Bothways-Connection-Id", "CloudFront-Viewer-Cert-Present"][..],
        &[],
    ] {
        let server = proxy(&origin, "optional", named);
        let client = Client::new();
        let attempt = client.send(server.address(), &client.request("GET", "/echo", forged));
        let received = Received::parse(&attempt.outcome.response().body);
        let record = server.record_of(attempt.port);
        let id = record.text("connectionId").unwrap();
        let expected: &[&str] = if named.is_empty() { &[] } else { &[id] };
        let told = received
            .headers()
            .into_iter()
            .filter(|(name, _)| name.starts_with("bothways"));
        let told: Vec<_> = told.map(|(_, value)| value).collect();
        assert_eq!(told, expected, "{named:?}");
    }
}
