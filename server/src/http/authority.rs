//! Which host a request is for: one answer, whatever the protocol version, or none.

use http::header::HOST;
use http::{Request, Version};

/// Why a request names no host that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityError {
    /// HTTP/1.1 without `Host` (RFC 9112 §3.2), or a request that names none at all.
    Missing,
    /// Two `Host` headers, or one that is not text.
    Ambiguous,
    /// `Host` and `:authority` differ (RFC 9113 §8.3.1).
    Contradiction,
}

/// The host as the client wrote it, with its port. An absolute-form target outweighs `Host` (RFC 9112 §3.2.2). An HTTP/1.0 request may lack one: `Ok(None)`.
///
/// # Errors
/// See [`AuthorityError`]; each is a 400.
pub fn authority<B>(request: &Request<B>) -> Result<Option<&str>, AuthorityError> {
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
        (Some(target), _) => Ok(Some(target.as_str())),
        (None, Some("")) => Err(AuthorityError::Missing),
        (None, Some(host)) => Ok(Some(host)),
        (None, None) if request.version() == Version::HTTP_10 => Ok(None),
        (None, None) => Err(AuthorityError::Missing),
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
            Result<Option<&'static str>, AuthorityError>,
        );
        let cases: [Case; 9] = [
            (Version::HTTP_11, "/", &["a.example"], Ok(Some("a.example"))),
            (Version::HTTP_11, "/", &[], Err(AuthorityError::Missing)),
            (Version::HTTP_11, "/", &[""], Err(AuthorityError::Missing)),
            (Version::HTTP_10, "/", &[], Ok(None)),
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
                Ok(Some("a.example")),
            ),
            (
                Version::HTTP_11,
                "http://a.example/",
                &["A.example"],
                Ok(Some("a.example")),
            ),
            (
                Version::HTTP_2,
                "https://a.example:8443/",
                &[],
                Ok(Some("a.example:8443")),
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
