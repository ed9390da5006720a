//! Isolation: a call cannot see what another left behind.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::testing::*;
use super::*;

/// A function whose first call leaves something and whose every call says whether it finds it. Denials are
/// calls that found nothing.
fn finds_nothing(module: &str, leave: &str, find: &str) -> Arc<Function> {
    let code = format!(
        "{module}\nfunction connectionHandler(c) {{
            const found = (() => {find})();
            {leave};
            if (found) c.allow(); else c.deny();
        }}"
    );
    let function = function(&code);
    for turn in 0..3 {
        assert_eq!(
            call(&function).decision,
            Decision::Deny(Denial::Called),
            "turn {turn} of {leave}"
        );
    }
    function
}

#[test]
fn variables_and_closures_are_made_anew_by_each_call() {
    finds_nothing("let calls = 0;", "calls++", "calls > 0");
    finds_nothing("const seen = [];", "seen.push(1)", "seen.length > 0");
    finds_nothing(
        "const next = (() => { let n = 0; return () => n++ })();",
        "next()",
        "next() > 0",
    );
    finds_nothing("class A { static n = 0 }", "A.n = 1", "A.n > 0");
    finds_nothing("function f() {}", "f.x = 1", "f.x");
    finds_nothing("const r = /a/g;", "r.test('aa')", "r.lastIndex > 0");
    finds_nothing("const m = new Map();", "m.set(1, 1)", "m.has(1)");
    finds_nothing("const f = () => /a/g;", "f().test('aa')", "f().lastIndex > 0");
}

#[test]
fn what_is_left_on_the_events_objects_is_gone() {
    finds_nothing(
        "",
        "c.x = 1; c.clientCertificate.certificates.leaf.serialNumber = '0'",
        "c.x",
    );
    finds_nothing(
        "",
        "c.clientCertificate.certificates.intermediates.push(1)",
        "c.clientCertificate.certificates.intermediates.length > 0",
    );
}

#[test]
fn writing_to_built_ins_works_and_is_gone_by_the_next_call() {
    for (leave, find) in [
        ("globalThis.x = 1", "globalThis.x"),
        ("Array.prototype.x = 1", "[].x"),
        ("Object.prototype.x = 1", "({}).x"),
        ("String.prototype.includes = () => true", "'a'.includes('b')"),
        ("Array.prototype.map.x = 1", "[].map.x"),
        ("Math.x = 1", "Math.x"),
        ("JSON.parse = () => 1", "JSON.parse('2') === 1"),
        ("delete Array.prototype.map", "![].map"),
        (
            "Object.defineProperty(Array.prototype, 'x', { value: 1 })",
            "[].x",
        ),
        ("Object.setPrototypeOf(Array.prototype, { x: 1 })", "[].x"),
        ("(async () => {}).__proto__.x = 1", "(async () => {}).x"),
        (
            "(function* () {})().__proto__.__proto__.x = 1",
            "(function* () {})().x",
        ),
        ("[][Symbol.iterator]().__proto__.x = 1", "[][Symbol.iterator]().x"),
        ("new Map().entries().__proto__.x = 1", "new Map().entries().x"),
        ("'a'.matchAll(/a/g).__proto__.x = 1", "'a'.matchAll(/a/g).x"),
        (
            "[].values().map((x) => x).__proto__.x = 1",
            "[].values().map((x) => x).x",
        ),
        ("console.log = () => {}; console.x = 1", "console.x"),
        ("Error.prepareStackTrace = () => 1", "new Error().stack === 1"),
        (
            "Error.stackTraceLimit = {}",
            "typeof Error.stackTraceLimit === 'object'",
        ),
        ("Date.x = 1", "Date.x"),
        ("Function.prototype.x = 1", "(() => {}).x"),
        ("Promise.prototype.then.x = 1", "Promise.prototype.then.x"),
        ("c.allow.x = 1", "c.allow.x"),
        ("Object.getPrototypeOf(Uint8Array).x = 1", "Uint8Array.x"),
        ("TextDecoder.prototype.x = 1", "new TextDecoder().x"),
        ("RegExp.prototype.x = 1", "/a/.x"),
        ("Symbol.prototype.x = 1", "Symbol().x"),
        (
            "Object.getOwnPropertyDescriptor(Map.prototype, 'size').get.x = 1",
            "Object.getOwnPropertyDescriptor(Map.prototype, 'size').get.x",
        ),
    ] {
        finds_nothing("", leave, find);
    }
}

#[test]
fn modules_hold_nothing_either() {
    for (leave, find) in [
        ("crypto.x = 1", "crypto.x"),
        ("crypto.createHash.x = 1", "crypto.createHash.x"),
        ("require.x = 1", "require.x"),
        ("Buffer.x = 1", "Buffer.x"),
        ("Buffer.prototype.x = 1", "Buffer.from('').x"),
        ("cf.x = 1", "cf.x"),
    ] {
        finds_nothing(
            "import cf from 'cloudfront'; const crypto = require('crypto');",
            leave,
            find,
        );
    }
}

#[test]
fn a_write_that_is_caught_leaves_nothing() {
    for leave in [
        "try { Array.prototype.x = 1 } catch {}",
        "Reflect.set(Array.prototype, 'x', 1)",
        "Reflect.defineProperty(Array.prototype, 'x', { value: 1 })",
        "try { Object.assign(Array.prototype, { x: 1 }) } catch {}",
        "try { [].__proto__.__proto__.x = 1 } catch {}",
        "try { Object.prototype.toString = 1; Array.prototype.x = 1 } catch {}",
        "import('judge.js').then((m) => { m.default.x = 1 }).catch(() => {})",
    ] {
        finds_nothing("", leave, "[].x");
    }
}

#[test]
fn the_top_level_may_write_to_built_ins() {
    let code = "String.prototype.first = function () { return this[0] };
        globalThis.n = (globalThis.n ?? 0) + 1;
        function connectionHandler(c) { if ('abc'.first() === 'a' && n === 1) c.allow() }";
    let function = function(code);
    for _ in 0..3 {
        assert_eq!(call(&function).decision, Decision::Allow);
    }
}

#[test]
fn writing_to_an_own_frozen_object_is_the_customers_error_and_stays_cheap() {
    let code = "const o = Object.freeze({ x: 1 });
        function connectionHandler(c) { o.x = 2; }";
    let function = function(code);
    for _ in 0..3 {
        let Decision::Error(sentence) = call(&function).decision else {
            panic!("a write to a frozen object passed");
        };
        assert_eq!(sentence, "judge:2:41: TypeError: 'x' is read-only");
    }
    assert!(function.engine_bytes().is_some(), "it has lost its engine");
}

/// ES2015 §10.1.9.2: a frozen prototype would forbid all of these.
#[test]
fn own_properties_may_be_named_like_inherited_ones() {
    let code = "class Refused extends Error { constructor(m) { super(m); this.name = 'Refused'; \
        this.message = m + '!'; } }
        function Old() {} Old.prototype = Object.create(Error.prototype); Old.prototype.constructor = Old;
        Old.prototype.toString = () => 'old';
        function connectionHandler(c) {
            const o = {}; o.toString = () => 'mine'; o.constructor = 1; o.hasOwnProperty = 2; o.valueOf = \
                () => 3;
            const e = new Error('x'); e.name = 'Other'; e.toString = () => 'e';
            const a = []; a.toString = () => 'a';
            const f = () => 1; f.toString = () => 'f'; f.call = 1;
            const d = new Date(); d.toString = () => 'd'; d.toJSON = () => 'j';
            const key = 'toString', map = {}; map[key] = 1; map[key] = 2;
            console.log([o, e, a, f, d, new Old()].map(String).join());
            console.log(new Refused('no'));
            console.log([o.constructor, Object.keys(map).join(), map.toString, +o].join());
            c.allow();
        }";
    let function = function(code);
    let outcome = call(&function);
    assert_eq!(outcome.decision, Decision::Allow);
    assert_eq!(
        outcome.console,
        ["mine,e,a,f,d,old", "Refused: no!", "1,toString,2,3"]
    );
    assert!(
        function.engine_bytes().is_some(),
        "it needed an engine of its own"
    );
}

#[test]
fn an_error_of_one_call_is_not_the_next_ones() {
    let code = "function connectionHandler(c) {
        if (c.clientCertificate) { c.logCustomData('secret'); console.log('secret'); c.allow(); throw new \
            Error('x'); }
    }";
    let function = function(code);
    assert!(matches!(call(&function).decision, Decision::Error(_)));
    let outcome = call_anonymous(&function);
    assert_eq!(outcome.decision, Decision::Deny(Denial::NeitherCalled));
    assert_eq!((outcome.custom_data, outcome.console.len()), (None, 0));
}

#[test]
fn garbage_of_one_call_does_not_count_against_the_next() {
    let code = "function connectionHandler(c) {
        for (let i = 0; i < 2000; i++) { const a = { i }; a.a = a; }
        c.allow();
    }";
    let function = function(code);
    for _ in 0..200 {
        assert_eq!(call(&function).decision, Decision::Allow);
    }
    assert!(
        function.engine_bytes().unwrap() < 2 * 1024 * 1024,
        "{:?}",
        function.engine_bytes()
    );
}

#[test]
fn time_stands_still_during_a_call_and_moves_on_for_the_next() {
    let code = "const top = Date.now();
        function connectionHandler(c) {
            const start = new Date().getTime();
            for (let i = 0; i < 100000; i++) {}
            if (start === top && Date.now() === top && +new Date() === top && new Date(5).getTime() === 5
                && new Date() instanceof Date && new Date().constructor === Date && typeof Date() === 'string'
                && Date.UTC(1970, 0, 2) === 86400000 && new Date('2025-01-01').getUTCFullYear() === 2025)
                c.logCustomData(String(top));
            c.allow();
        }";
    let function = function(code);
    for seconds in [1_700_000_000, 1_800_000_000] {
        let now: SystemTime = UNIX_EPOCH + Duration::from_secs(seconds);
        let outcome = call_connection_at(&function, &event(None, &[]), now);
        assert_eq!(
            outcome.custom_data.unwrap().into_string(),
            format!("{seconds}000")
        );
    }
}

#[test]
fn random_numbers_differ_between_calls_and_lie_below_one() {
    let code = "function connectionHandler(c) {
        for (let i = 0; i < 100; i++) { const x = Math.random(); if (!(x >= 0 && x < 1)) throw new \
            Error(String(x)); }
        c.logCustomData(String(Math.random())); c.allow();
    }";
    let function = function(code);
    let drawn = || call(&function).custom_data.unwrap();
    assert_ne!(drawn(), drawn());
}

#[test]
fn a_newer_version_takes_the_place_of_the_older() {
    let old = function("function connectionHandler(c) { c.allow() }");
    let new = function("function connectionHandler(c) { c.deny() }");
    assert_ne!(old.version(), new.version());
    assert_ne!(old.digest(), new.digest());
    call(&old);
    assert!(old.engine_bytes().is_some());
    call(&new);
    assert!(old.engine_bytes().is_none());
    let live = LiveFunction::new(compile("function connectionHandler(c) { c.allow() }").unwrap());
    live.publish(compile("function connectionHandler(c) { c.deny() }").unwrap());
    assert_eq!(call(&live.current()).decision, Decision::Deny(Denial::Called));
    retire(|version| version == live.current().version());
    assert!(new.engine_bytes().is_none());
    assert!(live.current().engine_bytes().is_some());
}
