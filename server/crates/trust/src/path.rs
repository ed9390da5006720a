//! The path from the leaf to a certificate of the trust store: one search for everybody.
//!
//! Owns which paths are tried, and in which order. A path here is what names and signatures lead to; all
//! else that RFC 5280 §6.1 and the policy demand is asked of each by the `judge` of [`find`], so every
//! demand is a condition of a candidate: where one path fails, over an old certificate of a CA for instance,
//! the next is still tried.
//!
//! - The verdict depends on the set of certificates alone, never on the order in which they were presented or
//!   stand in the bundle: both are put into an order of their own, what is valid longest first, and
//!   duplicates count once.
//! - Short paths come first. So a larger `max_chain_depth` never refuses anybody whom a smaller one admits:
//!   what it adds is tried last.
//! - Names are compared octet for octet first. Only if that leads nowhere the search is made once more with
//!   names compared as RFC 5280 §7.1 says, where that makes a difference.
//! - The work is bounded, whatever is presented: signatures and paths have a budget, an answer about a
//!   signature is kept, and a name and key stand in a path once (RFC 4158 §5.2). Few branches survive their
//!   signatures: a certificate is signed by one key.
//!
//! Decides, too, which of several failures is told: the failure of the path that came furthest. If no path is
//! complete, the place is told at which the longest path ends (`dead_end`).

use super::canonical_name::CanonicalName;
use super::certificate::Certificate;
use super::dead_end;
use super::signature::BadSignature;
use super::store::{Anchor, TrustStore};
use super::trace::Check;
use super::verdict::{Link, Refusal, RejectedKind, Role};

/// Certificates that a client presented, and the store and the depth by which they are judged.
pub(super) struct Case<'c> {
    pub(super) store: &'c TrustStore,
    pub(super) leaf: &'c Certificate<'c>,
    /// Intermediates that can be read, in the order of presentation.
    pub(super) intermediates: Vec<Certificate<'c>>,
    /// How many more were presented that cannot be read.
    pub(super) unreadable: usize,
    /// Leaf and anchor count.
    pub(super) depth_max: usize,
}

/// Certificates of which each was issued in the name and signed with the key of the next. Nothing else is
/// known of them.
#[derive(Clone)]
pub(super) struct Chain<'s> {
    pub(super) leaf: &'s Certificate<'s>,
    /// The leaf's issuer first.
    pub(super) intermediates: Vec<&'s Certificate<'s>>,
    pub(super) anchor: &'s Anchor,
}

/// Why a chain is not accepted, and how far it came.
pub(super) struct Failed {
    pub(super) check: Check,
    pub(super) refusal: Refusal,
}

/// No chain was accepted.
pub(super) enum NoPath<'s> {
    /// There is one, and this is what it fails by.
    Failed(Chain<'s>, Refusal),
    /// There is none.
    DeadEnd(Refusal),
}

/// The first chain that `judge` accepts, with its answer.
pub(super) fn find<'s, T>(
    case: &'s Case<'s>,
    judge: impl FnMut(&Chain<'s>) -> Result<T, Failed>,
) -> Result<(Chain<'s>, T), NoPath<'s>> {
    let mut search = Search::new(case, judge);
    let octets = search.try_all();
    let found = match octets {
        None if search.knows_other_spellings() => search.try_all(),
        octets => octets,
    };
    match (found, search.furthest.take()) {
        (Some(found), _) => Ok(found),
        (None, Some((chain, failed))) => Err(NoPath::Failed(chain, failed.refusal)),
        (None, None) => Err(NoPath::DeadEnd(search.explain())),
    }
}

impl Chain<'_> {
    /// Leaf first, anchor last.
    pub(super) fn links(&self) -> Vec<Link> {
        let mut links = Vec::with_capacity(self.intermediates.len() + LEAF_AND_ANCHOR);
        links.push(Link::of(Role::Leaf, self.leaf));
        let intermediates = self.intermediates.iter();
        links.extend(intermediates.map(|ca| Link::of(Role::Intermediate, ca)));
        links.push(Link::of_anchor(self.anchor));
        links
    }
}

pub(super) struct Search<'s, J> {
    pub(super) case: &'s Case<'s>,
    judge: J,
    /// Certificates that may stand between leaf and store, in the search's own order.
    pub(super) presented: Vec<&'s Certificate<'s>>,
    spellings: Option<Spellings>,
    signatures: Vec<(Place, &'s [u8], Result<(), BadSignature>)>,
    signatures_left: usize,
    chains_left: usize,
    furthest: Option<(Chain<'s>, Failed)>,
    is_too_deep: bool,
}

/// A certificate of the search: the leaf, or the presented one at a position.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Leaf,
    Presented(usize),
}

/// The names of all presented certificates in one spelling; the leaf's issuer apart, positions are
/// those of `presented`.
struct Spellings {
    leaf_issuer: Option<CanonicalName>,
    issuers: Vec<Option<CanonicalName>>,
    subjects: Vec<Option<CanonicalName>>,
}

impl<'s, T, J: FnMut(&Chain<'s>) -> Result<T, Failed>> Search<'s, J> {
    fn new(case: &'s Case<'s>, judge: J) -> Self {
        let mut presented: Vec<_> = case.intermediates.iter().collect();
        presented.retain(|certificate| certificate.der() != case.leaf.der());
        presented.sort_unstable_by(|a, b| {
            let later = b.validity().not_after.cmp(&a.validity().not_after);
            later.then_with(|| a.der().cmp(b.der()))
        });
        presented.dedup_by(|a, b| a.der() == b.der());
        Self {
            case,
            judge,
            presented,
            spellings: None,
            signatures: Vec::new(),
            signatures_left: SIGNATURES_MAX,
            chains_left: CHAINS_MAX,
            furthest: None,
            is_too_deep: false,
        }
    }

    /// All paths that are no longer than allowed, the shorter first.
    fn try_all(&mut self) -> Option<(Chain<'s>, T)> {
        let room = self.case.depth_max.saturating_sub(LEAF_AND_ANCHOR);
        let longest = room.min(self.presented.len());
        let mut path = Vec::with_capacity(longest);
        (0..=longest).find_map(|intermediates| self.extend(&mut path, intermediates))
    }

    /// Completes `path`, which leads from the leaf upwards, by exactly so many more intermediates.
    fn extend(&mut self, path: &mut Vec<usize>, more: usize) -> Option<(Chain<'s>, T)> {
        if more == 0 {
            return self.conclude(path);
        }
        for next in 0..self.presented.len() {
            if !self.leads_to(path, next) {
                continue;
            }
            path.push(next);
            let found = self.extend(path, more - 1);
            path.pop();
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Asks the judge about each certificate of the store that issued the top of `path`.
    fn conclude(&mut self, path: &[usize]) -> Option<(Chain<'s>, T)> {
        let store = self.case.store;
        for anchor in store.anchors_by_preference() {
            if !self.is_anchored(path, anchor) {
                continue;
            }
            self.chains_left = self.chains_left.checked_sub(1)?;
            let chain = self.chain(path, anchor);
            match (self.judge)(&chain) {
                Ok(answer) => return Some((chain, answer)),
                Err(failed) => self.note(chain, failed),
            }
        }
        None
    }

    fn note(&mut self, chain: Chain<'s>, failed: Failed) {
        let is_further = |(_, known): &(_, Failed)| known.check < failed.check;
        if self.furthest.as_ref().is_none_or(is_further) {
            self.furthest = Some((chain, failed));
        }
    }

    fn chain(&self, path: &[usize], anchor: &'s Anchor) -> Chain<'s> {
        let intermediates = path.iter().filter_map(|at| self.presented.get(*at).copied());
        Chain {
            leaf: self.case.leaf,
            intermediates: intermediates.collect(),
            anchor,
        }
    }

    /// Why there is no chain at all.
    fn explain(&mut self) -> Refusal {
        let mut path = Vec::new();
        let ending = dead_end::furthest(self, &mut path);
        if self.is_too_deep {
            return dead_end::too_deep(self.case);
        }
        match (self.signatures_left, ending) {
            (1.., Some(ending)) => ending.refusal,
            _ => too_many(),
        }
    }

    /// True if names are known now that differ only in their spelling. From here on such names are the same.
    fn knows_other_spellings(&mut self) -> bool {
        let spellings = Spellings::of(self.case.leaf, &self.presented);
        let differ = spellings.matter(self.case, &self.presented);
        self.spellings = differ.then_some(spellings);
        (self.signatures_left, self.chains_left) = (SIGNATURES_MAX, CHAINS_MAX);
        differ
    }
}

impl<'s, J> Search<'s, J> {
    /// True if the presented certificate at `next` issued the top of `path`, and does not lead the path round
    /// in a circle.
    pub(super) fn leads_to(&mut self, path: &[usize], next: usize) -> bool {
        let Some(issuer) = self.presented.get(next).copied() else {
            return false;
        };
        self.is_named(path, next)
            && !self.repeats(path, issuer)
            && self.check_signature(path, issuer.public_key()) == Some(Ok(()))
    }

    /// True if `anchor` issued the top of `path`.
    pub(super) fn is_anchored(&mut self, path: &[usize], anchor: &'s Anchor) -> bool {
        self.is_named_by(path, anchor) && self.check_signature(path, &anchor.public_key) == Some(Ok(()))
    }

    /// True if the presented certificate at `next` has the name of the issuer of the top of `path`.
    pub(super) fn is_named(&self, path: &[usize], next: usize) -> bool {
        let Some(issuer) = self.presented.get(next) else {
            return false;
        };
        let subject = self.spellings.as_ref().and_then(|all| all.subjects.get(next));
        self.top(path).issuer() == issuer.subject() || self.is_spelt(path, subject.and_then(Option::as_ref))
    }

    pub(super) fn is_named_by(&self, path: &[usize], anchor: &Anchor) -> bool {
        *self.top(path).issuer() == *anchor.subject || self.is_spelt(path, anchor.canonical_subject.as_ref())
    }

    /// True if spellings do not count and `subject` is the issuer of the top of `path`.
    fn is_spelt(&self, path: &[usize], subject: Option<&CanonicalName>) -> bool {
        let Some(spellings) = &self.spellings else {
            return false;
        };
        let issuer = match place(path) {
            Place::Leaf => spellings.leaf_issuer.as_ref(),
            Place::Presented(at) => spellings.issuers.get(at).and_then(Option::as_ref),
        };
        issuer.is_some() && issuer == subject
    }

    /// RFC 4158 §5.2: the same name and key twice in a path.
    pub(super) fn repeats(&self, path: &[usize], ca: &Certificate<'_>) -> bool {
        let is_same = |other: &Certificate<'_>| {
            other.public_key() == ca.public_key() && other.subject() == ca.subject()
        };
        let mut below = path.iter().filter_map(|at| self.presented.get(*at));
        is_same(self.case.leaf) || below.any(|below| is_same(below))
    }

    /// Checks if the top of `path` is signed with this key. `None`: too many signatures were checked to know.
    pub(super) fn check_signature(
        &mut self,
        path: &[usize],
        public_key: &'s [u8],
    ) -> Option<Result<(), BadSignature>> {
        let place = place(path);
        let mut known = self.signatures.iter();
        if let Some((_, _, known)) = known.find(|(at, key, _)| *at == place && *key == public_key) {
            return Some(*known);
        }
        self.signatures_left = self.signatures_left.checked_sub(1)?;
        let checked = self.top(path).signed().verify(public_key);
        self.signatures.push((place, public_key, checked));
        Some(checked)
    }

    pub(super) fn top(&self, path: &[usize]) -> &'s Certificate<'s> {
        let top = path.last().and_then(|at| self.presented.get(*at).copied());
        top.unwrap_or(self.case.leaf)
    }

    pub(super) fn find_too_deep(&mut self) {
        self.is_too_deep = true;
    }
}

impl Spellings {
    fn of(leaf: &Certificate<'_>, presented: &[&Certificate<'_>]) -> Self {
        let issuers = presented.iter().map(|certificate| certificate.issuer());
        let subjects = presented.iter().map(|certificate| certificate.subject());
        Self {
            leaf_issuer: CanonicalName::of(leaf.issuer()),
            issuers: issuers.map(CanonicalName::of).collect(),
            subjects: subjects.map(CanonicalName::of).collect(),
        }
    }

    /// True if a subject is the same name as an issuer, only in another spelling.
    fn matter(&self, case: &Case<'_>, presented: &[&Certificate<'_>]) -> bool {
        let leaf = std::iter::once((case.leaf.issuer(), &self.leaf_issuer));
        let issuers = presented.iter().map(|certificate| certificate.issuer());
        let subjects = presented.iter().map(|certificate| certificate.subject());
        let anchors = case.store.anchors().iter();
        let subjects: Vec<_> = subjects
            .zip(&self.subjects)
            .chain(anchors.map(|anchor| (&*anchor.subject, &anchor.canonical_subject)))
            .collect();
        leaf.chain(issuers.zip(&self.issuers)).any(|(issuer, canonical)| {
            let mut subjects = subjects.iter();
            canonical.is_some() && subjects.any(|(subject, spelt)| *spelt == canonical && *subject != issuer)
        })
    }
}

pub(super) fn place(path: &[usize]) -> Place {
    path.last().map_or(Place::Leaf, |at| Place::Presented(*at))
}

/// The names that a chain could be made of, for `bothways check`.
pub(super) fn told_candidates(case: &Case<'_>) -> String {
    let presented = case
        .intermediates
        .iter()
        .map(|c| Role::Intermediate.name(&c.display_subject()));
    let names = std::iter::once(case.leaf.issuer()).chain(case.intermediates.iter().map(|c| c.issuer()));
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

fn too_many() -> Refusal {
    Refusal::new(
        RejectedKind::Invalid,
        "the presented certificates can be combined in too many ways to check",
    )
}

pub(super) const LEAF_AND_ANCHOR: usize = 2;
/// A path of eight needs seven; the others leave room for CAs that are cross-certified or being renewed, and
/// for anchors that share a name. RSA of 8,192 bits or P-521 takes some 0.3 ms, so the worst that a client
/// can ask for is about 20 ms of a core.
const SIGNATURES_MAX: usize = 64;
/// Ways that names and signatures lead to the store: more than one are there only while CAs change.
const CHAINS_MAX: usize = 64;

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "path_properties.rs"]
mod properties;

#[cfg(test)]
#[path = "path_dates_tests.rs"]
mod dates_tests;
