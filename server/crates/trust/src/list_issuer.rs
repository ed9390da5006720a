//! The CA that the configuration binds a serial list to.
//!
//! Owns its two spellings: the subject, in the order of the certificate or of RFC 2253, and the SHA-256 of
//! the certificate, each also with the words that `openssl x509 -noout -subject` and `-fingerprint -sha256`
//! print before it. A subject stands for every key that a CA of that name has in the bundle; a digest for the
//! key of that one certificate.

use super::hex::colon_hex;
use super::names;
use super::revocation_error::RevocationError;
use super::store::{Anchor, TrustStore};

/// The CAs meant, each key once.
pub(super) fn find<'s>(issuer: &str, store: &'s TrustStore) -> Result<Vec<&'s Anchor>, RevocationError> {
    let mut found: Vec<&Anchor> = Vec::new();
    for anchor in store.anchors().iter().filter(|anchor| is_meant(issuer, anchor)) {
        if !found.iter().any(|known| known.key == anchor.key) {
            found.push(anchor);
        }
    }
    match found.is_empty() {
        true => Err(RevocationError::NoSuchIssuer {
            issuer: issuer.to_owned(),
            known: known(store),
        }),
        false => Ok(found),
    }
}

fn is_meant(issuer: &str, anchor: &Anchor) -> bool {
    let issuer = bare(issuer);
    let is_subject = |text: String| compact(&text) == compact(issuer);
    let is_digest = || {
        let digits: String = issuer.chars().filter(|c| *c != ':').collect();
        digits.eq_ignore_ascii_case(&colon_hex(&anchor.digest).replace(':', ""))
    };
    names::forward(&anchor.subject).is_some_and(is_subject)
        || names::rfc2253(&anchor.subject).is_some_and(is_subject)
        || is_digest()
}

/// Text behind the words that openssl prints first.
fn bare(issuer: &str) -> &str {
    let issuer = issuer.trim();
    let mut words = ["subject=", "sha256 Fingerprint=", "SHA256 Fingerprint="].into_iter();
    words.find_map(|word| issuer.strip_prefix(word)).unwrap_or(issuer)
}

/// Without the spaces around separators, which openssl writes in one version and not in the next,
/// and without case.
fn compact(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for character in name.trim().chars() {
        let is_separator = matches!(character, ',' | '=' | '+');
        if is_separator {
            out.truncate(out.trim_end_matches(' ').len());
        }
        let follows_separator = out.ends_with([',', '=', '+']);
        if !(character == ' ' && follows_separator) {
            out.extend(character.to_lowercase());
        }
    }
    out
}

fn known(store: &TrustStore) -> Vec<String> {
    let mut known: Vec<_> = store
        .anchors()
        .iter()
        .map(|anchor| anchor.subject_text.clone())
        .collect();
    known.sort_unstable();
    known.dedup();
    known
}
