//! Everything that viewer functions can do wrong.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use super::testing::*;
use super::*;
use crate::testing::limits;
use crate::{Function, FunctionKind, FunctionSource};

#[test]
fn what_is_returned_must_be_a_request_or_a_response() {
    for (body, told) in [
        ("", "the returned value is not an object"),
        ("return null;", "the returned value is not an object"),
        ("return 5;", "the returned value is not an object"),
        ("return 'x';", "the returned value is not an object"),
        ("return [];", "the returned value is not an object"),
        ("return function () {};", "the returned value is not an object"),
        ("return Symbol();", "the returned value is not an object"),
        ("return {};", "request.method is missing"),
        ("return event;", "request.method is missing"),
        (
            "request.method = 'POST'; return request;",
            "request.method is read-only",
        ),
        ("request.uri = 5; return request;", "request.uri is not a string"),
        (
            "request.uri = '/\\ud800'; return request;",
            "request.uri has a value that cannot be sent",
        ),
        (
            "request.headers = 'x'; return request;",
            "request.headers is not an object",
        ),
        (
            "request.headers = []; return request;",
            "request.headers is not an object",
        ),
        (
            "request.querystring = 'a=b'; return request;",
            "request.querystring is not an object",
        ),
        (
            "request.headers.x = 'y'; return request;",
            "request.headers[\"x\"] is not an object with value",
        ),
        (
            "request.headers.x = null; return request;",
            "request.headers[\"x\"] is not an object with value",
        ),
        (
            "request.headers.x = {}; return request;",
            "request.headers[\"x\"] is missing",
        ),
        (
            "request.headers.x = { value: 5 }; return request;",
            "request.headers[\"x\"] is not a string",
        ),
        (
            "request.headers.x = { value: '', multiValue: 5 }; return request;",
            "is not an array",
        ),
        (
            "request.headers.x = { multiValue: [1] }; return request;",
            "each multiValue",
        ),
        (
            "request.headers.x = { multiValue: new Array(4e9) }; return request;",
            "each multiValue",
        ),
        (
            "request.headers.x = { value: 'a\\r\\nB: c' }; return request;",
            "has a value that cannot be sent",
        ),
        (
            "request.headers['\\ud800'] = { value: '' }; return request;",
            "request.headers is no name that can be sent",
        ),
        (
            "request.headers['x\\0y'] = { value: '' }; return request;",
            "request.headers[\"x\\0y\"] is no name that can be sent",
        ),
        (
            "request.headers.connection = { value: 'close' }; return request;",
            "may not be set",
        ),
        (
            "delete request.headers.host; return request;",
            "request.headers[\"host\"] is read-only",
        ),
        (
            "return { statusCode: '200' };",
            "response.statusCode is not a number",
        ),
        (
            "return { statusCode: null };",
            "response.statusCode is not a number",
        ),
        (
            "return { statusCode: 99 };",
            "response.statusCode is not an integer",
        ),
        (
            "return { statusCode: 200, body: 5 };",
            "response.body is not a string, nor an object",
        ),
        (
            "return { statusCode: 200, body: {} };",
            "response.body.data is missing",
        ),
        (
            "return { statusCode: 200, body: { encoding: 'hex', data: '' } };",
            "is not text or base64",
        ),
        (
            "return { statusCode: 200, body: { encoding: 'base64', data: '?' } };",
            "response.body is not base64",
        ),
        (
            "var many = {}; for (var i = 0; i < 200; i++) { many['h' + i] = { value: 'x'.repeat(200) }; } \
          return { statusCode: 200, headers: many };",
            "is larger than 32768 octets",
        ),
        (
            "var item = { value: 'x'.repeat(200000) }; \
          return { statusCode: 200, headers: { x: { multiValue: new Array(1000).fill(item) } } };",
            "is larger than",
        ),
    ] {
        let fault = fault(&handler(body));
        assert_eq!(fault.kind, ViewerFaultKind::Invalid, "{body}: {fault:?}");
        assert!(
            fault.sentence.starts_with("rewrite: ") && fault.sentence.contains(told),
            "{body}: {fault:?}"
        );
    }
}

#[test]
fn cyclic_objects_and_prototypes_are_no_trouble() {
    let (target, _) = rewritten(&handler(
        "request.self = request; request.headers.x = { value: '1' }; request.headers.x.x = request; return \
         request;",
    ));
    assert_eq!(target, "/old?a=1&b=2&a=3");
    let fault = fault(&handler("request.headers.x = request; return request;"));
    assert_eq!(fault.kind, ViewerFaultKind::Invalid);
    let inherited = handler("return Object.create(request);");
    assert_eq!(
        rewritten(&inherited).0,
        "/old?a=1&b=2&a=3",
        "inherited properties count as they do for JavaScript"
    );
}

#[test]
fn what_throws_or_never_ends_is_an_error_with_its_place() {
    for (body, told) in [
        ("throw new Error('no');", "rewrite:1:66: Error: no"),
        ("throw 'text';", "threw the string"),
        ("throw null;", "threw null"),
        ("undefined.x;", "TypeError"),
        (
            "return { get statusCode() { throw new Error('getter'); } };",
            "Error: getter",
        ),
        (
            "return { statusCode: 200, get headers() { throw new Error('getter'); } };",
            "Error: getter",
        ),
        (
            "request.headers = { get x() { throw 5; } }; return request;",
            "threw the number 5",
        ),
        ("return new Promise(function () {});", "never resolved"),
        ("return Promise.reject(new Error('late'));", "Error: late"),
        (
            "function deeper() { return deeper() + 1; } return deeper();",
            "RangeError",
        ),
        ("return eval('1');", "code cannot be made from strings"),
    ] {
        let fault = fault(&handler(body));
        assert_eq!(fault.kind, ViewerFaultKind::Error, "{body}: {fault:?}");
        assert!(fault.sentence.contains(told), "{body}: {fault:?}");
    }
}

#[test]
fn time_and_memory_end_also_within_a_getter() {
    let mut limits = limits();
    limits.time = Duration::from_millis(20);
    for body in [
        "while (true) {}",
        "return { get statusCode() { while (true) {} } };",
        "return /(a+)+$/.test('a'.repeat(40) + 'b');",
        "var all = []; while (true) { all.push('x'.repeat(10000) + all.length); }",
        "return { statusCode: 200, body: 'x'.repeat(1 << 28) };",
    ] {
        let code = handler(body);
        let function = Function::compile(FunctionSource {
            name: "rewrite",
            kind: FunctionKind::Viewer,
            code: code.as_bytes(),
            key_value_store: None,
            limits: limits.clone(),
        });
        let fault = ask(&Arc::new(function.unwrap()), "/").result.expect_err(body);
        assert!(
            fault.kind == ViewerFaultKind::Limit
                || fault.sentence.contains("out of memory")
                || fault.sentence.contains("string length"),
            "{body}: {fault:?}"
        );
    }
}

#[test]
fn one_call_leaves_nothing_for_the_next() {
    let function = function(
        "import cf from 'cloudfront';
         var count = 0;
         function handler(event) {
             count++;
             event.request.headers['x-count'] = { value: String(count) };
             try { Array.prototype.left = 1; } catch (error) {}
             try { globalThis.left = 1; } catch (error) {}
             try { cf.mtls.left = 1; } catch (error) {}
             if (count > 1) { throw new Error('seen'); }
             return event.request;
         }",
    );
    for _ in 0..3 {
        assert!(ask(&function, "/").result.is_ok());
    }
}

#[test]
fn a_viewer_response_function_must_return_a_response() {
    for (body, told) in [
        ("return event.request;", "response.statusCode is missing"),
        ("return;", "the returned value is not an object"),
        (
            "event.response.headers['transfer-encoding'] = { value: 'chunked' }; return event.response;",
            "read-only",
        ),
        (
            "event.response.headers['content-length'].value = '1'; return event.response;",
            "read-only",
        ),
        (
            "event.response.cookies.a = { value: 'b', attributes: 'x\\r\\nY: z' }; return event.response;",
            "cannot be sent",
        ),
        (
            "event.response.statusDescription = 'x\\r\\nY: z'; return event.response;",
            "cannot be sent",
        ),
    ] {
        let outcome = respond(
            &format!("function handler(event) {{ {body} }}"),
            &map(&[("content-length", "3")]),
        );
        let fault = outcome.result.expect_err(body);
        assert_eq!(fault.kind, ViewerFaultKind::Invalid, "{body}: {fault:?}");
        assert!(fault.sentence.contains(told), "{body}: {fault:?}");
    }
}
