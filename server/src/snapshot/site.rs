//! Site that an admitted client is served: by which path, from where, with which functions.
//!
//! A behavior is chosen by the normal form of a request's path, and only where it does not matter which of
//! the ways in which origins read such a path is the origin's ([`path_reading`]).

use std::fmt;
use std::sync::Arc;

use bothways_config::path_reading::{self, Unreadable, each_reading};
use bothways_config::{HostMap, HostName, IdentityHeaders, Limits, PathPattern, ViewerProtocolPolicy};
use bothways_functions::LiveFunction;
use bothways_trust::CertificateHeader;

use crate::metrics::{DistributionCounters, OriginCounters};
use crate::origin::Origin;

/// Site that an admitted client is served. A connection holds the site and not the snapshot. So clients that
/// came before a reload do not keep a revocation set of millions in memory.
#[derive(Debug)]
pub struct Site {
    pub distribution_id: Arc<str>,
    pub counters: Arc<DistributionCounters>,
    pub limits: Limits,
    /// Headers in which clients say something about themselves, and which origins are not to hear.
    pub identity_headers: IdentityHeaders,
    pub(super) behaviors: Behaviors,
    /// Hosts of all distributions.
    pub(super) served: Arc<HostMap<Option<Arc<str>>>>,
}

impl Site {
    /// True if `host` belongs to this distribution.
    pub fn serves(&self, host: &HostName) -> bool {
        let found = self.served.lookup(Some(host)).and_then(Option::as_ref);
        found == Some(&self.distribution_id)
    }

    /// The first behavior whose pattern matches `path` (as it came, without query) in its normal form.
    ///
    /// # Errors
    /// An origin could take the path for one that another behavior serves, differently.
    pub fn behavior_for(&self, path: &str) -> Result<&Arc<Behavior>, Unroutable<'_>> {
        self.behaviors.choose(path)
    }
}

/// In their order; the last one matches every path.
#[derive(Debug)]
pub(super) struct Behaviors {
    all: Vec<Arc<Behavior>>,
    /// All do the same, so that it does not matter how a path is read.
    are_alike: bool,
}

impl Behaviors {
    pub(super) fn new(all: Vec<Arc<Behavior>>) -> Self {
        let are_alike = all
            .iter()
            .all(|behavior| all.first().is_some_and(|first| first.does_like(behavior)));
        Self { all, are_alike }
    }

    fn choose(&self, path: &str) -> Result<&Arc<Behavior>, Unroutable<'_>> {
        if self.are_alike || path_reading::is_plain(path) {
            return self.matching(path).ok_or(Unroutable::Unmatched);
        }
        let mut chosen = None;
        let mut other = None;
        let readable = each_reading(path, |reading| {
            let found = self.matching(reading);
            match (chosen, found) {
                (None, _) => chosen = found,
                (Some(chosen), Some(found)) if !found.does_like(chosen) => other = Some(found),
                (Some(_), _) => {}
            }
            other.is_none()
        });
        let chosen = chosen.ok_or(Unroutable::Unmatched)?;
        match (readable, other) {
            (_, Some(other)) => Err(Unroutable::Ambiguous(Ambiguity::Between(
                &chosen.path_pattern,
                &other.path_pattern,
            ))),
            (Err(why), None) => Err(Unroutable::Ambiguous(Ambiguity::Unreadable(why))),
            (Ok(()), None) => Ok(chosen),
        }
    }

    fn matching(&self, path: &str) -> Option<&Arc<Behavior>> {
        self.all
            .iter()
            .find(|behavior| behavior.path_pattern.matches(path))
    }
}

/// Reason why no behavior serves a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unroutable<'a> {
    Unmatched,
    Ambiguous(Ambiguity<'a>),
}

/// Reason why it cannot be told which behavior a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambiguity<'a> {
    /// In its normal form it fits the first pattern, read otherwise the second.
    Between(&'a PathPattern, &'a PathPattern),
    Unreadable(Unreadable),
}

impl fmt::Display for Ambiguity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Between(normal, other) => write!(f, "as one for {normal} or for {other}"),
            Self::Unreadable(why) => f.write_str(why.as_str()),
        }
    }
}

/// Rules for requests for some paths.
#[derive(Debug)]
pub struct Behavior {
    pub(super) path_pattern: PathPattern,
    pub viewer_protocol_policy: ViewerProtocolPolicy,
    pub origin: Arc<Origin>,
    /// Counters of an origin that is asked. `None`: the response is in memory.
    pub origin_counters: Option<Arc<OriginCounters>>,
    pub viewer_request: Option<Arc<LiveFunction>>,
    pub viewer_response: Option<Arc<LiveFunction>>,
    /// Certificate headers that the origin is to get.
    pub certificate_headers: Vec<CertificateHeader>,
    /// True if the origin is to get the connection's id.
    pub connection_id: bool,
}

impl Behavior {
    /// True if viewer functions see the behavior's requests or responses.
    pub fn has_functions(&self) -> bool {
        self.viewer_request.is_some() || self.viewer_response.is_some()
    }

    /// True if both behaviors do the same with a request, so that nobody gains by choosing one.
    fn does_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.origin, &other.origin)
            && self.viewer_protocol_policy == other.viewer_protocol_policy
            && same(self.viewer_request.as_ref(), other.viewer_request.as_ref())
            && same(self.viewer_response.as_ref(), other.viewer_response.as_ref())
            && self.certificate_headers == other.certificate_headers
            && self.connection_id == other.connection_id
    }
}

fn same(one: Option<&Arc<LiveFunction>>, other: Option<&Arc<LiveFunction>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::origin::FixedResponse;

    fn fixed() -> Arc<Origin> {
        Arc::new(Origin::Fixed(FixedResponse {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }))
    }

    fn behaviors(of: &[(&str, &Arc<Origin>)]) -> Behaviors {
        let behavior = |(pattern, origin): &(&str, &Arc<Origin>)| {
            Arc::new(Behavior {
                path_pattern: PathPattern::parse(pattern).expect("a pattern"),
                viewer_protocol_policy: ViewerProtocolPolicy::HttpsOnly,
                origin: (*origin).clone(),
                origin_counters: None,
                viewer_request: None,
                viewer_response: None,
                certificate_headers: Vec::new(),
                connection_id: false,
            })
        };
        Behaviors::new(of.iter().map(behavior).collect())
    }

    fn chosen<'a>(behaviors: &'a Behaviors, path: &str) -> Result<&'a str, Unroutable<'a>> {
        behaviors
            .choose(path)
            .map(|behavior| behavior.path_pattern.as_str())
    }

    #[test]
    fn a_path_that_an_origin_could_read_as_another_behaviors_is_for_none() {
        let (guarded, open) = (fixed(), fixed());
        let behaviors = behaviors(&[("/private/*", &guarded), ("*.jpg", &guarded), ("*", &open)]);
        for path in [
            "/%70rivate/x",
            "//private/x",
            "/./private/x",
            "/x/../private/x",
            "/private/../y",
            "/x/..%2fprivate/x",
            "/x/%252e%252e/private/x",
            "/x\\..\\private\\x",
            "/x/..;/private/x",
            "/private;a/x",
            "/x/%c0%ae%c0%ae/private/x",
            "/a.jpg;v=1",
            "/a.jp%67",
            "/a.jpg%00.html",
            "/a%2525252fb",
        ] {
            let found = chosen(&behaviors, path);
            assert!(
                matches!(found, Err(Unroutable::Ambiguous(_))),
                "{path}: {found:?}"
            );
        }
        for (path, expected) in [
            ("/private/x", "/private/*"),
            ("/private/%61%20b", "/private/*"),
            ("/private//x", "/private/*"),
            ("/private/a/../x", "/private/*"),
            ("/private/a%2Fb", "/private/*"),
            ("/x/a%20b.jpg", "*.jpg"),
            ("/privat/x", "*"),
            ("/%7Ex/y", "*"),
            ("/a;b/c", "*"),
            ("//", "*"),
        ] {
            assert_eq!(chosen(&behaviors, path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn behaviors_that_do_the_same_are_never_in_doubt() {
        let (one, other) = (fixed(), fixed());
        let alike = behaviors(&[("/private/*", &one), ("*", &one)]);
        assert_eq!(chosen(&alike, "/x/../private/%00"), Ok("*"));
        let by_parameter = behaviors(&[("*.jsp", &one), ("*.jsp;*", &one), ("*", &other)]);
        assert_eq!(chosen(&by_parameter, "/a.jsp;jsessionid=1"), Ok("*.jsp;*"));
    }

    #[test]
    fn escapes_in_a_pattern_match_however_they_are_spelt() {
        let (one, other) = (fixed(), fixed());
        let behaviors = behaviors(&[("/caf%c3%a9/*", &one), ("*", &other)]);
        for path in ["/caf%c3%a9/x", "/caf%C3%A9/x", "/caf\u{e9}/x"] {
            assert_eq!(chosen(&behaviors, path), Ok("/caf%C3%A9/*"), "{path}");
        }
    }
}
