//! CA names in the CertificateRequest: none unless asked for, and never so many that clients break.

use bothways_tests::config::EDGE_NAME;
use bothways_tests::pki::{Authority, Pki};
use bothways_tests::s_client::SClient;
use bothways_tests::server::run_to_end;
use bothways_tests::{Config, Distribution, Server, TrustStore};

const ADVERTISE: &str = "advertise_trust_store_ca_names = true";

fn names_shown(setting: Option<&str>, tls12: bool) -> String {
    let mut distribution = Distribution::edge("required");
    if let Some(setting) = setting {
        distribution = distribution.mtls_setting(setting);
    }
    let server = Server::start(
        Config::new()
            .trust_store(TrustStore::partners())
            .distribution(distribution),
    );
    let client = SClient::new(server.address(), EDGE_NAME).identity(&Pki::shared().client("alice"));
    let shown = if tls12 { client.tls12() } else { client }.get();
    assert!(shown.body_contains("ok"), "{shown:?}");
    shown.text
}

#[test]
fn ca_names_are_sent_where_the_distribution_says_so() {
    for tls12 in [false, true] {
        let text = names_shown(Some(ADVERTISE), tls12);
        let names = text
            .split_once("Acceptable client certificate CA names\n")
            .map_or("", |(_, rest)| {
                rest.split("\nRequested Signature").next().unwrap()
            });
        for name in ["Partners Root CA", "Partners Issuing CA"] {
            assert_eq!(names.matches(name).count(), 1, "{text}");
        }
    }
}

#[test]
fn no_ca_names_are_sent_by_default() {
    for setting in [None, Some("advertise_trust_store_ca_names = false")] {
        let text = names_shown(setting, false);
        assert!(text.contains("No client certificate CA names sent"), "{text}");
    }
}

#[test]
fn a_list_that_would_break_clients_is_refused_with_its_size() {
    let bundle: String = (0..4)
        .map(|number| Authority::root(&format!("{number} {}", "x".repeat(4_000))).pem())
        .collect();
    let with = |setting: &str| {
        let distribution = Distribution::edge("required").mtls_setting(setting);
        Config::new()
            .trust_store(TrustStore::new("partners", &bundle))
            .distribution(distribution)
    };
    let config = with(ADVERTISE);
    for command in ["check", "serve"] {
        let ended = run_to_end(command, &config, &config.render());
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        for part in [
            "edge.toml",
            "distributions[0].viewer_mtls.advertise_trust_store_ca_names",
            "bytes in a handshake; 15360 at most",
            "set it to false",
        ] {
            assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
        }
    }
    let config = with("advertise_trust_store_ca_names = false");
    assert_eq!(run_to_end("check", &config, &config.render()).code, Some(0));
}
