//! The whole way from text to `Config` or message.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::*;

/// A good configuration to spoil, one line at a time.
const GOOD: &str = r#"
[[listeners]]
address = "127.0.0.1:8443"

[[trust_stores]]
name = "partners"
ca_bundle = "pki/ca.pem"

[[distributions]]
id = "E1"
aliases = ["edge.example.com", "*.example.net"]
certificate = "pki/server.pem"
private_key = "/etc/pki/server.key"
security_policy = "TLSv1.2_2021"

[distributions.viewer_mtls]
mode = "required"
trust_store = "partners"

[[distributions.origins]]
id = "app"
url = "http://127.0.0.1:9000"

[[distributions.behaviors]]
path_pattern = "*"
origin = "app"
"#;

const SECOND: &str = r#"
[[distributions]]
id = "E2"
aliases = ["second.example.com"]
certificate = "a"
private_key = "b"
[[distributions.origins]]
id = "app"
fixed_response = { body = "ok" }
[[distributions.behaviors]]
path_pattern = "*"
origin = "app"
"#;

fn parse_text(text: &str) -> Result<Config, ConfigError> {
    parse(Path::new("config/edge.toml"), text)
}

fn message(text: &str) -> String {
    parse_text(text).expect_err(text).to_string()
}

/// `GOOD` with `from`, which must be in it, replaced.
fn good_with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from:?}");
    GOOD.replacen(from, to, 1)
}

/// `from` of `GOOD` replaced by `to` must be refused at `key` with a message that has all `parts` in it.
struct Spoiled {
    from: &'static str,
    to: &'static str,
    key: &'static str,
    parts: &'static [&'static str],
}

fn check(cases: &[Spoiled]) {
    for case in cases {
        let message = message(&good_with(case.from, case.to));
        let start = match case.key {
            "" => "config/edge.toml: ".to_owned(),
            key => format!("config/edge.toml: {key}: "),
        };
        assert!(message.starts_with(&start), "{message}\n  wanted: {start}");
        for part in case.parts {
            assert!(message.contains(part), "{message}\n  wanted: {part}");
        }
        assert!(!message.contains('\n'), "{message:?}");
    }
}

macro_rules! spoiled {
    ($(($from:expr, $to:expr, $key:expr, [$($part:expr),*])),* $(,)?) => {
        check(&[$(Spoiled { from: $from, to: $to, key: $key, parts: &[$($part),*] }),*])
    };
}

#[test]
fn a_good_configuration_becomes_what_it_says_with_the_documented_defaults() {
    let config = parse_text(GOOD).unwrap();
    assert_eq!(
        config.runtime,
        RuntimeConfig {
            cores: Cores::All,
            driver: Driver::Auto,
            balance_connections: true,
            reuse_port: false,
        }
    );
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.admin, None);
    assert_eq!(config.listeners[0].protocol, Protocol::Https);
    assert_eq!(config.trust_stores[0].out_of_date_crl, OutOfDateCrl::Reject);
    assert!(config.trust_stores[0].allow_v1_client_certificates);
    assert_eq!(config.trust_stores[0].ca_without_crl, None);
    assert_eq!(config.trust_stores[0].required_extended_key_usage, []);
    assert_eq!(config.trust_stores[0].max_chain_depth, 4);
    assert_eq!(
        config.logs.connection,
        ConnectionLog {
            format: LogFormat::Json,
            sink: Sink::Stdout
        }
    );
    let distribution = &config.distributions[0];
    assert_eq!(distribution.security_policy, SecurityPolicy::Tls12From2021);
    let MtlsPolicy::Verify(mtls) = &distribution.viewer_mtls else {
        panic!("a trust store")
    };
    assert!(!mtls.ignore_certificate_expiry);
    assert_eq!(mtls.mode, MtlsMode::Required);
    assert_eq!(mtls.on_revocation, OnRevocation::Close);
    assert_eq!(mtls.candidate_trust_store, None);
    assert!(!mtls.advertise_trust_store_ca_names);
    let OriginTarget::Http(origin) = &distribution.origins[0].target else {
        panic!("an http origin")
    };
    assert_eq!(origin.authority(), "127.0.0.1:9000");
    assert_eq!(
        (origin.limits.connection_attempts, origin.limits.read_timeout),
        (3, Duration::from_secs(30))
    );
    let behavior = distribution.behaviors.first().unwrap();
    assert_eq!(behavior.viewer_protocol_policy, ViewerProtocolPolicy::HttpsOnly);
    assert_eq!(behavior.origin_request_policy, OriginRequestPolicy::default());
}

#[test]
fn paths_are_relative_to_the_folder_of_the_configuration_file() {
    let config = parse_text(GOOD).unwrap();
    let distribution = &config.distributions[0];
    assert_eq!(
        distribution.certificate.place,
        Place::File(PathBuf::from("config/pki/server.pem"))
    );
    assert_eq!(
        distribution.private_key.place,
        Place::File(PathBuf::from("/etc/pki/server.key"))
    );
    let here = parse(Path::new("edge.toml"), GOOD).unwrap();
    assert_eq!(
        here.distributions[0].certificate.place,
        Place::File(PathBuf::from("pki/server.pem"))
    );
}

#[test]
fn a_later_error_about_a_named_file_has_the_same_form_and_the_right_line() {
    let config = parse_text(GOOD).unwrap();
    let file = &config.trust_stores[0].ca_bundle;
    let error = config
        .source
        .error(&file.key, "cannot read it", "make it readable");
    let expected = "config/edge.toml: trust_stores[0].ca_bundle: cannot read it; make it readable (line 7)";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn names_lead_to_distributions() {
    let config =
        parse_text(&format!("{GOOD}{SECOND}default = true\n").replace("default = true\n", "")).unwrap();
    let look = |name: &str| {
        config
            .hosts
            .lookup(Some(&HostName::parse(name).unwrap()))
            .copied()
    };
    assert_eq!(look("EDGE.example.com."), Some(0));
    assert_eq!(look("x.example.net"), Some(0));
    assert_eq!(look("second.example.com"), Some(1));
    assert_eq!(look("third.example.com"), None);
}

fn read(file: &Path) -> Result<Config, ConfigError> {
    parse(file, &fs::read_to_string(file).unwrap())
}

#[test]
fn every_example_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../config");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let examples: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|end| end == "toml"))
        .collect();
    assert!(examples.len() >= 2, "{examples:?}");
    for example in examples {
        if let Err(error) = read(&example) {
            panic!("{error}");
        }
    }
}

#[test]
fn the_reference_configuration_states_the_defaults() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../config/edge.toml");
    let config = read(&file).unwrap();
    assert_eq!(config.limits, Limits::default());
    assert_eq!(
        config.runtime,
        RuntimeConfig {
            cores: Cores::All,
            driver: Driver::Auto,
            balance_connections: true,
            reuse_port: false,
        }
    );
    let distribution = &config.distributions[0];
    assert_eq!(distribution.security_policy, SecurityPolicy::default());
    let target = |text: &str| {
        parse_text(text).unwrap().distributions[0].origins[0]
            .target
            .clone()
    };
    assert_eq!(distribution.origins[0].target, target(GOOD));
}

mod content;
mod distributions;
mod functions;
mod server_wide;
mod shape;
