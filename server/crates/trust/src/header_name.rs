//! Header names as origins compare them.
//!
//! CGI, FastCGI, WSGI and the gateways that follow them turn every octet of a name that is no letter and no
//! digit into `_`, so `X.Forwarded.For` is `HTTP_X_FORWARDED_FOR` to the application behind them, as
//! `X-Forwarded-For` is. Two names *read alike* where they differ by case and by such octets only. Pure;
//! nothing allocates.

use std::cmp::Ordering;

/// Prefixes of the names that only this server gives to headers of a request.
const OURS: [&str; 3] = ["cloudfront-viewer-cert", "client-cert", "bothways-"];

/// True if `name` reads like a name that only this server gives to headers of a request. The configuration
/// cannot change that.
pub fn is_ours(name: &str) -> bool {
    OURS.iter().any(|prefix| begins_like(name, prefix))
}

/// True if `name` reads like an `X-Forwarded-…` header and is not spelt as one.
pub fn is_forwarded_lookalike(name: &str) -> bool {
    begins_like(name, "x-forwarded-") && !is_plain(name)
}

/// True if `name` reads like a header that frames a request, and is not spelt as one. An origin that folds
/// such a name would read another body than this server did.
pub fn is_framing_lookalike(name: &str) -> bool {
    ["content-length", "transfer-encoding"]
        .iter()
        .any(|framing| reads_like(name, framing))
        && !is_plain(name)
}

/// True if both names read alike.
pub fn reads_like(name: &str, other: &str) -> bool {
    name.len() == other.len() && begins_like(name, other)
}

/// True if `name` begins with what reads like `prefix`.
pub fn begins_like(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len() && folded(name).zip(folded(prefix)).all(|(a, b)| a == b)
}

/// True if `name` has letters, digits and hyphens only.
pub fn is_plain(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The order of names in which those that read alike are equal.
pub fn compare(name: &str, other: &str) -> Ordering {
    folded(name).cmp(folded(other))
}

/// Folds an octet to what every origin may see of it: a lower-case letter, a digit, or a hyphen.
pub fn fold(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' | b'0'..=b'9' => byte,
        b'A'..=b'Z' => byte.to_ascii_lowercase(),
        _ => b'-',
    }
}

fn folded(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(fold)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Octets that a name may have beside letters and digits (RFC 9110 §5.6.2).
    const MARKS: &str = "!#$%&'*+-.^_`|~";

    #[test]
    fn every_mark_counts_as_a_hyphen() {
        for mark in MARKS.chars() {
            let mark = mark.to_string();
            for ours in [
                "cloudfront-viewer-cert-subject",
                "Client-Cert",
                "Bothways-Connection-Id",
            ] {
                assert!(is_ours(&ours.replace('-', &mark)), "{ours} with {mark}");
                assert!(is_ours(&ours.to_uppercase().replacen('-', &mark, 1)), "{ours}");
            }
            let forwarded = "x-forwarded-for".replace('-', &mark);
            assert!(reads_like(&forwarded, "X-Forwarded-For"));
            assert_eq!(is_forwarded_lookalike(&forwarded), mark != "-", "{forwarded}");
        }
        assert!(is_forwarded_lookalike("x-forwarded-user_id"));
        for name in ["transfer_encoding", "Content.Length"] {
            assert!(is_framing_lookalike(name), "{name}");
        }
        for name in ["transfer-encoding", "content-length", "content_type"] {
            assert!(!is_framing_lookalike(name), "{name}");
        }
    }

    #[test]
    fn other_names_are_other_names() {
        for name in [
            "client",
            "cloudfront-viewer-cer",
            "cloudfront-viewer-country",
            "bothway",
        ] {
            assert!(!is_ours(name), "{name}");
        }
        for name in [
            "x-forwarded-for",
            "x_forwarded",
            "x_forward",
            "x_forwarder_id",
            "xforwarded.for",
        ] {
            assert!(!is_forwarded_lookalike(name), "{name}");
        }
        assert!(!reads_like("client-cert", "client-cert-chain"));
    }
}
