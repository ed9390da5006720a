//! Code that goes on for ever, takes all memory, throws, or is no code: each an error, and the next call is
//! as good as the first.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use super::testing::*;
use super::*;

/// The way a body ends by itself, with so much time that time never ends it, whatever else the machine does.
fn ends(body: &str) -> String {
    ends_within(Duration::from_secs(10), body)
}

/// The way a body ends that would not end, or not soon.
fn is_stopped(body: &str) -> String {
    ends_within(Duration::from_millis(20), body)
}

/// Sentence about how `body` ends within `time`. The function misbehaves only without a certificate. So its
/// next call, with a certificate, can show that the function is unharmed.
fn ends_within(time: Duration, body: &str) -> String {
    let code =
        format!("function connectionHandler(c) {{ if (!c.clientCertificate) {{ {body} }} c.allow(); }}");
    let code = code.replace(
        "function connectionHandler",
        match body.contains("await") {
            true => "async function connectionHandler",
            false => "function connectionHandler",
        },
    );
    let function = Arc::new(
        Function::compile(FunctionSource {
            name: "judge",
            kind: FunctionKind::Connection,
            code: code.as_bytes(),
            key_value_store: None,
            limits: FunctionLimits { time, ..limits() },
        })
        .unwrap(),
    );
    let outcome = call_anonymous(&function);
    assert_eq!(call_generously(&function), Decision::Allow, "after {body}");
    match outcome.decision {
        Decision::Error(sentence) => sentence,
        other => panic!("{other:?} of {body}"),
    }
}

#[test]
fn code_that_does_not_end_is_stopped_and_cannot_catch_it() {
    for body in [
        "while (true) {}",
        "for (;;) { try { for (;;) {} } catch { c.allow(); } finally { c.allow(); } }",
        "while (true) { try { throw 1 } catch {} }",
        "const f = async () => { for (;;) await null }; f();",
        "await new Promise(() => { for (;;) {} })",
        "/^(a+)+$/.test('a'.repeat(40) + 'b')",
        "'a'.repeat(40).match(/(a*)*b/)",
        "for (;;) 'x'.repeat(200000).toUpperCase()",
        "JSON.stringify({ toJSON() { for (;;) {} } })",
        "[1, 2].sort(() => { for (;;) {} })",
        "class E extends Error { get message() { for (;;) {} } }; throw new E()",
        "class E extends Error { get stack() { for (;;) {} } }; throw new E()",
    ] {
        let sentence = is_stopped(body);
        assert!(
            sentence.ends_with("ran longer than 20 ms"),
            "{sentence} of {body}"
        );
    }
}

#[test]
fn promises_without_end_take_memory_and_what_is_thrown_is_not_asked() {
    // Each turn holds on to the last.
    assert_eq!(
        ends("const f = () => Promise.resolve().then(f); f();"),
        "judge: took more than 2097152 bytes of memory"
    );
    assert_eq!(
        ends("throw { get message() { for (;;) {} } }; "),
        "judge: threw an object, not an Error"
    );
}

/// QuickJS knows a loop by what stands before it.
#[test]
fn where_it_was_stopped_is_told() {
    let sentence = is_stopped("\n c.x;\n for (;;) { Math.abs(1); }");
    assert!(sentence.ends_with(": ran longer than 20 ms"), "{sentence}");
    assert!(
        sentence.starts_with("judge:2:") || sentence.starts_with("judge:3:"),
        "{sentence}"
    );
}

#[test]
fn a_memory_bomb_is_stopped_and_cannot_catch_it() {
    for body in [
        "const a = []; for (;;) a.push('x'.repeat(10000) + a.length)",
        "let s = 'x'; for (;;) { s += s; s.indexOf('y') }",
        "const a = []; for (;;) { try { a.push(new Uint8Array(100000)) } catch { c.allow(); break } }",
        "const a = []; for (;;) a.push({ a: [a] })",
        "new Array(1e9).fill(0)",
        "'x'.repeat(1e9)",
        "JSON.parse('[' + '[1],'.repeat(100000) + '1]')",
        "new TextEncoder().encode('x'.repeat(1500000))",
    ] {
        let sentence = ends(body);
        assert!(
            sentence.contains("took more than 2097152 bytes of memory"),
            "{sentence} of {body}"
        );
    }
}

/// Lets memory end at any place in an operation of the engine: each body meets the limit with another amount
/// taken before.
#[test]
fn no_place_to_run_out_of_memory_harms_the_process() {
    for body in [
        "const o = {}; for (let i = 0; ; i++) o[i] = 1;",
        "const o = {}; for (let i = 0; ; i++) o['k' + i] = 1;",
        "const f = () => 1, o = []; for (;;) o.push(f.bind(1, 2));",
        "const o = []; for (let i = 0; ; i++) o.push({ get a() { return i; } });",
        "Array.prototype.fill.call({ length: 2 ** 53 - 1 }, 1)",
        "const m = new Map(); for (let i = 0; ; i++) m.set(i, {});",
    ] {
        for step in 0..12 {
            let ballast = 2_090_000 - step * 1_637;
            let sentence = is_stopped(&format!("const z = 'x'.repeat({ballast}); {body}"));
            assert!(
                sentence.contains("took more than") || sentence.contains("ran longer than"),
                "{sentence} of {body}"
            );
        }
    }
}

#[test]
fn code_that_has_taken_all_memory_cannot_go_on_by_catching() {
    for body in [
        "let l = null; try { for (;;) l = { l }; } catch (e) {} for (;;) { try { for (;;); } catch (e) {} }",
        "function g() { try { const o = []; for (let i = 0; ; i++) o.push({ ['k' + i]: [i] }); } catch (e) \
         { g(); } } g();",
    ] {
        let sentence = is_stopped(body);
        assert!(
            sentence.contains("took more than") || sentence.contains("ran longer than"),
            "{sentence} of {body}"
        );
    }
}

#[test]
fn what_was_allowed_before_the_time_ran_out_does_not_count() {
    let sentence = is_stopped("c.allow(); let b = (1n << 400000n) - 1n; b = (b * b) / 3n;");
    assert!(sentence.ends_with("ran longer than 20 ms"), "{sentence}");
}

#[test]
fn what_is_thrown_is_told_with_its_place() {
    assert_eq!(
        ends("\n c.nothing.here"),
        "judge:2:2: TypeError: cannot read property 'here' of undefined"
    );
    assert_eq!(ends("throw 'text'"), "judge: threw the string \"text\"");
    assert_eq!(ends("throw 1.5"), "judge: threw the number 1.5");
    assert_eq!(ends("throw null"), "judge: threw null");
    assert_eq!(ends("throw undefined"), "judge: threw undefined");
    assert_eq!(ends("throw { a: 1 }"), "judge: threw an object, not an Error");
    assert_eq!(ends("await Promise.reject(true)"), "judge: threw true");
    let long = ends("throw new Error('x'.repeat(100000))");
    assert!(long.len() < 1_100, "{}", long.len());
}

#[test]
fn a_promise_that_is_never_resolved_is_an_error() {
    assert_eq!(
        ends("await new Promise(() => {})"),
        "judge: its promise was never resolved"
    );
}

#[test]
fn recursion_and_cycles_end_in_errors() {
    assert_eq!(
        ends("const f = () => f() + 1; f()"),
        "judge:1:76: RangeError: Maximum call stack size exceeded"
    );
    let cycle = ends("const a = {}; a.a = a; JSON.stringify(a)");
    assert!(cycle.contains("TypeError: circular reference"), "{cycle}");
    let deep = ends("JSON.parse('['.repeat(200000))");
    assert!(
        deep.contains("stack") || deep.contains("SyntaxError") || deep.contains("memory"),
        "{deep}"
    );
}

#[test]
fn a_cycle_can_be_logged_and_returned() {
    assert_eq!(
        console(
            "function connectionHandler(c) { const a = {}; a.a = a; console.log(a); c.allow(); return a; }"
        ),
        ["[object]"]
    );
}

#[test]
fn there_is_no_code_from_strings() {
    for body in [
        "eval('1')",
        "(0, eval)('1')",
        "new Function('return 1')()",
        "Function('return 1')",
        "(() => {}).constructor('return 1')",
        "(async () => {}).constructor('return 1')",
        "(function* () {}).constructor('return 1')",
        "(async function* () {}).constructor('return 1')",
        "Reflect.construct(Object.getPrototypeOf(function () {}).constructor, ['1'])",
        "class F extends Function {}; new F('1')",
        "[].map.constructor('return 1')()",
    ] {
        let sentence = ends(body);
        assert!(
            sentence.contains("code cannot be made from strings"),
            "{sentence} of {body}"
        );
    }
    assert!(ends("await import('os')").contains("could not load module"));
    for gone in [
        "setTimeout",
        "setInterval",
        "queueMicrotask",
        "process",
        "std",
        "os",
        "performance",
        "WeakRef",
        "FinalizationRegistry",
        "Atomics",
        "SharedArrayBuffer",
        "fetch",
        "Proxy",
        "print",
        "module",
        "exports",
    ] {
        let sentence = ends(&format!("{gone}.x"));
        assert!(
            sentence.contains(&format!("ReferenceError: {gone} is not defined")),
            "{sentence}"
        );
    }
}

#[test]
fn the_log_of_a_call_is_bounded() {
    let lines = console(
        "function connectionHandler(c) { for (let i = 0; i < 300; i++) console.log('x'.repeat(100), 'no'); \
         c.allow() }",
    );
    assert_eq!(lines.iter().map(String::len).sum::<usize>(), 10_240);
    let lines = console(
        "function connectionHandler(c) { for (let i = 0; i < 11000; i++) console.log(''); c.allow() }",
    );
    assert_eq!(lines.len(), 10_240);
}

#[test]
fn each_kind_of_value_can_be_logged() {
    assert_eq!(
        console(
            "function connectionHandler(c) {
                const first = ['t', 1, undefined, null, true, 10n, { a: [1] }, [2]];
                for (const value of [...first, new TypeError('bad'), () => 1, Symbol('s')])
                    console.log(value);
                c.allow();
            }"
        ),
        [
            "t",
            "1",
            "undefined",
            "null",
            "true",
            "10",
            "{\"a\":[1]}",
            "[2]",
            "TypeError: bad",
            "() => 1",
            "Symbol(s)"
        ]
    );
}

/// The refusal of `Function::compile` for `code`.
fn refused(code: &str) -> String {
    compile(code).unwrap_err().to_string()
}

#[test]
fn code_that_does_not_parse_is_refused_with_line_and_column() {
    for (code, message) in [
        (
            "function connectionHandler(c) {\n  c.allow(;\n}",
            "2:11: SyntaxError: ",
        ),
        ("function connectionHandler(c) { if }", "1:36: SyntaxError: "),
        ("}; function connectionHandler(c) {", "1:1: SyntaxError: "),
        (
            "let a; let a; function connectionHandler() {}",
            "1:13: SyntaxError: ",
        ),
        (
            "function connectionHandler() { with (a) {} }",
            "1:32: SyntaxError: ",
        ),
        ("function connectionHandler() {}\nreturn 1", "2:1: SyntaxError: "),
        ("function connectionHandler() { await 1 }", "1:"),
        ("`", "1:1: SyntaxError: "),
        (
            "export default function connectionHandler() {}",
            "1:1: only `import name",
        ),
        (
            "import { kvs } from 'cloudfront'; function connectionHandler() {}",
            "1:8: only `import",
        ),
        (
            "import fs from 'fs'; function connectionHandler() {}",
            "only `import",
        ),
        ("function connectionHandler() {}\u{0}", "1:32: a NUL character"),
    ] {
        let told = refused(code);
        assert!(told.starts_with(message), "{told:?} of {code:?}");
    }
}

#[test]
fn code_that_could_never_run_is_refused() {
    assert_eq!(refused(""), "there is no function connectionHandler");
    assert_eq!(
        refused("function handler(event) {}"),
        "there is no function connectionHandler"
    );
    assert_eq!(
        refused("const connectionHandler = 1;"),
        "there is no function connectionHandler"
    );
    assert_eq!(refused("\n  throw new Error('no');"), "2:13: Error: no");
    assert_eq!(
        refused("const a = b.c;"),
        "1:11: ReferenceError: b is not defined"
    );
    let impatient = FunctionSource {
        name: "judge",
        kind: FunctionKind::Connection,
        code: b"while (true) {}",
        key_value_store: None,
        limits: FunctionLimits {
            time: Duration::from_millis(20),
            ..limits()
        },
    };
    let told = Function::compile(impatient).unwrap_err().to_string();
    assert!(told.ends_with("the top level ran longer than 200 ms"), "{told}");
    assert!(
        refused("const a = []; for (;;) a.push('x'.repeat(1000) + a.length)")
            .contains("the top level took more than")
    );
    let long = format!("function connectionHandler() {{}} //{}", "x".repeat(10_240));
    assert_eq!(
        refused(&long),
        "the code has 10274 bytes, more than function_code_bytes = 10240"
    );
    let source = FunctionSource {
        name: "judge",
        kind: FunctionKind::Connection,
        code: b"//\n \xff",
        key_value_store: None,
        limits: limits(),
    };
    assert_eq!(
        Function::compile(source).unwrap_err().to_string(),
        "2:2: not UTF-8"
    );
}

#[test]
fn imports_may_stand_where_people_put_them() {
    for code in [
        "import cf from 'cloudfront'",
        "'use strict';\nimport cf from \"cloudfront\";",
        "/* import x from 'y' */ // import\n\nimport cf from 'cloudfront';",
        "const q = require('querystring');\nimport cf from 'cloudfront';",
        "import crypto from 'crypto'; import cf from 'cloudfront'; const h = crypto.createHash('md5');",
        "import cf\n  from\n  'cloudfront';",
        "import cf from'cloudfront';\nconst text = \"import cf from 'cloudfront'\";",
    ] {
        let code = format!(
            "{code}\nfunction connectionHandler(c) {{ if (typeof cf.kvs === 'function') c.allow() }}"
        );
        assert_eq!(decision(&code), Decision::Allow, "{code}");
    }
}

#[test]
fn positions_on_a_line_with_an_import_are_the_customers() {
    let handler = "function connectionHandler(c) { c.x.y }";
    let first_line = error(&format!("import cf from 'cloudfront'; {handler}"));
    let second_line = error(&format!("\nimport cf from 'cloudfront'; {handler}"));
    assert_eq!(first_line, second_line.replacen(":2:", ":1:", 1));
    let unknown = "\n   1; undefined.x; function connectionHandler(c) {}";
    assert_eq!(
        refused(unknown),
        refused(unknown.trim_start_matches('\n')).replacen("1:", "2:", 1)
    );
}
