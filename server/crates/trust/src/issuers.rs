//! Issuers among the certificates at hand: found by name first, then by signature.
//!
//! Owns the order of what was presented, the spellings of names, the answers about signatures and the budget
//! of these. A signature is checked once for each certificate and key, whatever the number of paths through
//! it.

use super::canonical_name::CanonicalName;
use super::case::Case;
use super::certificate::Certificate;
use super::presented::PRESENTED_MAX;
use super::signature::BadSignature;
use super::store::Anchor;

/// The certificates of one search. A path is the positions of its intermediates, the leaf's issuer first.
pub(super) struct Issuers<'s> {
    pub(super) case: &'s Case<'s>,
    /// Certificates that may stand between leaf and store, in an order of their own: the order of
    /// presentation must not count.
    pub(super) presented: Vec<&'s Certificate<'s>>,
    spellings: Option<Spellings>,
    signatures: Vec<(Place, &'s [u8], Result<(), BadSignature>)>,
    signatures_left: usize,
}

/// A certificate of the search: the leaf, or the presented one at a position.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
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

impl<'s> Issuers<'s> {
    pub(super) fn new(case: &'s Case<'s>) -> Self {
        let mut presented: Vec<_> = case.intermediates.iter().collect();
        presented.retain(|certificate| certificate.der() != case.leaf.der());
        presented.sort_unstable_by(|a, b| {
            let later = b.validity().not_after.cmp(&a.validity().not_after);
            later.then_with(|| a.der().cmp(b.der()))
        });
        presented.dedup_by(|a, b| a.der() == b.der());
        Self {
            case,
            presented,
            spellings: None,
            signatures: Vec::new(),
            signatures_left: SIGNATURES_MAX,
        }
    }

    /// True if names are known now that differ only in their spelling. From here on such names are the same.
    pub(super) fn knows_other_spellings(&mut self) -> bool {
        let spellings = Spellings::of(self.case.leaf, &self.presented);
        let differ = spellings.matter(self.case, &self.presented);
        self.spellings = differ.then_some(spellings);
        self.signatures_left = SIGNATURES_MAX;
        differ
    }

    /// True if no further signature will be checked.
    pub(super) fn is_exhausted(&self) -> bool {
        self.signatures_left == 0
    }

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

fn place(path: &[usize]) -> Place {
    path.last().map_or(Place::Leaf, |at| Place::Presented(*at))
}

/// A path of eight needs seven; the others leave room for CAs that are cross-certified or being renewed, and
/// for anchors that share a name. RSA of 8,192 bits or P-521 takes some 0.3 ms, so the worst that a client
/// can ask for is about 20 ms of a core.
const SIGNATURES_MAX: usize = 64;
const _: () = assert!(
    SIGNATURES_MAX >= PRESENTED_MAX,
    "each presented certificate must have its look"
);
