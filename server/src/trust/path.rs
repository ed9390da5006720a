//! The path from the leaf to a certificate of the trust store.
//!
//! Owns the call to webpki (RFC 5280 §6: signatures, validity, basicConstraints, pathLen, extended key usage, name constraints,
//! unknown critical extensions) and the conditions that webpki leaves open: a chain of at most four certificates, leaf and anchor
//! included, an anchor that is within its own validity, and intermediates that may sign certificates. The first two are conditions of a candidate path, so that another path, over a
//! renewed anchor for instance, is still tried. Order and surplus of the presented certificates do not matter.
//!
//! webpki searches all combinations of what it is given, up to 200,000 of them: nine certificates of one name would occupy a core for a
//! second. So it is given only those that can lie on a path of that length by their names, and few of them: with four the worst case
//! is 65 signature checks.

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};

use super::certificate::Certificate;
use super::diagnosis::{self, Case};
use super::store::TrustStore;
use super::time::seconds;
use super::verdict::{Link, Refusal, RejectedKind, Role};

/// The links of the accepted path, leaf first, anchor last.
pub(super) fn build(leaf: &CertificateDer<'_>, case: &Case<'_>, now: UnixTime) -> Result<Vec<Link>, Refusal> {
    let end_entity = EndEntityCert::try_from(leaf).map_err(|error| diagnosis::of_leaf(&error))?;
    let candidates = candidates(case)?;
    let path = end_entity
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            case.store.trust_anchors(),
            &candidates,
            now,
            KeyUsage::client_auth(),
            None,
            Some(&|path: &VerifiedPath<'_>| check_candidate(path, case.store, now)),
        )
        .map_err(|error| case.explain(&error))?;
    links(case, &path)
}

fn check_candidate(path: &VerifiedPath<'_>, store: &TrustStore, now: UnixTime) -> Result<(), Error> {
    if path.intermediate_certificates().count() + LEAF_AND_ANCHOR > CHAIN_DEPTH_MAX {
        return Err(Error::MaximumPathDepthExceeded);
    }
    let anchor = store.detail(path.anchor()).ok_or(Error::UnknownIssuer)?;
    let validity = anchor.validity;
    if seconds(now) > validity.not_after {
        let not_after = diagnosis::unix_time(validity.not_after);
        return Err(Error::CertExpired { time: now, not_after });
    }
    if seconds(now) < validity.not_before {
        let not_before = diagnosis::unix_time(validity.not_before);
        return Err(Error::CertNotValidYet {
            time: now,
            not_before,
        });
    }
    Ok(())
}

/// What can lie between leaf and store, by name: the leaf's issuers (`first`) and theirs (`second`), where the next is in the store.
fn candidates<'c>(case: &Case<'c>) -> Result<Vec<CertificateDer<'c>>, Refusal> {
    let all = || case.intermediates.iter();
    let is_below_store = |c: &&Certificate<'_>| case.store.named(c.issuer()).next().is_some();
    let is_first = |c: &Certificate<'_>| c.subject() == case.leaf.issuer();
    let is_between = |c: &Certificate<'_>| {
        let mut above = all().filter(|above| above.subject() == c.issuer());
        is_first(c) && (is_below_store(&c) || above.any(|above| is_below_store(&above)))
    };
    let is_second = |c: &Certificate<'_>| {
        is_below_store(&c) && all().any(|below| is_first(below) && below.issuer() == c.subject())
    };
    let mut candidates: Vec<CertificateDer<'c>> = Vec::new();
    for candidate in all().filter(|c| is_between(c) || is_second(c)) {
        let der = CertificateDer::from(candidate.der());
        if !candidates.contains(&der) {
            candidates.push(der);
        }
    }
    if candidates.len() > CANDIDATES_MAX {
        let reason = format!(
            "{} different intermediates were presented that could lead to the trust store; at most {CANDIDATES_MAX} are tried",
            candidates.len()
        );
        return Err(Refusal::new(RejectedKind::Invalid, reason));
    }
    Ok(candidates)
}

fn links(case: &Case<'_>, path: &VerifiedPath<'_>) -> Result<Vec<Link>, Refusal> {
    let lost = || Refusal::new(RejectedKind::Invalid, "the verified path cannot be followed");
    let mut links = Vec::with_capacity(CHAIN_DEPTH_MAX);
    links.push(Link::of(Role::Leaf, case.leaf));
    for verified in path.intermediate_certificates() {
        let der = verified.der();
        let mut presented = case.intermediates.iter();
        let found = presented.find(|c| c.der() == &der[..]).ok_or_else(lost)?;
        check_may_issue(found)?;
        links.push(Link::of(Role::Intermediate, found));
    }
    let anchor = case.store.detail(path.anchor()).ok_or_else(lost)?;
    links.push(Link::of_anchor(anchor));
    Ok(links)
}

/// RFC 5280 §6.1.4 (n), which webpki leaves out: a CA whose key usage is stated must state that it signs certificates.
fn check_may_issue(intermediate: &Certificate<'_>) -> Result<(), Refusal> {
    let fault = match intermediate.key_usage() {
        Ok(None) => return Ok(()),
        Ok(Some(usage)) if usage.key_cert_sign() => return Ok(()),
        Ok(Some(usage)) => format!("has the key usage {usage} only; Key Cert Sign is needed"),
        Err(_) => "has a malformed keyUsage".to_owned(),
    };
    let who = Role::Intermediate.name(&intermediate.display_subject());
    Err(Refusal::new(RejectedKind::Invalid, format!("{who} {fault}")))
}

/// The service's quota: leaf, two intermediates, anchor.
pub(super) const CHAIN_DEPTH_MAX: usize = 4;
pub(super) const INTERMEDIATES_MAX: usize = CHAIN_DEPTH_MAX - LEAF_AND_ANCHOR;
const LEAF_AND_ANCHOR: usize = 2;
/// Two are needed at most; the others leave room for a CA that is cross-certified or being renewed.
const CANDIDATES_MAX: usize = 4;
