//! Readings of paths, by example and at random.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn readings(path: &str) -> Vec<String> {
    let mut readings = Vec::new();
    each_reading(path, |reading| {
        readings.push(reading.to_owned());
        true
    })
    .unwrap();
    readings
}

#[test]
fn the_normal_form_is_that_of_rfc_3986_with_single_slashes() {
    for (path, expected) in [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/%70rivate/x", "/private/x"),
        ("//private//x", "/private/x"),
        ("/./private/./x", "/private/x"),
        ("/x/../private/x", "/private/x"),
        ("/x/%2E%2e/private", "/private"),
        ("/../../private", "/private"),
        ("/private/..", "/"),
        ("/private/.", "/private/"),
        ("/a/..b/.c/d..", "/a/..b/.c/d.."),
        ("/a%2fb%3b", "/a%2Fb%3B"),
        ("/%7Euser/caf%c3%a9", "/~user/caf%C3%A9"),
        ("/caf\u{e9}", "/caf%C3%A9"),
        ("/100%", "/100%25"),
        ("/100%25", "/100%25"),
        ("/a//../b", "/b"),
    ] {
        assert_eq!(normal(path), expected, "{path}");
    }
}

#[test]
fn whatever_some_origin_reads_as_another_path_is_a_reading() {
    for path in [
        "/%70rivate/x",
        "//private/x",
        "/./private/x",
        "/x/../private/x",
        "/x/..//private/x",
        "/a/b//../../private/x",
        "/x/%2e%2e/private/x",
        "/x/..%2fprivate/x",
        "/private%2Fx",
        "/%2570rivate/x",
        "/x/%252e%252e/private/x",
        "/x%252f..%252fprivate%252fx",
        "/x\\..\\private\\x",
        "/x/..%5cprivate/x",
        "/x/..;/private/x",
        "/x/..;a=b/private/x",
        "/private;a=b/x",
        "/;a/private/x",
        "/.;/private/x",
        "/private/x;jsessionid=1",
        "/%c0%ae%c0%ae/private/x",
        "/x/%c0%ae%c0%ae%c0%afprivate/x",
        "/x/%e0%80%ae%e0%80%ae/private/x",
        "/x/%f0%80%80%ae%f0%80%80%ae/private/x",
        "/%c1%b0rivate/x",
        "/%u0070rivate/x",
        "/x/%u002e%u002e/private/x",
        "/private./x",
        "/private%20/x",
        "/x/..%00/../private/x",
        "/%25%37%30rivate/x",
    ] {
        match each_reading(path, |reading| reading != "/private/x") {
            Ok(()) => assert!(readings(path).contains(&"/private/x".to_owned()), "{path}"),
            Err(unreadable) => assert!(path.contains("%00"), "{path}: {unreadable:?}"),
        }
        assert!(!is_plain(path), "{path}");
    }
}

#[test]
fn the_path_as_it_came_is_a_reading_too() {
    for path in ["/private/../y", "/private//x", "/a;b", "/a%2Fb", "/x/..;/y"] {
        assert!(readings(path).contains(&path.to_owned()), "{path}");
    }
}

#[test]
fn everyday_paths_are_plain_or_have_few_readings() {
    for path in [
        "/",
        "/index.html",
        "/a/b.c/d-e_f~g",
        "/@user/$x",
        "/a..b",
        "/a:b,c=d",
    ] {
        assert!(is_plain(path), "{path}");
    }
    for (path, expected) in [
        ("/a%20b.pdf", &["/a%20b.pdf"][..]),
        ("/group%2Fproject", &["/group%2Fproject", "/group/project"]),
        ("/caf%c3%a9", &["/caf%C3%A9"]),
        ("/100%25", &["/100%25"]),
    ] {
        let mut readings = readings(path);
        readings.sort();
        readings.dedup();
        assert_eq!(readings, expected, "{path}");
    }
}

#[test]
fn what_cannot_be_told_is_said() {
    let told = |path| each_reading(path, |_| true);
    assert_eq!(told("/a%00b"), Err(Unreadable::Nul));
    assert_eq!(told("/a%2500b"), Err(Unreadable::Nul));
    assert_eq!(told("/a%c0%80b"), Err(Unreadable::Nul));
    assert_eq!(told("/%2525252e/"), Err(Unreadable::EncodedTooOften));
    assert_eq!(told("/%25252e/"), Ok(()));
}

/// Quadratic time would be seen.
#[test]
fn the_longest_paths_are_read_in_linear_time() {
    for piece in ["%25", "/..", "%252e/", ";/", "\\.", "%c0%ae", "//"] {
        let path = format!("/{}", piece.repeat(20_000));
        let _ = each_reading(&path, |_| true);
    }
}

/// Text in which what matters is frequent.
const PATHS: &str = "/([a./;\\\\]|%2[ef5F]|%5c|%c0%ae|%00|%7e|%61|%){0,24}";

proptest! {
    #[test]
    fn the_normal_form_stays_as_it_is(path in PATHS) {
        let once = normal(&path);
        prop_assert!(once.starts_with('/'));
        prop_assert!(!once.contains("//"));
        let closed = format!("{once}/");
        prop_assert!(!closed.contains("/../") && !closed.contains("/./"));
        prop_assert_eq!(normal(&once), once);
    }

    #[test]
    fn a_plain_path_has_one_reading(path in "/[a-z./%;]{0,12}") {
        if is_plain(&path) {
            prop_assert!(readings(&path).iter().all(|reading| *reading == path), "{:?}", readings(&path));
        }
    }

    #[test]
    fn every_reading_is_a_path_in_visible_ascii(path in PATHS) {
        let _ = each_reading(&path, |reading| {
            assert!(reading.starts_with('/') && reading.bytes().all(|byte| byte.is_ascii_graphic()));
            true
        });
    }

    #[test]
    fn nothing_panics(path in ".{0,40}") {
        let _ = each_reading(&path, |_| true);
        let _ = is_plain(&path);
    }
}
