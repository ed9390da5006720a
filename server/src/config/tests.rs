//! The whole way from text to `Config` or message.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

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
            driver: Driver::Auto
        }
    );
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.admin, None);
    assert_eq!(config.listeners[0].protocol, Protocol::Https);
    assert_eq!(config.trust_stores[0].out_of_date_crl, OutOfDateCrl::Reject);
    assert!(config.trust_stores[0].allow_v1_client_certificates);
    assert_eq!(
        config.logs.connection,
        ConnectionLog {
            format: LogFormat::Json,
            sink: Sink::Stdout
        }
    );
    let distribution = &config.distributions[0];
    assert_eq!(distribution.security_policy, SecurityPolicy::Tls12From2021);
    assert_eq!(
        distribution.viewer_mtls.as_ref().unwrap().mode,
        MtlsMode::Required
    );
    let OriginTarget::Http(origin) = &distribution.origins[0].target else {
        panic!("an http origin")
    };
    assert_eq!(origin.authority(), "127.0.0.1:9000");
    assert_eq!(
        (origin.connection_attempts, origin.read_timeout),
        (3, Duration::from_secs(30))
    );
    let behavior = distribution.behavior_for("/any/path").unwrap();
    assert_eq!(behavior.viewer_protocol_policy, ViewerProtocolPolicy::HttpsOnly);
    assert_eq!(behavior.origin_request_policy, OriginRequestPolicy::default());
}

#[test]
fn paths_are_relative_to_the_folder_of_the_configuration_file() {
    let config = parse_text(GOOD).unwrap();
    let distribution = &config.distributions[0];
    assert_eq!(
        distribution.certificate.path,
        PathBuf::from("config/pki/server.pem")
    );
    assert_eq!(
        distribution.private_key.path,
        PathBuf::from("/etc/pki/server.key")
    );
    let here = parse(Path::new("edge.toml"), GOOD).unwrap();
    assert_eq!(
        here.distributions[0].certificate.path,
        PathBuf::from("pki/server.pem")
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

#[test]
fn an_unknown_trust_store_is_refused_exactly_like_this() {
    let text = good_with("trust_store = \"partners\"", "trust_store = \"partnrs\"");
    let expected = "config/edge.toml: distributions[0].viewer_mtls.trust_store: no trust store is named \"partnrs\"; \
                    did you mean \"partners\"? (line 18)";
    assert_eq!(message(&text), expected);
}

#[test]
fn what_is_not_toml_is_refused_with_its_line() {
    spoiled![
        ("[[listeners]]", "[[listeners]", "", ["not TOML", "(line 2)"]),
        (
            "id = \"E1\"",
            "id = \"E1\"\nid = \"E2\"",
            "",
            ["not TOML", "duplicate key", "(line 11)"]
        ),
    ];
}

#[test]
fn unknown_keys_are_refused_wherever_they_stand() {
    spoiled![
        (
            "[[listeners]]",
            "[limit]\n[[listeners]]",
            "limit",
            ["unknown key", "\"limits\"?", "(line 2)"]
        ),
        (
            "address =",
            "adress =",
            "listeners[0].adress",
            ["unknown key", "\"address\"?", "(line 3)"]
        ),
        (
            "ca_bundle",
            "cabundle",
            "trust_stores[0].cabundle",
            ["unknown key", "\"ca_bundle\"?"]
        ),
        (
            "aliases",
            "alias",
            "distributions[0].alias",
            ["unknown key", "\"aliases\"?"]
        ),
        (
            "trust_store =",
            "trust_stor =",
            "distributions[0].viewer_mtls.trust_stor",
            ["unknown key", "did you mean \"trust_store\"?", "(line 18)"]
        ),
        (
            "mode = \"required\"",
            "mode = \"required\"\nconnection_function = \"x\"",
            "distributions[0].viewer_mtls.connection_function",
            ["unknown key", "\"mode\", \"trust_store\""]
        ),
        (
            "url = \"http://127.0.0.1:9000\"",
            "fixed_response = { stats = 200 }",
            "distributions[0].origins[0].fixed_response.stats",
            ["did you mean \"status\"?", "(line 22)"]
        ),
        (
            "path_pattern",
            "path",
            "distributions[0].behaviors[0].path",
            ["unknown key"]
        ),
        (
            "[[listeners]]",
            "[logs.connection]\nsink = { fil = \"x\" }\n[[listeners]]",
            "logs.connection.sink.fil",
            ["\"file\""]
        ),
    ];
}

#[test]
fn the_key_of_a_later_table_is_counted_right() {
    let text = format!("{GOOD}{}", SECOND.replace("certificate", "certificat"));
    assert!(message(&text).starts_with("config/edge.toml: distributions[1].certificat: unknown key"));
    let text = format!("{GOOD}{}", SECOND.replace("certificate = \"a\"\n", ""));
    assert!(message(&text).starts_with("config/edge.toml: distributions[1].certificate: missing"));
    let text = format!("{GOOD}{}", SECOND.replace("origin = \"app\"\n", ""));
    assert!(message(&text).starts_with("config/edge.toml: distributions[1].behaviors[0].origin: missing"));
}

#[test]
fn missing_keys_are_named() {
    spoiled![
        (
            "address = \"127.0.0.1:8443\"",
            "",
            "listeners[0].address",
            ["missing", "add address = "]
        ),
        ("name = \"partners\"", "", "trust_stores[0].name", ["missing"]),
        (
            "ca_bundle = \"pki/ca.pem\"",
            "",
            "trust_stores[0].ca_bundle",
            ["missing"]
        ),
        ("id = \"E1\"", "", "distributions[0].id", ["missing"]),
        (
            "certificate = \"pki/server.pem\"",
            "",
            "distributions[0].certificate",
            ["missing"]
        ),
        (
            "private_key = \"/etc/pki/server.key\"",
            "",
            "distributions[0].private_key",
            ["missing"]
        ),
        (
            "path_pattern = \"*\"",
            "",
            "distributions[0].behaviors[0].path_pattern",
            ["missing"]
        ),
        (
            "origin = \"app\"",
            "",
            "distributions[0].behaviors[0].origin",
            ["missing"]
        ),
    ];
}

#[test]
fn values_of_the_wrong_type_are_refused() {
    spoiled![
        (
            "\"127.0.0.1:8443\"",
            "8443",
            "listeners[0].address",
            ["integer `8443`", "expected a string"]
        ),
        (
            "[[listeners]]",
            "[limits]\nrecord_queue = \"1\"\n[[listeners]]",
            "limits.record_queue",
            ["a whole number"]
        ),
        (
            "[[listeners]]",
            "[runtime]\ncores = 1.5\n[[listeners]]",
            "runtime.cores",
            ["\"all\", a number of cores"]
        ),
        (
            "[[listeners]]",
            "[runtime]\ncores = [\"x\"]\n[[listeners]]",
            "runtime.cores[0]",
            ["a whole number"]
        ),
        (
            "[[listeners]]",
            "[logs.connection]\nsink = 1\n[[listeners]]",
            "logs.connection.sink",
            ["\"stdout\""]
        ),
    ];
}

#[test]
fn a_policy_left_empty_is_refused_and_never_means_no_policy() {
    let table = "[distributions.viewer_mtls]\nmode = \"required\"\ntrust_store = \"partners\"";
    let empty = "[distributions.viewer_mtls]";
    let mode = "distributions[0].viewer_mtls.mode";
    let store = "distributions[0].viewer_mtls.trust_store";
    for (to, key) in [
        (empty, mode),
        ("viewer_mtls = {}", mode),
        ("[distributions.viewer_mtls]\ntrust_store = \"partners\"", mode),
        ("[distributions.viewer_mtls]\nmode = \"required\"", store),
        ("viewer_mtls = []", "distributions[0].viewer_mtls"),
        ("viewer_mtls = false", "distributions[0].viewer_mtls"),
    ] {
        let message = message(&good_with(table, to));
        assert!(
            message.starts_with(&format!("config/edge.toml: {key}: ")),
            "{to}: {message}"
        );
    }
}

#[test]
fn client_authentication_has_two_modes() {
    let key = "distributions[0].viewer_mtls.mode";
    spoiled![
        (
            "mode = \"required\"",
            "mode = \"passthrough\"",
            key,
            ["not supported yet"]
        ),
        (
            "mode = \"required\"",
            "mode = \"requird\"",
            key,
            ["did you mean \"required\"?"]
        ),
        (
            "mode = \"required\"",
            "mode = \"off\"",
            key,
            ["the values are \"required\", \"optional\""]
        ),
        (
            "mode = \"required\"",
            "mode = \"\"",
            key,
            ["\"required\", \"optional\""]
        ),
    ];
}

#[test]
fn security_policies_that_cannot_be_honoured_are_refused_by_name() {
    let key = "distributions[0].security_policy";
    spoiled![
        (
            "TLSv1.2_2021",
            "TLSv1.2_2019",
            key,
            ["CBC", "nearest supported policy is \"TLSv1.2_2021\""]
        ),
        ("TLSv1.2_2021", "TLSv1.1_2016", key, ["TLS 1.1", "TLSv1.2_2021"]),
        ("TLSv1.2_2021", "SSLv3", key, ["SSL 3.0"]),
        (
            "TLSv1.2_2021",
            "TLSv1.3_2026",
            key,
            ["no security policy", "did you mean \"TLSv1.3_2025\"?"]
        ),
    ];
    for policy in SecurityPolicy::ALL {
        let config = parse_text(&good_with("TLSv1.2_2021", policy.as_str())).unwrap();
        assert_eq!(config.distributions[0].security_policy, policy);
    }
}

#[test]
fn listeners_need_a_free_address_and_one_of_them_https() {
    let listener = "[[listeners]]\naddress = \"127.0.0.1:8443\"";
    spoiled![
        (
            "[[listeners]]\naddress = \"127.0.0.1:8443\"",
            "",
            "listeners",
            ["https", "add [[listeners]]"]
        ),
        (
            "127.0.0.1:8443\"",
            "127.0.0.1:8443\"\nprotocol = \"http\"",
            "listeners",
            ["only redirect"]
        ),
        (
            "127.0.0.1:8443",
            "localhost:8443",
            "listeners[0].address",
            ["127.0.0.1:0"]
        ),
        ("127.0.0.1:8443", "127.0.0.1", "listeners[0].address", ["a port"]),
        (
            "127.0.0.1:8443\"",
            "127.0.0.1:8443\"\nprotocol = \"htps\"",
            "listeners[0].protocol",
            ["\"https\"?"]
        ),
    ];
    let text = good_with(listener, &format!("{listener}\n{listener}"));
    let message = message(&text);
    assert!(message.starts_with("config/edge.toml: listeners[1].address: 127.0.0.1:8443 is the address of"));
    assert!(message.contains("listeners[0]"), "{message}");
}

#[test]
fn any_number_of_listeners_may_leave_the_port_to_the_kernel() {
    let listener = "[[listeners]]\naddress = \"127.0.0.1:0\"\n";
    let text = good_with("[[listeners]]\naddress = \"127.0.0.1:8443\"", &listener.repeat(2));
    assert_eq!(parse_text(&text).unwrap().listeners.len(), 2);
}

#[test]
fn the_admin_endpoint_stays_on_this_machine_unless_told_otherwise() {
    let admin = |text: &str| good_with("[[trust_stores]]", &format!("[admin]\n{text}\n[[trust_stores]]"));
    for address in [
        "127.0.0.1:0",
        "127.9.9.9:9901",
        "[::1]:9901",
        "[::ffff:127.0.0.1]:9901",
    ] {
        let config = parse_text(&admin(&format!("address = {address:?}"))).unwrap();
        assert_eq!(config.admin, Some(address.parse().unwrap()));
    }
    for address in ["0.0.0.0:9901", "[::]:9901", "192.0.2.1:9901"] {
        let message = message(&admin(&format!("address = {address:?}")));
        assert!(
            message.starts_with("config/edge.toml: admin.address: "),
            "{message}"
        );
        assert!(message.contains("allow_remote = true"), "{message}");
        let allowed = admin(&format!("address = {address:?}\nallow_remote = true"));
        assert_eq!(
            parse_text(&allowed).unwrap().admin,
            Some(address.parse().unwrap())
        );
    }
    assert!(message(&admin("address = \"127.0.0.1:8443\"")).contains("listeners[0]"));
}

#[test]
fn cores_are_all_a_number_or_a_list_without_repetition() {
    let cores = |text: &str| {
        good_with(
            "[[listeners]]",
            &format!("[runtime]\ncores = {text}\n[[listeners]]"),
        )
    };
    let good = [
        ("\"all\"", Cores::All),
        ("2", Cores::Count(2.try_into().unwrap())),
        ("[3, 0]", Cores::List(vec![3, 0])),
    ];
    for (text, expected) in good {
        assert_eq!(parse_text(&cores(text)).unwrap().runtime.cores, expected);
    }
    let bad = [
        ("0", "runtime.cores", "1 to 1024"),
        ("-1", "runtime.cores", "1 to 1024"),
        ("5000", "runtime.cores", "1 to 1024"),
        ("\"al\"", "runtime.cores", "\"all\""),
        ("[]", "runtime.cores", "empty"),
        ("[0, 1, 0]", "runtime.cores[2]", "twice"),
        ("[-1]", "runtime.cores[0]", "0 to 1023"),
        ("[1024]", "runtime.cores[0]", "0 to 1023"),
    ];
    for (text, key, part) in bad {
        let message = message(&cores(text));
        assert!(
            message.starts_with(&format!("config/edge.toml: {key}: ")),
            "{message}"
        );
        assert!(message.contains(part), "{message}");
    }
    let driver = good_with("[[listeners]]", "[runtime]\ndriver = \"epol\"\n[[listeners]]");
    assert!(message(&driver).starts_with("config/edge.toml: runtime.driver: "));
}

#[test]
fn every_limit_says_its_range() {
    let ranges = [
        ("connections_per_core", "1 to 10000000"),
        ("handshakes_per_core", "1 to 1000000"),
        ("handshake_timeout_ms", "10 to 600000"),
        ("header_timeout_ms", "10 to 600000"),
        ("idle_timeout_ms", "10 to 86400000"),
        ("drain_timeout_ms", "0 to 3600000"),
        ("header_bytes_max", "8192 to 1048576"),
        ("streams_per_connection_max", "1 to 10000"),
        ("tickets_per_core", "1 to 16777216"),
        ("ticket_lifetime_s", "1 to 604800"),
        ("record_queue", "1 to 16777216"),
    ];
    for (name, range) in ranges {
        for value in ["-1", "9223372036854775807"] {
            let limit = format!("[limits]\n{name} = {value}\n[[listeners]]");
            let message = message(&good_with("[[listeners]]", &limit));
            assert!(
                message.starts_with(&format!("config/edge.toml: limits.{name}: {value} is")),
                "{message}"
            );
            assert!(message.contains(&format!("from {range} (line 3)")), "{message}");
        }
    }
}

#[test]
fn limits_are_taken_in_the_unit_of_their_key() {
    let text = "[limits]\nhandshake_timeout_ms = 250\nticket_lifetime_s = 7\nrecord_queue = 3\n[[listeners]]";
    let limits = parse_text(&good_with("[[listeners]]", text)).unwrap().limits;
    assert_eq!(limits.handshake_timeout, Duration::from_millis(250));
    assert_eq!(limits.ticket_lifetime, Duration::from_secs(7));
    assert_eq!(limits.record_queue, 3);
    assert_eq!(limits.idle_timeout, Limits::default().idle_timeout);
}

#[test]
fn trust_stores_are_named_once_and_well() {
    let again = "[[trust_stores]]\nname = \"partners\"\nca_bundle = \"x\"\n[[trust_stores]]";
    spoiled![
        (
            "name = \"partners\"",
            "name = \"part ners\"",
            "trust_stores[0].name",
            ["letters, digits"]
        ),
        (
            "name = \"partners\"",
            "name = \"\"",
            "trust_stores[0].name",
            ["1 to 64"]
        ),
        (
            "\"pki/ca.pem\"",
            "\"\"",
            "trust_stores[0].ca_bundle",
            ["no file name"]
        ),
        (
            "\"pki/ca.pem\"",
            "\"a\\u0000b\"",
            "trust_stores[0].ca_bundle",
            ["no file name"]
        ),
        (
            "\"pki/ca.pem\"",
            "\"x\"\nout_of_date_crl = \"accept\"",
            "trust_stores[0].out_of_date_crl",
            ["accept_and_log"]
        ),
        (
            "\"pki/ca.pem\"",
            "\"x\"\nrevocations = [\"a\", \"\"]",
            "trust_stores[0].revocations[1]",
            ["file name"]
        ),
    ];
    let message = message(&good_with("[[trust_stores]]", again));
    assert!(message.contains("trust_stores[1].name: \"partners\" is the name of trust_stores[0] too"));
}

#[test]
fn distributions_have_ids_names_and_one_default_at_most() {
    let everything = &GOOD[GOOD.find("[[distributions]]").unwrap()..];
    assert!(message(&GOOD.replace(everything, "")).contains("distributions: there is no distribution"));
    spoiled![
        (
            "id = \"E1\"",
            "id = \"E/1\"",
            "distributions[0].id",
            ["letters, digits"]
        ),
        (
            "\"edge.example.com\"",
            "\"edge.example.com:443\"",
            "distributions[0].aliases[0]",
            ["without port"]
        ),
        (
            "\"edge.example.com\"",
            "\"edge_1.example.com\"",
            "distributions[0].aliases[0]",
            ["no host name"]
        ),
        (
            "\"edge.example.com\"",
            "\"127.0.0.1\"",
            "distributions[0].aliases[0]",
            ["default = true"]
        ),
        (
            "\"edge.example.com\"",
            "\"*\"",
            "distributions[0].aliases[0]",
            ["default = true"]
        ),
        (
            "\"edge.example.com\"",
            "\"a.*.com\"",
            "distributions[0].aliases[0]",
            ["first label"]
        ),
        (
            "\"edge.example.com\"",
            "\"x.org\", \"X.org.\"",
            "distributions[0].aliases[1]",
            ["\"E1\" already"]
        ),
        (
            "aliases = [\"edge.example.com\", \"*.example.net\"]",
            "",
            "distributions[0].aliases",
            ["no client can reach", "default = true"]
        ),
    ];
}

#[test]
fn two_distributions_share_neither_id_nor_name_nor_being_the_default() {
    let with = |from: &str, to: &str| message(&format!("{GOOD}{}", SECOND.replace(from, to)));
    let same_id = with("\"E2\"", "\"E1\"");
    assert!(
        same_id.contains("distributions[1].id: \"E1\" is the id of distributions[0] too"),
        "{same_id}"
    );
    let same_name = with("second.example.com", "EDGE.Example.com.");
    assert!(
        same_name.contains("distributions[1].aliases[0]: \"edge.example.com\""),
        "{same_name}"
    );
    assert!(
        same_name.contains("the distribution \"E1\" already"),
        "{same_name}"
    );
    let same_wildcard = with("second.example.com", "*.EXAMPLE.net");
    assert!(
        same_wildcard.contains("distributions[1].aliases[0]: \"*.example.net\""),
        "{same_wildcard}"
    );
    let both = format!("{GOOD}{SECOND}").replace("certificate", "default = true\ncertificate");
    assert!(message(&both).contains("distributions[1].default: another distribution"));
}

#[test]
fn an_origin_is_a_url_or_a_fixed_response() {
    let url = "distributions[0].origins[0].url";
    let origin = "distributions[0].origins[0]";
    let fixed = "distributions[0].origins[0].fixed_response";
    spoiled![
        (
            "http://127.0.0.1:9000",
            "https://127.0.0.1:9000",
            url,
            ["not supported yet", "http://host:port"]
        ),
        ("http://127.0.0.1:9000", "ftp://a", url, ["no http:// URL"]),
        ("http://127.0.0.1:9000", "127.0.0.1:9000", url, ["no http:// URL"]),
        (
            "http://127.0.0.1:9000",
            "http://a/b",
            url,
            ["more than a host and a port"]
        ),
        (
            "http://127.0.0.1:9000",
            "http://a?b",
            url,
            ["more than a host and a port"]
        ),
        ("http://127.0.0.1:9000", "http://u:p@a", url, ["user name"]),
        ("http://127.0.0.1:9000", "http://", url, ["no usable host"]),
        ("http://127.0.0.1:9000", "http://a:99999", url, ["port"]),
        ("http://127.0.0.1:9000", "http://a:0", url, ["port 0"]),
        (
            "url = \"http://127.0.0.1:9000\"",
            "",
            origin,
            ["neither url nor fixed_response"]
        ),
        (
            "url = \"http://127.0.0.1:9000\"",
            "url = \"http://a\"\nfixed_response = {}",
            origin,
            ["both url and fixed_response"]
        ),
        (
            "url = \"http://127.0.0.1:9000\"",
            "fixed_response = { body = \"a\", body_file = \"b\" }",
            fixed,
            ["both body and body_file"]
        ),
        (
            "url = \"http://127.0.0.1:9000\"",
            "fixed_response = { status = 199 }",
            "distributions[0].origins[0].fixed_response.status",
            ["200 to 599"]
        ),
        (
            "url = \"http://127.0.0.1:9000\"",
            "fixed_response = { status = 204, body = \"a\" }",
            fixed,
            ["no body"]
        ),
        (
            "url = \"http://127.0.0.1:9000\"",
            "fixed_response = { headers = { Content-Length = \"1\" } }",
            "distributions[0].origins[0].fixed_response.headers.Content-Length",
            ["by itself"]
        ),
        (
            "url = \"http://127.0.0.1:9000\"",
            "fixed_response = { headers = { x = \"a\\r\\nb\" } }",
            "distributions[0].origins[0].fixed_response.headers.x",
            ["cannot stand in a header"]
        ),
        (
            "url = \"http://127.0.0.1:9000\"",
            "connection_attempts = 1\nfixed_response = {}",
            "distributions[0].origins[0].connection_attempts",
            ["remove this key"]
        ),
    ];
}

#[test]
fn an_origin_has_bounds_and_an_id_of_its_own() {
    let url = "url = \"http://127.0.0.1:9000\"";
    for (name, range) in [
        ("connection_attempts", "1 to 3"),
        ("connection_timeout", "1 to 10"),
        ("origin_read_timeout", "1 to 180"),
        ("origin_keepalive_timeout", "1 to 180"),
    ] {
        let message = message(&good_with(url, &format!("{url}\n{name} = 0")));
        assert!(
            message.contains(&format!("distributions[0].origins[0].{name}: 0 is out of range")),
            "{message}"
        );
        assert!(message.contains(range), "{message}");
    }
    let twice = good_with(
        url,
        &format!("{url}\n[[distributions.origins]]\nid = \"app\"\n{url}"),
    );
    assert!(message(&twice).contains("distributions[0].origins[1].id: \"app\" is the id of"));
    let none = good_with(
        "[[distributions.origins]]\nid = \"app\"\nurl = \"http://127.0.0.1:9000\"",
        "",
    );
    assert!(message(&none).contains("distributions[0].origins: there is no origin"));
}

#[test]
fn a_fixed_response_is_taken_as_written() {
    let fixed =
        "fixed_response = { status = 404, body_file = \"gone.html\", headers = { X-Why = \"gone\" } }";
    let config = parse_text(&good_with("url = \"http://127.0.0.1:9000\"", fixed)).unwrap();
    let OriginTarget::Fixed(response) = &config.distributions[0].origins[0].target else {
        panic!("fixed")
    };
    assert_eq!(response.status, 404);
    let FixedBody::File(file) = &response.body else {
        panic!("a file")
    };
    assert_eq!(file.path, PathBuf::from("config/gone.html"));
    assert_eq!(
        file.key.to_string(),
        "distributions[0].origins[0].fixed_response.body_file"
    );
    assert_eq!(
        response.headers,
        [("x-why".parse().unwrap(), "gone".parse().unwrap())]
    );
}

#[test]
fn behaviors_end_with_a_star_and_name_what_exists() {
    let pattern = "distributions[0].behaviors[0].path_pattern";
    let policy = "distributions[0].behaviors[0].viewer_protocol_policy";
    spoiled![
        (
            "[[distributions.behaviors]]\npath_pattern = \"*\"\norigin = \"app\"",
            "",
            "distributions[0].behaviors",
            ["there is no behavior"]
        ),
        (
            "path_pattern = \"*\"",
            "path_pattern = \"/a\"",
            pattern,
            ["must have path_pattern = \"*\""]
        ),
        (
            "path_pattern = \"*\"",
            "path_pattern = \"\"",
            pattern,
            ["1 to 255"]
        ),
        (
            "path_pattern = \"*\"",
            "path_pattern = \"/a b\"",
            pattern,
            ["percent-encoded"]
        ),
        (
            "origin = \"app\"",
            "origin = \"ap\"",
            "distributions[0].behaviors[0].origin",
            ["did you mean \"app\"?"]
        ),
        (
            "origin = \"app\"",
            "origin = \"app\"\nviewer_protocol_policy = \"allow-all\"",
            policy,
            ["authenticated"]
        ),
        (
            "origin = \"app\"",
            "origin = \"app\"\nviewer_protocol_policy = \"https\"",
            policy,
            ["https-only"]
        ),
        (
            "origin = \"app\"",
            "origin = \"app\"\n[[distributions.behaviors]]\npath_pattern = \"/a\"\norigin = \"app\"",
            "distributions[0].behaviors[1].path_pattern",
            ["never reached"]
        ),
        (
            "path_pattern = \"*\"",
            "path_pattern = \"/a\"\norigin = \"app\"\n[[distributions.behaviors]]\npath_pattern = \"a\"",
            "distributions[0].behaviors[1].path_pattern",
            ["behaviors[0] has this pattern too"]
        ),
    ];
}

#[test]
fn only_the_seven_certificate_headers_can_be_asked_for_and_each_once() {
    let with = |headers: &str| {
        let policy = format!("origin = \"app\"\norigin_request_policy = {{ headers = [{headers}] }}");
        good_with("origin = \"app\"", &policy)
    };
    let seven = CertificateHeader::ALL
        .map(|header| format!("{:?}", header.as_str().to_lowercase()))
        .join(",");
    let config = parse_text(&with(&seven)).unwrap();
    let behavior = &config.distributions[0].behaviors[0];
    assert_eq!(behavior.origin_request_policy.headers, CertificateHeader::ALL);

    let key = "distributions[0].behaviors[0].origin_request_policy.headers";
    let wrong = message(&with(
        "\"CloudFront-Viewer-Cert-Pem\", \"CloudFront-Viewer-Cert-Serial\"",
    ));
    assert!(
        wrong.contains(&format!("{key}[1]: ")) && wrong.contains("Cert-Serial-Number\"?"),
        "{wrong}"
    );
    let twice = message(&with(
        "\"CloudFront-Viewer-Cert-Pem\", \"cloudfront-viewer-cert-pem\"",
    ));
    assert!(
        twice.contains(&format!("{key}[1]: ")) && twice.contains("twice"),
        "{twice}"
    );
    let many = message(&with(&"\"a\",".repeat(11)));
    assert!(
        many.contains(&format!("{key}: 11 headers are too many; name 10 at most")),
        "{many}"
    );
}

#[test]
fn records_go_to_stdout_or_to_a_file() {
    let logs = |text: &str| {
        good_with(
            "[[listeners]]",
            &format!("[logs.connection]\n{text}\n[[listeners]]"),
        )
    };
    let sink = |text: &str| parse_text(&logs(text)).unwrap().logs.connection.sink;
    assert_eq!(sink("sink = \"stdout\""), Sink::Stdout);
    assert_eq!(sink(""), Sink::Stdout);
    let Sink::File(file) = sink("sink = { file = \"logs/c.log\" }") else {
        panic!("a file")
    };
    assert_eq!(file.path, PathBuf::from("config/logs/c.log"));
    for (text, key, part) in [
        ("sink = \"stderr\"", "logs.connection.sink", "\"stdout\""),
        ("sink = {}", "logs.connection.sink.file", "missing"),
        (
            "sink = { file = \"\" }",
            "logs.connection.sink.file",
            "no file name",
        ),
        (
            "format = \"parquet\"",
            "logs.connection.format",
            "not supported yet",
        ),
        (
            "format = \"jsn\"",
            "logs.connection.format",
            "did you mean \"json\"?",
        ),
    ] {
        let message = message(&logs(text));
        assert!(
            message.starts_with(&format!("config/edge.toml: {key}: ")),
            "{message}"
        );
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.toml");
    let message = load(&absent).unwrap_err().to_string();
    assert!(
        message.starts_with(&format!("{}: cannot read the configuration", absent.display())),
        "{message}"
    );
    let binary = folder.path().join("binary.toml");
    fs::write(&binary, [0xff, 0xfe]).unwrap();
    assert!(
        load(&binary)
            .unwrap_err()
            .to_string()
            .contains("cannot read the configuration")
    );
    assert!(load(folder.path()).is_err());
    assert!(
        load(Path::new("/dev/zero"))
            .unwrap_err()
            .to_string()
            .contains("larger than")
    );
}

#[test]
fn an_empty_file_is_refused() {
    assert!(message("").starts_with("config/edge.toml: listeners: "));
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
    assert!(message(&format!("a = {}", "[".repeat(100_000))).contains("not TOML"));
    message(&format!("[{}a]", "a.".repeat(100_000)));
}

#[test]
fn every_example_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let examples: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|end| end == "toml"))
        .collect();
    assert!(examples.len() >= 3, "{examples:?}");
    for example in examples {
        if let Err(error) = load(&example) {
            panic!("{error}");
        }
    }
}

#[test]
fn the_reference_configuration_states_the_defaults() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/edge.toml");
    let config = load(&file).unwrap();
    assert_eq!(config.limits, Limits::default());
    assert_eq!(
        config.runtime,
        RuntimeConfig {
            cores: Cores::All,
            driver: Driver::Auto
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

proptest! {
    #[test]
    fn random_text_never_panics(text in "\\PC{0,200}") {
        let _ = parse_text(&text);
    }

    #[test]
    fn random_toml_like_text_never_panics(
        lines in proptest::collection::vec(
            "(\\[\\[?(listeners|trust_stores|distributions(\\.(viewer_mtls|origins|behaviors))?|limits|runtime)\\]?\\])\
             |(id|name|address|cores|url|mode|aliases|default|sink) = (\"[a-z*.:/]{0,9}\"|-?[0-9]{1,20}|\\[[0-9,]{0,5}\\]|\\{\\}|true)",
            0..20
        )
    ) {
        let _ = parse_text(&lines.join("\n"));
    }

    #[test]
    fn a_good_configuration_with_a_stretch_cut_out_or_put_in_never_panics(
        start in 0..GOOD.len(), length in 0..40_usize, extra in "\\PC{0,10}"
    ) {
        let end = (start + length).min(GOOD.len());
        if let Err(error) = parse_text(&format!("{}{extra}{}", &GOOD[..start], &GOOD[end..])) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}
