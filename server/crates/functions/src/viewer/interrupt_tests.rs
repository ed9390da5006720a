//! No built-in operation of a viewer function holds a core, neither in the handler nor while its answer is
//! read.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use super::testing::*;
use super::*;
use crate::testing::{CPU_MAX, fastest, limits};
use crate::{Function, FunctionKind, FunctionLimits, FunctionSource};

fn impatient(body: &str) -> Arc<Function> {
    let code = format!(
        "function handler(event) {{ var request = event.request; if (request.uri === '/long') {{ {body} }} \
         return request; }}"
    );
    let source = FunctionSource {
        name: "rewrite",
        kind: FunctionKind::Viewer,
        code: code.as_bytes(),
        key_value_store: None,
        limits: FunctionLimits {
            time: Duration::from_millis(5),
            ..limits()
        },
    };
    Arc::new(Function::compile(source).unwrap())
}

/// Result of a request for `/long`, in time. The request after it is served.
fn ends(body: &str) -> Result<RequestVerdict, ViewerFault> {
    let function = impatient(body);
    let (taken, result) = fastest(|| ask(&function, "/long").result);
    assert!(taken < CPU_MAX, "{taken:?} of {body}");
    // The limit is for what is to be stopped: a machine that does much else gets a few tries.
    let is_served = (0..20).any(|_| ask(&function, "/old").result.is_ok());
    assert!(is_served, "after {body}");
    result
}

#[test]
fn one_long_operation_ends_with_the_limit() {
    for body in [
        "new Array(4294967295).join('')",
        "Array.prototype.reverse.call({ length: 2 ** 53 - 1 })",
        "'a'.repeat(2 ** 19).indexOf('a'.repeat(2 ** 18) + 'b')",
        "const a = (1n << 500000n) - 1n; a * a",
        "for (;;) new Float64Array(200000).sort()",
        "for (;;) '\\u00e9\\u0315\\u0300'.repeat(20000).normalize('NFD')",
        "request.headers = { get a() { return new Array(4294967295).join() } }; return request;",
        "request.headers = { a: { get value() { return String((1n << 900000n) - 1n) } } }; return request;",
        "request.uri = { toString() { for (;;); } } + ''; return request;",
    ] {
        let fault = ends(body).expect_err(body);
        assert_eq!(fault.kind, ViewerFaultKind::Limit, "{} of {body}", fault.sentence);
    }
}

#[test]
fn an_answer_that_says_that_it_is_endless_is_refused() {
    for body in [
        "request.headers = { a: { multiValue: new Array(4294967295) } }; return request;",
        "const one = { value: 'x' }; request.headers = { a: { multiValue: new Array(30000).fill(one) } }; \
         return request;",
        "request.headers = 'x'.repeat(900000).split(''); return request;",
        "request.querystring = { a: { value: 'x'.repeat(1900000) } }; return request;",
        "return { statusCode: 200, body: { get data() { return 'x'.repeat(900000) }, encoding: 'base64x' } \
         };",
    ] {
        ends(body).expect_err(body);
    }
}
