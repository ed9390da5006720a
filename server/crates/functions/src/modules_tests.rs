//! `require`, and what every function has at hand beside the language.
#![allow(clippy::unwrap_used)]

use super::testing::*;

/// Value of an expression, as it is logged.
fn value(expression: &str) -> String {
    let code = format!("function connectionHandler(c) {{ console.log({expression}); c.allow(); }}");
    console(&code).concat()
}

#[test]
fn digests_come_in_every_documented_encoding() {
    let hash = "require('crypto').createHash";
    let hmac = "require('crypto').createHmac";
    for (expression, expected) in [
        (
            format!("{hash}('md5').update('abc').digest('hex')"),
            "900150983cd24fb0d6963f7d28e17f72",
        ),
        (
            format!("{hash}('sha1').update('a').update('bc').digest('base64')"),
            "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=",
        ),
        (
            format!("{hash}('sha256').update(Buffer.from('abc')).digest('base64url')"),
            "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0",
        ),
        (
            format!("{hash}('sha256').update('616263', 'hex').digest().length"),
            "32",
        ),
        (
            format!("{hmac}('sha256', 'Jefe').update('what do ya want for nothing?').digest('hex')"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            format!(
                "{hmac}('md5', Buffer.from('Jefe')).update('what do ya want for nothing?').digest('hex')"
            ),
            "750c783e6ab0b503eaa86e310a5db738",
        ),
    ] {
        assert_eq!(value(&expression), expected, "{expression}");
    }
    for wrong in ["('sha512')", "()", "('md5').update(1)", "('md5').update({})"] {
        let code = format!("function connectionHandler() {{ {hash}{wrong} }}");
        assert!(error(&code).contains("TypeError"), "{wrong}");
    }
    let twice =
        format!("function connectionHandler() {{ const h = {hash}('md5'); h.digest(); h.update('x') }}");
    assert!(error(&twice).contains("Digest already called"));
}

#[test]
fn buffers_read_write_and_compare() {
    for (expression, expected) in [
        ("Buffer.from('€').toString('hex')", "e282ac"),
        ("Buffer.from('e282ac', 'hex').toString()", "€"),
        ("Buffer.from('_w6b', 'base64url').toString('base64')", "/w6b"),
        (
            "Buffer.concat([Buffer.from('a'), Buffer.from('bc')]).toString()",
            "abc",
        ),
        ("Buffer.alloc(3, 'ab').toString()", "aba"),
        ("Buffer.from([1, 2, 300]).join()", "1,2,44"),
        ("Buffer.from('abcdef').slice(1, 3).toString()", "bc"),
        ("Buffer.from('abcdef').subarray(-2).toString('latin1')", "ef"),
        (
            "Buffer.from('a').equals(Buffer.from('a')) && !Buffer.from('a').equals(Buffer.from('b'))",
            "true",
        ),
        ("Buffer.compare(Buffer.from('a'), Buffer.from('ab'))", "-1"),
        (
            "Buffer.isBuffer(Buffer.from('a')) && !Buffer.isBuffer(new Uint8Array(1))",
            "true",
        ),
        ("Buffer.byteLength('€')", "3"),
        ("Buffer.from('abcabc').indexOf('ca')", "2"),
        ("Buffer.from('abc').includes('x')", "false"),
        ("Buffer.from([1, 2, 3, 4]).readUInt32BE()", "16909060"),
        ("Buffer.from([1, 2, 3, 4]).readInt16LE(1)", "770"),
        (
            "(() => { const b = Buffer.alloc(4); b.writeUInt16BE(258, 1); return b.toString('hex') })()",
            "00010200",
        ),
        (
            "(() => { const b = Buffer.alloc(4); b.write('xyz', 1); return b.toString('latin1') })()",
            "\0xyz",
        ),
        (
            "JSON.stringify(Buffer.from('a'))",
            "{\"type\":\"Buffer\",\"data\":[97]}",
        ),
        ("require('buffer').Buffer === Buffer", "true"),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

#[test]
fn query_strings_are_parsed_and_written() {
    for (expression, expected) in [
        (
            "require('querystring').parse('a=1&b=%20x+y&a=2&c')",
            "{\"a\":[\"1\",\"2\"],\"b\":\" x y\",\"c\":\"\"}",
        ),
        (
            "require('querystring').parse('a:1;b:%zz', ';', ':')",
            "{\"a\":\"1\",\"b\":\"%zz\"}",
        ),
        (
            "require('querystring').stringify({ a: [1, 'x y'], b: true, c: {} })",
            "a=1&a=x%20y&b=true&c=",
        ),
        (
            "require('querystring').unescape('%41') + require('querystring').escape('&')",
            "A%26",
        ),
        (
            "Object.keys(require('querystring').parse('__proto__=1&a=2')).join()",
            "__proto__,a",
        ),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
    let code = "function connectionHandler() { require('fs') }";
    assert_eq!(error(code), "judge:1:31: Error: Cannot find module \"fs\"");
}

#[test]
fn text_is_encoded_and_decoded() {
    for (expression, expected) in [
        ("new TextEncoder().encode('é').join()", "195,169"),
        (
            "new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 0xc3, 0xa9, 0xff]))",
            "é\u{fffd}",
        ),
        (
            "new TextDecoder('utf-8').decode(new Uint8Array([0x61]).buffer)",
            "a",
        ),
        ("btoa('aé')", "Yek="),
        ("atob('Yek')", "aé"),
        (
            "(() => { try { btoa('€') } catch (e) { return e } })()",
            "TypeError: btoa takes characters up to U+00FF",
        ),
        (
            "(() => { try { atob('*') } catch (e) { return e } })()",
            "TypeError: atob takes base64",
        ),
        (
            "(() => { try { new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([255])) } catch \
             (e) { return e } })()",
            "TypeError: The encoded data was not valid utf-8",
        ),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

#[test]
fn the_documented_language_is_there() {
    for (expression, expected) in [
        ("2 ** 10 + 1_000", "2024"),
        ("'a-b'.replaceAll('-', '+').padEnd(5, '.')", "a+b.."),
        ("'2025-01'.match(/(?<y>\\d+)-/).groups.y", "2025"),
        ("[...new Set([1, 1, 2])].join() + [3, [4]].flat().at(-1)", "1,24"),
        (
            "Object.entries({ a: 1 }).join() + (null ?? 'x') + ({})?.b?.c",
            "a,1xundefined",
        ),
        (
            "`${[1, 2, 3].includes(2)} ${10n ** 20n}`",
            "true 100000000000000000000",
        ),
        ("(function () { return typeof this })()", "undefined"),
        (
            "(() => { try { undeclared = 1 } catch (e) { return e.name } })()",
            "ReferenceError",
        ),
        ("typeof globalThis + typeof InternalError", "objectfunction"),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}
