//! The case of a client: the certificates that it presented, and a chain that can be made of them.
//!
//! Owns no decision. `path` makes the chains, `conditions` and the policy judge them.

use super::certificate::Certificate;
use super::store::{Anchor, TrustStore};
use super::verdict::{Link, Role};

/// Certificates that a client presented, and the store and the depth by which they are judged.
pub(super) struct Case<'c> {
    pub(super) store: &'c TrustStore,
    pub(super) leaf: &'c Certificate<'c>,
    /// Intermediates that can be read, in the order of presentation.
    pub(super) intermediates: Vec<Certificate<'c>>,
    /// Number of further certificates, which cannot be read.
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

/// The certificates of a path that has no intermediates.
pub(super) const LEAF_AND_ANCHOR: usize = 2;
