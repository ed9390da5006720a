//! Differences between a client's offer and a server's configuration. They are told before the TLS library
//! finds them out, since the library's errors do not say what was offered.
//!
//! Decides nothing: the sentence is used only where the library then refuses. In the usual case, where there
//! is something of everything in common, it costs some comparisons and no allocation.

use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, NamedGroup, ProtocolVersion, ServerConfig, SupportedCipherSuite};

use crate::tls::client_hello::{ClientHello, TLS_1_3};

/// A sentence about the first thing that client and server have not in common, in the order in which they are
/// negotiated.
pub(super) fn nothing_in_common(hello: &ClientHello<'_>, config: &ServerConfig) -> Option<String> {
    let provider = config.crypto_provider();
    no_version(hello, provider)
        .or_else(|| no_cipher_suite(hello, provider))
        .or_else(|| no_group(hello, provider))
        .or_else(|| no_protocol(hello, config))
}

fn no_version(hello: &ClientHello<'_>, provider: &CryptoProvider) -> Option<String> {
    match suites(hello, provider).next() {
        Some(_) => None,
        None => Some(
            "the client offers TLS 1.2 at most; the security policy of the distribution asks for TLS 1.3"
                .to_owned(),
        ),
    }
}

fn no_cipher_suite(hello: &ClientHello<'_>, provider: &CryptoProvider) -> Option<String> {
    let is_offered = |number: u16| hello.cipher_suites().any(|offered| offered == number);
    if suites(hello, provider).any(|suite| is_offered(suite.suite().into())) {
        return None;
    }
    let names = hello
        .cipher_suites()
        .map(|number| named(CipherSuite::from(number).as_str(), number));
    Some(format!(
        "no cipher suite in common for {}: the client offers {}",
        if hello.offers(TLS_1_3) {
            "TLS 1.3"
        } else {
            "TLS 1.2"
        },
        list(names)
    ))
}

fn no_group(hello: &ClientHello<'_>, provider: &CryptoProvider) -> Option<String> {
    let version = match hello.offers(TLS_1_3) {
        true => ProtocolVersion::TLSv1_3,
        false => ProtocolVersion::TLSv1_2,
    };
    let is_offered = |number: u16| hello.groups().any(|offered| offered == number);
    let mut usable = provider
        .kx_groups
        .iter()
        .filter(|group| group.usable_for_version(version));
    if usable.any(|group| is_offered(group.name().into())) {
        return None;
    }
    let names = hello
        .groups()
        .map(|number| named(NamedGroup::from(number).as_str(), number));
    Some(format!(
        "no key exchange group in common: the client offers {}",
        list(names)
    ))
}

fn no_protocol(hello: &ClientHello<'_>, config: &ServerConfig) -> Option<String> {
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

/// The suites of `provider` for the newest version that the client offers.
fn suites<'a>(
    hello: &ClientHello<'_>,
    provider: &'a CryptoProvider,
) -> impl Iterator<Item = &'a SupportedCipherSuite> {
    let is_tls13 = hello.offers(TLS_1_3);
    let suites = provider.cipher_suites.iter();
    suites.filter(move |suite| matches!(suite, SupportedCipherSuite::Tls13(_)) == is_tls13)
}

fn named(name: Option<&'static str>, number: u16) -> String {
    name.map_or_else(|| format!("0x{number:04x}"), str::to_owned)
}

/// The first [`NAMES_MAX`] names, and the number of the others.
fn list(mut names: impl Iterator<Item = String>) -> String {
    let shown: Vec<String> = names.by_ref().take(NAMES_MAX).collect();
    match (shown.is_empty(), names.count()) {
        (true, _) => "none".to_owned(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

const NAMES_MAX: usize = 8;
