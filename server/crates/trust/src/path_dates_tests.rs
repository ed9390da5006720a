//! Dates of paths: their whole range, and distributions where they do not count.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::tests::{Der, ignoring, present};
use crate::RejectedKind;
use crate::certificate::Certificate;
use crate::test_pki::{Ca as TestCa, Draft, Raw, at, ca, leaf, now, policy, ruled, store};
use crate::time::format_utc;

/// A version 3 certificate with these two dates, each in the form that its length says.
fn dated(not_before: &str, not_after: &str) -> Raw {
    let time = |text: &str| {
        let tag = if text.len() == 13 { 0x17 } else { 0x18 };
        [&[tag, text.len() as u8], text.as_bytes()].concat()
    };
    Raw {
        version: vec![0xa0, 3, 2, 1, 2],
        validity: [time(not_before), time(not_after)].concat(),
        ..Raw::v1()
    }
}

#[test]
fn dates_count_from_the_year_0_to_9999() {
    let root = TestCa::root("Root");
    for from in [
        "500101000000Z",
        "691231235959Z",
        "00000101000000Z",
        "19490101000000Z",
        "20000229000000Z",
    ] {
        for until in ["491231235959Z", "99991231235959Z", "20300101000000Z"] {
            let client = dated(from, until).signed_by(&root);
            assert!(
                policy(&store(&[&root]), &[]).verify(&client, &[], now()).is_ok(),
                "{from} {until}"
            );
        }
    }
    for (from, until) in [
        ("500101000000Z", "600101000000Z"),
        ("00000101000000Z", "00000102000000Z"),
    ] {
        let client = dated(from, until).signed_by(&root);
        let rejected = policy(&store(&[&root]), &[])
            .verify(&client, &[], now())
            .unwrap_err();
        assert_eq!(rejected.kind, RejectedKind::Expired, "{}", rejected.reason);
        assert!(present(&[&root], &[client]).is_ok(), "{from}: dates do not count");
    }
}

#[test]
fn what_is_no_date_is_refused_even_where_dates_do_not_count() {
    let root = TestCa::root("Root");
    for bad in [
        "260230000000Z",
        "261301000000Z",
        "260101240000Z",
        "2601010000Z",
        "20260101000000+0100",
        "2026-01-01 00Z",
    ] {
        let client = dated(bad, "300101000000Z").signed_by(&root);
        assert_eq!(
            present(&[&root], &[client]).unwrap_err().kind,
            RejectedKind::Invalid,
            "{bad}"
        );
    }
}

#[test]
fn the_year_0_is_told_as_it_is_written() {
    let der = dated("00000101000000Z", "99991231235959Z").signed_by(&TestCa::root("Root"));
    let validity = Certificate::parse(&der).unwrap().validity();
    assert_eq!(format_utc(validity.not_before), "0000-01-01T00:00:00Z");
    assert_eq!(format_utc(validity.not_after), "9999-12-31T23:59:59Z");
}

/// An expired device certificate under an intermediate that was issued again since.
fn expired_under_reissued() -> (TestCa, Vec<Der>) {
    let root = TestCa::root("Root");
    let inter = root.intermediate(ca("Inter").valid((2026, 1, 1), (2030, 1, 1)));
    let device = inter.issue(leaf("device").valid((2020, 1, 1), (2022, 1, 1)));
    let chain = vec![device, inter.der.clone()];
    (root, chain)
}

#[test]
fn an_expired_client_of_a_reissued_intermediate_is_admitted_where_expiry_is_ignored() {
    let (root, chain) = expired_under_reissued();
    let client = present(&[&root], &chain).unwrap();
    assert_eq!(
        client.caveat(),
        Some(
            "the client certificate expired 1787 days ago (notAfter 2022-01-01T00:00:00Z), which \
             ignore_certificate_expiry lets pass"
        )
    );
    assert_eq!(
        client.not_after().as_secs(),
        253_402_300_799,
        "nothing ends with its notAfter"
    );
    let rejected = policy(&store(&[&root]), &[])
        .verify(&chain[0], &chain[1..], now())
        .unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::Expired);
}

#[test]
fn every_certificate_of_the_chain_may_be_expired_or_of_the_future() {
    let root = TestCa::self_signed(ca("Root").valid((2001, 1, 1), (2003, 1, 1)));
    let first = root.intermediate(ca("First").valid((2040, 1, 1), (2041, 1, 1)));
    let second = first.intermediate(ca("Second").valid((2010, 1, 1), (2011, 1, 1)));
    let client = second.issue(leaf("client").valid((2030, 1, 1), (2031, 1, 1)));
    let chain = [client, first.der.clone(), second.der.clone()];
    let policy = ignoring(&store(&[&root]));
    let client = policy.verify(&chain[0], &chain[1..], now()).unwrap();
    let caveat = client.caveat().unwrap();
    for part in [
        "client certificate becomes valid",
        "CN=First becomes valid",
        "CN=Second expired",
        "Root of the trust store expired",
    ] {
        assert!(caveat.contains(part), "{part}: {caveat}");
    }
    assert!(policy.readmit(&client, at(4_000_000_000)).is_ok());
}

#[test]
fn an_expired_version_1_client_is_admitted_where_expiry_is_ignored() {
    let root = TestCa::self_signed(ca("Root").valid((2001, 1, 1), (2003, 1, 1)));
    let client = Raw::v1().signed_by(&root);
    let policy = ignoring(&store(&[&root]));
    assert!(policy.verify(&client, &[], at(4_000_000_000)).is_ok());
}

#[test]
fn revocation_counts_where_expiry_is_ignored() {
    let (root, chain) = expired_under_reissued();
    let serial = Certificate::parse(&chain[0]).unwrap().serial().to_vec();
    let list = crate::hex::colon_hex(&serial);
    let policy = ruled(&store(&[&root]), &[list.as_bytes()], |rules| {
        rules.ignore_expiry = true;
    });
    let rejected = policy.verify(&chain[0], &chain[1..], now()).unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::Revoked);
}

#[test]
fn a_certificate_that_ends_before_it_begins_is_refused_even_then() {
    let root = TestCa::root("Root");
    let backwards = |draft: Draft| draft.valid((2026, 1, 1), (2025, 1, 1));
    let inter = root.intermediate(backwards(ca("Inter")));
    let below = [inter.issue(leaf("client")), inter.der.clone()];
    let client = [root.issue(backwards(leaf("client")))];
    for chain in [&below[..], &client[..]] {
        assert_eq!(present(&[&root], chain).unwrap_err().kind, RejectedKind::Invalid);
    }
}

#[test]
fn no_altered_certificate_is_admitted_where_expiry_is_ignored() {
    let (root, chain) = expired_under_reissued();
    let policy = ignoring(&store(&[&root]));
    assert!(policy.verify(&chain[0], &chain[1..], now()).is_ok());
    for which in 0..2 {
        for position in 0..chain[which].len() {
            let mut altered = chain.clone();
            let mut der = altered[which].to_vec();
            der[position] ^= 0x01;
            altered[which] = Der::from(der);
            let verdict = policy.verify(&altered[0], &altered[1..], now());
            assert!(verdict.is_err(), "certificate {which}, octet {position}");
        }
    }
}
