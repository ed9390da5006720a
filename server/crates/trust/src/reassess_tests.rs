//! Clients that stay connected after a change, and clients that do not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::test_pki::{Ca, at, bundle, ca, leaf, now, policy, policy_with, store};
use crate::{OutOfDate, RejectedKind, RevocationSet, TrustStore};

struct Case {
    root: Ca,
    inter: Ca,
    client: VerifiedClient,
}

/// A client two below a root, accepted by a store that holds the root alone.
fn case() -> Case {
    let root = Ca::root("Root");
    let inter = root.intermediate(ca("Inter").serial(&[7]));
    let chain = [inter.issue(leaf("client").serial(&[5])), inter.der.clone()];
    let client = policy(&store(&[&root]), &[])
        .verify(&chain[0], &chain[1..], now())
        .unwrap();
    Case { root, inter, client }
}

fn kind(policy: &Policy, client: &VerifiedClient) -> Option<RejectedKind> {
    policy.reassess(client, now()).err().map(|rejected| rejected.kind)
}

#[test]
fn a_ca_more_in_the_store_disturbs_nobody() {
    let Case { root, client, .. } = case();
    let other = Ca::root("Other");
    let policy = policy(&store(&[&other, &root]), &[]);
    assert!(
        policy.readmit(&client, now()).is_err(),
        "a ticket would be declined"
    );
    assert_eq!(kind(&policy, &client), None);
}

#[test]
fn a_client_whose_ca_is_gone_is_no_longer_admitted() {
    let Case { client, .. } = case();
    let namesake = Ca::root("Root");
    for other in [Ca::root("Other"), namesake] {
        let policy = policy(&store(&[&other]), &[]);
        assert_eq!(kind(&policy, &client), Some(RejectedKind::Untrusted));
    }
}

#[test]
fn another_path_to_the_store_is_found() {
    let Case { root, inter, client } = case();
    assert_eq!(kind(&policy(&store(&[&inter]), &[]), &client), None);
    let chain = [inter.issue(leaf("direct")), inter.der.clone()];
    let direct = policy(&store(&[&root, &inter]), &[]).verify(&chain[0], &[], now());
    assert_eq!(
        kind(&policy(&store(&[&root]), &[]), &direct.unwrap()),
        Some(RejectedKind::Untrusted),
        "the intermediate was not part of its path, so nothing leads to the root"
    );
    assert_eq!(kind(&policy(&store(&[&inter, &root]), &[]), &client), None);
}

#[test]
fn a_revoked_leaf_or_intermediate_is_no_longer_admitted() {
    let Case { root, client, .. } = case();
    let store = store(&[&root]);
    for list in [&b"05\n"[..], b"07\n"] {
        assert_eq!(
            kind(&policy(&store, &[list]), &client),
            Some(RejectedKind::Revoked)
        );
    }
    assert_eq!(kind(&policy(&store, &[b"06\n"]), &client), None);
}

#[test]
fn switches_count_only_where_they_decide() {
    let Case { root, client, .. } = case();
    let store = store(&[&root]);
    let without_v1 = policy_with(&store, RevocationSet::empty(), false, OutOfDate::AcceptAndLog);
    assert_eq!(kind(&without_v1, &client), None);
    let v1 = crate::test_pki::Raw::v1().signed_by(&root);
    let v1 = policy(&store, &[]).verify(&v1, &[], now()).unwrap();
    assert_eq!(kind(&without_v1, &v1), Some(RejectedKind::TypeUnsupported));
}

#[test]
fn time_goes_on_for_those_who_are_connected() {
    let Case { root, client, .. } = case();
    let same = policy(&store(&[&root]), &[]);
    let in_2031 = at(1_925_000_000);
    let rejected = same.reassess(&client, in_2031).unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::Expired);
    let wider = TrustStore::from_pem("p", bundle(&[&root, &Ca::root("Other")]).as_bytes()).unwrap();
    let wider = policy(&std::sync::Arc::new(wider), &[]);
    assert!(wider.reassess(&client, in_2031).is_err());
}
