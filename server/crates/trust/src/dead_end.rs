//! End of the longest path that does not reach the trust store, and the reason, in words.
//!
//! Asked only when a client is refused because no chain of names and signatures leads to the store. The
//! answer names the certificate whose issuer is missing, or is not the one that it claims: the one that a
//! path came furthest to. Nothing here admits anybody.

use super::case::{Case, LEAF_AND_ANCHOR};
use super::certificate::{Certificate, Version};
use super::certificate_fault::Fault;
use super::issuers::Issuers;
use super::key::PublicKey;
use super::names;
use super::nearest;
use super::signature::BadSignature;
use super::verdict::{Refusal, RejectedKind, Role};

/// A certificate above which nothing leads on.
struct Ending {
    /// Worth of telling this ending: the greater the rank, the more it is worth.
    rank: (bool, usize, Why),
    refusal: Refusal,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// Neither presented nor in the store.
    NoIssuer,
    /// A certificate of the name was presented, and has another key.
    PresentedHasAnotherKey,
    /// A certificate of the name is in the store, and has another key.
    AnchorHasAnotherKey,
    /// Nobody checks such signatures, or signatures by such a key.
    NotAccepted,
}

/// The reason why there is no chain at all.
pub(super) fn explain(issuers: &mut Issuers<'_>) -> Refusal {
    let mut is_too_deep = false;
    let ending = furthest(issuers, &mut Vec::new(), &mut is_too_deep);
    if is_too_deep {
        return too_deep(issuers.case);
    }
    match ending {
        Some(ending) if !issuers.is_exhausted() => ending.refusal,
        _ => too_many(),
    }
}

/// The ending that tells most of all that can be reached from `path` upwards. Notes it when a path reaches
/// the store and is only too long.
fn furthest(issuers: &mut Issuers<'_>, path: &mut Vec<usize>, is_too_deep: &mut bool) -> Option<Ending> {
    let mut anchors = issuers.case.store.anchors().iter();
    if path.len() + LEAF_AND_ANCHOR > issuers.case.depth_max
        && anchors.any(|anchor| issuers.is_anchored(path, anchor))
    {
        *is_too_deep = true;
        return None;
    }
    let mut furthest: Option<Ending> = None;
    let mut leads_on = false;
    for next in 0..issuers.presented.len() {
        if issuers.leads_to(path, next) {
            leads_on = true;
            path.push(next);
            let ending = self::furthest(issuers, path, is_too_deep);
            path.pop();
            furthest = better(furthest, ending);
        }
    }
    match leads_on {
        true => furthest,
        false => Some(at_top_of(issuers, path)),
    }
}

fn better(one: Option<Ending>, other: Option<Ending>) -> Option<Ending> {
    match (one, other) {
        (Some(one), Some(other)) if one.rank >= other.rank => Some(one),
        (one, None) => one,
        (_, other) => other,
    }
}

fn at_top_of(issuers: &mut Issuers<'_>, path: &[usize]) -> Ending {
    let case = issuers.case;
    let top = issuers.top(path);
    let role = if path.is_empty() {
        Role::Leaf
    } else {
        Role::Intermediate
    };
    let mut anchors = case.store.anchors_by_preference();
    let anchor = anchors.find(|anchor| issuers.is_named_by(path, anchor));
    let named: Vec<_> = (0..issuers.presented.len())
        .filter(|at| issuers.is_named(path, *at))
        .collect();
    let others = named.iter().filter_map(|at| issuers.presented.get(*at).copied());
    let other = others.clone().find(|other| !issuers.repeats(path, other));
    let is_circle = !named.is_empty() && other.is_none() && !top.is_self_issued();
    let key = anchor
        .map(|anchor| &*anchor.public_key)
        .or(other.map(|other| other.public_key()));
    let checked = key.and_then(|key| issuers.check_signature(path, key));
    let weak_key = other.filter(|other| !PublicKey::read(other.public_key()).is_accepted_for_client());
    let (why, refusal) = match (checked, anchor, other, weak_key) {
        (Some(Err(BadSignature::UnsupportedAlgorithm)), ..) => (Why::NotAccepted, weak_signature(role, top)),
        (_, Some(anchor), ..) => (
            Why::AnchorHasAnotherKey,
            another_anchor(case, role, top, &anchor.subject_text),
        ),
        (.., Some(weak)) => (Why::NotAccepted, unusable_key(weak)),
        (_, _, Some(_), _) => (Why::PresentedHasAnotherKey, another_key(case, role, top)),
        _ => (Why::NoIssuer, no_issuer(case, top, !named.is_empty())),
    };
    Ending {
        rank: (!is_circle, path.len(), why),
        refusal,
    }
}

fn too_deep(case: &Case<'_>) -> Refusal {
    let reason = format!(
        "the chain from the client certificate to the trust store has more than {} certificates; add an \
         intermediate to the CA bundle",
        case.depth_max
    );
    Refusal::new(RejectedKind::MaxChainDepthExceeded, reason)
}

fn too_many() -> Refusal {
    Refusal::new(
        RejectedKind::Invalid,
        "the presented certificates can be combined in too many ways to check",
    )
}

fn weak_signature(role: Role, certificate: &Certificate<'_>) -> Refusal {
    let who = role.name(&certificate.display_subject());
    if let Err(fault @ Fault::TwoAlgorithms) = certificate.check_fields() {
        return Refusal::of_fault(&fault, &who);
    }
    let algorithm = certificate.signed().algorithm_text();
    let reason = format!("{who} is signed with {algorithm}; that is not accepted");
    Refusal::new(RejectedKind::TypeUnsupported, reason)
}

/// Nobody knows what such a CA has signed, so its clients are a stranger's.
fn unusable_key(issuer: &Certificate<'_>) -> Refusal {
    let who = Role::Intermediate.name(&issuer.display_subject());
    let key = PublicKey::read(issuer.public_key());
    let reason = format!("the key of {who} is {key}; what it signs cannot be checked");
    Refusal::new(RejectedKind::Untrusted, reason)
}

/// Names match, keys do not.
fn another_anchor(case: &Case<'_>, role: Role, top: &Certificate<'_>, anchor: &str) -> Refusal {
    let who = role.name(&top.display_subject());
    let store = case.store.name();
    let reason = format!(
        "{who} is signed by another key than that of {anchor}: a CA of the same name as in trust store \
         {store}, but not the same CA, or the certificate was altered"
    );
    Refusal::new(RejectedKind::Untrusted, reason)
}

fn another_key(case: &Case<'_>, role: Role, top: &Certificate<'_>) -> Refusal {
    let who = role.name(&top.display_subject());
    let (issuer, store) = (top.display_issuer(), case.store.name());
    let reason = format!(
        "{who} is signed by another key than that of the {issuer} that was presented, and no CA of that \
         name is in trust store {store}"
    );
    Refusal::new(RejectedKind::Untrusted, reason)
}

fn no_issuer(case: &Case<'_>, top: &Certificate<'_>, is_presented: bool) -> Refusal {
    let store = case.store.name();
    let issuer = names::display(top.issuer());
    let nearest = || nearest::told(case.store, top.issuer(), top.authority_key_id());
    let is_leaf = top.der() == case.leaf.der();
    let reason = if is_leaf && top.is_self_issued() {
        format!("the client certificate is self-signed and not issued by a CA of trust store {store}")
    } else if is_leaf && top.version() == Version::V1 {
        v1_issuer_unknown(case)
    } else if is_presented || top.is_self_issued() {
        format!(
            "the chain ends in {issuer}, which is not in trust store {store}{}",
            nearest()
        )
    } else {
        format!(
            "issuer {issuer} is not in trust store {store} and was not presented{}{}",
            unreadable(case),
            nearest()
        )
    };
    Refusal::new(RejectedKind::Untrusted, reason)
}

/// Also where its issuer was presented, which does not count for a version 1 certificate.
pub(super) fn v1_issuer_unknown(case: &Case<'_>) -> String {
    let issuer = case.leaf.display_issuer();
    let store = case.store.name();
    format!(
        "the client certificate is X.509 version 1 and its issuer {issuer} is not in trust store {store}; \
         add its issuer to the CA bundle, or issue it as version 3"
    )
}

fn unreadable(case: &Case<'_>) -> String {
    match case.unreadable {
        0 => String::new(),
        1 => ", unless it is the presented certificate that cannot be read".to_owned(),
        more => format!(", unless it is one of {more} presented certificates that cannot be read"),
    }
}

#[cfg(test)]
#[path = "dead_end_tests.rs"]
mod tests;
