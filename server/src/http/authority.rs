//! Host that a request is for: one answer, whatever the protocol version, or none.

use http::header::HOST;
use http::{Request, Version};

/// Fault of a request that names no usable host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthorityError {
    /// A request that names no host: HTTP/1.1 must (RFC 9112 §3.2), and of HTTP/1.0 the origin would have to
    /// guess.
    Missing,
    /// Two `Host` headers, or one that is not text.
    Ambiguous,
    /// `Host` and `:authority` differ (RFC 9113 §8.3.1).
    Contradiction,
}

/// The host as the client wrote it, with its port. An absolute-form target outweighs `Host`
/// (RFC 9112 §3.2.2).
///
/// # Errors
/// See [`AuthorityError`]; each is a 400.
pub(super) fn authority<B>(request: &Request<B>) -> Result<&str, AuthorityError> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(AuthorityError::Ambiguous);
    }
    let host = host
        .map(|value| value.to_str())
        .transpose()
        .map_err(|_| AuthorityError::Ambiguous)?;
    match (request.uri().authority(), host) {
        (Some(target), Some(host))
            if request.version() >= Version::HTTP_2 && !target.as_str().eq_ignore_ascii_case(host) =>
        {
            Err(AuthorityError::Contradiction)
        }
        (Some(target), _) => Ok(target.as_str()),
        (None, Some("") | None) => Err(AuthorityError::Missing),
        (None, Some(host)) => Ok(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, uri: &str, hosts: &[&str]) -> Request<()> {
        let mut builder = Request::builder().version(version).uri(uri);
        for host in hosts {
            builder = builder.header(HOST, *host);
        }
        builder.body(()).expect("a request")
    }

    #[test]
    fn every_way_to_name_a_host_gives_one_answer_or_none() {
        type Case = (
            Version,
            &'static str,
            &'static [&'static str],
            Result<&'static str, AuthorityError>,
        );
        let cases: [Case; 10] = [
            (Version::HTTP_11, "/", &["a.example"], Ok("a.example")),
            (Version::HTTP_11, "/", &[], Err(AuthorityError::Missing)),
            (Version::HTTP_11, "/", &[""], Err(AuthorityError::Missing)),
            (Version::HTTP_10, "/", &[], Err(AuthorityError::Missing)),
            (Version::HTTP_10, "/", &["a.example"], Ok("a.example")),
            (
                Version::HTTP_11,
                "/",
                &["a.example", "b.example"],
                Err(AuthorityError::Ambiguous),
            ),
            (
                Version::HTTP_11,
                "http://a.example/",
                &["b.example"],
                Ok("a.example"),
            ),
            (
                Version::HTTP_11,
                "http://a.example/",
                &["A.example"],
                Ok("a.example"),
            ),
            (
                Version::HTTP_2,
                "https://a.example:8443/",
                &[],
                Ok("a.example:8443"),
            ),
            (
                Version::HTTP_2,
                "https://a.example/",
                &["b.example"],
                Err(AuthorityError::Contradiction),
            ),
        ];
        for (version, uri, hosts, expected) in cases {
            assert_eq!(
                authority(&request(version, uri, hosts)),
                expected,
                "{version:?} {uri} {hosts:?}"
            );
        }
    }
}
