//! Revocation, readmission and the identity of a policy.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::super::purpose::Purpose;
use super::*;
use crate::RevocationSetBuilder;
use crate::test_pki::{Ca, at, bundle, ca, leaf, now, policy, policy_with, store};

const SERIAL: &[u8] = &[0x9e, 0x2a];

fn revocations(store: &Arc<TrustStore>, files: &[&[u8]]) -> RevocationSet {
    let mut builder = RevocationSetBuilder::new(store);
    for file in files {
        builder.add_file(file).unwrap();
    }
    builder.build()
}

#[test]
fn a_leaf_on_a_serial_list_is_refused() {
    let root = Ca::root("Root");
    let der = root.issue(leaf("client").serial(SERIAL));
    let rejected = policy(&store(&[&root]), &[b"9E2A\n"])
        .verify(&der, &[], now())
        .unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::Revoked);
    assert_eq!(
        rejected.reason,
        "serial 00:9e:2a of the client certificate is revoked by a serial list"
    );
    assert_eq!(rejected.facts.unwrap().serial_number, "00:9e:2a");
}

#[test]
fn a_leaf_on_its_issuers_crl_is_refused() {
    let (root, other) = (Ca::root("Root"), Ca::root("Other"));
    let store = store(&[&root, &other]);
    let policy = policy(&store, &[&root.crl(&[SERIAL])]);
    let rejected = policy
        .verify(&root.issue(leaf("client").serial(SERIAL)), &[], now())
        .unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::Revoked);
    assert_eq!(
        rejected.reason,
        "serial 00:9e:2a of the client certificate is revoked by a CRL of O=Example, CN=Root"
    );
    assert!(
        policy
            .verify(&other.issue(leaf("client").serial(SERIAL)), &[], now())
            .is_ok()
    );
}

#[test]
fn a_revoked_intermediate_takes_its_clients_with_it() {
    let root = Ca::root("Root");
    let inter = root.intermediate(ca("Inter").serial(SERIAL));
    let chain = [inter.issue(leaf("client")), inter.der.clone()];
    let policy = policy(&store(&[&root]), &[&root.crl(&[SERIAL])]);
    let rejected = policy.verify(&chain[0], &chain[1..], now()).unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::Revoked);
    assert!(
        rejected
            .reason
            .starts_with("serial 00:9e:2a of intermediate O=Example, CN=Inter"),
        "{}",
        rejected.reason
    );
}

#[test]
fn a_revoked_ca_of_the_bundle_admits_nobody() {
    let root = Ca::root("Root");
    let inter = root.intermediate(ca("Inter").serial(SERIAL));
    let der = inter.issue(leaf("client"));
    let store = store(&[&root, &inter]);
    let policy = policy(&store, &[&root.crl(&[SERIAL])]);
    let rejected = policy.verify(&der, &[], now()).unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::Revoked);
    let who = "of CA O=Example, CN=Inter of the trust store";
    assert!(rejected.reason.contains(who), "{}", rejected.reason);
}

#[test]
fn an_out_of_date_crl_is_rejected_or_told() {
    let root = Ca::root("Root");
    let store = store(&[&root]);
    let der = root.issue(leaf("client"));
    let late = at(1_798_761_600 + 7_200);
    let with = |out_of_date| {
        let set = revocations(&store, &[&root.crl(&[SERIAL])]);
        policy_with(&store, set, true, out_of_date).verify(&der, &[], late)
    };
    let reason = "the CRL of O=Example, CN=Root is 2 hours out of date (nextUpdate 2027-01-01T00:00:00Z)";
    let rejected = with(OutOfDate::Reject).unwrap_err();
    assert_eq!(
        (rejected.kind, rejected.reason.as_str()),
        (RejectedKind::RevocationUnknown, reason)
    );
    assert_eq!(with(OutOfDate::AcceptAndLog).unwrap().caveat(), Some(reason));
}

#[test]
fn a_crl_of_the_future_is_rejected_or_told_as_one_that_is_out_of_date_is() {
    let root = Ca::root("Root");
    let store = store(&[&root]);
    let der = root.issue(leaf("client"));
    let crl = root.crl(&[SERIAL]);
    let begins = 1_780_272_000;
    let with = |out_of_date, now| {
        let set = revocations(&store, &[&crl]);
        policy_with(&store, set, true, out_of_date).verify(&der, &[], at(now))
    };
    let reason = "the CRL of O=Example, CN=Root becomes valid in 2 hours (thisUpdate 2026-06-01T00:00:00Z)";
    let rejected = with(OutOfDate::Reject, begins - 7_200).unwrap_err();
    assert_eq!(
        (rejected.kind, rejected.reason.as_str()),
        (RejectedKind::RevocationUnknown, reason)
    );
    let accepted = with(OutOfDate::AcceptAndLog, begins - 7_200).unwrap();
    assert_eq!(accepted.caveat(), Some(reason));
    assert_eq!(with(OutOfDate::Reject, begins).unwrap().caveat(), None);
}

#[test]
fn an_out_of_date_crl_still_revokes() {
    let root = Ca::root("Root");
    let store = store(&[&root]);
    let set = revocations(&store, &[&root.crl(&[SERIAL])]);
    let policy = policy_with(&store, set, true, OutOfDate::AcceptAndLog);
    let der = root.issue(leaf("client").serial(SERIAL));
    assert_eq!(
        policy.verify(&der, &[], at(1_800_000_000)).unwrap_err().kind,
        RejectedKind::Revoked
    );
}

#[test]
fn the_crl_of_an_issuer_above_the_anchor_need_not_be_current() {
    let root = Ca::root("Root");
    let inter = root.intermediate(ca("Inter"));
    let policy = policy(&store(&[&root, &inter]), &[&root.crl(&[SERIAL])]);
    assert!(
        policy
            .verify(&inter.issue(leaf("client")), &[], at(1_800_000_000))
            .is_ok()
    );
}

#[test]
fn readmission_ends_with_a_revocation_of_leaf_or_intermediate() {
    let root = Ca::root("Root");
    let inter = root.intermediate(ca("Inter").serial(&[7]));
    let store = store(&[&root]);
    let der = inter.issue(leaf("client").serial(SERIAL));
    let client = policy(&store, &[])
        .verify(&der, std::slice::from_ref(&inter.der), now())
        .unwrap();
    assert!(policy(&store, &[]).readmit(&client, now()).is_ok());
    assert!(policy(&store, &[b"01"]).readmit(&client, now()).is_ok());
    for file in [&b"9e2a"[..], b"07", &root.crl(&[&[7]])] {
        let rejected = policy(&store, &[file]).readmit(&client, now()).unwrap_err();
        assert_eq!(rejected.kind, RejectedKind::Revoked);
        assert_eq!(rejected.facts.unwrap().subject, "O=Example, CN=client");
    }
}

#[test]
fn readmission_ends_with_the_validity_of_any_certificate() {
    let root = Ca::self_signed(ca("Root").valid((2020, 1, 1), (2027, 1, 1)));
    let store = store(&[&root]);
    let policy = policy(&store, &[]);
    let client = policy.verify(&root.issue(leaf("client")), &[], now()).unwrap();
    assert!(policy.readmit(&client, client.not_after()).is_ok());
    let rejected = policy
        .readmit(&client, at(client.not_after().as_secs() + 1))
        .unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::Expired);
    let rejected = policy.readmit(&client, at(0)).unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::NotYetValid);
}

#[test]
fn readmission_needs_the_same_policy() {
    let root = Ca::root("Root");
    let store = store(&[&root]);
    let client = policy(&store, &[])
        .verify(&root.issue(leaf("client")), &[], now())
        .unwrap();
    let stricter = policy_with(&store, RevocationSet::empty(), false, OutOfDate::Reject);
    assert_eq!(
        stricter.readmit(&client, now()).unwrap_err().kind,
        RejectedKind::Untrusted
    );
}

#[test]
fn the_digest_covers_all_of_a_policy_but_its_revocations() {
    let (a, b) = (Ca::root("A"), Ca::root("B"));
    let store_a = store(&[&a]);
    let policy = |id: &str, cas: &[&Ca], change: &dyn Fn(&mut Rules)| {
        let store = Arc::new(TrustStore::from_pem("s", bundle(cas).as_bytes()).unwrap());
        let mut rules = Rules::new(Mode::Required);
        change(&mut rules);
        *Policy::new(id, rules, store, Arc::default()).digest()
    };
    let purpose = |last| Purpose::from_octets(&[0x2b, 6, last]);
    let base = policy("E1", &[&a], &|_| {});
    let others = [
        policy("E2", &[&a], &|_| {}),
        policy("E1", &[&a, &b], &|_| {}),
        policy("E1", &[&a], &|rules| rules.mode = Mode::Optional),
        policy("E1", &[&a], &|rules| rules.allow_v1 = false),
        policy("E1", &[&a], &|rules| rules.ignore_expiry = true),
        policy("E1", &[&a], &|rules| {
            rules.out_of_date_crl = OutOfDate::AcceptAndLog
        }),
        policy("E1", &[&a], &|rules| rules.ca_without_crl = WithoutCrl::Reject),
        policy("E1", &[&a], &|rules| rules.chain_depth_max = 3),
        policy("E1", &[&a], &|rules| rules.required_purposes = vec![purpose(1)]),
        policy("E1", &[&a], &|rules| {
            rules.required_purposes = vec![purpose(1), purpose(2)]
        }),
    ];
    for (position, other) in others.iter().enumerate() {
        assert_ne!(base, *other);
        assert!(!others[..position].contains(other));
    }
    let logging = policy("E1", &[&a], &|rules| {
        rules.ca_without_crl = WithoutCrl::AcceptAndLog
    });
    assert_eq!(
        base, logging,
        "the first CRL of a store must not end its sessions"
    );
    let revoking = policy_with(&store_a, revocations(&store_a, &[b"01"]), true, OutOfDate::Reject);
    assert_eq!(base, *revoking.digest());
}
