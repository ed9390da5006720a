//! Mode passthrough: the origin gets the client's certificates as they are, and judges them itself.

use bothways_tests::config::EDGE_NAME;
use bothways_tests::curl::Curl;
use bothways_tests::origin::{Origin, Received};
use bothways_tests::pki::{Leaf, Pki};
use bothways_tests::tls_client::Version::{Tls12, Tls13};
use bothways_tests::{Client, Config, Distribution, Identity, Server, TrustStore};

const ALL: [&str; 7] = [
    "CloudFront-Viewer-Cert-Serial-Number",
    "CloudFront-Viewer-Cert-Issuer",
    "CloudFront-Viewer-Cert-Subject",
    "CloudFront-Viewer-Cert-Present",
    "CloudFront-Viewer-Cert-Sha256",
    "Client-Cert",
    "Client-Cert-Chain",
];

fn edge(origin: &Origin, headers: &[&'static str]) -> Config {
    let distribution = Distribution::edge("passthrough")
        .proxies_to(&origin.url())
        .request_headers(headers);
    Config::new().distribution(distribution)
}

fn received(client: &Client, server: &Server, headers: &str) -> Received {
    let request = client.request("GET", "/echo", &format!("Connection: close\r\n{headers}"));
    let attempt = client.send(server.address(), &request);
    Received::parse(&attempt.outcome.response().body)
}

/// The base64 of a certificate between colons: a byte sequence of RFC 8941.
fn byte_sequence(pem: &str) -> String {
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    format!(":{base64}:")
}

fn sequences(identity: &Identity) -> Vec<String> {
    let pem = identity.chain_pem();
    let certificates = pem.split_inclusive("-----END CERTIFICATE-----\n");
    certificates.map(byte_sequence).collect()
}

/// An expired client of a CA in no trust store, which presents four certificates.
fn stranger() -> Identity {
    let first = Pki::shared().strangers.intermediate("Far CA");
    let last = first.intermediate("Farther CA").intermediate("Farthest CA");
    last.issue(Leaf::client("stranger").expired())
}

#[test]
fn the_origin_gets_leaf_and_chain_as_rfc_9440_says_also_when_resumed() {
    let origin = Origin::start();
    let identity = stranger();
    let [leaf, chain @ ..] = &sequences(&identity)[..] else {
        panic!("a leaf")
    };
    for version in [Tls12, Tls13] {
        let server = Server::start(edge(&origin, &ALL));
        let client = Client::speaking(version, Some(&identity));
        for _ in 0..2 {
            let received = received(&client, &server, "");
            assert_eq!(received.values("Client-Cert"), [leaf.as_str()]);
            assert_eq!(received.values("Client-Cert-Chain"), [chain.join(", ")]);
            assert_eq!(received.values("CloudFront-Viewer-Cert-Present"), ["1"]);
            assert_eq!(
                received.values("CloudFront-Viewer-Cert-Sha256"),
                [identity.sha256()]
            );
            assert_eq!(
                received.values("CloudFront-Viewer-Cert-Subject"),
                ["CN=stranger,O=Partner"]
            );
        }
        let metrics = server.metrics();
        assert_eq!(metrics.handshakes("resumed"), 1, "{metrics:#?}");
        for resumed in [false, true] {
            let record = server.next_record();
            assert_eq!(record.resumed(), Some(resumed), "{}", record.line);
            assert_eq!(record.status(), "Success", "{}", record.line);
            assert_eq!(
                record.text("clientLeafCertSerialNumber"),
                Some(&*identity.serial_text())
            );
        }
    }
}

#[test]
fn the_chain_is_the_same_over_http_2() {
    let origin = Origin::start();
    let server = Server::start(edge(&origin, &ALL));
    let identity = Pki::shared().client("alice");
    let curl = Curl::new(server.address(), EDGE_NAME).identity(&identity);
    let received = Received::parse(&curl.http2().get("/echo").body);
    let sequences = sequences(&identity);
    assert_eq!(received.values("Client-Cert"), [sequences[0].as_str()]);
    assert_eq!(received.values("Client-Cert-Chain"), [sequences[1].as_str()]);
}

#[test]
fn a_leaf_alone_has_no_chain_header() {
    let origin = Origin::start();
    let server = Server::start(edge(&origin, &ALL));
    let identity = Pki::shared().client("alice").without_intermediates();
    let received = received(&Client::with_identity(&identity), &server, "");
    assert_eq!(received.values("Client-Cert").len(), 1);
    assert!(received.values("Client-Cert-Chain").is_empty());
}

#[test]
fn what_a_client_claims_in_these_headers_never_arrives() {
    let origin = Origin::start();
    let spoofed = "Client-Cert: :AAAA:\r\nclient_cert: :AAAA:\r\nClient-Cert-Chain: :AAAA:, :AAAA:\r\nCLIENT-CERT_CHAIN: :AAAA:\r\n";
    let alice = Pki::shared().client("alice").without_intermediates();
    for (client, named, expected) in [
        (Client::new(), &ALL[..], vec![]),
        (Client::with_identity(&alice), &ALL[..3], vec![]),
        (Client::with_identity(&alice), &ALL[..], sequences(&alice)),
    ] {
        let server = Server::start(edge(&origin, named));
        let received = received(&client, &server, spoofed);
        assert_eq!(received.values("Client-Cert"), expected);
        assert!(received.values("Client-Cert-Chain").is_empty());
    }
}

#[test]
fn an_unchecked_client_is_closed_when_certificates_are_checked() {
    let origin = Origin::start();
    let server = Server::start(edge(&origin, &ALL));
    let alice = Pki::shared().client("alice");
    let client = Client::with_identity(&alice);
    let mut connection = client.connect(server.address()).unwrap();
    assert!(connection.exchange(&client.request("GET", "/", "")).is_ok());
    let required = Distribution::edge("required").proxies_to(&origin.url());
    server.write_config(
        &Config::new()
            .trust_store(TrustStore::partners())
            .distribution(required),
    );
    server.reload_published();
    connection.wait_for_close();
    let record = server.record_of(connection.port);
    assert_eq!(record.text("closedBy"), Some("policy"), "{}", record.line);
    let again = client.get(server.address()).outcome;
    assert!(again.is_ok() && !again.resumed(), "{again:?}");
}
