//! Headers that end at a proxy (RFC 9110 §7.6.1), in both directions.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

/// Removes the hop-by-hop headers and whatever else `Connection` names.
///
/// A name in `Connection` can only remove what the sender sent: certificate headers are added after this.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        for name in connection_tokens(headers) {
            headers.remove(name);
        }
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Removes from the trailers of a response what HTTP/2 must not be sent (RFC 9113 §8.2.2), and what frames a
/// body (RFC 9110 §6.5.1).
pub(super) fn clean_trailers(trailers: &mut HeaderMap) {
    remove_hop_by_hop(trailers);
    trailers.remove(CONTENT_LENGTH);
}

fn connection_tokens(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .filter_map(|token| token.trim().parse().ok())
        .collect()
}

const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authorization"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_connection_names_goes_with_it() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("te", "trailers"),
            ("x-kept", "2"),
        ] {
            headers.insert(HeaderName::from_static(name), value.parse().expect("a value"));
        }
        remove_hop_by_hop(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["x-kept"]);
    }

    #[test]
    fn a_nonsense_connection_header_removes_itself_alone() {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONNECTION,
            ", ,\u{1}?".replace('\u{1}', " ").parse().expect("a value"),
        );
        headers.insert("x-kept", "1".parse().expect("a value"));
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.len(), 1);
    }
}
