//! Headers in which a client would tell the origin who it is: the names that proxies in front of an origin
//! give to what they know of a client's certificate or address, or of the target that it asked for.
//!
//! An origin that was behind such a proxy once still believes them. A client's own are removed from every
//! request, whatever the origin is told instead; the configuration adds names, and lets others through by
//! name. Names that only we may use ([`is_ours`]) are never let through.
//!
//! Asked about each header of each request: the first octet decides most often, a binary search else. Nothing
//! allocates.

use bothways_trust::header_name::{
    begins_like, compare, fold, is_forwarded_lookalike, is_framing_lookalike, is_ours, is_plain,
};

use super::error::Problem;
use super::key::KeyPath;
use super::raw::RawIdentityHeaders;

/// Rules that tell which headers of a client are its claims about itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdentityHeaders {
    /// Sorted; none begins with another.
    prefixes: Box<[Box<str>]>,
    /// Sorted.
    names: Box<[Box<str>]>,
    let_through: Box<[Pattern]>,
    /// A bit for each octet (below 128) with which any of the names begins, folded.
    first_octets: u128,
}

/// A name, or with `*` at its end the beginning of names; in lower case, with hyphens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pattern {
    text: Box<str>,
    is_prefix: bool,
}

impl IdentityHeaders {
    /// True if a client's header of this name goes no further. The name is in lower case, as `HeaderName` has
    /// it.
    pub fn is_claim(&self, name: &str) -> bool {
        let first = name.as_bytes().first().copied().map_or(b'-', fold);
        if self.first_octets & (1 << first) == 0 {
            return false;
        }
        is_ours(name) || (self.is_listed(name) && !self.is_let_through(name))
    }

    fn is_listed(&self, name: &str) -> bool {
        // The greatest prefix that is not greater than the name: between it and the name no other could
        // stand.
        let after = self
            .prefixes
            .partition_point(|prefix| compare(prefix, name).is_le());
        let nearest = after.checked_sub(1).and_then(|at| self.prefixes.get(at));
        nearest.is_some_and(|prefix| begins_like(name, prefix))
            || self
                .names
                .binary_search_by(|listed| compare(listed, name))
                .is_ok()
            || is_forwarded_lookalike(name)
            || is_framing_lookalike(name)
    }

    /// Only as it is spelt in the configuration: what is let through by one name must not come twice, by
    /// another.
    fn is_let_through(&self, name: &str) -> bool {
        let matches = |pattern: &Pattern| match pattern.is_prefix {
            true => name.starts_with(&*pattern.text),
            false => name == &*pattern.text,
        };
        is_plain(name) && self.let_through.iter().any(matches)
    }

    fn new(remove: Vec<Pattern>, let_through: Vec<Pattern>) -> Self {
        let (prefixes, names): (Vec<_>, Vec<_>) = remove.into_iter().partition(|pattern| pattern.is_prefix);
        let by_default = PREFIXES.iter().map(|prefix| Box::from(*prefix));
        let mut prefixes: Vec<Box<str>> = texts(prefixes).chain(by_default).collect();
        prefixes.sort_unstable();
        // Whatever begins with a shorter one stands behind it.
        prefixes.dedup_by(|longer, shorter| longer.starts_with(&**shorter));
        let by_default = NAMES.iter().map(|name| Box::from(*name));
        let mut names: Vec<Box<str>> = texts(names).chain(by_default).collect();
        names.sort_unstable();
        names.dedup();
        let ours = [
            "cloudfront",
            "client",
            "bothways",
            "x-forwarded",
            "transfer-encoding",
        ]
        .into_iter();
        let all = prefixes.iter().chain(&names).map(|text| &**text).chain(ours);
        let first_octets = all.filter_map(|text| text.bytes().next());
        let first_octets = first_octets.fold(0, |bits, first| bits | 1 << fold(first));
        Self {
            prefixes: prefixes.into(),
            names: names.into(),
            let_through: let_through.into(),
            first_octets,
        }
    }
}

impl Default for IdentityHeaders {
    /// Without further names, and with nothing let through.
    fn default() -> Self {
        Self::new(Vec::new(), Vec::new())
    }
}

fn texts(patterns: Vec<Pattern>) -> impl Iterator<Item = Box<str>> {
    patterns.into_iter().map(|pattern| pattern.text)
}

pub(super) fn identity_headers(
    key: &KeyPath,
    raw: Option<&RawIdentityHeaders>,
) -> Result<IdentityHeaders, Problem> {
    let Some(raw) = raw else {
        return Ok(IdentityHeaders::default());
    };
    let remove = patterns(&key.child("remove"), &raw.remove)?;
    let through_key = key.child("let_through");
    let let_through = patterns(&through_key, &raw.let_through)?;
    for (index, pattern) in let_through.iter().enumerate() {
        if is_ours(&pattern.text) {
            let fault = format!("a client's own {} never reaches an origin", pattern.text);
            let remedy = "remove it from the list; origin_request_policy adds what the server knows";
            return Err(Problem::new(&through_key.index(index), fault, remedy));
        }
    }
    Ok(IdentityHeaders::new(remove, let_through))
}

fn patterns(key: &KeyPath, raw: &[String]) -> Result<Vec<Pattern>, Problem> {
    if raw.len() > PATTERNS_MAX {
        let fault = format!("{} names are too many", raw.len());
        let remedy = format!("give {PATTERNS_MAX} at most; a * at the end stands for any rest");
        return Err(Problem::new(key, fault, remedy));
    }
    let patterns = raw.iter().enumerate();
    patterns
        .map(|(index, text)| pattern(&key.index(index), text))
        .collect()
}

fn pattern(key: &KeyPath, text: &str) -> Result<Pattern, Problem> {
    let (name, is_prefix) = match text.strip_suffix('*') {
        Some(prefix) => (prefix, true),
        None => (text, false),
    };
    if name.len() < if is_prefix { PREFIX_BYTES_MIN } else { 1 } {
        let fault = format!("{text:?} would stand for too many headers");
        let remedy = format!("write {PREFIX_BYTES_MIN} letters at least before the *");
        return Err(Problem::new(key, fault, remedy));
    }
    if name.len() > PATTERN_BYTES_MAX || !is_plain(name) {
        let remedy = format!(
            "use letters, digits and hyphens, {PATTERN_BYTES_MAX} at most, and a * at the end for any rest"
        );
        return Err(Problem::new(key, format!("{text:?} is no header name"), remedy));
    }
    Ok(Pattern {
        text: name.to_ascii_lowercase().into(),
        is_prefix,
    })
}

const PATTERNS_MAX: usize = 64;
const PATTERN_BYTES_MAX: usize = 64;
const PREFIX_BYTES_MIN: usize = 3;

/// Beginnings of names by which origins are told of a client, and by whom. `edge.toml` has the same list for
/// people.
const PREFIXES: &[&str] = &[
    // Certificates. Keycloak; Cloudflare; names that users give, with and without X-.
    "cert-chain",
    "cf-cert-",
    "cf-client-cert",
    "client-cn",
    "client-dn",
    "client-fingerprint",
    "client-i-dn",
    "client-issuer",
    "client-s-dn",
    "client-serial",
    "client-ssl",
    "client-subject",
    "client-tls",
    "client-verif",
    "clientcert",
    "mtls-",
    "peer-cert",
    "tls-client",
    "user-cert",
    "x-client-cn",
    "x-client-dn",
    "x-client-fingerprint",
    "x-client-i-dn",
    "x-client-issuer",
    "x-client-s-dn",
    "x-client-san",
    "x-client-serial",
    "x-client-spiffe",
    "x-client-ssl",
    "x-client-subject",
    "x-client-tls",
    "x-client-verif",
    "x-clientcert",
    "x-issuer-dn",
    "x-mtls",
    "x-peer-cert",
    "x-spiffe",
    "x-subject-dn",
    "x-tls",
    "x-user-cert",
    "x-x509",
    "x509",
    // nginx and its ingress controller, HAProxy, OpenShift, Apache (SSL_CLIENT_*), F5 (SSLClientCert*).
    "ssl-",
    "sslclient",
    "x-ssl",
    // Google Cloud, F5, Kong and others; Envoy and Azure; Traefik; the scheme, as Rails reads it.
    "x-cert",
    "x-client-cert",
    "x-forwarded-cert",
    "x-forwarded-client",
    "x-forwarded-ssl",
    "x-forwarded-tls",
    // AWS load balancers; IIS and Azure; Akamai; F5; WebLogic (certificate and address); WSO2.
    "x-amzn-mtls",
    "x-amzn-tls",
    "x-arr-clientcert",
    "x-arr-ssl",
    "akamai-client",
    "x-akamai-client",
    "x-f5-client",
    "wl-proxy-",
    "x-wso2-client",
    // Jetty's ForwardedRequestCustomizer; WebSphere's plug-in ($WSCC, user, address, host and kind of
    // authentication).
    "proxy-auth-cert",
    "proxy-client-cert",
    "proxy-ssl-id",
    "-wsat",
    "-wscc",
    "-wsra",
    "-wsrh",
    "-wsru",
    // Addresses. Cloudflare, Fastly (certificates too), Akamai, Azure, Envoy, Fly, Imperva, nginx, Netlify,
    // Vercel.
    "cf-connecting-ip",
    "cf-pseudo-ipv4",
    "client-ip",
    "do-connecting-ip",
    "fastly-client",
    "fly-client-ip",
    "forwarded-for",
    "incap-client-ip",
    "proxy-client-ip",
    "remote-addr",
    "remote-user",
    // Shorthands and older names of the same.
    "xfcc",
    "x-xfcc",
    "x-goog-client-cert",
    "x-pem-cert",
    "x-client-identity",
    "true-client-ip",
    "x-appengine-remote-addr",
    "x-appengine-user-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-client-ip",
    "x-clientip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-envoy-peer",
    "x-forwarded-for-",
    "x-nf-client-connection-ip",
    "x-original-forwarded-for",
    "x-real-ip",
    "x-remote-",
    "x-true-client-ip",
    "x-proxyuser-ip",
    "x-vercel-forwarded-for",
    "x-vercel-proxied-for",
    // The target: IIS, Symfony and others route by these instead of the path that a behavior was chosen by.
    "x-original-host",
    "x-original-ur",
    "x-rewrite-ur",
];

/// Whole names: `Forwarded` (RFC 7239) says in words that nobody continues what `X-Forwarded-For` does,
/// `X-Forwarded-Host` a host that no rule has seen.
const NAMES: &[&str] = &["forwarded", "x-forwarded", "x-forwarded-host", "x-originating-ip"];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn pattern_of(text: &str) -> Pattern {
        pattern(&KeyPath::root(), text).unwrap()
    }

    fn with(remove: &[&str], let_through: &[&str]) -> IdentityHeaders {
        let patterns = |texts: &[&str]| texts.iter().map(|text| pattern_of(text)).collect();
        IdentityHeaders::new(patterns(remove), patterns(let_through))
    }

    #[test]
    fn what_other_proxies_tell_of_a_client_is_a_claim_in_every_spelling() {
        let default = IdentityHeaders::default();
        for name in [
            // Ours, and RFC 9440's.
            "cloudfront-viewer-cert-subject",
            "client-cert",
            "client-cert-chain",
            "bothways-connection-id",
            // nginx, its ingress controller, HAProxy, OpenShift, Apache, F5.
            "x-ssl-client-cert",
            "x-ssl-client-verify",
            "x-ssl-client-s-dn",
            "ssl-client-cert",
            "ssl-client-verify",
            "ssl-client-subject-dn",
            "ssl-client-issuer-dn",
            "x-ssl-cert",
            "x-ssl",
            "x-ssl-client-sha1",
            "ssl-client-s-dn-cn",
            "sslclientcertstatus",
            // Envoy, Traefik, AWS, Azure, Google, Cloudflare, Akamai, Fastly, WebLogic.
            "x-forwarded-client-cert",
            "x-forwarded-tls-client-cert",
            "x-forwarded-tls-client-cert-info",
            "x-amzn-mtls-clientcert",
            "x-amzn-mtls-clientcert-subject",
            "x-arr-clientcert",
            "x-client-cert-present",
            "x-client-cert-subject-dn",
            "cf-client-cert-sha256",
            "cf-cert-verified",
            "cf-connecting-ip",
            "true-client-ip",
            "fastly-client-ip",
            "wl-proxy-client-cert",
            "proxy-auth-cert",
            "proxy-client-cert",
            "proxy-ssl-id",
            "clientcert",
            "x-clientcert-subject",
            "remote-user",
            "x_goog.client-cert",
            "xfcc",
            // Addresses.
            "x-real-ip",
            "x-client-cn",
            "x-original-url",
            "x-rewrite-url",
            "x-amzn-tls-version",
            "x-client-ip",
            "x-cluster-client-ip",
            "x-envoy-external-address",
            "x-original-forwarded-for",
            "forwarded",
            "x-forwarded-host",
        ] {
            assert!(default.is_claim(name), "{name}");
            for mark in ["_", ".", "~", "'", "|"] {
                assert!(default.is_claim(&name.replace('-', mark)), "{name} with {mark}");
                assert!(
                    default.is_claim(&name.replacen('-', mark, 1)),
                    "{name} with one {mark}"
                );
            }
        }
    }

    #[test]
    fn what_says_nothing_of_the_client_is_none() {
        let default = IdentityHeaders::default();
        for name in [
            "accept",
            "authorization",
            "cache-control",
            "content-length",
            "content-type",
            "cookie",
            "forward",
            "host",
            "range",
            "sec-fetch-mode",
            "ssl",
            "traceparent",
            "user-agent",
            "x",
            "x-amzn-trace-id",
            "x-api-key",
            "x-forwarded-for",
            "x-forwarded-port",
            "x-forwarded-proto",
            "x-request-id",
            "x-requested-with",
            "x_request_id",
        ] {
            assert!(!default.is_claim(name), "{name}");
        }
        assert!(default.is_claim("$wscc") && default.is_claim("$wsru") && !default.is_claim("$wsx"));
        assert!(default.is_claim("transfer_encoding") && default.is_claim("content.length"));
        assert!(default.is_claim("x.forwarded.for") && default.is_claim("x-forwarded_proto"));
    }

    #[test]
    fn names_are_added_and_let_through_by_name() {
        let headers = with(
            &["X-Badge-*", "Device", "X-Forwarded-For"],
            &["X-Real-Ip", "Cf-C*", "Cli*"],
        );
        for name in [
            "x-badge-id",
            "x_badge_id",
            "device",
            "x-forwarded-for",
            "x_real_ip",
            "cf_connecting_ip",
        ] {
            assert!(headers.is_claim(name), "{name}");
        }
        for name in [
            "devices",
            "x-badge",
            "x-real-ip",
            "cf-connecting-ip",
            "cf-client-cert-sha256",
            "client-ip",
        ] {
            assert!(!headers.is_claim(name), "{name}");
        }
        assert!(headers.is_claim("client-cert"), "ours, whatever is let through");
    }

    #[test]
    fn the_lists_are_whole_and_say_nothing_twice() {
        let default = IdentityHeaders::default();
        assert_eq!(default.prefixes.len(), PREFIXES.len());
        for name in PREFIXES.iter().chain(NAMES) {
            assert!(default.is_claim(name), "{name}");
            assert!(
                is_plain(name) && !name.bytes().any(|b| b.is_ascii_uppercase()),
                "{name}"
            );
        }
        for name in NAMES {
            assert!(
                !PREFIXES.iter().any(|prefix| name.starts_with(prefix)),
                "{name} twice"
            );
        }
    }

    proptest! {
        /// The definition, slow and obvious.
        #[test]
        fn the_search_agrees_with_the_definition(
            remove in proptest::collection::vec("[a-c-]{3,5}[*]?", 0..6),
            name in "[a-c_.-]{1,7}",
        ) {
            let remove: Vec<&str> = remove.iter().map(String::as_str).collect();
            let folded: String = name.bytes().map(|byte| char::from(fold(byte))).collect();
            let is_meant = |text: &&str| match text.strip_suffix('*') {
                Some(prefix) => folded.starts_with(prefix),
                None => folded == *text,
            };
            prop_assert_eq!(with(&remove, &[]).is_claim(&name), remove.iter().any(is_meant));
        }

        #[test]
        fn no_name_panics(name in ".{0,20}") {
            let _ = IdentityHeaders::default().is_claim(&name);
            let _ = is_ours(&name);
        }
    }
}
