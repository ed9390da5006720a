//! Differences between client and server: what the two have not in common. They are told before the TLS
//! library finds them out, since the library's errors do not say what was offered.
//!
//! Decides nothing. What is told here is only used where the library then refuses; in the usual case, where
//! there is something of everything in common, it costs some comparisons and no allocation.

use rustls::{CipherSuite, NamedGroup, ProtocolVersion, ServerConfig, SupportedCipherSuite};

use crate::tls::client_hello::{ClientHello, TLS_1_2, TLS_1_3};

/// A sentence about the first thing that client and server have not in common, in the order in which they are
/// negotiated.
pub(super) fn nothing_in_common(hello: &ClientHello<'_>, config: &ServerConfig) -> Option<String> {
    let provider = config.crypto_provider();
    let is_tls13 = hello.offers(TLS_1_3);
    let fits = |suite: &SupportedCipherSuite| matches!(suite, SupportedCipherSuite::Tls13(_)) == is_tls13;
    let mut suites = provider
        .cipher_suites
        .iter()
        .filter(|suite| fits(suite))
        .peekable();
    if suites.peek().is_none() {
        return Some(
            "the client offers TLS 1.2 at most; the security policy of the distribution asks for TLS 1.3"
                .to_owned(),
        );
    }
    let offered = |suite: &SupportedCipherSuite| {
        hello
            .cipher_suites()
            .any(|number| number == u16::from(suite.suite()))
    };
    if !suites.any(offered) {
        let names = hello
            .cipher_suites()
            .map(|number| named(CipherSuite::from(number).as_str(), number));
        return Some(format!(
            "no cipher suite in common for {}: the client offers {}",
            version(hello),
            list(names)
        ));
    }
    let negotiated = if is_tls13 {
        ProtocolVersion::TLSv1_3
    } else {
        ProtocolVersion::TLSv1_2
    };
    let mut ours = provider
        .kx_groups
        .iter()
        .filter(|group| group.usable_for_version(negotiated));
    if !ours.any(|group| hello.groups().any(|number| number == u16::from(group.name()))) {
        let names = hello
            .groups()
            .map(|number| named(NamedGroup::from(number).as_str(), number));
        return Some(format!(
            "no key exchange group in common: the client offers {}",
            list(names)
        ));
    }
    let is_ours = |theirs: &[u8]| config.alpn_protocols.iter().any(|ours| ours == theirs);
    if hello.protocols()?.any(is_ours) {
        return None;
    }
    let names = hello.protocols()?.map(|name| name.escape_ascii().to_string());
    Some(format!(
        "no protocol in common (ALPN): the client offers {}",
        list(names)
    ))
}

fn version(hello: &ClientHello<'_>) -> &'static str {
    match (hello.offers(TLS_1_3), hello.offers(TLS_1_2)) {
        (true, _) => "TLS 1.3",
        (false, _) => "TLS 1.2",
    }
}

fn named(name: Option<&'static str>, number: u16) -> String {
    name.map_or_else(|| format!("0x{number:04x}"), str::to_owned)
}

/// The first few, and how many more.
fn list(mut names: impl Iterator<Item = String>) -> String {
    let shown: Vec<String> = names.by_ref().take(NAMES_MAX).collect();
    match (shown.is_empty(), names.count()) {
        (true, _) => "none".to_owned(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

const NAMES_MAX: usize = 8;
