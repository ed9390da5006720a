//! Functions by name: who may name which, and what is said of names that lead nowhere.

use super::*;

const FUNCTIONS: &str = r#"
[[key_value_stores]]
name = "revocations"
import = "revocations.json"

[[connection_functions]]
name = "deny-revoked"
code = "functions/deny-revoked.js"
key_value_store = "revocations"

[[functions]]
name = "rewrite"
code = "functions/rewrite.js"

"#;

/// `GOOD` with the functions, each of them used.
fn good() -> String {
    GOOD.replacen("[[distributions]]", &format!("{FUNCTIONS}[[distributions]]"), 1)
        .replacen(
            "mode = \"required\"",
            "mode = \"required\"\nconnection_function = \"deny-revoked\"",
            1,
        )
        + "function_associations = { viewer_request = \"rewrite\", viewer_response = \"rewrite\" }\n"
}

fn refused(from: &str, to: &str) -> String {
    let text = good();
    assert!(text.contains(from), "{from:?}");
    message(&text.replacen(from, to, 1))
}

#[test]
fn functions_lead_to_their_code_and_their_store() {
    let config = parse_text(&good()).unwrap();
    let [function] = &config.functions.connection[..] else {
        panic!("one connection function")
    };
    assert_eq!(function.name.as_str(), "deny-revoked");
    assert_eq!(
        function.code.place,
        Place::File(PathBuf::from("config/functions/deny-revoked.js"))
    );
    assert_eq!(function.key_value_store, Some(0));
    assert_eq!(config.functions.viewer[0].key_value_store, None);
    let distribution = &config.distributions[0];
    assert_eq!(distribution.connection_function, Some(0));
    let associations = distribution.behaviors[0].function_associations;
    assert_eq!(
        (associations.viewer_request, associations.viewer_response),
        (Some(0), Some(0))
    );
    let without = parse_text(GOOD).unwrap();
    assert_eq!(without.functions, Functions::default());
    assert_eq!(without.distributions[0].connection_function, None);
}

#[test]
fn a_connection_function_runs_in_every_mode() {
    let optional = good().replacen("\"required\"", "\"optional\"", 1);
    let verified = "mode = \"required\"\nconnection_function = \"deny-revoked\"\ntrust_store = \"partners\"";
    let unverified = "mode = \"passthrough\"\nconnection_function = \"deny-revoked\"";
    for text in [optional, good().replacen(verified, unverified, 1)] {
        let config = parse_text(&text).unwrap();
        assert_eq!(config.distributions[0].connection_function, Some(0), "{text}");
    }
}

#[test]
fn a_name_that_leads_nowhere_is_refused_with_a_guess() {
    let cases = [
        (
            "connection_function = \"deny-revoked\"",
            "connection_function = \"deny-revokd\"",
            "distributions[0].viewer_mtls.connection_function: no connection function is named \
             \"deny-revokd\"; did you mean \"deny-revoked\"?",
        ),
        (
            "connection_function = \"deny-revoked\"",
            "connection_function = \"rewrite\"",
            "distributions[0].viewer_mtls.connection_function: no connection function is named \"rewrite\"; \
             that is a viewer function; \
             a connection function stands in [[connection_functions]]",
        ),
        (
            "viewer_request = \"rewrite\"",
            "viewer_request = \"rewrit\"",
            "distributions[0].behaviors[0].function_associations.viewer_request: no viewer function is \
             named \"rewrit\"; did you mean \"rewrite\"?",
        ),
        (
            "viewer_response = \"rewrite\"",
            "viewer_response = \"deny-revoked\"",
            "distributions[0].behaviors[0].function_associations.viewer_response: no viewer function is \
             named \"deny-revoked\"; that is a \
             connection function; a viewer function stands in [[functions]]",
        ),
        (
            "key_value_store = \"revocations\"",
            "key_value_store = \"revocation\"",
            "connection_functions[0].key_value_store: no key-value store is named \"revocation\"; did you \
             mean \"revocations\"?",
        ),
        (
            "name = \"rewrite\"",
            "name = \"deny-revoked\"",
            "functions[0].name: \"deny-revoked\" is the name of connection_functions[0] too; give each \
             function its own",
        ),
        (
            "name = \"rewrite\"",
            "name = \"re write\"",
            "functions[0].name: \"re write\" cannot be a name",
        ),
        (
            "code = \"functions/rewrite.js\"",
            "code = \"\"",
            "functions[0].code: \"\" is no file name",
        ),
        (
            "code = \"functions/rewrite.js\"",
            "cod = \"functions/rewrite.js\"",
            "functions[0].cod: unknown key; did you mean \"code\"?",
        ),
        (
            "viewer_request =",
            "viewer_requests =",
            "distributions[0].behaviors[0].function_associations.viewer_requests: unknown key; did you mean \
             \"viewer_request\"?",
        ),
    ];
    for (from, to, expected) in cases {
        let message = refused(from, to);
        assert!(
            message.starts_with(&format!("config/edge.toml: {expected}")),
            "{message}\n  wanted: {expected}"
        );
    }
}

#[test]
fn a_function_is_bounded_as_the_managed_service_bounds_it_unless_told_otherwise() {
    let limits = parse_text(GOOD).unwrap().limits;
    assert_eq!(
        (
            limits.function_time,
            limits.function_memory_bytes,
            limits.function_code_bytes
        ),
        (Duration::from_millis(5), 2_097_152, 10_240)
    );
    let text = "[limits]\nfunction_time_ms = 7\nfunction_memory_bytes = 4_194_304\nfunction_code_bytes = \
        40_960\n[[listeners]]";
    let limits = parse_text(&good_with("[[listeners]]", text)).unwrap().limits;
    assert_eq!(
        (
            limits.function_time,
            limits.function_memory_bytes,
            limits.function_code_bytes
        ),
        (Duration::from_millis(7), 4_194_304, 40_960)
    );
}
