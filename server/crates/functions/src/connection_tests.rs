//! Facts that connection functions are told, and the meaning of their answers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use bothways_test_pki::{Ca, leaf};
use bothways_trust::CertificateFacts;

use super::testing::*;
use super::*;

/// The pattern of the launch article: serials without colons are the keys.
const REVOCATION: &str = "import cf from 'cloudfront';

async function connectionHandler(connection) {
    const kvsHandle = cf.kvs();
    // Get client certificate serial number
    const clientCertSerialNumber = connection.clientCertificate.certificates.leaf.serialNumber;
    // Remove colons: keys have none
    const serialNumber = clientCertSerialNumber.replaceAll(\":\", \"\");
    if (await kvsHandle.exists(serialNumber)) {
        console.log(`Connection ${connection.connectionId} denied`);
        connection.logCustomData(`REVOKED:${serialNumber}`);
        return connection.deny();
    }
    connection.allow();
}
";

#[test]
fn the_articles_revocation_function_denies_who_is_listed_and_nobody_else() {
    let listed = function_with(REVOCATION, &[("00b143ed", "")]);
    let outcome = call(&listed);
    assert_eq!(outcome.decision, Decision::Deny(Denial::Called));
    assert_eq!(outcome.custom_data.as_deref(), Some("REVOKED:00b143ed"));
    assert_eq!(
        outcome.console,
        ["Connection NpvTe1925xfj24a67sPQr7ae42BIq03FGhJJKfrQYWZcWZFp96SIIg== denied"]
    );
    let unlisted = function_with(REVOCATION, &[("b143ed", "")]);
    let outcome = call(&unlisted);
    assert_eq!(outcome.decision, Decision::Allow);
    assert_eq!(outcome.custom_data, None);
}

#[test]
fn a_function_of_several_thousand_calls_stays_the_same() {
    let listed = function_with(REVOCATION, &[("00b143ed", "")]);
    for _ in 0..5_000 {
        assert_eq!(call(&listed).decision, Decision::Deny(Denial::Called));
    }
}

#[test]
fn the_connection_has_every_documented_field_in_its_documented_format() {
    let root = Ca::root("Root");
    let intermediate = root.intermediate(bothways_test_pki::ca("Int"));
    let name = |name: &str| rcgen::SanType::DnsName(name.try_into().unwrap());
    let der = intermediate.issue(leaf("client").serial(&[0xb1, 0x43]).with(|params| {
        params.subject_alt_names = vec![name("client.example.com"), name("api.example.com")];
    }));
    let facts = CertificateFacts::parse(&der).unwrap();
    let intermediates = [Arc::new(CertificateFacts::parse(&intermediate.der).unwrap())];
    let function = function(
        "function connectionHandler(connection) { console.log(JSON.stringify(connection)); \
         connection.allow(); }",
    );
    let outcome = call_connection(&function, &event(Some(&facts), &intermediates));
    let seen: serde_json::Value = serde_json::from_str(&outcome.console[0]).unwrap();
    assert_eq!(
        seen["connectionId"],
        "NpvTe1925xfj24a67sPQr7ae42BIq03FGhJJKfrQYWZcWZFp96SIIg=="
    );
    assert_eq!(seen["clientIp"], "203.0.113.42");
    assert_eq!(seen["endpoint"], "api.example.com");
    assert_eq!(seen["distributionId"], "E1NXS4MQZH501R");
    assert_eq!(
        seen["tls"],
        serde_json::json!({
            "protocol": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256",
            "sni": "api.example.com", "resumed": false
        })
    );
    let certificates = &seen["clientCertificate"]["certificates"];
    let shown = &certificates["leaf"];
    assert_eq!(shown["serialNumber"], "00:b1:43");
    assert_eq!(shown["subject"], "O=Example, CN=client");
    assert_eq!(shown["issuer"], "O=Example, CN=Int");
    assert_eq!(
        shown["validity"],
        serde_json::json!({"notBefore": "2025-01-01T00:00:00Z", "notAfter": "2030-01-01T00:00:00Z"})
    );
    assert_eq!(shown["sha256Fingerprint"], facts.details().sha256_base64url);
    assert_eq!(shown["san"], "DNS:client.example.com,DNS:api.example.com");
    assert!(shown["sanHex"].as_str().unwrap().starts_with("302"));
    assert!(shown["spki"].as_str().unwrap().starts_with("3059"));
    assert_eq!(shown.get("ocspEndpoint"), None);
    let above = certificates["intermediates"].as_array().unwrap();
    assert_eq!(above.len(), 1);
    assert_eq!(above[0]["subject"], "O=Example, CN=Int");
    assert_eq!(above[0]["issuer"], "O=Example, CN=Root");
}

#[test]
fn without_a_certificate_there_is_no_client_certificate() {
    let code = "function connectionHandler(connection) {
        if (!connection.clientCertificate && !('clientCertificate' in connection)) connection.allow();
    }";
    assert_eq!(call_anonymous(&function(code)).decision, Decision::Allow);
}

#[test]
fn security_closes_whatever_else_was_said() {
    let said = |body: &str| decision(&format!("function connectionHandler(connection) {{ {body} }}"));
    assert_eq!(said("connection.allow();"), Decision::Allow);
    assert_eq!(said("return connection.allow();"), Decision::Allow);
    assert_eq!(said("return connection.deny();"), Decision::Deny(Denial::Called));
    assert_eq!(said("return true;"), Decision::Deny(Denial::NeitherCalled));
    for both in [
        "connection.allow(); connection.deny();",
        "connection.deny(); connection.allow();",
    ] {
        assert_eq!(said(both), Decision::Deny(Denial::Called), "{both}");
    }
    for thrown in [
        "connection.allow(); throw new Error('x');",
        "connection.deny(); throw new Error('x');",
    ] {
        assert!(matches!(said(thrown), Decision::Error(_)), "{thrown}");
    }
}

#[test]
fn handlers_may_be_async_or_arrows_or_awaited_late() {
    for code in [
        "async function connectionHandler(connection) { await null; connection.allow(); }",
        "const connectionHandler = async (connection) => { await 1; await 2; connection.allow(); }",
        "let connectionHandler = (connection) => connection.allow();",
        "var connectionHandler = function (c) { const { allow } = c; allow(); }",
        "function connectionHandler(c) { Promise.resolve().then(() => c.allow()); }",
        "function connectionHandler(c) { return { then(done) { c.deny(); done(); } } } // comment",
    ] {
        let expected = match code.contains("deny") {
            // A promise is a promise; an object that looks like one is nonsense.
            true => Decision::Deny(Denial::NeitherCalled),
            false => Decision::Allow,
        };
        assert_eq!(decision(code), expected, "{code}");
    }
}

#[test]
fn a_denial_that_comes_after_the_handlers_return_still_counts() {
    let code = "async function check(c) { await null; c.deny(); }
        function connectionHandler(c) { check(c); c.allow(); }";
    assert_eq!(decision(code), Decision::Deny(Denial::Called));
}

#[test]
fn a_check_that_fails_unawaited_is_an_error() {
    let code = "async function check(c) { await null; throw new Error('x'); }
        function connectionHandler(c) { check(c); c.allow(); }";
    assert_eq!(
        error(code),
        "judge: a promise was rejected and nothing awaited it"
    );
}

#[test]
fn custom_data_is_cut_at_a_character_and_the_last_call_counts() {
    let data = |body: &str| {
        let outcome = call(&function(&format!(
            "function connectionHandler(c) {{ {body}; c.allow(); }}"
        )));
        assert_eq!(outcome.decision, Decision::Allow, "{body}");
        outcome.custom_data.unwrap().into_string()
    };
    assert_eq!(data("c.logCustomData('a'); c.logCustomData('b')"), "b");
    assert_eq!(data("c.logCustomData('x'.repeat(900))"), "x".repeat(800));
    assert_eq!(
        data("c.logCustomData('x' + '€'.repeat(900))"),
        format!("x{}", "€".repeat(266))
    );
    assert_eq!(
        data("c.logCustomData('x' + '😀'.repeat(900))"),
        format!("x{}", "😀".repeat(199))
    );
    assert_eq!(data(r"c.logCustomData('\ud800 lone')"), "\u{fffd} lone");
    assert_eq!(data(r"c.logCustomData('nul\0')"), "nul\0");
}

#[test]
fn wrong_types_to_helpers_are_type_errors() {
    for argument in ["1", "undefined", "{}", "null", "Symbol()", "[ 'x' ]"] {
        let code = format!("function connectionHandler(c) {{\n  c.allow(); c.logCustomData({argument}); }}");
        let told = error(&code);
        assert!(told.starts_with("judge:2:"), "{told}");
        assert!(
            told.ends_with(": TypeError: logCustomData takes a string"),
            "{told}"
        );
    }
}

#[test]
fn the_published_patterns_run() {
    let subject = "function connectionHandler(connection) {
        const cert = connection.clientCertificate?.certificates?.leaf;
        if (!cert || !cert.subject.includes('O=Example')) { return connection.deny(); }
        connection.allow();
    }";
    assert_eq!(decision(subject), Decision::Allow);
    let addresses = "function connectionHandler(connection) {
        if (connection.clientCertificate) { connection.allow(); return; }
        const allowed = ['203.0.113.', '198.51.100.'];
        for (const prefix of allowed) {
            if (connection.clientIp.startsWith(prefix)) { connection.allow(); return; }
        }
        connection.logCustomData(`IP_BLOCKED:${connection.clientIp}`);
        connection.deny();
    }";
    assert_eq!(decision(addresses), Decision::Allow);
    assert_eq!(call_anonymous(&function(addresses)).decision, Decision::Allow);
    let device = "function connectionHandler(connection) {
        const { serialNumber, subject } = connection.clientCertificate.certificates.leaf;
        const unit = subject.match(/(?:^|, )OU=([^,]+)/);
        if (!serialNumber.startsWith('00:b1') || (unit && unit[1] !== 'Devices')) { connection.deny(); \
            return; }
        connection.allow();
    }";
    assert_eq!(decision(device), Decision::Allow);
    let missing = "async function connectionHandler(connection) {
        if (!connection.clientCertificate) { connection.deny(); }
        const { subject } = connection.clientCertificate.certificates.leaf;
        connection.allow();
    }";
    let Decision::Error(sentence) = call_anonymous(&function(missing)).decision else {
        panic!("it went on after deny()");
    };
    assert!(sentence.starts_with("judge:3:"), "{sentence}");
}

#[test]
fn windows_of_time_and_composite_keys_can_be_written() {
    let code = "import cf from 'cloudfront';
        const kvs = cf.kvs();
        const crypto = require('crypto');
        async function connectionHandler(c) {
            const { issuer, serialNumber, validity } = c.clientCertificate.certificates.leaf;
            const now = Date.now();
            if (now < Date.parse(validity.notBefore) || now > Date.parse(validity.notAfter)) return c.deny();
            const key = crypto.createHash('sha256').update(issuer).digest('hex').slice(0, 16) + serialNumber;
            c.logCustomData(key);
            if (!(await kvs.exists(key))) c.allow();
        }";
    let outcome = call(&function_with(code, &[]));
    assert_eq!(outcome.decision, Decision::Allow);
    assert!(outcome.custom_data.unwrap().ends_with("00:b1:43:ed"));
}
