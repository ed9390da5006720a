//! Refusals before any value is looked at: files, syntax, keys, types.

use proptest::prelude::*;

use super::*;

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
            "mode = \"required\"\nuse_ocsp = \"x\"",
            "distributions[0].viewer_mtls.use_ocsp",
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
fn an_empty_file_is_refused() {
    assert!(message("").starts_with("config/edge.toml: listeners: "));
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
    assert!(message(&format!("a = {}", "[".repeat(100_000))).contains("not TOML"));
    message(&format!("[{}a]", "a.".repeat(100_000)));
}

proptest! {
    #[test]
    fn random_text_never_panics(text in "\\PC{0,200}") {
        let _ = parse_text(&text);
    }

    #[test]
    fn random_toml_like_text_never_panics(
        lines in proptest::collection::vec(
            "(\\[\\[?(listeners|trust_stores|distributions(\\.(viewer_mtls|origins|behaviors))?\
             |limits|runtime)\
             \\]?\\])\
             |(id|name|address|cores|url|mode|aliases|default|sink) = \
             (\"[a-z*.:/]{0,9}\"|-?[0-9]{1,20}|\\[[0-9,]{0,5}\\]|\\{\\}|true)",
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
