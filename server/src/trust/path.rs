//! The path from the leaf to a certificate of the trust store.
//!
//! Owns the call to webpki (RFC 5280 §6: signatures, validity, basicConstraints, pathLen, extended key usage, name constraints,
//! unknown critical extensions) and the conditions that webpki leaves open: the length of the chain, leaf and anchor included, an
//! anchor that is within its own validity, and intermediates whose keyUsage lets them issue. They are conditions of a candidate path,
//! so that another path, over a renewed anchor for instance, is still tried. Order and surplus of what was presented do not matter.
//!
//! Where expiry is ignored, webpki is asked about a moment at which leaf and candidates are all valid; if there is none, [`timeless`]
//! goes link by link.
//!
//! webpki searches all combinations of what it is given, up to 200,000 of them: nine certificates of one name would occupy a core for a
//! second. So it is given only those that can lie on a path of that length by their names, and few of them: with four the worst case
//! is 65 signature checks.

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};

use super::certificate::Certificate;
use super::diagnosis::{self, Case};
use super::timeless;
use super::trace::{Check, Trace};
use super::verdict::{Link, Refusal, RejectedKind, Role};

/// The links of the accepted path, leaf first, anchor last.
pub(super) fn build(
    leaf: &CertificateDer<'_>,
    case: &Case<'_>,
    trace: &mut impl Trace,
) -> Result<Vec<Link>, Refusal> {
    let end_entity = EndEntityCert::try_from(leaf).map_err(|error| diagnosis::of_leaf(&error, case.leaf))?;
    let candidates = trace.report(Check::Candidates, candidates(case), |found| told(case, found))?;
    if !case.ignore_expiry {
        return by_webpki(&end_entity, case, &candidates, diagnosis::unix_time(case.now));
    }
    match common_moment(case.leaf, &candidates) {
        Some(moment) => by_webpki(&end_entity, case, &candidates, moment),
        None => timeless::build(&end_entity, case, &candidates),
    }
}

fn by_webpki(
    end_entity: &EndEntityCert<'_>,
    case: &Case<'_>,
    candidates: &[&Certificate<'_>],
    moment: UnixTime,
) -> Result<Vec<Link>, Refusal> {
    let intermediates: Vec<_> = candidates.iter().map(|c| CertificateDer::from(c.der())).collect();
    let path = end_entity
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            case.store.trust_anchors(),
            &intermediates,
            moment,
            KeyUsage::client_auth(),
            None,
            Some(&|path: &VerifiedPath<'_>| check_candidate(path, case, moment)),
        )
        .map_err(|error| case.explain(&error))?;
    links(case, &path)
}

/// The first moment at which all of them are valid, if there is one.
fn common_moment(leaf: &Certificate<'_>, candidates: &[&Certificate<'_>]) -> Option<UnixTime> {
    let all = || std::iter::once(&leaf).chain(candidates).map(|c| c.validity());
    let from = all().map(|validity| validity.not_before).max()?.max(0);
    let until = all().map(|validity| validity.not_after).min()?;
    (from <= until).then(|| diagnosis::unix_time(from))
}

fn check_candidate(path: &VerifiedPath<'_>, case: &Case<'_>, now: UnixTime) -> Result<(), Error> {
    if path.intermediate_certificates().count() + LEAF_AND_ANCHOR > case.depth_max {
        return Err(Error::MaximumPathDepthExceeded);
    }
    for intermediate in path.intermediate_certificates() {
        let found = presented(case, &intermediate.der()).ok_or(Error::UnknownIssuer)?;
        if !may_issue(found) {
            return Err(Error::EndEntityUsedAsCa);
        }
    }
    let anchor = case.store.detail(path.anchor()).ok_or(Error::UnknownIssuer)?;
    let validity = anchor.validity;
    if case.ignore_expiry {
        return Ok(());
    }
    if case.now > validity.not_after {
        let not_after = diagnosis::unix_time(validity.not_after);
        return Err(Error::CertExpired { time: now, not_after });
    }
    if case.now < validity.not_before {
        let not_before = diagnosis::unix_time(validity.not_before);
        return Err(Error::CertNotValidYet {
            time: now,
            not_before,
        });
    }
    Ok(())
}

/// RFC 5280 §6.1.4 n: keyUsage, where present, has keyCertSign.
pub(super) fn may_issue(ca: &Certificate<'_>) -> bool {
    match ca.key_usage() {
        Ok(usage) => usage.is_none_or(|usage| usage.key_cert_sign()),
        Err(_) => false,
    }
}

/// What can lie between leaf and store by its name, without repeats: so many steps above the leaf, and so many below the store, that
/// both together are no more than the chain may have.
pub(super) fn candidates<'s, 'c>(case: &'s Case<'c>) -> Result<Vec<&'s Certificate<'c>>, Refusal> {
    let room = case.depth_max.saturating_sub(LEAF_AND_ANCHOR);
    let from_leaf = steps(
        case,
        room,
        |c| c.subject() == case.leaf.issuer(),
        |next, c| next.subject() == c.issuer(),
    );
    let from_store = steps(
        case,
        room,
        |c| case.store.named(c.issuer()).next().is_some(),
        |next, c| next.issuer() == c.subject(),
    );
    let mut candidates: Vec<&Certificate<'_>> = Vec::new();
    for ((candidate, above), below) in case.intermediates.iter().zip(&from_leaf).zip(&from_store) {
        let fits = matches!((above, below), (Some(above), Some(below)) if above + below < room);
        if fits && !candidates.iter().any(|known| known.der() == candidate.der()) {
            candidates.push(candidate);
        }
    }
    let most = room.max(CANDIDATES_MAX);
    if candidates.len() > most {
        let reason = format!(
            "{} different intermediates were presented that could lead to the trust store; at most {most} are tried",
            candidates.len()
        );
        return Err(Refusal::new(RejectedKind::Invalid, reason));
    }
    Ok(candidates)
}

/// For each presented certificate how many steps it is away from those that `is_start`, if fewer than `most`.
fn steps<'c>(
    case: &Case<'c>,
    most: usize,
    is_start: impl Fn(&Certificate<'c>) -> bool,
    follows: impl Fn(&Certificate<'c>, &Certificate<'c>) -> bool,
) -> Vec<Option<usize>> {
    let all = &case.intermediates;
    let mut steps: Vec<Option<usize>> = all.iter().map(|c| is_start(c).then_some(0)).collect();
    for step in 1..most {
        let last: Vec<_> = all
            .iter()
            .zip(&steps)
            .filter(|(_, at)| **at == Some(step - 1))
            .map(|(c, _)| c)
            .collect();
        for (certificate, at) in all.iter().zip(&mut steps) {
            if at.is_none() && last.iter().any(|from| follows(certificate, from)) {
                *at = Some(step);
            }
        }
    }
    steps
}

fn told(case: &Case<'_>, candidates: &[&Certificate<'_>]) -> String {
    let presented = candidates
        .iter()
        .map(|c| Role::Intermediate.name(&c.display_subject()));
    let names = std::iter::once(case.leaf.issuer()).chain(candidates.iter().map(|c| c.issuer()));
    let mut anchors: Vec<_> = names
        .flat_map(|name| case.store.named(name))
        .map(|anchor| Role::Anchor.name(&anchor.subject_text))
        .collect();
    anchors.sort_unstable();
    anchors.dedup();
    let all: Vec<_> = presented.chain(anchors).collect();
    match all.is_empty() {
        true => "none: neither presented nor in the trust store".to_owned(),
        false => all.join("; "),
    }
}

fn links(case: &Case<'_>, path: &VerifiedPath<'_>) -> Result<Vec<Link>, Refusal> {
    let lost = || Refusal::new(RejectedKind::Invalid, "the verified path cannot be followed");
    let mut links = Vec::with_capacity(case.depth_max);
    links.push(Link::of(Role::Leaf, case.leaf));
    for verified in path.intermediate_certificates() {
        let found = presented(case, &verified.der()).ok_or_else(lost)?;
        links.push(Link::of(Role::Intermediate, found));
    }
    let anchor = case.store.detail(path.anchor()).ok_or_else(lost)?;
    links.push(Link::of_anchor(anchor));
    Ok(links)
}

fn presented<'s, 'c>(case: &'s Case<'c>, der: &[u8]) -> Option<&'s Certificate<'c>> {
    case.intermediates.iter().find(|c| c.der() == der)
}

pub(super) const LEAF_AND_ANCHOR: usize = 2;
/// Two are needed at most in a chain of four; the others leave room for a CA that is cross-certified or being renewed.
const CANDIDATES_MAX: usize = 4;
