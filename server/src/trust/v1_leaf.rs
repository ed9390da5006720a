//! X.509 version 1 client certificates, which webpki refuses.
//!
//! `openssl x509 -req` without an extension file makes them, and so do the launch article's commands. A version 1 certificate cannot
//! say what it is for, so this path is narrow and fails closed. It accepts a *leaf* that
//! - is exactly the six fields of a version 1 TBSCertificate (RFC 5280 §4.1), in DER, with the same algorithm inside and outside;
//! - names a certificate of the trust store as its issuer, octet for octet, and carries that CA's signature;
//! - has an issuer without name constraints, since these could not be enforced here.
//!
//! A CA is never version 1, and a presented intermediate is never the issuer. Validity, key strength and revocation are checked by
//! `policy`, for this path as for the other.

use super::der::{self, Element, Reader};
use super::diagnosis::Case;
use super::signature::{self, BadSignature, Signed};
use super::store::Anchor;
use super::verdict::{Link, Refusal, RejectedKind, Role};

/// The links leaf and anchor.
pub(super) fn build(case: &Case<'_>) -> Result<Vec<Link>, Refusal> {
    let signed = parse_strictly(case.leaf.der()).ok_or_else(malformed)?;
    let mut refusal = None;
    for anchor in case.store.named(case.leaf.issuer()) {
        match check_issuer(case, &signed, anchor) {
            Ok(()) => {
                let leaf = Link::of(Role::Leaf, case.leaf);
                return Ok(vec![leaf, Link::of_anchor(anchor)]);
            }
            Err(reason) => refusal = Some(reason),
        }
    }
    Err(refusal.unwrap_or_else(|| untrusted(case)))
}

fn check_issuer(case: &Case<'_>, signed: &Signed<'_>, anchor: &Anchor) -> Result<(), Refusal> {
    signed
        .verify(&anchor.public_key)
        .map_err(|error| bad_signature(case, anchor, error))?;
    if anchor.has_name_constraints {
        return Err(constrained(anchor));
    }
    if case.ignore_expiry {
        return Ok(());
    }
    Link::of_anchor(anchor).check_validity(case.now)
}

/// `None`: not exactly a version 1 certificate. x509-parser has read it by now, but tolerates more than DER allows.
fn parse_strictly(certificate: &[u8]) -> Option<Signed<'_>> {
    let signed = Signed::parse(certificate)?;
    let mut fields = Reader::new(der::only(signed.message, der::SEQUENCE)?);
    let _serial = fields.expect(der::INTEGER).filter(is_shortest)?;
    let algorithm = fields.expect(der::SEQUENCE)?;
    let _issuer = fields.expect(der::SEQUENCE)?;
    let mut validity = Reader::new(fields.expect(der::SEQUENCE)?.value);
    let _not_before = validity.next().filter(der::is_time)?;
    let _not_after = validity.next().filter(der::is_time)?;
    let _subject = fields.expect(der::SEQUENCE)?;
    let _public_key = fields.expect(der::SEQUENCE)?;
    let complete = fields.is_empty() && validity.is_empty();
    (complete && algorithm.value == signed.algorithm).then_some(signed)
}

/// X.690 §8.3.2.
fn is_shortest(integer: &Element<'_>) -> bool {
    !matches!(integer.value, [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..])
}

fn malformed() -> Refusal {
    Refusal::new(
        RejectedKind::Invalid,
        "the client certificate is X.509 version 1 but not encoded as such",
    )
}

fn constrained(anchor: &Anchor) -> Refusal {
    let reason = format!(
        "the client certificate is X.509 version 1, which is not accepted from a CA with name constraints ({})",
        anchor.subject_text
    );
    Refusal::new(RejectedKind::TypeUnsupported, reason)
}

fn bad_signature(case: &Case<'_>, anchor: &Anchor, error: BadSignature) -> Refusal {
    match error {
        BadSignature::UnsupportedAlgorithm => {
            let oid = case.leaf.signature_algorithm();
            let name = signature::algorithm_name(&oid);
            let reason = format!("the client certificate is signed with {name}, which is not accepted");
            Refusal::new(RejectedKind::TypeUnsupported, reason)
        }
        BadSignature::WrongKey => case.signed_by_another(&anchor.subject_text),
    }
}

fn untrusted(case: &Case<'_>) -> Refusal {
    let issuer = case.leaf.display_issuer();
    let store = case.store.name();
    let reason = format!(
        "the client certificate is X.509 version 1 and its issuer {issuer} is not in trust store {store}; add its issuer to the CA bundle, or issue it as version 3"
    );
    Refusal::new(RejectedKind::Untrusted, reason)
}

#[cfg(test)]
#[path = "v1_leaf_tests.rs"]
mod tests;
