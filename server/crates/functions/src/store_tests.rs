//! The key-value store as functions see it.
#![allow(clippy::unwrap_used)]

use super::testing::*;
use super::*;

/// Lines that `body` logs, with a store of a few keys at hand as `kvs`.
fn lines(body: &str) -> Vec<String> {
    let code = format!(
        "import cf from 'cloudfront';\nconst kvs = cf.kvs();\n\
         async function connectionHandler(c) {{ {body}; c.allow(); }}"
    );
    let outcome = call(&function_with(
        &code,
        &[("a", "1"), ("o", "{\"x\":[true]}"), ("é", "ü"), ("", "empty")],
    ));
    assert_eq!(outcome.decision, Decision::Allow, "{body}");
    outcome.console
}

#[test]
fn a_value_comes_as_text_json_or_bytes() {
    assert_eq!(
        lines(
            "console.log(await kvs.get('a')); console.log(typeof await kvs.get('a', { format: 'string' }));
             console.log(await kvs.get('o', { format: 'json' }));
             console.log(Array.from(await kvs.get('é', { format: 'bytes' })).join());
             console.log(await kvs.get('')); console.log(await kvs.get('a', {}))"
        ),
        ["1", "string", "{\"x\":[true]}", "195,188", "empty", "1"]
    );
}

#[test]
fn what_cannot_be_got_rejects() {
    assert_eq!(
        lines(
            "const say = async (p) => { try { console.log(await p) } catch (e) { console.log(e) } };
             await say(kvs.get('missing')); await say(kvs.get(1)); await say(kvs.exists({}));
             await say(kvs.get('a', { format: 'xml' })); await say(kvs.get('é', { format: 'json' }));
             await say(kvs.get('\\ud800'))"
        ),
        [
            "Error: Key not found: missing",
            "TypeError: a key is a string",
            "TypeError: a key is a string",
            "TypeError: format is one of string, json, bytes",
            "SyntaxError: Unexpected token '\\u00fc' in JSON",
            "Error: Key not found: \u{fffd}",
        ]
    );
}

#[test]
fn there_is_a_count_and_a_meta() {
    assert_eq!(
        lines(
            "console.log(await kvs.count()); console.log(await kvs.meta()); console.log(await \
             kvs.exists('a'))"
        ),
        [
            "4",
            "{\"creationDateTime\":\"2023-11-14T22:13:20.000Z\",\
             \"lastUpdatedDateTime\":\"2023-11-14T22:14:20.000Z\",\"keyCount\":4}",
            "true"
        ]
    );
}

#[test]
fn a_store_answers_to_its_own_name_only() {
    let code = "import cf from \"cloudfront\"
        const kvs = cf.kvs('revocations');
        async function connectionHandler(c) { if (await kvs.exists('a')) c.allow() }";
    assert_eq!(call(&function_with(code, &[("a", "")])).decision, Decision::Allow);
    let other = code.replace("'revocations'", "'others'");
    let refused = compile_with(&other, Some(store(&[]))).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "2:24: Error: this function's key_value_store is revocations, not others"
    );
    let refused = compile(code).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "2:24: Error: this function has no key_value_store"
    );
}
