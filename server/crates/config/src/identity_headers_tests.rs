//! Headers that claim an identity: names in every spelling, and those that are let through.

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
