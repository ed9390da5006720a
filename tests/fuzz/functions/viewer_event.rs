//! Viewer functions' conversion in both directions. Any request and response are shown, and sent on octet for
//! octet where nothing is changed; whatever a function returns is refused, or is a request and a response
//! whose framing and identity are still ours.
//!
//! The input is lines: target, `c` Cookie, `s` Set-Cookie, `h` header; from `=` on what the function returns:
//! `u` uri, `q` argument, `c` cookie, `h` header, `b` body, divided by U+0001; name, value and values of each
//! are divided by tabs.
#![no_main]

use bothways_functions::viewer::{
    Given, RequestEdits, RequestFacts, ResponseEdits, Returned, ReturnedBody, ReturnedRequest,
    ReturnedResponse, ShownRequest, ShownResponse,
};
use bothways_trust::CertificateHeader;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let end = bytes.windows(3).position(|three| three == b"\n=\n");
    let (sent, returned) = match end {
        Some(at) => (&bytes[..at], &bytes[at + 3..]),
        None => (bytes, &[][..]),
    };
    let Some(sent) = Sent::read(sent) else { return };
    let returned = String::from_utf8_lossy(returned);
    request(&sent, &returned);
    response(&sent.response, &returned);
});

struct Sent {
    uri: Uri,
    request: HeaderMap,
    response: HeaderMap,
}

impl Sent {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let uri = Uri::try_from(lines.next()?).ok()?;
        let mut sent = Self {
            uri: Uri::from(uri.path_and_query()?.clone()),
            request: HeaderMap::from_iter([(
                HeaderName::from_static("host"),
                HeaderValue::from_static("edge.example.com"),
            )]),
            response: HeaderMap::new(),
        };
        for line in lines {
            let (kind, rest) = line.split_first()?;
            match kind {
                b'c' => drop(sent.request.append("cookie", HeaderValue::from_bytes(rest).ok()?)),
                b's' => drop(
                    sent.response
                        .append("set-cookie", HeaderValue::from_bytes(rest).ok()?),
                ),
                _ => {
                    let at = rest.iter().position(|byte| *byte == b'\t')?;
                    let name = HeaderName::from_bytes(&rest[..at]).ok()?;
                    let value = HeaderValue::from_bytes(&rest[at + 1..]).ok()?;
                    sent.request.append(name.clone(), value.clone());
                    sent.response.append(name, value);
                }
            }
        }
        sent.request
            .insert("host", HeaderValue::from_static("edge.example.com"));
        Some(sent)
    }
}

fn request(sent: &Sent, text: &str) {
    let shown = ShownRequest::new(RequestFacts {
        method: &Method::GET,
        uri: &sent.uri,
        headers: &sent.request,
        certificate: &[(CertificateHeader::Subject, "CN=alice")],
    });
    assert_eq!(
        shown.edits(&shown.untouched()).expect("what came can go"),
        RequestEdits::default()
    );
    for untouched in [false, true] {
        let mut returned = if untouched {
            shown.untouched()
        } else {
            ReturnedRequest::default()
        };
        returned.method = Some("GET".to_owned());
        returned.uri.get_or_insert_with(|| "/".to_owned());
        for (kind, field, rest) in fields(text) {
            match kind {
                'u' => returned.uri = Some(rest.to_owned()),
                'q' => returned.querystring.push(field),
                'c' => returned.cookies.push(field),
                'h' => returned.headers.push(field),
                _ => {}
            }
        }
        let Ok(edits) = shown.edits(&returned) else {
            continue;
        };
        let (mut uri, mut headers) = (sent.uri.clone(), sent.request.clone());
        if edits.apply(&mut uri, &mut headers).is_ok() {
            let target = uri.path_and_query().expect("a target").as_str();
            assert!(
                uri == sent.uri
                    || (target.starts_with('/')
                        && target.bytes().all(|byte| byte.is_ascii_graphic() || byte >= 0x80))
            );
            assert!(uri == sent.uri || !target.contains('#'));
            same(
                &sent.request,
                &headers,
                &[
                    "host",
                    "content-length",
                    "transfer-encoding",
                    "via",
                    "connection",
                    "te",
                    "client-cert",
                ],
            );
        }
    }
}

fn response(headers: &HeaderMap, text: &str) {
    let shown = ShownResponse::new(StatusCode::OK, None, headers);
    let mut edits = shown.edits(shown.untouched()).expect("what came can go");
    let mut same_headers = headers.clone();
    edits.apply_headers(&mut same_headers);
    assert_eq!(&same_headers, headers);
    for untouched in [false, true] {
        let mut returned = if untouched {
            shown.untouched()
        } else {
            ReturnedResponse::default()
        };
        returned.status_code = Some(200.0);
        for (kind, field, rest) in fields(text) {
            match kind {
                'u' => returned.status_description = Some(rest.to_owned()),
                'c' => returned.cookies.push(field),
                'h' => returned.headers.push(field),
                'b' => returned.body = Some(ReturnedBody::Base64(rest.to_owned())),
                _ => {}
            }
        }
        if let Ok(mut edits) = shown.edits(returned.clone()) {
            let mut changed = headers.clone();
            edits.apply_headers(&mut changed);
            same(
                headers,
                &changed,
                &["content-length", "transfer-encoding", "via", "connection"],
            );
        }
        if let Ok(mut edits) = ResponseEdits::generated(returned) {
            let mut made = HeaderMap::new();
            edits.apply_headers(&mut made);
            same(
                &HeaderMap::new(),
                &made,
                &["content-length", "transfer-encoding", "via", "connection"],
            );
        }
    }
}

fn same(before: &HeaderMap, after: &HeaderMap, names: &[&str]) {
    for name in names {
        let values = |headers: &HeaderMap| headers.get_all(*name).iter().cloned().collect::<Vec<_>>();
        assert_eq!(values(before), values(after), "{name}");
    }
    for value in after.values() {
        assert!(
            !value
                .as_bytes()
                .iter()
                .any(|byte| [b'\r', b'\n', 0].contains(byte))
        );
    }
}

/// Kind, field and the raw rest of each line. A first value of `-` is none; those behind it are `multiValue`,
/// one behind `;` is the attributes.
fn fields(text: &str) -> impl Iterator<Item = (char, Returned, &str)> {
    text.split('\u{1}').filter_map(|line| {
        let kind = line.chars().next()?;
        let rest = &line[kind.len_utf8()..];
        let mut parts = rest.split('\t');
        let name = parts.next()?.to_owned();
        let given = |part: &str| {
            let (value, attributes) = match part.split_once(';') {
                Some((value, attributes)) if kind == 'c' => (value, Some(attributes.to_owned())),
                _ => (part, None),
            };
            Given {
                value: value.to_owned(),
                attributes,
            }
        };
        let single = parts.next().filter(|part| *part != "-").map(given);
        let multi: Vec<_> = parts.map(given).collect();
        let multi = (!multi.is_empty() || single.is_none()).then_some(multi);
        Some((
            kind,
            Returned {
                untouched: None,
                name,
                single,
                multi,
            },
            rest,
        ))
    })
}
