//! Refusals in a distribution itself.

use super::*;

#[test]
fn an_unknown_trust_store_is_refused_exactly_like_this() {
    let text = good_with("trust_store = \"partners\"", "trust_store = \"partnrs\"");
    let expected = "config/edge.toml: distributions[0].viewer_mtls.trust_store: no trust store is named \
        \"partnrs\"; \
                    did you mean \"partners\"? (line 18)";
    assert_eq!(message(&text), expected);
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
fn client_authentication_has_three_modes() {
    let key = "distributions[0].viewer_mtls.mode";
    spoiled![
        (
            "mode = \"required\"",
            "mode = \"passthrough\"",
            "distributions[0].viewer_mtls.trust_store",
            ["against no trust store", "remove it"]
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
            "\"edge 1.example.com\"",
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
fn identity_headers_are_names_and_ours_are_never_let_through() {
    let to = |line: &str| {
        good_with(
            "id = \"E1\"\n",
            &format!("id = \"E1\"\nidentity_headers = {line}\n"),
        )
    };
    let headers = &parse_text(&to("{ remove = [\"X-Badge-*\"], let_through = [\"X-Real-Ip\"] }"))
        .unwrap()
        .distributions[0]
        .identity_headers;
    assert!(headers.is_claim("x_badge_1") && !headers.is_claim("x-real-ip"));
    for (line, key, part) in [
        ("{ remove = [\"*\"] }", "remove[0]", "3 letters at least"),
        ("{ remove = [\"\"] }", "remove[0]", "too many headers"),
        ("{ remove = [\"a\", \"x_y\"] }", "remove[1]", "hyphens"),
        ("{ remove = [\"a*b\"] }", "remove[0]", "is no header name"),
        (
            "{ let_through = [\"Client-Cert\"] }",
            "let_through[0]",
            "never reaches an origin",
        ),
        ("{ let_trough = [] }", "", "let_through"),
    ] {
        let message = message(&to(line));
        let key = format!(
            "distributions[0].identity_headers{}{key}",
            if key.is_empty() { "" } else { "." }
        );
        assert!(
            message.contains(&key) && message.contains(part),
            "{line}: {message}"
        );
    }
}
