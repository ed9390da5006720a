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
    /// Beginnings of names, sorted; none begins with another.
    prefixes: Box<[Box<str>]>,
    /// Whole names, sorted.
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
#[path = "identity_headers_tests.rs"]
mod tests;
