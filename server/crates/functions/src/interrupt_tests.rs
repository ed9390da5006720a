//! No built-in operation holds a core. Each of these takes seconds, or never ends, where only steps of
//! bytecode and allocations are counted (`server/vendor/rquickjs-sys/BOTHWAYS.md`).
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use super::testing::*;
use super::*;

const LIMIT: Duration = Duration::from_millis(5);

/// Code that does `body` for clients without a certificate, so that the next call can show that it is
/// unharmed.
fn judge(body: &str) -> Arc<Function> {
    let keyword = if body.contains("await") { "async " } else { "" };
    let code = format!(
        "{keyword}function connectionHandler(c) {{ if (!c.clientCertificate) {{ {body} }} c.allow(); }}"
    );
    let source = FunctionSource {
        name: "judge",
        kind: FunctionKind::Connection,
        code: code.as_bytes(),
        key_value_store: None,
        limits: FunctionLimits {
            time: LIMIT,
            ..limits()
        },
    };
    Arc::new(Function::compile(source).unwrap_or_else(|error| panic!("{error} of {body}")))
}

/// Value that `body` comes to, in time. The call after it is as good as the first.
fn ends(body: &str) -> Decision {
    let function = judge(body);
    let (taken, decision) = fastest(|| call_anonymous(&function).decision);
    assert!(taken < CPU_MAX, "{taken:?} of {body}");
    assert_eq!(call_generously(&function), Decision::Allow, "after {body}");
    decision
}

fn all_are_stopped(bodies: &[&str]) {
    for body in bodies {
        let Decision::Error(sentence) = ends(body) else {
            panic!("{body} was not stopped");
        };
        assert!(
            sentence.contains("ran longer than 5 ms") || sentence.contains("took more than"),
            "{sentence} of {body}"
        );
    }
}

/// These end by themselves on a fast machine; what counts is that they do not hold a slow one.
fn all_end(bodies: &[&str]) {
    for body in bodies {
        ends(body);
    }
}

#[test]
fn arrays_of_billions_of_holes_are_stopped() {
    for operation in [
        "join('')",
        "toString()",
        "toLocaleString()",
        "sort()",
        "flat()",
        "flatMap(() => [])",
        "slice(0, 4294967290)",
        "splice(0, 4294967290)",
        "indexOf(1)",
        "lastIndexOf(1)",
        "includes(1)",
        "fill(1)",
        "reverse()",
        "shift()",
        "forEach(() => 1)",
        "map(() => 1)",
        "filter(() => 1)",
        "every(() => 1)",
        "some(() => 0)",
        "find(() => 0)",
        "findLastIndex(() => 0)",
        "reduce((a) => a, 1)",
        "reduceRight((a) => a, 1)",
        "copyWithin(0, 1)",
        "concat([1])",
        "values().drop(4294967290).next()",
        "values().toArray()",
        "keys().some(() => false)",
        "keys().reduce((a) => a)",
        "entries().forEach(() => 1)",
    ] {
        all_are_stopped(&[&format!("new Array(4294967295).{operation}")]);
    }
}

#[test]
fn what_only_says_that_it_is_long_is_stopped() {
    for operation in [
        "Array.prototype.join.call(o)",
        "Array.prototype.reverse.call(o)",
        "Array.prototype.shift.call(o)",
        "Array.prototype.sort.call(o)",
        "Array.prototype.indexOf.call(o, 1)",
        "Array.prototype.fill.call(o, 1)",
        "Array.prototype.unshift.call(o, 1)",
        "Array.prototype.splice.call(o, 0, 1)",
        "Array.prototype.copyWithin.call(o, 0, 1)",
        "String.raw({ raw: o })",
        "[].concat(Object.assign(o, { [Symbol.isConcatSpreadable]: true }))",
    ] {
        all_are_stopped(&[&format!("const o = {{ length: 2 ** 53 - 3 }}; {operation}")]);
    }
    all_are_stopped(&[
        "String(new Array(4294967295))",
        "Array.from({ length: 4294967295 })",
        "[].concat(new Array(4294967295))",
        "JSON.stringify({ a: 1 }, new Array(4294967295))",
        "const [...rest] = new Array(4294967295)",
        "Object.groupBy(new Array(4294967295).keys(), () => 1)",
        "Object.fromEntries(new Array(4294967295).keys().map((i) => [1, i]))",
        "new Set(new Array(4294967295).keys())",
        "new Float64Array(new Array(4294967295).keys())",
        "Math.sumPrecise(new Array(4294967295).keys())",
        "for (;;) Reflect.apply(Math.abs, null, { length: 65000 })",
    ]);
}

#[test]
fn what_holds_itself_many_times_is_stopped() {
    for operation in ["String(a)", "a.flat(Infinity)", "JSON.stringify(a)", "a.join()"] {
        all_are_stopped(&[&format!(
            "let a = []; for (let i = 0; i < 60; i++) a = [a, a]; {operation}"
        )]);
    }
}

#[test]
fn searches_for_long_text_in_long_text_are_stopped() {
    for operation in [
        "indexOf(b)",
        "includes(b)",
        "split(b)",
        "replace(b, '')",
        "replaceAll(b, '')",
        "lastIndexOf(b)",
    ] {
        all_are_stopped(&[&format!(
            "const b = 'a'.repeat(2 ** 18) + 'b'; 'a'.repeat(2 ** 19).{operation}"
        )]);
    }
}

#[test]
fn work_on_long_text_is_stopped_or_short() {
    all_are_stopped(&[
        "const s = 'a'.repeat(400000), t = 'a'.repeat(400000); for (;;) { s == t; s < t; s === t; s != t; }",
        "const s = ' '.repeat(900000); for (;;) { +s; +s; +s; +s; }",
        "const s = 'a'.repeat(800000), o = {}; for (;;) { o[s + 1]; o[s + 1]; }",
        "const e = new Error('x'.repeat(400000)); for (;;) { parseInt(e); parseFloat(e); }",
        "for (;;) ' '.repeat(900000).trim()",
        "for (;;) 'a'.repeat(900000).toUpperCase()",
        "for (;;) JSON.stringify('\"'.repeat(200000))",
        "for (;;) '\\ud800'.repeat(200000).isWellFormed()",
        "let s = ''; for (;;) { s = 'xyz'.repeat(300) + s; if (s.length > 5e5) s = ''; }",
    ]);
    all_end(&[
        "JSON.parse(' '.repeat(1900000) + '1')",
        "JSON.parse('\"' + 'a'.repeat(900000) + '\"')",
        "JSON.parse('[' + '0,'.repeat(50000) + '0]')",
        "encodeURIComponent('\\u20ac'.repeat(200000))",
        "decodeURIComponent('%E2%82%AC'.repeat(100000))",
        "escape('\\u20ac'.repeat(200000))",
        "unescape('%u20ac'.repeat(200000))",
        "RegExp.escape(' '.repeat(400000))",
        "'\\u0130'.repeat(200000).toLowerCase()",
        "'ab'.padEnd(1900000, 'cd')",
        "'ab'.repeat(900000)",
        "Date.parse('1'.repeat(1000000))",
        "parseFloat('0'.repeat(1e6) + '1')",
        "parseFloat('0.' + '1'.repeat(900000))",
        "Number('0x' + '1'.repeat(900000))",
        "[...'a'.repeat(900000)]",
        "'a,'.repeat(400000).split(',')",
        "new Error('x'.repeat(1e6)).stack",
    ]);
}

#[test]
fn combining_marks_in_the_wrong_order_are_sorted_in_time() {
    let marks = "const s = 'a' + '\\u0315'.repeat(30000) + '\\u0300'.repeat(30000);";
    for operation in [
        "s.normalize('NFD')",
        "s.normalize('NFC')",
        "s.normalize('NFKD')",
        "s.normalize('NFKC')",
        "s.localeCompare('a\\u0315')",
    ] {
        all_end(&[&format!("{marks} {operation}")]);
    }
    all_are_stopped(&["for (;;) '\\u00e9\\u0315\\u0300'.repeat(20000).normalize('NFD')"]);
}

/// Unicode 3.11, the canonical ordering algorithm; more marks than are sorted by insertion.
#[test]
fn long_runs_of_combining_marks_are_ordered_as_short_ones() {
    let code = "function connectionHandler(c) {
        const marks = '\\u0327\\u0301\\u0315\\u0300';
        const long = ('a' + marks.repeat(20)).normalize('NFD');
        const ordered = 'a' + '\\u0327'.repeat(20) + '\\u0301\\u0300'.repeat(20) + '\\u0315'.repeat(20);
        const short = ('a' + marks.repeat(2)).normalize('NFD');
        if (long === ordered && short === 'a\\u0327\\u0327\\u0301\\u0300\\u0301\\u0300\\u0315\\u0315') \
            c.allow();
    }";
    assert_eq!(decision(code), Decision::Allow);
}

#[test]
fn arithmetic_on_huge_integers_is_stopped() {
    let huge = "const a = (1n << 500000n) - 1n, b = (1n << 250000n) - 3n;";
    for operation in [
        "a * a",
        "a / b",
        "a % b",
        "a.toString()",
        "String(-a)",
        "a.toLocaleString()",
        "for (;;) { a < 1.5; a == a; a != 2; }",
        "for (;;) Number(a)",
        "3n ** 400000n",
        "BigInt('9'.repeat(250000))",
        "BigInt('9'.repeat(250000)) == '9'.repeat(250000)",
    ] {
        all_are_stopped(&[&format!("{huge} {operation}")]);
    }
}

/// The digits are those of another way to the same number.
#[test]
fn arithmetic_that_is_not_stopped_is_right() {
    let code = "function connectionHandler(c) {
        const a = 3n ** 2000n, b = 7n ** 900n;
        const same = (a / b) * b + (a % b) === a && BigInt((a * b).toString()) === a * b
            && BigInt('0x' + a.toString(16)) === a && ((a << 700n) >> 700n) === a && (-a * b) / a === -b;
        if (same) c.allow();
    }";
    assert_eq!(decision(code), Decision::Allow);
}

#[test]
fn typed_arrays_are_stopped() {
    all_are_stopped(&[
        "for (;;) new Float64Array(200000).sort()",
        "for (;;) new Float64Array(20000).sort((a, b) => b - a)",
        "const t = new Uint8Array(1000000); for (let i = 0; i < 1000; i++) t[i * 997] = i; for (;;) t.sort()",
        "for (;;) new Uint8Array(1900000).join()",
        "for (;;) new Uint8Array(1900000).indexOf(1)",
        "for (;;) new Uint8Array(1900000).lastIndexOf(1)",
        "for (;;) new Uint8Array(1900000).includes(1)",
        "for (;;) new Uint8Array(1900000).fill(1)",
        "for (;;) new Uint8Array(1900000).reverse()",
        "for (;;) new Uint8Array(900000).toReversed()",
        "for (;;) new Uint8Array(1900000).copyWithin(0, 1)",
        "for (;;) new Uint8Array(900000).set(new Uint16Array(400000))",
        "new Uint8Array(1900000).set({ length: 1900000 })",
        "for (;;) Uint8Array.from({ length: 900000 })",
        "for (;;) new ArrayBuffer(900000).slice(0)",
        "for (;;) new Uint8Array(900000).toHex()",
        "for (;;) new Uint8Array(900000).toBase64()",
    ]);
}

#[test]
fn a_typed_array_that_is_sorted_in_time_is_sorted() {
    let code = "function connectionHandler(c) {
        const t = new Float64Array(500); for (let i = 0; i < 500; i++) t[i] = (i * 7919) % 500;
        t.sort(); if (t.every((value, index) => value === index)) c.allow();
    }";
    assert_eq!(decision(code), Decision::Allow);
}

#[test]
fn regular_expressions_are_stopped() {
    all_are_stopped(&[
        "/(?<=c(a+)+)b/.test('a'.repeat(40) + 'b')",
        "/^(a*)*\\1b/.test('a'.repeat(3000))",
        "/(a*)\\1*\\1*b/.test('a'.repeat(3000))",
        "new RegExp('(' + 'a'.repeat(2 ** 13) + ')*\\\\1b').test('a'.repeat(2 ** 20))",
        "new RegExp('a'.repeat(2 ** 15) + 'b').test('a'.repeat(2 ** 18))",
        "'a'.repeat(200000).replace(/(?=.*c)/g, 'x')",
        "for (;;) 'a'.repeat(100000).match(/(?:)/g)",
        "for (;;) 'a'.repeat(100000).split(/(?=a)/)",
        "new RegExp('a?'.repeat(3000) + 'a'.repeat(3000)).test('a'.repeat(3000))",
    ]);
    all_end(&[
        "new RegExp('(?:'.repeat(5000) + ')'.repeat(5000))",
        "new RegExp('|a'.repeat(60000))",
        "new RegExp('[^\\\\p{Script=Greek}]'.repeat(500), 'iu')",
        "'a'.repeat(300000).replace(/(?:)/g, '')",
    ]);
}

/// A class with case folding costs some 25 µs for each range, one of emoji a millisecond for each set.
#[test]
fn patterns_that_take_long_to_compile_are_stopped() {
    all_are_stopped(&[
        "new RegExp('[' + 'a-z'.repeat(100000) + ']', 'i')",
        "new RegExp('[' + 'a-z'.repeat(100000) + ']', 'iu')",
        "new RegExp('[' + 'a-z'.repeat(100000) + ']', 'iv')",
        "new RegExp('[' + '[a-z]'.repeat(60000) + ']', 'iv')",
        "new RegExp('[' + '\\\\p{RGI_Emoji}'.repeat(2000) + ']', 'v')",
        "new RegExp('[\\\\p{RGI_Emoji}' + '&&\\\\p{RGI_Emoji}'.repeat(2000) + ']', 'v')",
        "new RegExp('[\\\\p{RGI_Emoji}' + '--\\\\p{Basic_Emoji}'.repeat(2000) + ']', 'v')",
        "new RegExp('\\\\p{L}'.repeat(20000), 'iu')",
        "new RegExp('\\\\p{Script=Common}'.repeat(20000), 'u')",
        "new RegExp('\\\\P{scx=Zyyy}'.repeat(20000), 'u')",
        "new RegExp('[^\\\\p{ID_Continue}]'.repeat(20000), 'iu')",
        "let c = ''; for (let i = 0; i < 60000; i += 2) c += String.fromCharCode(i); new RegExp('[' + c + \
         ']')",
        "new RegExp('(?<=' + 'abcdefgh'.repeat(30000) + ')')",
        "new RegExp('a|'.repeat(200000))",
        "for (;;) new RegExp('[' + 'a-z'.repeat(100) + ']', 'i')",
        "for (;;) { try { new RegExp('[' + 'a-z'.repeat(9000) + ']', 'i') } catch {} }",
        "for (;;) 'a'.match('[' + 'a-z'.repeat(100) + ']')",
        "const r = /a/; for (;;) r.compile('[' + 'a-z'.repeat(1000) + ']', 'i')",
    ]);
    all_end(&[
        "new RegExp('[' + 'a-z'.repeat(2700) + ']', 'i')",
        "new RegExp('[' + '\\\\p{RGI_Emoji}'.repeat(580) + ']', 'v')",
        "try { new RegExp('(?:'.repeat(1000) + 'ab'.repeat(30000) + ')*'.repeat(1000)) } catch {}",
        "let p = ''; for (let i = 0; i < 254; i++) p += `(?<${'n'.repeat(60)}${i}>a)`; new RegExp(p)",
        "let p = '(?<n>a)'; new RegExp(p + '\\\\k<n>'.repeat(20000))",
        "new RegExp('\\\\k<n>'.repeat(2000) + '(?<n>a)'.padEnd(5000, 'b'))",
    ]);
}

#[test]
fn code_whose_patterns_take_long_to_compile_is_refused_at_load() {
    let code = format!(
        "function connectionHandler(c) {{ /[{}]/iv.test('a'); c.allow(); }}",
        "[\\p{L}\\p{RGI_Emoji}]".repeat(5000)
    );
    let source = FunctionSource {
        name: "judge",
        kind: FunctionKind::Connection,
        code: code.as_bytes(),
        key_value_store: None,
        limits: FunctionLimits {
            code_bytes: 1_048_576,
            ..limits()
        },
    };
    let message = Function::compile(source).map(drop).unwrap_err().message;
    assert!(message.contains("compiling it takes longer than"), "{message}");
}

/// A table whose keys all fall into one place takes minutes for so many; these did, before the hashes had a
/// secret.
#[test]
fn keys_that_were_chosen_to_collide_do_not() {
    let blocks = "const names = []; for (let i = 0; i < 32768; i++) {
        let name = ''; for (let bit = 0; bit < 15; bit++) name += i >> bit & 1 ? '@1' : '@2'; \
            names.push(name); }"
        .replace("@1", COLLIDING[0])
        .replace("@2", COLLIDING[1]);
    for body in [
        "const o = {}; for (const name of names) o[name] = 1;",
        "const m = new Map(); for (const name of names) m.set(name, 1);",
        "const s = new Set(names); for (const name of names) s.has(name);",
        "const m = new Map(); for (let i = 0; i < 32768; i++) m.set(i * 2 ** 40, 1);",
        "const o = {}; for (let i = 0; i < 32768; i++) o[i * 65536 % 2147483629] = 1;",
    ] {
        let code = format!("function connectionHandler(c) {{ {blocks} {body} c.allow(); }}");
        let source = FunctionSource {
            name: "judge",
            kind: FunctionKind::Connection,
            code: code.as_bytes(),
            key_value_store: None,
            limits: FunctionLimits {
                time: Duration::from_secs(2),
                memory_bytes: 128 * 1024 * 1024,
                ..limits()
            },
        };
        let function = Arc::new(Function::compile(source).unwrap());
        assert_eq!(call(&function).decision, Decision::Allow, "{body}");
    }
}

/// Texts with the same hash under QuickJS' own function, whatever text stands before or behind them.
const COLLIDING: [&str; 2] = ["aglkeuF", "ajAMvyq"];

#[test]
fn text_in_pieces_is_the_same_key_as_text_in_one() {
    let code = "function connectionHandler(c) {
        const half = 'a'.repeat(5000), pieces = half + 'b' + half, one = ['', half, 'b', half].join('');
        const map = new Map([[one, 1]]), set = new Set([pieces]);
        if (map.get(pieces) === 1 && set.has(one) && new Map([[pieces, 2]]).get(one) === 2) c.allow();
    }";
    assert_eq!(decision(code), Decision::Allow);
}

#[test]
fn large_objects_are_stopped() {
    let large = "const o = {}; for (let i = 0; i < 3000; i++) o['k' + i] = i;";
    for operation in [
        "for (;;) Object.assign({}, o)",
        "for (;;) Object.keys(o)",
        "for (;;) Object.entries(o)",
        "for (;;) Object.freeze(o)",
        "for (;;) ({ ...o })",
        "for (;;) { const { k1, ...rest } = o; }",
        "for (;;) for (const k in o) break;",
        "for (;;) JSON.stringify(o)",
        "for (;;) Object.getOwnPropertyDescriptors(o)",
        "for (;;) { const m = new Map(Object.entries(o)); [...m]; }",
        "const s = new Set(Object.keys(o)); for (;;) { s.union(s); s.isSubsetOf(s); s.isDisjointFrom(s); }",
    ] {
        all_are_stopped(&[&format!("{large} {operation}")]);
    }
    all_are_stopped(&[
        "let o = {}; for (let i = 0; i < 3000; i++) o = Object.create(o); for (;;) { o.x; o.x; o.x; o.x; \
         'x' in o; }",
        "for (const k in Object('a'.repeat(100000))) k.at(0);",
        "for (;;) Object.keys('a'.repeat(60000))",
    ]);
}

/// A turn of a long loop is more work than one of a short loop.
#[test]
fn long_loops_are_stopped_as_soon_as_short_ones() {
    let statement = "[1.5, {}, () => c];";
    all_are_stopped(&[
        &format!("for (;;) {{ {} }}", statement.repeat(450)),
        &format!("const f = () => {{ {} }}; for (;;) f()", statement.repeat(450)),
    ]);
}

/// Code that takes exceptions for values of its own meets the interruption again.
#[test]
fn nothing_swallows_the_interruption() {
    all_are_stopped(&[
        "const s = ' '.repeat(500000); for (;;) Promise.try(() => s.trim())",
        "const b = new ArrayBuffer(1900000); for (;;) { try { Promise.any(b) } catch {} }",
        "for (;;) { try { Promise.allSettled(new Array(4294967295)) } catch {} }",
        "for (;;) { try { Promise.race('a'.repeat(900000)) } catch {} }",
        "const i = new Array(4294967295).keys(); for (;;) { try { i.filter('a'.repeat(300000)) } catch {} }",
        "const f = async () => { for (;;); }; for (;;) f()",
        "for (;;) { try { await f() } catch {} } function* f() { yield* f() }",
    ]);
}

#[test]
fn our_own_functions_are_stopped() {
    all_are_stopped(&[
        "const s = 'a'.repeat(400000); for (;;) btoa(s)",
        "const s = 'a'.repeat(400000); for (;;) { try { atob(s) } catch {} }",
        "const s = 'a'.repeat(400000); for (;;) new TextEncoder().encode(s)",
        "const t = new Uint8Array(400000); for (;;) new TextDecoder().decode(t)",
        "const s = 'a'.repeat(400000); for (;;) Buffer.from(s, 'hex')",
        "const b = require('buffer').Buffer.alloc(400000); for (;;) b.toString('base64')",
        "const b = require('buffer').Buffer.alloc(800000); for (;;) b.indexOf(b)",
        "for (const h = require('crypto');;) h.createHash('md5').update('a'.repeat(900000)).digest('hex')",
        "for (const h = require('crypto');;) h.createHmac('sha256', 'k').update('a'.repeat(900000)).digest()",
        "const q = require('querystring'), s = 'a=b&'.repeat(100000); for (;;) q.parse(s)",
    ]);
}

/// Each of these had QuickJS read what was never made.
#[test]
fn too_little_memory_for_one_large_thing_harms_nothing() {
    all_are_stopped(&[
        "const f = () => 1; f.bind(null, ...new Array(60000))",
        "const s = 'x'.repeat(300000) + 'y'.repeat(300000), t = 'z'.repeat(1200000); for (const k in s) \
         k.at(0);",
    ]);
}
