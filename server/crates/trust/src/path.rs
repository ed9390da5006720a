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

use super::case::{Case, Chain, LEAF_AND_ANCHOR};
use super::dead_end;
use super::issuers::Issuers;
use super::store::Anchor;
use super::trace::Check;
use super::verdict::{Refusal, Role};

/// A chain that is not accepted: how far it came, and the reason.
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
        (None, None) => Err(NoPath::DeadEnd(dead_end::explain(&mut search.issuers))),
    }
}

struct Search<'s, J> {
    issuers: Issuers<'s>,
    judge: J,
    chains_left: usize,
    furthest: Option<(Chain<'s>, Failed)>,
}

impl<'s, T, J: FnMut(&Chain<'s>) -> Result<T, Failed>> Search<'s, J> {
    fn new(case: &'s Case<'s>, judge: J) -> Self {
        Self {
            issuers: Issuers::new(case),
            judge,
            chains_left: CHAINS_MAX,
            furthest: None,
        }
    }

    /// All paths that are no longer than allowed, the shorter first.
    fn try_all(&mut self) -> Option<(Chain<'s>, T)> {
        let room = self.issuers.case.depth_max.saturating_sub(LEAF_AND_ANCHOR);
        let longest = room.min(self.issuers.presented.len());
        let mut path = Vec::with_capacity(longest);
        (0..=longest).find_map(|intermediates| self.extend(&mut path, intermediates))
    }

    /// Completes `path`, which leads from the leaf upwards, by exactly so many more intermediates.
    fn extend(&mut self, path: &mut Vec<usize>, more: usize) -> Option<(Chain<'s>, T)> {
        // Anchors are tried at this length alone: shorter paths have been tried, longer ones come later.
        if more == 0 {
            return self.conclude(path);
        }
        for next in 0..self.issuers.presented.len() {
            if !self.issuers.leads_to(path, next) {
                continue;
            }
            // `path` is one buffer for the whole search; what is pushed is taken off again, found or not.
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
        let store = self.issuers.case.store;
        for anchor in store.anchors_by_preference() {
            if !self.issuers.is_anchored(path, anchor) {
                continue;
            }
            // Out of budget means no answer, so the search ends; `explain` then says that there were too
            // many.
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
        // The first of those that came equally far stays: the order of the search is the store's preference.
        let is_further = |(_, known): &(_, Failed)| known.check < failed.check;
        if self.furthest.as_ref().is_none_or(is_further) {
            self.furthest = Some((chain, failed));
        }
    }

    fn chain(&self, path: &[usize], anchor: &'s Anchor) -> Chain<'s> {
        let intermediates = path
            .iter()
            .filter_map(|at| self.issuers.presented.get(*at).copied());
        Chain {
            leaf: self.issuers.case.leaf,
            intermediates: intermediates.collect(),
            anchor,
        }
    }

    /// True if the search is worth making once more, with names compared in one spelling.
    fn knows_other_spellings(&mut self) -> bool {
        self.chains_left = CHAINS_MAX;
        self.issuers.knows_other_spellings()
    }
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
