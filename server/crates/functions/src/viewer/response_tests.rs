//! Responses as functions see them, the edits that functions may make, and the responses that they make.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

fn map(headers: &[(&str, &str)]) -> HeaderMap {
    let header = |(name, value): &(&str, &str)| {
        (
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )
    };
    headers.iter().map(header).collect()
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect()
}

fn after(
    headers: &HeaderMap,
    edit: impl FnOnce(&mut ReturnedResponse),
) -> Result<(ResponseEdits, Vec<String>), Invalid> {
    let shown = ShownResponse::new(StatusCode::OK, None, headers);
    let mut returned = shown.untouched();
    edit(&mut returned);
    let mut edits = shown.edits(returned)?;
    let mut headers = headers.clone();
    edits.apply_headers(&mut headers);
    Ok((edits, lines(&headers)))
}

fn given(value: &str, attributes: &str) -> Given {
    Given {
        value: value.to_owned(),
        attributes: Some(attributes.to_owned()),
    }
}

fn one(name: &str, value: &str, attributes: &str) -> Returned {
    Returned {
        untouched: None,
        name: name.to_owned(),
        single: Some(given(value, attributes)),
        multi: None,
    }
}

#[test]
fn cookies_are_shown_with_their_attributes_and_written_with_them() {
    let headers = map(&[
        ("set-cookie", "a=1; Secure; Path=/"),
        ("set-cookie", "b=2"),
        ("set-cookie", "a=3;HttpOnly"),
    ]);
    let shown = ShownResponse::new(StatusCode::OK, None, &headers);
    assert!(shown.headers.is_empty());
    let a = &shown.cookies.fields[0];
    assert_eq!(
        (&*a.first.value, a.first.attributes.as_deref()),
        ("1", Some("Secure; Path=/"))
    );
    assert_eq!(a.more[0].attributes.as_deref(), Some("HttpOnly"));
    let (_, untouched) = after(&headers, |_| {}).unwrap();
    assert_eq!(untouched, lines(&headers));
    let (_, changed) = after(&headers, |returned| {
        returned.cookies[1] = one("b", "9", "Max-Age=5; Secure");
        returned.cookies.push(one("n", "x", ""));
    })
    .unwrap();
    assert_eq!(
        changed,
        [
            "set-cookie: a=1; Secure; Path=/",
            "set-cookie: b=9; Max-Age=5; Secure",
            "set-cookie: a=3;HttpOnly",
            "set-cookie: n=x"
        ]
    );
    let (_, removed) = after(&headers, |returned| drop(returned.cookies.remove(0))).unwrap();
    assert_eq!(removed, ["set-cookie: b=2"]);
    for (cookie, why) in [
        (one("n", "a;b", ""), Why::NotAValue),
        (one("n", "a", "Path=/\r\nX: y"), Why::NotAValue),
        (one("n\r\n", "a", ""), Why::NotAName),
        (one("", "a", ""), Why::NotAName),
    ] {
        let refused = after(&headers, |returned| returned.cookies.push(cookie)).unwrap_err();
        assert_eq!(refused.why, why);
    }
}

#[test]
fn headers_of_a_response_are_changed_and_framing_is_not() {
    let headers = map(&[
        ("content-length", "3"),
        ("via", "1.1 x"),
        ("server", "s"),
        ("x-cache", "Hit"),
    ]);
    let (_, changed) = after(&headers, |returned| {
        returned.headers.retain(|field| field.name != "server");
        returned
            .headers
            .push(one("Strict-Transport-Security", "max-age=1", ""));
    })
    .unwrap();
    assert_eq!(
        changed,
        [
            "content-length: 3",
            "via: 1.1 x",
            "x-cache: Hit",
            "strict-transport-security: max-age=1"
        ]
    );
    for (name, value, why) in [
        ("transfer-encoding", "chunked", Why::ReadOnly),
        ("warning", "199", Why::ReadOnly),
        ("connection", "close", Why::Forbidden),
        ("x-cache", "Miss", Why::Forbidden),
        ("set-cookie", "a=b", Why::IsCookie),
        ("location", "/\r\nX: y", Why::NotAValue),
    ] {
        let refused = after(&headers, |returned| returned.headers.push(one(name, value, ""))).unwrap_err();
        assert_eq!(refused.why, why, "{name}");
    }
    let length = |value: &'static str| {
        after(&headers, |returned| {
            returned.headers.retain(|field| field.name != "content-length");
            if !value.is_empty() {
                returned.headers.push(one("content-length", value, ""));
            }
        })
    };
    assert_eq!(length("4").unwrap_err().why, Why::ReadOnly);
    assert_eq!(length("").unwrap_err().why, Why::ReadOnly);
}

#[test]
fn with_a_body_of_its_own_a_function_may_say_any_length() {
    let headers = map(&[("content-length", "3")]);
    for length in [None, Some("9")] {
        let (edits, lines) = after(&headers, |returned| {
            returned.headers.clear();
            returned
                .headers
                .extend(length.map(|length| one("Content-Length", length, "")));
            returned.body = Some(ReturnedBody::Text("hello".to_owned()));
        })
        .unwrap();
        assert_eq!(
            (edits.body.as_deref(), lines),
            (Some(&b"hello"[..]), vec!["content-length: 3".to_owned()])
        );
    }
}

#[test]
fn a_status_is_an_integer_from_200_to_599() {
    for (given, expected) in [
        (Some(200.0), Ok(200)),
        (Some(599.0), Ok(599)),
        (Some(404.0), Ok(404)),
        (None, Err(Why::Missing)),
        (Some(199.0), Err(Why::NotAStatus)),
        (Some(600.0), Err(Why::NotAStatus)),
        (Some(200.5), Err(Why::NotAStatus)),
        (Some(-200.0), Err(Why::NotAStatus)),
        (Some(f64::NAN), Err(Why::NotAStatus)),
        (Some(f64::INFINITY), Err(Why::NotAStatus)),
        (Some(65_736.0), Err(Why::NotAStatus)),
    ] {
        let result = ResponseEdits::generated(ReturnedResponse {
            status_code: given,
            ..Default::default()
        });
        let result = result
            .map(|edits| edits.status.as_u16())
            .map_err(|invalid| invalid.why);
        assert_eq!(result, expected, "{given:?}");
    }
}

#[test]
fn a_description_that_no_longer_fits_is_dropped_and_a_bad_one_refused() {
    let headers = HeaderMap::new();
    let described = |status: f64, text: &str| {
        after(&headers, |returned| {
            returned.status_code = Some(status);
            returned.status_description = Some(text.to_owned());
        })
        .map(|(edits, _)| edits.description)
    };
    assert_eq!(described(200.0, "OK"), Ok(None));
    assert_eq!(described(404.0, "OK"), Ok(None));
    assert_eq!(described(404.0, "Gone fishing").unwrap().unwrap(), "Gone fishing");
    assert_eq!(described(200.0, "a\r\nX: y").unwrap_err().why, Why::NotAValue);
    assert_eq!(
        described(200.0, &"a".repeat(2_000)).unwrap_err().why,
        Why::TooLarge(1_024)
    );
}

#[test]
fn a_body_is_text_or_base64_and_bounded() {
    let body = |body: ReturnedBody| {
        let returned = ReturnedResponse {
            status_code: Some(200.0),
            body: Some(body),
            ..Default::default()
        };
        ResponseEdits::generated(returned)
            .map(|edits| edits.body.unwrap())
            .map_err(|invalid| invalid.why)
    };
    assert_eq!(body(ReturnedBody::Text("h\u{e9}".to_owned())).unwrap(), "h\u{e9}");
    assert_eq!(
        body(ReturnedBody::Base64("AP8=".to_owned())).unwrap(),
        &b"\x00\xff"[..]
    );
    for bad in ["AP8", "A P8=", "\u{e9}", "===="] {
        assert_eq!(
            body(ReturnedBody::Base64(bad.to_owned())),
            Err(Why::NotBase64),
            "{bad}"
        );
    }
    let large = "a".repeat(1_048_577);
    assert_eq!(body(ReturnedBody::Text(large)), Err(Why::TooLarge(1_048_576)));
}

#[test]
fn a_generated_response_always_has_a_body_of_its_own() {
    let edits = ResponseEdits::generated(ReturnedResponse {
        status_code: Some(302.0),
        headers: vec![
            one("location", "https://example.com/", ""),
            one("content-length", "99", ""),
        ],
        cookies: vec![one("a", "b", "Secure")],
        ..Default::default()
    });
    let mut edits = edits.unwrap();
    let mut headers = HeaderMap::new();
    edits.apply_headers(&mut headers);
    assert_eq!(
        lines(&headers),
        ["location: https://example.com/", "set-cookie: a=b; Secure"]
    );
    assert_eq!(edits.body.as_deref(), Some(&b""[..]));
}

proptest! {
    #[test]
    fn what_is_returned_untouched_changes_nothing(
        cookies in prop::collection::vec("[a-c=; -~]{0,16}", 0..4),
        value in prop::collection::vec(32u8..=255, 0..6),
    ) {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append("set-cookie", HeaderValue::from_str(&cookie).unwrap());
        }
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            headers.append("x", value);
        }
        let (edits, left) = after(&headers, |_| {}).unwrap();
        prop_assert_eq!(left, lines(&headers));
        prop_assert_eq!((edits.status, edits.body, edits.description), (StatusCode::OK, None, None));
    }
}
