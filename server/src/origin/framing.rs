//! The fields that say where a message's body ends (RFC 9112 §6): after a body was decoded they say what is
//! sent on, or nothing.
//!
//! Pure. hyper decodes one coding, `chunked`, and trusts the fields that it is given to write; whatever else
//! a message says about its framing is refused here, since the next one on the way would read another body
//! than we did.

use std::fmt;

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::{StatusCode, response};

/// Reasons for which nobody could rely on where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFraming {
    /// A transfer coding that is not undone here: the body would go on coded, without the field that says so.
    Coding,
    /// Transfer-Encoding names `chunked` more than once, or is no list.
    Chunked,
    /// Content-Length is no number, one that is too great, or several.
    Length,
}

impl fmt::Display for BadFraming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Coding => "it has a transfer coding other than chunked",
            Self::Chunked => "its Transfer-Encoding is malformed",
            Self::Length => "its Content-Length is no number, more than one, or above 2^63-1",
        })
    }
}

/// Checks that the statements of a request about its body can be relied on: its transfer coding, and a length
/// that everybody reads as the same.
///
/// # Errors
/// The statements cannot be relied on.
pub fn check_request(headers: &HeaderMap) -> Result<(), BadFraming> {
    // Most requests say nothing of a body. One look over the names is cheaper than two by hash.
    if !headers
        .keys()
        .any(|name| name == TRANSFER_ENCODING || name == CONTENT_LENGTH)
    {
        return Ok(());
    }
    check_transfer_coding(headers)?;
    content_length(headers).map(drop)
}

/// Checks that `Transfer-Encoding` is absent, or `chunked` and nothing else.
///
/// # Errors
/// It is something else.
fn check_transfer_coding(headers: &HeaderMap) -> Result<(), BadFraming> {
    let mut values = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(first) = values.next() else {
        return Ok(());
    };
    if values.next().is_none() && is_chunked(first.as_bytes()) {
        return Ok(());
    }
    let values = headers.get_all(TRANSFER_ENCODING).iter();
    let mut codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    match codings.all(|coding| coding.trim_ascii().is_empty() || is_chunked(coding)) {
        true => Err(BadFraming::Chunked),
        false => Err(BadFraming::Coding),
    }
}

fn is_chunked(coding: &[u8]) -> bool {
    coding.trim_ascii().eq_ignore_ascii_case(b"chunked")
}

/// Makes the fields of a request, whose hop-by-hop headers are gone, say what is sent: nothing, a body of a
/// known length, or one that is chunked, whatever the method. Without the field hyper sends no body of
/// unknown length with GET and HEAD.
pub fn frame_request(headers: &mut HeaderMap, has_body: bool, length: Option<u64>) {
    match (has_body, length) {
        (false, _) => {
            if headers.contains_key(CONTENT_LENGTH) {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(0_u64));
            }
        }
        (true, Some(length)) => drop(headers.insert(CONTENT_LENGTH, length.into())),
        (true, None) => {
            headers.remove(CONTENT_LENGTH);
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
}

/// Makes the fields of an origin's response say what is sent on: the length of the body, or none where it is
/// not known or there is never one (RFC 9110 §8.6); with HEAD and 304 that of the body that GET would get. To
/// be called before the hop-by-hop headers go.
///
/// # Errors
/// The statements of the response about its body contradict each other, or name a transfer coding that was
/// not undone.
pub fn settle_response(head: &mut response::Parts, is_head: bool) -> Result<(), BadFraming> {
    let headers = &mut head.headers;
    if head.status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
        return Ok(());
    }
    let is_bodiless = is_head || head.status == StatusCode::NOT_MODIFIED;
    if !is_bodiless {
        check_transfer_coding(headers)?;
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        // RFC 9112 §6.3: the coding outweighs the length.
        headers.remove(CONTENT_LENGTH);
    } else if let Some(length) = content_length(headers)? {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    Ok(())
}

/// Length of the body, which may be told more than once (RFC 9110 §8.6).
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, BadFraming> {
    let values = headers.get_all(CONTENT_LENGTH).iter();
    let mut parts = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let Some(first) = parts.next() else {
        return Ok(None);
    };
    let length = number(first)?;
    parts.try_fold(Some(length), |known, part| match number(part)? == length {
        true => Ok(known),
        false => Err(BadFraming::Length),
    })
}

/// Digits only: `parse` alone would take a sign. Many a reader has signed numbers, so a greater one would be
/// another number there, or none.
fn number(text: &[u8]) -> Result<u64, BadFraming> {
    let digits = std::str::from_utf8(text.trim_ascii()).ok();
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    digits
        .and_then(|digits| digits.parse::<i64>().ok())
        .map(i64::cast_unsigned)
        .ok_or(BadFraming::Length)
}

#[cfg(test)]
mod tests {
    use http::Response;
    use http::header::HeaderName;

    use super::*;

    const TE: &str = "transfer-encoding";
    const CL: &str = "content-length";

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().expect("a name");
            headers.append(name, value.parse().expect("a value"));
        }
        headers
    }

    fn lengths(headers: &HeaderMap) -> Vec<&[u8]> {
        headers
            .get_all(CONTENT_LENGTH)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect()
    }

    #[test]
    fn chunked_and_nothing_else_is_a_transfer_coding() {
        for (values, expected) in [
            (&[][..], Ok(())),
            (&["chunked"], Ok(())),
            (&[" Chunked "], Ok(())),
            (&["gzip, chunked"], Err(BadFraming::Coding)),
            (&["gzip", "chunked"], Err(BadFraming::Coding)),
            (&["chunked", "identity"], Err(BadFraming::Coding)),
            (&["identity, chunked"], Err(BadFraming::Coding)),
            (&["xchunked"], Err(BadFraming::Coding)),
            (&["\"chunked\""], Err(BadFraming::Coding)),
            (&["chunked;q=1"], Err(BadFraming::Coding)),
            (&["gzip"], Err(BadFraming::Coding)),
            (&["chunked, chunked"], Err(BadFraming::Chunked)),
            (&["chunked", "chunked"], Err(BadFraming::Chunked)),
            (&["chunked,"], Err(BadFraming::Chunked)),
            (&[", chunked"], Err(BadFraming::Chunked)),
            (&[""], Err(BadFraming::Chunked)),
        ] {
            let fields: Vec<_> = values.iter().map(|value| (TE, *value)).collect();
            assert_eq!(check_transfer_coding(&headers(&fields)), expected, "{values:?}");
        }
    }

    #[test]
    fn a_requests_length_is_one_that_everybody_reads_as_the_same() {
        for (fields, expected) in [
            (&[][..], Ok(())),
            (&[(CL, "0")], Ok(())),
            (&[(CL, "9223372036854775807")], Ok(())),
            (&[(CL, "9223372036854775808")], Err(BadFraming::Length)),
            (&[(CL, "+1")], Err(BadFraming::Length)),
            (&[(TE, "chunked"), (CL, "x")], Err(BadFraming::Length)),
        ] {
            assert_eq!(check_request(&headers(fields)), expected, "{fields:?}");
        }
    }

    #[test]
    fn a_request_says_what_is_sent() {
        for (before, has_body, length, expected) in [
            (&[(CL, "00")][..], false, Some(0), &[(CL, "0")][..]),
            (&[], false, Some(0), &[]),
            (&[(CL, "05")], true, Some(5), &[(CL, "5")]),
            (&[], true, Some(5), &[(CL, "5")]),
            (&[], true, None, &[(TE, "chunked")]),
            (&[(CL, "5")], true, None, &[(TE, "chunked")]),
        ] {
            let mut fields = headers(before);
            frame_request(&mut fields, has_body, length);
            assert_eq!(fields, headers(expected), "{before:?} {has_body} {length:?}");
        }
    }

    #[test]
    fn a_response_has_one_length_or_none() {
        type Case = (
            u16,
            bool,
            &'static [(&'static str, &'static str)],
            Result<Option<&'static str>, BadFraming>,
        );
        let cases: [Case; 22] = [
            (200, false, &[(CL, "5")], Ok(Some("5"))),
            (200, false, &[], Ok(None)),
            (200, false, &[(CL, "5"), (CL, "5")], Ok(Some("5"))),
            (200, false, &[(CL, "5, 5")], Ok(Some("5"))),
            (200, false, &[(CL, "5"), (CL, "6")], Err(BadFraming::Length)),
            (200, false, &[(CL, "5, 6")], Err(BadFraming::Length)),
            (200, false, &[(CL, "3"), (TE, "chunked")], Ok(None)),
            (200, false, &[(CL, "x"), (TE, "chunked")], Ok(None)),
            (200, false, &[(TE, "gzip, chunked")], Err(BadFraming::Coding)),
            (200, false, &[(TE, "gzip")], Err(BadFraming::Coding)),
            (204, false, &[(CL, "5")], Ok(None)),
            (204, false, &[(CL, "5"), (CL, "x"), (TE, "gzip")], Ok(None)),
            (304, false, &[(CL, "5"), (CL, "5")], Ok(Some("5"))),
            (304, false, &[(CL, "5"), (CL, "6")], Err(BadFraming::Length)),
            (304, false, &[(CL, "5"), (TE, "chunked")], Ok(None)),
            (200, true, &[(CL, "5")], Ok(Some("5"))),
            (200, true, &[(CL, "+5")], Err(BadFraming::Length)),
            (
                200,
                true,
                &[(CL, "18446744073709551616")],
                Err(BadFraming::Length),
            ),
            (200, true, &[(CL, "")], Err(BadFraming::Length)),
            (
                200,
                false,
                &[(CL, "9223372036854775807")],
                Ok(Some("9223372036854775807")),
            ),
            (
                200,
                false,
                &[(CL, "9223372036854775808")],
                Err(BadFraming::Length),
            ),
            (200, true, &[(TE, "gzip, chunked")], Ok(None)),
        ];
        for (status, is_head, fields, expected) in cases {
            let (mut head, ()) = Response::new(()).into_parts();
            head.status = StatusCode::from_u16(status).expect("a status");
            head.headers = headers(fields);
            let settled = settle_response(&mut head, is_head);
            assert_eq!(
                settled.map(|()| lengths(&head.headers)),
                expected.map(|length| length.map(str::as_bytes).into_iter().collect()),
                "{status} {is_head} {fields:?}"
            );
        }
    }
}
