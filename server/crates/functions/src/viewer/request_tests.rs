//! Requests as functions see them, and the edits that functions may make.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use bothways_trust::CertificateHeader;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use proptest::prelude::*;

use super::*;

const CERTIFICATE: [(CertificateHeader, &str); 2] = [
    (CertificateHeader::Present, "1"),
    (CertificateHeader::Subject, "CN=alice"),
];

struct Sent {
    uri: Uri,
    headers: HeaderMap,
}

fn sent(uri: &str, headers: &[(&str, &str)]) -> Sent {
    let header = |(name, value): &(&str, &str)| {
        (
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )
    };
    Sent {
        uri: uri.parse().unwrap(),
        headers: headers.iter().map(header).collect(),
    }
}

impl Sent {
    fn shown(&self) -> ShownRequest<'_> {
        ShownRequest::new(RequestFacts {
            method: &Method::GET,
            uri: &self.uri,
            headers: &self.headers,
            certificate: &CERTIFICATE,
        })
    }

    /// The target and the headers after a function that does `edit`.
    fn after(&self, edit: impl FnOnce(&mut ReturnedRequest)) -> Result<(String, Vec<String>), Invalid> {
        let shown = self.shown();
        let mut returned = shown.untouched();
        edit(&mut returned);
        let edits = shown.edits(&returned)?;
        let (mut uri, mut headers) = (self.uri.clone(), self.headers.clone());
        edits.apply(&mut uri, &mut headers)?;
        Ok((uri.to_string(), lines(&headers)))
    }

    fn why(&self, edit: impl FnOnce(&mut ReturnedRequest)) -> Why {
        self.after(edit).expect_err("what cannot be sent").why
    }
}

/// Sorted: their order says nothing.
fn lines(headers: &HeaderMap) -> Vec<String> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
    };
    let mut lines: Vec<_> = headers.iter().map(line).collect();
    lines.sort();
    lines
}

fn field(name: &str, values: &[&str]) -> Returned {
    let given = |value: &&str| Given {
        value: (*value).to_owned(),
        attributes: None,
    };
    Returned {
        untouched: None,
        name: name.to_owned(),
        single: values.first().map(given),
        multi: (values.len() != 1).then(|| values.iter().map(given).collect()),
    }
}

/// Sets, or with no value removes.
fn set(fields: &mut Vec<Returned>, name: &str, values: &[&str]) {
    match fields.iter_mut().find(|field| field.name == name) {
        Some(found) if !values.is_empty() => *found = field(name, values),
        Some(_) => fields.retain(|field| field.name != name),
        None => fields.push(field(name, values)),
    }
}

#[test]
fn a_function_sees_certificate_host_and_headers_and_neither_cookies_nor_what_is_hidden() {
    let sent = sent(
        "/a%20b?x=1",
        &[
            ("host", "edge.example.com"),
            ("accept", "a"),
            ("accept", "b"),
            ("cookie", "c=d"),
            ("connection", "close"),
            ("x-amz-cf-id", "1"),
            ("content-length", "0"),
        ],
    );
    let shown = sent.shown();
    let names: Vec<_> = shown.headers.iter().map(|field| &*field.name).collect();
    assert_eq!(
        names,
        [
            "cloudfront-viewer-cert-present",
            "cloudfront-viewer-cert-subject",
            "host",
            "accept",
            "content-length"
        ]
    );
    assert_eq!(shown.headers[2].first.value, "edge.example.com");
    assert_eq!(shown.headers[3].values().count(), 2);
    assert_eq!(
        (shown.method, shown.uri, shown.raw_query),
        ("GET", "/a%20b", Some("x=1"))
    );
    assert_eq!(shown.cookies.fields[0].first.value, "d");
}

#[test]
fn raw_query_string_tells_a_bare_question_mark_from_none() {
    for (uri, raw) in [("/", None), ("/?", Some("")), ("/?a&&b=%20", Some("a&&b=%20"))] {
        assert_eq!(sent(uri, &[]).shown().raw_query, raw, "{uri}");
    }
}

#[test]
fn a_query_is_rewritten_only_where_it_was_changed() {
    type Edit = fn(&mut Vec<Returned>);
    let cases: [(&str, Edit, &str); 14] = [
        ("/?", |_| {}, "/?"),
        ("/?b=1&&a&=x&b=%20&", |_| {}, "/?b=1&&a&=x&b=%20&"),
        (
            "/?b=1&&a&c=2&b=3",
            |query| set(query, "c", &["x y"]),
            "/?b=1&&a&c=x%20y&b=3",
        ),
        (
            "/?b=1&&a&c=2&b=3",
            |query| set(query, "b", &["9"]),
            "/?b=9&&a&c=2",
        ),
        ("/?b=1&a&b=3", |query| set(query, "b", &["7", "8"]), "/?b=7&b=8&a"),
        ("/?b=1&a&b=3", |query| set(query, "b", &[]), "/?a"),
        ("/?b=1", |query| query.clear(), "/"),
        ("/", |query| set(query, "n", &["v"]), "/?n=v"),
        (
            "/?a=1",
            |query| set(query, "n&=", &["&#=+"]),
            "/?a=1&n%26%3D=%26%23=+",
        ),
        (
            "/?a=1",
            |query| set(query, "\u{e9}", &["\u{20ac}"]),
            "/?a=1&%C3%A9=%E2%82%AC",
        ),
        ("/?a=1", |query| set(query, "n", &[""]), "/?a=1&n="),
        (
            "/?__proto__=1&2=3&1=4",
            |query| set(query, "2", &["5"]),
            "/?__proto__=1&2=5&1=4",
        ),
        ("/?a=1&b=2", |query| query.reverse(), "/?a=1&b=2"),
        ("/?a=%zz&b=2", |query| set(query, "b", &["%41"]), "/?a=%zz&b=%41"),
    ];
    for (uri, edit, expected) in cases {
        let after = sent(uri, &[])
            .after(|returned| edit(&mut returned.querystring))
            .unwrap();
        assert_eq!(after.0, expected, "{uri}");
    }
}

#[test]
fn a_path_is_sent_encoded_and_nothing_else_is_a_path() {
    for (uri, expected) in [
        ("/index.html", "/index.html?q"),
        ("/a b\u{e9}\"<>", "/a%20b%C3%A9%22%3C%3E?q"),
        ("//other.example/%2e", "//other.example/%2e?q"),
        ("/", "/?q"),
    ] {
        let after = sent("/x?q", &[])
            .after(|returned| returned.uri = Some(uri.to_owned()))
            .unwrap();
        assert_eq!(after.0, expected);
    }
    for (uri, why) in [
        ("", Why::NotAbsolute),
        ("x", Why::NotAbsolute),
        ("http://a/", Why::NotAbsolute),
        ("*", Why::NotAbsolute),
        ("/a?b", Why::NotAPath),
        ("/a#b", Why::NotAPath),
        ("/a HTTP/1.1\r\nHost: b", Why::NotAPath),
        ("/a\0", Why::NotAPath),
    ] {
        assert_eq!(
            sent("/x", &[]).why(|returned| returned.uri = Some(uri.to_owned())),
            why,
            "{uri:?}"
        );
    }
    assert_eq!(sent("/x", &[]).why(|returned| returned.uri = None), Why::Missing);
    let long = format!("/{}", "a".repeat(8_190));
    assert!(
        sent("/", &[])
            .after(|returned| returned.uri = Some(long.clone()))
            .is_ok()
    );
    assert_eq!(
        sent("/", &[]).why(|returned| returned.uri = Some(long + "a")),
        Why::TooLarge(8_191)
    );
}

#[test]
fn the_method_is_read_only() {
    assert_eq!(
        sent("/", &[]).why(|returned| returned.method = Some("POST".to_owned())),
        Why::ReadOnly
    );
    assert_eq!(
        sent("/", &[]).why(|returned| returned.method = None),
        Why::Missing
    );
}

#[test]
fn headers_are_added_changed_and_removed() {
    let sent = sent("/", &[("a", "1"), ("b", "2"), ("b", "3"), ("c", "4")]);
    let after = sent.after(|returned| {
        set(&mut returned.headers, "a", &[]);
        set(&mut returned.headers, "b", &["5"]);
        set(&mut returned.headers, "X-New", &["6", "7\t8"]);
    });
    assert_eq!(after.unwrap().1, ["b: 5", "c: 4", "x-new: 6", "x-new: 7\t8"]);
}

#[test]
fn what_was_not_touched_stays_octet_for_octet() {
    let mut sent = sent("/", &[("cookie", "a=1;b=\u{e9};; c"), ("cookie", "d=2")]);
    let raw = HeaderValue::from_bytes(b"\xff\xfe").unwrap();
    sent.headers.insert("x-raw", raw.clone());
    let shown = sent.shown();
    let edits = shown.edits(&shown.untouched()).unwrap();
    assert_eq!(edits, RequestEdits::default());
    let (_, lines) = sent
        .after(|returned| set(&mut returned.cookies, "d", &["3"]))
        .unwrap();
    assert!(
        lines.contains(&"cookie: a=1; b=\u{e9}; c; d=3".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn cookies_are_added_changed_and_removed() {
    let sent = sent("/", &[("cookie", "a=1; b=2; a=3")]);
    let (_, lines) = sent
        .after(|returned| {
            set(&mut returned.cookies, "a", &[]);
            set(&mut returned.cookies, "n", &["x, y"]);
        })
        .unwrap();
    assert_eq!(lines, ["cookie: b=2; n=x, y"]);
    assert_eq!(
        sent.after(|returned| returned.cookies.clear()).unwrap().1,
        [""; 0]
    );
    for (name, value, why) in [
        ("n", "a;b", Why::NotAValue),
        ("n", "a\r\nb", Why::NotAValue),
        ("n", "\0", Why::NotAValue),
        ("n;", "a", Why::NotAName),
        ("n=", "a", Why::NotAName),
        ("", "a", Why::NotAName),
        ("n\r\nx", "a", Why::NotAName),
    ] {
        assert_eq!(
            sent.why(|returned| set(&mut returned.cookies, name, &[value])),
            why,
            "{name:?} {value:?}"
        );
    }
}

#[test]
fn what_a_function_may_not_touch_it_cannot() {
    let sent = sent(
        "/",
        &[
            ("host", "edge.example.com"),
            ("content-length", "3"),
            ("via", "1.1 a"),
            ("accept", "b"),
        ],
    );
    for (name, value, why) in [
        ("host", "b.example", Why::ReadOnly),
        ("Host", "b.example", Why::Twice),
        ("content-length", "4", Why::ReadOnly),
        ("via", "1.1 b", Why::ReadOnly),
        ("transfer-encoding", "chunked", Why::ReadOnly),
        ("Transfer-Encoding", "chunked", Why::ReadOnly),
        ("connection", "close", Why::Forbidden),
        ("te", "trailers", Why::Forbidden),
        ("upgrade", "h2c", Why::Forbidden),
        ("x-edge-location", "a", Why::Forbidden),
        ("x-real-ip", "a", Why::Forbidden),
        ("cloudfront-viewer-cert-subject", "CN=admin", Why::Forbidden),
        ("cloudfront_viewer_cert_subject", "CN=admin", Why::Forbidden),
        ("cloudfront-viewer-cert-pem", "x", Why::Forbidden),
        ("client-cert", ":AA==:", Why::Forbidden),
        ("cookie", "a=b", Why::IsCookie),
        ("ACCEPT", "c", Why::Twice),
        ("", "x", Why::NotAName),
        ("a b", "x", Why::NotAName),
        ("a:b", "x", Why::NotAName),
        ("x\r\ny", "x", Why::NotAName),
        ("\u{e9}", "x", Why::NotAName),
        ("x", "a\r\nb: c", Why::NotAValue),
        ("x", "a\nb", Why::NotAValue),
        ("x", "a\0b", Why::NotAValue),
        ("x", "\u{7f}", Why::NotAValue),
    ] {
        assert_eq!(
            sent.why(|returned| set(&mut returned.headers, name, &[value])),
            why,
            "{name:?} {value:?}"
        );
    }
    for name in ["host", "content-length", "via"] {
        assert_eq!(
            sent.why(|returned| set(&mut returned.headers, name, &[])),
            Why::ReadOnly,
            "{name}"
        );
    }
}

#[test]
fn a_certificate_header_can_be_withheld() {
    let sent = sent("/", &[]);
    let shown = sent.shown();
    let mut returned = shown.untouched();
    set(&mut returned.headers, "cloudfront-viewer-cert-subject", &[]);
    let edits = shown.edits(&returned).unwrap();
    let mut headers = HeaderMap::new();
    let withheld = edits.apply(&mut Uri::from_static("/"), &mut headers).unwrap();
    assert_eq!((withheld, headers.len()), (vec![CertificateHeader::Subject], 0));
}

#[test]
fn a_request_does_not_grow_beyond_what_the_service_takes() {
    let sent = sent("/", &[("a", &"x".repeat(20_000))]);
    let large = "y".repeat(13_000);
    assert_eq!(
        sent.why(|returned| set(&mut returned.headers, "b", &[&large])),
        Why::TooLarge(32_768)
    );
    let many = vec![""; 40_000];
    assert_eq!(
        sent.why(|returned| set(&mut returned.headers, "b", &many)),
        Why::TooLarge(32_768)
    );
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z=&;% ]{0,8}",
        Just("host".to_owned()),
        Just("Content-Length".to_owned()),
        Just("cookie".to_owned()),
        Just("a\r\nb: c".to_owned()),
        "\\PC{0,6}",
    ]
}

fn fields() -> impl Strategy<Value = Vec<Returned>> {
    let given =
        || (text(), prop::option::of(text())).prop_map(|(value, attributes)| Given { value, attributes });
    let field = (
        text(),
        prop::option::of(given()),
        prop::option::of(prop::collection::vec(given(), 0..3)),
    );
    let field = field.prop_map(|(name, single, multi)| Returned {
        untouched: None,
        name,
        single,
        multi,
    });
    prop::collection::vec(field, 0..5)
}

proptest! {
    #[test]
    fn what_is_returned_untouched_changes_nothing(
        path in "/[a-z%]{0,5}(\\?[a-c=&%]{0,12})?",
        cookie in "[ -~]{0,20}",
        values in prop::collection::vec(prop::collection::vec(32u8..=255, 0..6), 0..4),
    ) {
        let mut sent = sent(&path, &[("cookie", &cookie)]);
        for value in values {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                sent.headers.append("x", value);
            }
        }
        let shown = sent.shown();
        prop_assert_eq!(shown.edits(&shown.untouched()).unwrap(), RequestEdits::default());
    }

    #[test]
    fn whatever_a_function_returns_framing_and_identity_stay_ours(
        uri in text(),
        querystring in fields(),
        cookies in fields(),
        mut headers in fields(),
        keep in any::<bool>(),
    ) {
        let shown = [("host", "edge.example.com"), ("content-length", "3"), ("a", "1"), ("cookie", "a=1")];
        let sent = sent("/p?a=1&b=2", &shown);
        if keep {
            let is = |name: &str, other| name.eq_ignore_ascii_case(other);
            headers.retain(|field| !is(&field.name, "host") && !is(&field.name, "content-length"));
            headers.extend(sent.shown().untouched().headers);
        }
        let after = sent.after(|returned| {
            returned.uri = Some(format!("/{uri}"));
            returned.querystring = querystring;
            returned.cookies = cookies;
            returned.headers = headers;
        });
        if let Ok((target, lines)) = after {
            let is_visible = target.bytes().all(|byte| byte.is_ascii_graphic());
            prop_assert!(target.starts_with('/') && is_visible, "{}", target);
            let count = |name: &str| lines.iter().filter(|line| line.starts_with(name)).count();
            prop_assert_eq!(count("content-length: 3"), 1);
            prop_assert_eq!(count("host: edge.example.com"), 1);
            prop_assert_eq!(count("content-length:") + count("host:") + count("transfer-encoding:"), 2);
            prop_assert!(count("cookie:") <= 1);
            prop_assert!(lines.iter().all(|line| !line.contains(['\r', '\n', '\0'])));
        }
    }
}
