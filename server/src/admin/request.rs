//! What an admin client asks for: the request line, read strictly; header fields are skipped.

/// A request head in bytes; more is refused.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Metrics,
    Health,
}

/// Why a request gets no more than a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Malformed,
    NotFound,
    MethodNotAllowed,
    TimedOut,
    HeadTooLarge,
    VersionNotSupported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Incomplete,
    Done(Result<Route, Refusal>),
}

/// Reads a head of which these are the bytes so far. Garbage is refused at its first line, or at a first byte that no
/// method begins with; a good request line waits for the end of its head.
pub fn parse(head: &[u8]) -> Progress {
    if head.first().is_some_and(|byte| !byte.is_ascii_uppercase()) {
        return Progress::Done(Err(Refusal::Malformed));
    }
    let Some(line_end) = find(head, b"\r\n") else {
        return Progress::Incomplete;
    };
    let (line, rest) = head.split_at(line_end);
    match parse_line(line) {
        Err(Refusal::Malformed) => Progress::Done(Err(Refusal::Malformed)),
        _ if find(rest, b"\r\n\r\n").is_none() => Progress::Incomplete,
        outcome => Progress::Done(outcome),
    }
}

/// RFC 9112 §3: method, target and version, one space between each.
fn parse_line(line: &[u8]) -> Result<Route, Refusal> {
    let text = std::str::from_utf8(line).map_err(|_| Refusal::Malformed)?;
    let mut words = text.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refusal::Malformed);
    };
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_target = !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_method || !is_target || !version.starts_with("HTTP/") {
        return Err(Refusal::Malformed);
    }
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(Refusal::VersionNotSupported);
    }
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let route = match path {
        "/metrics" => Route::Metrics,
        "/healthz" => Route::Health,
        _ => return Err(Refusal::NotFound),
    };
    match method {
        "GET" => Ok(route),
        _ => Err(Refusal::MethodNotAllowed),
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outcome(request: &str) -> Progress {
        parse(request.as_bytes())
    }

    #[test]
    fn the_two_routes_are_found_with_and_without_a_query() {
        for (request, route) in [
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", Route::Metrics),
            ("GET /metrics?name=x HTTP/1.1\r\n\r\n", Route::Metrics),
            ("GET /healthz HTTP/1.0\r\n\r\n", Route::Health),
        ] {
            assert_eq!(outcome(request), Progress::Done(Ok(route)), "{request}");
        }
    }

    #[test]
    fn what_is_not_offered_is_refused_with_its_own_status() {
        for (request, refusal) in [
            ("GET / HTTP/1.1\r\n\r\n", Refusal::NotFound),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", Refusal::NotFound),
            ("POST /metrics HTTP/1.1\r\n\r\n", Refusal::MethodNotAllowed),
            ("HEAD /healthz HTTP/1.1\r\n\r\n", Refusal::MethodNotAllowed),
            ("GET /metrics HTTP/2.0\r\n\r\n", Refusal::VersionNotSupported),
        ] {
            assert_eq!(outcome(request), Progress::Done(Err(refusal)), "{request:?}");
        }
    }

    #[test]
    fn a_malformed_line_is_refused_without_waiting_for_the_head() {
        for request in [
            "\u{16}\u{3}\u{1}",
            "get /metrics HTTP/1.1\r\n",
            "GET /metrics\r\n",
            "GET  /metrics HTTP/1.1\r\n",
            "GET /metrics HTTP/1.1 \r\n",
            "GET /met\nrics HTTP/1.1\r\n",
            "GET /metrics FTP/1.1\r\n",
            " GET /metrics HTTP/1.1\r\n",
        ] {
            assert_eq!(
                outcome(request),
                Progress::Done(Err(Refusal::Malformed)),
                "{request:?}"
            );
        }
    }

    #[test]
    fn every_beginning_of_a_good_request_waits_for_more() {
        let request = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
        for end in 0..request.len() {
            let beginning = request.get(..end).unwrap_or_default();
            assert_eq!(outcome(beginning), Progress::Incomplete, "{beginning:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
            parse(&bytes);
        }
    }
}
