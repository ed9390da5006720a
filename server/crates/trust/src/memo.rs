//! Verdicts remembered, so that a client who comes again is not verified from scratch.
//!
//! Each core has a memo. It maps the digest of a policy and of the presented chain to the verdict that the
//! policy gave. A remembered verdict is restated before it counts ([`Policy::restate`]): the same policy,
//! every certificate still valid, none revoked since. So what a memo saves is signatures, parsing and
//! formatting, never a check that can come out differently. Refusals are not remembered, and proof of the key
//! is not trust's business: TLS asks for it every time.
//!
//! Bounded: two halves, young and old. When the young half is full the old one is forgotten, and the young
//! becomes old; what is asked for again moves back to the young half.

use std::collections::HashMap;

use aws_lc_rs::digest::{Context, SHA256};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::policy::Policy;
use super::verdict::{Rejected, VerifiedClient};

type Key = [u8; 32];

/// The verdicts of one core.
#[derive(Default)]
pub struct VerdictMemo {
    young: HashMap<Key, VerifiedClient>,
    old: HashMap<Key, VerifiedClient>,
}

/// Use that was made of a memo for one verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoUse {
    pub hit: bool,
    /// Verdicts forgotten to make room.
    pub evicted: usize,
}

impl VerdictMemo {
    /// [`Policy::verify`], or the verdict that it gave before, if it still stands. Remembers up to
    /// `entries_max` verdicts.
    pub fn verify(
        &mut self,
        policy: &Policy,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        entries_max: usize,
    ) -> (Result<VerifiedClient, Rejected>, MemoUse) {
        let key = key(policy, leaf, intermediates);
        if let Some(client) = self
            .young
            .get(&key)
            .and_then(|known| policy.restate(known, now).ok())
        {
            return (
                Ok(client),
                MemoUse {
                    hit: true,
                    evicted: 0,
                },
            );
        }
        if let Some(client) = self
            .old
            .remove(&key)
            .and_then(|known| policy.restate(&known, now).ok())
        {
            let evicted = self.remember(key, client.clone(), entries_max);
            return (Ok(client), MemoUse { hit: true, evicted });
        }
        let verdict = policy.verify(leaf, intermediates, now);
        let evicted = match &verdict {
            Ok(client) => self.remember(key, client.clone(), entries_max),
            Err(_) => 0,
        };
        (verdict, MemoUse { hit: false, evicted })
    }

    fn remember(&mut self, key: Key, client: VerifiedClient, entries_max: usize) -> usize {
        let half = entries_max / 2;
        if half == 0 {
            return 0;
        }
        self.young.insert(key, client);
        if self.young.len() < half {
            return 0;
        }
        let forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        forgotten.len()
    }
}

/// Makes the key under which a verdict is remembered: SHA-256 over policy and chain. Each length is hashed
/// before its certificate, so that no two chains give the same octets.
fn key(policy: &Policy, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Key {
    let mut hash = Context::new(&SHA256);
    hash.update(policy.digest());
    for der in std::iter::once(leaf).chain(intermediates) {
        hash.update(&(der.len() as u64).to_be_bytes());
        hash.update(der);
    }
    let mut key = Key::default();
    key.copy_from_slice(hash.finish().as_ref());
    key
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use super::*;
    use crate::RejectedKind;
    use crate::test_pki::{Ca, at, leaf, now, policy, store};

    const ENTRIES: usize = 8;

    fn ask(
        memo: &mut VerdictMemo,
        policy: &Policy,
        leaf: &CertificateDer<'_>,
    ) -> (Result<(), RejectedKind>, bool) {
        let (verdict, used) = memo.verify(policy, leaf, &[], now(), ENTRIES);
        (verdict.map(drop).map_err(|rejected| rejected.kind), used.hit)
    }

    #[test]
    fn the_second_verdict_on_a_chain_is_remembered() {
        let root = Ca::root("Root");
        let (policy, client) = (policy(&store(&[&root]), &[]), root.issue(leaf("client")));
        let mut memo = VerdictMemo::default();
        assert_eq!(ask(&mut memo, &policy, &client), (Ok(()), false));
        assert_eq!(ask(&mut memo, &policy, &client), (Ok(()), true));
    }

    #[test]
    fn a_remembered_client_that_was_revoked_since_is_refused_as_revoked() {
        let root = Ca::root("Root");
        let store = store(&[&root]);
        let client = root.issue(leaf("client").serial(&[0x4a, 0x3f]));
        let mut memo = VerdictMemo::default();
        assert_eq!(ask(&mut memo, &policy(&store, &[]), &client), (Ok(()), false));
        let revoking = policy(&store, &[b"4a:3f\n"]);
        assert_eq!(
            ask(&mut memo, &revoking, &client),
            (Err(RejectedKind::Revoked), false)
        );
    }

    #[test]
    fn a_remembered_client_that_has_expired_since_is_refused_as_expired() {
        let root = Ca::root("Root");
        let (policy, client) = (policy(&store(&[&root]), &[]), root.issue(leaf("client")));
        let mut memo = VerdictMemo::default();
        let not_after = memo
            .verify(&policy, &client, &[], now(), ENTRIES)
            .0
            .unwrap()
            .not_after();
        let later = at(not_after.as_secs() + 1);
        let (verdict, used) = memo.verify(&policy, &client, &[], later, ENTRIES);
        assert_eq!(
            (verdict.unwrap_err().kind, used.hit),
            (RejectedKind::Expired, false)
        );
    }

    #[test]
    fn a_verdict_of_one_policy_says_nothing_about_another() {
        let (root, other) = (Ca::root("Root"), Ca::root("Other"));
        let client = root.issue(leaf("client"));
        let mut memo = VerdictMemo::default();
        assert_eq!(
            ask(&mut memo, &policy(&store(&[&root]), &[]), &client),
            (Ok(()), false)
        );
        let verdict = ask(&mut memo, &policy(&store(&[&other]), &[]), &client);
        assert_eq!(verdict, (Err(RejectedKind::Untrusted), false));
    }

    #[test]
    fn other_intermediates_are_another_chain() {
        let root = Ca::root("Root");
        let (policy, client) = (policy(&store(&[&root]), &[]), root.issue(leaf("client")));
        let mut memo = VerdictMemo::default();
        assert_eq!(ask(&mut memo, &policy, &client), (Ok(()), false));
        let used = memo
            .verify(&policy, &client, std::slice::from_ref(&root.der), now(), ENTRIES)
            .1;
        assert!(!used.hit);
    }

    #[test]
    fn refusals_are_not_remembered() {
        let (root, stranger) = (Ca::root("Root"), Ca::root("Stranger"));
        let policy = policy(&store(&[&root]), &[]);
        let mut memo = VerdictMemo::default();
        for _ in 0..2 {
            let verdict = ask(&mut memo, &policy, &stranger.issue(leaf("client")));
            assert_eq!(verdict, (Err(RejectedKind::Untrusted), false));
        }
        assert!(memo.young.is_empty() && memo.old.is_empty());
    }

    #[test]
    fn a_memo_never_holds_more_than_its_bound_and_counts_what_it_forgets() {
        let root = Ca::root("Root");
        let policy = Arc::new(policy(&store(&[&root]), &[]));
        let mut memo = VerdictMemo::default();
        let mut evicted = 0;
        for number in 0..3 * ENTRIES {
            let client = root.issue(leaf(&format!("client {number}")));
            evicted += memo.verify(&policy, &client, &[], now(), ENTRIES).1.evicted;
            assert!(memo.young.len() + memo.old.len() <= ENTRIES);
        }
        assert_eq!(evicted + memo.young.len() + memo.old.len(), 3 * ENTRIES);
    }

    #[test]
    fn a_memo_of_no_entries_remembers_nothing() {
        let root = Ca::root("Root");
        let (policy, client) = (policy(&store(&[&root]), &[]), root.issue(leaf("client")));
        let mut memo = VerdictMemo::default();
        for _ in 0..2 {
            assert!(!memo.verify(&policy, &client, &[], now(), 0).1.hit);
        }
    }
}
