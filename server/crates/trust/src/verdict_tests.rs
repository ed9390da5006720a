//! Answers of a verified client about the path that it was verified along.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use rustls_pki_types::CertificateDer;

use super::*;
use crate::test_pki::{Ca, at, ca, leaf, now, policy, ruled, store};

fn subjects(client: &VerifiedClient) -> Vec<&str> {
    let subjects = client.intermediates().iter().map(|facts| &*facts.subject);
    subjects
        .map(|subject| subject.trim_start_matches("O=Example, CN="))
        .collect()
}

/// A root, two CAs below it, and what a client of the lower one presents, in disorder and with things that do
/// not belong to it.
fn disorderly(first: Ca, root: &Ca) -> Vec<CertificateDer<'static>> {
    let second = first.intermediate(ca("Second"));
    let stranger = Ca::root("Stranger");
    let namesake = stranger.intermediate(ca("Second"));
    let presented = [&stranger, root, &namesake, &first, &second, &first];
    let rest = presented.map(|ca| ca.der.clone());
    [vec![second.issue(leaf("client"))], rest.to_vec()].concat()
}

#[test]
fn the_intermediates_are_those_of_the_path_from_the_leafs_issuer_up_and_nothing_else_that_was_sent() {
    let root = Ca::root("Root");
    let chain = disorderly(root.intermediate(ca("First")), &root);
    let policy = policy(&store(&[&root]), &[]);
    let client = policy.verify(&chain[0], &chain[1..], now()).unwrap();
    assert_eq!(subjects(&client), ["Second", "First"]);
    assert_eq!(
        client.intermediates()[0].der(),
        &chain[5][..],
        "its own issuer, not the namesake"
    );
    let restated = policy.restate(&client, now()).unwrap();
    assert_eq!(subjects(&restated), ["Second", "First"]);
}

#[test]
fn the_path_is_told_where_expiry_is_ignored_too() {
    let root = Ca::root("Root");
    let first = root.intermediate(ca("First").valid((2040, 1, 1), (2041, 1, 1)));
    let chain = disorderly(first, &root);
    let policy = ruled(&store(&[&root]), &[], |rules| rules.ignore_expiry = true);
    let client = policy.verify(&chain[0], &chain[1..], at(4_000_000_000)).unwrap();
    assert_eq!(subjects(&client), ["Second", "First"]);
}

#[test]
fn a_presented_anchor_and_a_leaf_of_the_anchor_have_no_intermediates() {
    let root = Ca::root("Root");
    let first = root.intermediate(ca("First"));
    let policy = policy(&store(&[&root, &first]), &[]);
    let client = policy
        .verify(&first.issue(leaf("client")), &[first.der, root.der], now())
        .unwrap();
    assert_eq!(subjects(&client), [""; 0]);
}
