//! The CA that is offered, and the difference that is told.
#![allow(clippy::unwrap_used)]

use rcgen::{DnType, DnValue};

use super::*;
use crate::certificate::Certificate;
use crate::test_pki::{Ca, ca, leaf, store};

fn near(store_of: &[&Ca], issuer: &Ca) -> String {
    let der = issuer.issue(leaf("client"));
    let certificate = Certificate::parse(&der).unwrap();
    told(
        &store(store_of),
        certificate.issuer(),
        certificate.authority_key_id(),
    )
}

#[test]
fn the_nearest_name_is_offered_with_what_differs() {
    let (first, second) = (Ca::root("Partner Issuing CA 1"), Ca::root("Something else"));
    assert_eq!(
        near(&[&second, &first], &Ca::root("Partner Issuing CA 2")),
        "; nearest match: O=Example, CN=Partner Issuing CA 1 (differs in CN)"
    );
}

#[test]
fn a_name_that_nobody_meant_is_not_offered() {
    assert_eq!(near(&[&Ca::root("Root")], &Ca::root("Stranger")), "");
}

#[test]
fn a_string_type_is_no_difference() {
    let printable = Ca::self_signed(ca("Inter").with(|params| {
        let name = DnValue::PrintableString("Inter".try_into().unwrap());
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Other");
        params.distinguished_name.push(DnType::CommonName, name);
    }));
    assert_eq!(
        near(&[&printable], &Ca::root("Inter")),
        "; nearest match: O=Other, CN=Inter (differs in O)"
    );
}

#[test]
fn the_same_common_name_in_another_organization_is_offered() {
    let other = Ca::self_signed(ca("Inter").with(|params| {
        params.distinguished_name.remove(DnType::OrganizationName);
    }));
    assert_eq!(
        near(&[&other], &Ca::root("Inter")),
        "; nearest match: CN=Inter (differs in O)"
    );
}

#[test]
fn a_ca_that_was_renamed_is_found_by_its_key() {
    let old = Ca::root("Before");
    let renamed = ca("An entirely new name").0;
    let client = leaf("client").with(|params| params.use_authority_key_identifier_extension = true);
    let issuer = rcgen::Issuer::from_params(&renamed, old.issuer.key());
    let key = rcgen::KeyPair::generate().unwrap();
    let der = client.0.signed_by(&key, &issuer).unwrap().der().clone();
    let certificate = Certificate::parse(&der).unwrap();
    assert_eq!(
        told(
            &store(&[&old]),
            certificate.issuer(),
            certificate.authority_key_id()
        ),
        "; nearest match: O=Example, CN=Before (the same key identifier, but it differs in CN)"
    );
}

#[test]
fn long_names_are_not_compared_for_long() {
    let long = "x".repeat(10_000);
    assert_eq!(near(&[&Ca::root("Root")], &Ca::root(&long)), "");
}

#[test]
fn each_kind_of_slip_counts_one() {
    let count = |a: &str, b: &str| {
        let (a, b): (Vec<_>, Vec<_>) = (a.chars().collect(), b.chars().collect());
        distance(&a, &b)
    };
    assert_eq!(count("Inter 1", "Inter 2"), Some(1));
    assert_eq!(count("Inter", "Inter 2"), Some(2));
    assert_eq!(count("kitten", "sitting"), Some(3));
    assert_eq!(count("", "abc"), Some(3));
    assert_eq!(count("same", "same"), Some(0));
}
