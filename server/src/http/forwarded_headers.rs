//! The headers that tell the origin by which way a request came.
//!
//! `X-Forwarded-For` is continued: what the client sent, then its address, in one value, so that an origin
//! that reads the first or the last line only reads the same as one that joins them. `X-Forwarded-Proto` is
//! ours. What else clients say about the way is removed before
//! ([`super::certificate_headers::remove_claims`]): `Forwarded` says the same things in words that nobody
//! continues, `X-Forwarded-Host` would name a host that no rule of ours has seen to an origin that believes
//! it over `Host`. Other headers of that family pass in their true spelling.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Makes the headers say how this request came: over https, from `client_ip`. What a function has set beside
/// these stays.
pub(super) fn set_forwarded_headers(headers: &mut HeaderMap, client_ip: &HeaderValue) {
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
    let way = way(headers, client_ip);
    headers.insert(X_FORWARDED_FOR, way);
}

/// Most requests have no such header yet, and cost no allocation.
fn way(headers: &HeaderMap, client_ip: &HeaderValue) -> HeaderValue {
    let mut way = Vec::new();
    for value in headers.get_all(X_FORWARDED_FOR) {
        way.extend_from_slice(value.as_bytes());
        way.extend_from_slice(b", ");
    }
    if way.is_empty() {
        return client_ip.clone();
    }
    way.extend_from_slice(client_ip.as_bytes());
    // Made of values, so it is one.
    HeaderValue::from_maybe_shared(bytes::Bytes::from(way)).unwrap_or_else(|_| client_ip.clone())
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_one_value_whatever_it_was_before() {
        for (before, after) in [
            (&[][..], "127.0.0.1"),
            (&["192.0.2.1"], "192.0.2.1, 127.0.0.1"),
            (
                &["192.0.2.1, 192.0.2.2", "x\u{e9}"],
                "192.0.2.1, 192.0.2.2, x\u{e9}, 127.0.0.1",
            ),
        ] {
            let mut headers = HeaderMap::new();
            for value in before {
                headers.append(
                    X_FORWARDED_FOR,
                    HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
                );
            }
            set_forwarded_headers(&mut headers, &HeaderValue::from_static("127.0.0.1"));
            let values: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().collect();
            assert_eq!(values, [after.as_bytes()]);
        }
    }
}
