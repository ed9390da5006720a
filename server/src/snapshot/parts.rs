//! Parts of a snapshot, and the rule by which the next snapshot keeps one.
//!
//! A part is loaded from the bytes of files and from keys of the configuration. Its [`Digest`] covers them
//! all. A part of the snapshot before with the same digest is taken over: the same `Arc`, nothing parsed
//! again.
//!
//! The bytes of files are read and hashed at each load. Dates and sizes prove nothing: a list may be edited
//! in place within one tick of the clock, or replaced by one of the same size whose dates were set. A missed
//! revocation would be worse than the 20 ms that it takes to hash a million serial numbers.
//!
//! Invariant: a digest covers everything that its part is made from. Values of the configuration go into it
//! whole, by their derived `Hash`, so that a field cannot be forgotten. Digests live in memory only and are
//! compared within one process. Runs on the thread that builds a snapshot.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};

/// SHA-256 over the inputs of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// Digest of one value.
    pub(super) fn of(input: &(impl Hash + ?Sized)) -> Self {
        let mut hasher = Sha256(Context::new(&SHA256));
        input.hash(&mut hasher);
        hasher.digest()
    }

    /// The 32 octets of the digest.
    pub(super) fn octets(&self) -> &[u8; 32] {
        &self.0
    }

    /// Digest of bytes that come in pieces.
    pub(super) fn of_pieces<E>(
        for_each: impl FnOnce(&mut dyn FnMut(&[u8])) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut hasher = Sha256(Context::new(&SHA256));
        for_each(&mut |piece| hasher.0.update(piece))?;
        Ok(hasher.digest())
    }

    /// Digest of `bytes`, as if they had come in pieces.
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        let mut hasher = Sha256(Context::new(&SHA256));
        hasher.0.update(bytes);
        hasher.digest()
    }
}

/// A hasher of 256 bits, to which `Hash` tells each field with its length or discriminant.
struct Sha256(Context);

impl Sha256 {
    fn digest(self) -> Digest {
        let mut octets = [0; 32];
        octets.copy_from_slice(self.0.finish().as_ref());
        Digest(octets)
    }
}

impl Hasher for Sha256 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The first octets of the digest. Nothing here asks for them, but the trait does.
    fn finish(&self) -> u64 {
        let Digest([a, b, c, d, e, f, g, h, ..]) = Self(self.0.clone()).digest();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

/// A loaded value, and the digest by which parts that are made from it know it.
#[derive(Debug)]
pub(super) struct Part<T> {
    pub(super) digest: Digest,
    pub(super) value: Arc<T>,
}

/// The parts of one kind in a snapshot.
pub(super) struct Parts<T>(HashMap<Digest, Arc<T>>);

impl<T> Parts<T> {
    /// Parts that are being collected for the snapshot that follows the one of `before`.
    pub(super) fn after<'p>(&'p mut self, before: &'p Self) -> Keep<'p, T> {
        Keep { before, now: self }
    }

    /// Counts the parts that `before` has too, and the others.
    pub(super) fn count(&self, kind: &'static str, before: &Self) -> PartCount {
        let kept = self
            .0
            .keys()
            .filter(|digest| before.0.contains_key(digest))
            .count();
        let loaded = self.0.len() - kept;
        PartCount { kind, kept, loaded }
    }
}

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> fmt::Debug for Parts<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Parts").field(&self.0.len()).finish()
    }
}

/// Number of parts of one kind that a snapshot has taken over, and that it has loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartCount {
    pub(super) kind: &'static str,
    pub(super) kept: usize,
    pub(super) loaded: usize,
}

/// Takes parts of one kind over from the snapshot before, or adds new ones.
pub(super) struct Keep<'p, T> {
    before: &'p Parts<T>,
    now: &'p mut Parts<T>,
}

impl<T> Keep<'_, T> {
    /// The part of the snapshot before with the digest that `inputs` tells, if there is one. Where there is
    /// nothing to take over, `inputs` is not asked, so that a start reads each file once.
    pub(super) fn find(&mut self, inputs: impl FnOnce() -> Option<Digest>) -> Option<Part<T>> {
        if self.before.0.is_empty() {
            return None;
        }
        let digest = inputs()?;
        let value = self.before.0.get(&digest)?.clone();
        Some(self.put(digest, value))
    }

    /// The new part that was loaded from inputs of this digest.
    pub(super) fn add(&mut self, digest: Digest, value: T) -> Part<T> {
        self.put(digest, Arc::new(value))
    }

    /// The part of the snapshot before with this digest, else what `load` makes.
    pub(super) fn find_or_load<E>(
        &mut self,
        digest: Digest,
        load: impl FnOnce() -> Result<T, E>,
    ) -> Result<Part<T>, E> {
        match self.find(|| Some(digest)) {
            Some(kept) => Ok(kept),
            None => load().map(|value| self.add(digest, value)),
        }
    }

    fn put(&mut self, digest: Digest, value: Arc<T>) -> Part<T> {
        self.now.0.insert(digest, value.clone());
        Part { digest, value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_taken_over_while_its_digest_is_the_same() {
        let (nothing, mut first, mut second) = (Parts::default(), Parts::default(), Parts::default());
        let load = |value: &'static str| move || Ok::<_, ()>(value);
        let loaded = first.after(&nothing).find_or_load(Digest::of("a"), load("one"));
        let mut keep = second.after(&first);
        let kept = keep.find_or_load(Digest::of("a"), load("two"));
        let other = keep.find_or_load(Digest::of("b"), load("three"));
        let values = [loaded, kept, other].map(|part| part.map(|part| part.value));
        assert_eq!(
            values,
            [Ok(Arc::new("one")), Ok(Arc::new("one")), Ok(Arc::new("three"))]
        );
        let count = second.count("word", &first);
        assert_eq!((count.kept, count.loaded), (1, 1));
    }

    #[test]
    fn a_start_does_not_ask_for_digests() {
        let (nothing, mut now) = (Parts::<()>::default(), Parts::default());
        let asked = || panic!("there is nothing to take over");
        assert!(now.after(&nothing).find(asked).is_none());
    }

    #[test]
    fn no_two_inputs_run_together() {
        let digests = [
            Digest::of(&("ab", "c")),
            Digest::of(&("a", "bc")),
            Digest::of(&("a", "b", "c")),
            Digest::of(&(Some("ab"), "c")),
            Digest::of(&[["ab", "c"]]),
            Digest::of(&[["ab"], ["c"]]),
        ];
        let mut distinct = digests.to_vec();
        distinct.sort_unstable_by_key(|digest| digest.0);
        distinct.dedup();
        assert_eq!(distinct.len(), digests.len());
    }

    #[test]
    fn bytes_have_one_digest_in_however_many_pieces_they_come() {
        let in_pieces = Digest::of_pieces::<()>(|take| {
            take(b"rev");
            take(b"");
            take(b"oked");
            Ok(())
        });
        assert_eq!(in_pieces, Ok(Digest::of_bytes(b"revoked")));
        assert_ne!(in_pieces, Ok(Digest::of_bytes(b"revoke")));
    }
}
