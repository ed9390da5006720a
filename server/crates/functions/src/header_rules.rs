//! Headers that functions see, and those that they may set: the managed service's lists, and additions that
//! this server needs.

use bothways_trust::header_name::{is_forwarded_lookalike, is_ours};

/// The two moments at which viewer functions run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    ViewerRequest,
    ViewerResponse,
}

impl Moment {
    /// `context.eventType`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ViewerRequest => "viewer-request",
            Self::ViewerResponse => "viewer-response",
        }
    }
}

/// True if functions neither see nor set the header of this lower-case name.
pub(super) fn is_hidden(name: &str, moment: Moment) -> bool {
    is_disallowed(name) || (moment == Moment::ViewerRequest && is_identity(name))
}

/// The service's list; `te` and `http2-settings` end at a proxy as its others do (RFC 9110 §7.6.1). By the
/// first letter, since every header of every request is looked up.
pub(super) fn is_disallowed(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'c') => name == "connection",
        Some(b'e') => name == "expect",
        Some(b'h') => name == "http2-settings",
        Some(b'k') => name == "keep-alive",
        Some(b'p') => ["proxy-authenticate", "proxy-authorization", "proxy-connection"].contains(&name),
        Some(b't') => ["te", "trailer"].contains(&name),
        Some(b'u') => name == "upgrade",
        Some(b'x') => {
            DISALLOWED_X.contains(&name) || DISALLOWED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        }
        _ => false,
    }
}

const DISALLOWED_X: [&str; 17] = [
    "x-accel-buffering",
    "x-accel-charset",
    "x-accel-limit-rate",
    "x-accel-redirect",
    "x-amzn-auth",
    "x-amzn-cf-billing",
    "x-amzn-cf-id",
    "x-amzn-cf-xff",
    "x-amzn-errortype",
    "x-amzn-fle-profile",
    "x-amzn-header-count",
    "x-amzn-header-order",
    "x-amzn-lambda-integration-tag",
    "x-amzn-requestid",
    "x-cache",
    "x-forwarded-proto",
    "x-real-ip",
];
const DISALLOWED_PREFIXES: [&str; 2] = ["x-amz-cf-", "x-edge-"];

/// True if an origin could take the header for one that we write about the client or about the client's way
/// here. The five certificate headers that functions are shown are no exception when a function sets them;
/// `cf.mtls` gives them names that are free.
pub(super) fn is_identity(name: &str) -> bool {
    is_ours(name) || is_forwarded_lookalike(name)
}

/// True if functions see the header of this lower-case name and may not add, change or remove it. Framing is
/// read-only in responses too: where a function replaces the body, the length follows it.
pub(super) fn is_read_only(name: &str, moment: Moment) -> bool {
    match moment {
        Moment::ViewerRequest => matches!(name, "content-length" | "host" | "transfer-encoding" | "via"),
        Moment::ViewerResponse => matches!(name, "content-length" | "transfer-encoding" | "via" | "warning"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_lists_are_kept() {
        for name in [
            "connection",
            "te",
            "x-amz-cf-pop",
            "x-edge-location",
            "x-real-ip",
            "x-forwarded-proto",
        ] {
            assert!(is_hidden(name, Moment::ViewerRequest), "{name}");
            assert!(is_hidden(name, Moment::ViewerResponse), "{name}");
        }
        for name in [
            "client-cert",
            "client_cert_chain",
            "client.cert",
            "cloudfront-viewer_cert-pem",
            "cloudfront~viewer~cert~pem",
            "bothways-connection-id",
            "x_forwarded_for",
            "x.forwarded-proto",
        ] {
            assert!(is_hidden(name, Moment::ViewerRequest), "{name}");
        }
        for name in [
            "host",
            "x-client-cert",
            "x-ssl-client-s-dn",
            "x-forwarded-for",
            "x-forwarded-client-cert",
            "cloudfront-viewer-country",
            "x-amzn-trace-id",
        ] {
            assert!(!is_hidden(name, Moment::ViewerRequest), "{name}");
        }
        assert!(is_read_only("host", Moment::ViewerRequest) && !is_read_only("host", Moment::ViewerResponse));
        assert!(
            is_read_only("warning", Moment::ViewerResponse)
                && !is_read_only("warning", Moment::ViewerRequest)
        );
    }
}
