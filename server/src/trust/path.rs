//! The path from the leaf to a certificate of the trust store.
//!
//! Owns the call to webpki (RFC 5280 §6: signatures, validity, basicConstraints, pathLen, extended key usage, name constraints,
//! unknown critical extensions) and the two conditions that webpki leaves open: a chain of at most four certificates, leaf and anchor
//! included, and an anchor that is within its own validity. Both are conditions of a candidate path, so that another path, over a
//! renewed anchor for instance, is still tried. Order and surplus of the presented certificates do not matter.

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
    let path = end_entity
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            case.store.trust_anchors(),
            case.intermediates,
            now,
            KeyUsage::client_auth(),
            None,
            Some(&|path: &VerifiedPath<'_>| check_candidate(path, case.store, now)),
        )
        .map_err(|error| case.explain(&error))?;
    links(case.leaf, &path, case.store)
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

fn links(leaf: &Certificate<'_>, path: &VerifiedPath<'_>, store: &TrustStore) -> Result<Vec<Link>, Refusal> {
    let unreadable = || Refusal::new(RejectedKind::Invalid, "an intermediate cannot be read");
    let mut links = Vec::with_capacity(CHAIN_DEPTH_MAX);
    links.push(Link::of(Role::Leaf, leaf));
    for intermediate in path.intermediate_certificates() {
        let der = intermediate.der();
        let certificate = Certificate::parse(&der).ok_or_else(unreadable)?;
        links.push(Link::of(Role::Intermediate, &certificate));
    }
    let anchor = store.detail(path.anchor()).ok_or_else(unreadable)?;
    links.push(Link::of_anchor(anchor));
    Ok(links)
}

/// The service's quota: leaf, two intermediates, anchor.
pub(super) const CHAIN_DEPTH_MAX: usize = 4;
const LEAF_AND_ANCHOR: usize = 2;
