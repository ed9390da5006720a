//! The launch article's commands, run verbatim, make certificates that this edge admits.

use bothways_tests::article::ArticlePki;
use bothways_tests::config::EDGE_NAME;
use bothways_tests::curl::Curl;
use bothways_tests::{Config, Distribution, Server, TrustStore};

#[test]
fn the_clients_of_the_launch_article_are_admitted_over_both_http_versions() {
    let article = ArticlePki::new();
    let store = TrustStore::new("article", &article.bundle());
    let distribution = Distribution::edge("required").trust_store("article");
    let server = Server::start(Config::new().trust_store(store).distribution(distribution));
    let key = article.client_key();
    for certificate in article.client_certificates() {
        for (http2, version) in [(false, "1.1"), (true, "2")] {
            let curl = Curl::new(server.address(), EDGE_NAME);
            let curl = curl.credentials(certificate.to_str().unwrap(), key.to_str().unwrap());
            let output = if http2 { curl.http2() } else { curl }.get("/");
            assert_eq!(
                (output.code, output.status, &*output.http_version),
                (0, 200, version),
                "{output:?}"
            );
            let record = server.record_of(output.port);
            assert_eq!(record.status(), "Success", "{}", record.line);
            let subject = "C=US, ST=Washington, L=Seattle, O=mTLS, OU=client-3, CN=client_.com";
            assert_eq!(record.text("clientLeafCertSubject"), Some(subject));
            assert_eq!(record.text("clientLeafCertSerialNumber"), Some("01"));
        }
    }
    assert_eq!(server.metrics().connections("Success"), 4);

    let nobody = Curl::new(server.address(), EDGE_NAME).get("/");
    assert_ne!(nobody.code, 0);
    assert!(nobody.stderr.contains("certificate required"), "{nobody:?}");
    assert_eq!(server.record_of(nobody.port).status(), "Failed:ClientCertMissing");
}

#[test]
fn the_article_s_client_comes_out_as_version_1_with_the_openssl_that_makes_it_so() {
    let text = ArticlePki::new().client_certificate_text();
    let version = std::process::Command::new("openssl")
        .arg("version")
        .output()
        .unwrap()
        .stdout;
    if String::from_utf8_lossy(&version).starts_with("OpenSSL 3.0") {
        assert!(text.contains("Version: 1 (0x0)"), "{text}");
    }
    assert!(!text.contains("Extended Key Usage"), "{text}");
}
