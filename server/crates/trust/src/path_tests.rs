//! Tests of which paths are found, and that nothing but the certificates decides.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CustomExtension, DnType, DnValue, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints, SanType,
};
use rustls_pki_types::CertificateDer;

use crate::test_pki::{Ca as TestCa, Draft, Raw, ca, leaf, now, pem, policy, ruled, store, store_of};
use crate::{Policy, Rejected, RejectedKind, TrustStore, VerifiedClient};

pub(super) type Der = CertificateDer<'static>;

pub(super) fn ignoring(store: &Arc<TrustStore>) -> Policy {
    ruled(store, &[], |rules| rules.ignore_expiry = true)
}

pub(super) fn present(cas: &[&TestCa], chain: &[Der]) -> Result<VerifiedClient, Rejected> {
    ignoring(&store(cas)).verify(&chain[0], &chain[1..], now())
}

/// Verdict on `chain` (leaf first), whatever the order of bundle and chain.
#[track_caller]
fn verdict_in_any_order(anchors: &[Der], chain: &[Der]) -> Result<String, (RejectedKind, String)> {
    let mut verdicts = Vec::new();
    for anchors in orders(anchors) {
        for others in orders(&chain[1..]) {
            let policy = policy(&store_of(&anchors.iter().collect::<Vec<_>>()), &[]);
            verdicts.push(told(policy.verify(&chain[0], &others, now())));
        }
    }
    let first = verdicts[0].clone();
    assert!(verdicts.iter().all(|verdict| *verdict == first), "{verdicts:#?}");
    first
}

pub(super) fn told(verdict: Result<VerifiedClient, Rejected>) -> Result<String, (RejectedKind, String)> {
    match verdict {
        Ok(client) => Ok(client
            .links()
            .iter()
            .map(|link| link.who())
            .collect::<Vec<_>>()
            .join(" < ")),
        Err(rejected) => Err((rejected.kind, rejected.reason)),
    }
}

/// All orders of a few.
fn orders(items: &[Der]) -> Vec<Vec<Der>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for first in 0..items.len() {
        let mut rest = items.to_vec();
        let first = rest.remove(first);
        all.extend(
            orders(&rest)
                .into_iter()
                .map(|order| [vec![first.clone()], order].concat()),
        );
    }
    all
}

/// The certificate of `subject`'s key and `draft`, issued by `issuer`.
pub(super) fn certify(issuer: &TestCa, subject: &TestCa, draft: Draft) -> Der {
    draft
        .0
        .signed_by(subject.issuer.key(), &issuer.issuer)
        .unwrap()
        .der()
        .clone()
}

fn reissued(ca: &TestCa, draft: Draft) -> Der {
    draft.0.self_signed(ca.issuer.key()).unwrap().der().clone()
}

fn path_length(most: u8) -> impl FnOnce(&mut rcgen::CertificateParams) {
    move |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(most))
}

fn for_servers(params: &mut rcgen::CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
}

/// A certificate of the CA "Root" with its key, limited in each of the ways in which a CA is limited.
fn limited(root: &TestCa) -> Vec<(&'static str, Der)> {
    vec![
        (
            "path length",
            reissued(root, ca("Root").with(path_length(0)).serial(&[1])),
        ),
        (
            "purpose",
            reissued(root, ca("Root").with(for_servers).serial(&[2])),
        ),
        (
            "expired",
            reissued(root, ca("Root").valid((2010, 1, 1), (2026, 1, 1)).serial(&[3])),
        ),
        (
            "future",
            reissued(root, ca("Root").valid((2028, 1, 1), (2031, 1, 1)).serial(&[4])),
        ),
        (
            "names",
            reissued(root, ca("Root").with(permit_example).serial(&[5])),
        ),
    ]
}

#[test]
fn of_two_certificates_of_a_ca_in_the_bundle_the_one_that_admits_decides() {
    let root = TestCa::root("Root");
    let sub = root.intermediate(ca("Sub"));
    let named = leaf("client").with(|params| params.subject_alt_names.push(dns("a.example.org")));
    let chain = [sub.issue(named), sub.der.clone()];
    for (limit, bad) in limited(&root) {
        assert!(
            verdict_in_any_order(std::slice::from_ref(&bad), &chain).is_err(),
            "{limit}"
        );
        let both = [bad, root.der.clone()];
        assert!(verdict_in_any_order(&both, &chain).is_ok(), "{limit}");
    }
}

#[test]
fn of_two_presented_certificates_of_a_ca_the_one_that_admits_decides() {
    let root = TestCa::root("Root");
    let good = root.intermediate(ca("Sub"));
    let leaf = good.issue(leaf("client"));
    let no_ca = leaf_named("Sub");
    let cannot_sign = ca("Sub").with(|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    let critical = ca("Sub").with(|params| params.custom_extensions.push(unknown_critical()));
    let expired = ca("Sub").valid((2010, 1, 1), (2026, 1, 1));
    for bad in [no_ca, cannot_sign, critical, expired, ca("Sub").with(for_servers)] {
        let bad = certify(&root, &good, bad.serial(&[7]));
        let anchors = [root.der.clone()];
        assert!(verdict_in_any_order(&anchors, &[leaf.clone(), bad.clone()]).is_err());
        assert!(verdict_in_any_order(&anchors, &[leaf.clone(), bad, good.der.clone()]).is_ok());
    }
}

#[test]
fn a_version_1_client_is_admitted_by_whichever_certificate_of_its_ca_allows_it() {
    let root = TestCa::root("Root");
    let chain = [Raw::v1().signed_by(&root)];
    for (limit, bad) in limited(&root) {
        if limit == "path length" {
            continue;
        }
        assert!(
            verdict_in_any_order(std::slice::from_ref(&bad), &chain).is_err(),
            "{limit}"
        );
        assert!(
            verdict_in_any_order(&[bad, root.der.clone()], &chain).is_ok(),
            "{limit}"
        );
    }
}

#[test]
fn a_revoked_certificate_of_a_ca_does_not_hide_the_one_that_replaced_it() {
    let root = TestCa::root("Root");
    let old = root.intermediate(ca("Sub").serial(&[0x71]));
    let new = certify(&root, &old, ca("Sub").serial(&[0x72]));
    let leaf = old.issue(leaf("client"));
    let crl = root.crl(&[&[0x71]]);
    for anchors in [[&root.der, &old.der, &new], [&root.der, &new, &old.der]] {
        let policy = policy(&store_of(&anchors), &[&crl]);
        let client = policy.verify(&leaf, &[], now()).unwrap();
        assert!(policy.reassess(&client, now()).is_ok());
    }
    let policy = policy(&store_of(&[&root.der]), &[&crl]);
    for chain in [[old.der.clone(), new.clone()], [new.clone(), old.der.clone()]] {
        assert!(policy.verify(&leaf, &chain, now()).is_ok());
    }
    let rejected = policy
        .verify(&leaf, std::slice::from_ref(&old.der), now())
        .unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::Revoked);
}

#[test]
fn an_open_connection_moves_to_the_path_that_is_left_when_its_own_is_revoked() {
    let root = TestCa::root("Root");
    let old = root.intermediate(ca("Sub").serial(&[0x71]).valid((2025, 1, 1), (2031, 1, 1)));
    let new = certify(&root, &old, ca("Sub").serial(&[0x72]));
    let anchors = store_of(&[&root.der, &old.der, &new]);
    let client = policy(&anchors, &[])
        .verify(&old.issue(leaf("client")), &[], now())
        .unwrap();
    let revoking = policy(&anchors, &[&root.crl(&[&[0x71]])]);
    assert!(
        revoking.readmit(&client, now()).is_err(),
        "it came by the old one"
    );
    assert!(revoking.reassess(&client, now()).is_ok());
    let revoking_both = policy(&anchors, &[&root.crl(&[&[0x71], &[0x72]])]);
    assert_eq!(
        revoking_both.reassess(&client, now()).unwrap_err().kind,
        RejectedKind::Revoked
    );
}

#[test]
fn a_cross_certified_ca_is_followed_to_the_anchor_that_allows_it() {
    let tight = TestCa::self_signed(ca("Tight").with(path_length(0)));
    let good = TestCa::root("Good");
    let sub = good.intermediate(ca("Sub"));
    let cross = certify(&tight, &sub, ca("Sub"));
    let chain = [sub.issue(leaf("client")), sub.der.clone(), cross];
    let path = verdict_in_any_order(&[tight.der, good.der], &chain).unwrap();
    assert!(
        path.ends_with("CA O=Example, CN=Good of the trust store"),
        "{path}"
    );
}

/// A chain of `length` CAs below the root, and cross-certificates between them that lead round in circles.
fn circles(length: usize) -> (TestCa, Vec<Der>) {
    let root = TestCa::root("Root");
    let mut cas = vec![root];
    for level in 1..=length {
        let next = cas.last().unwrap().intermediate(ca(&format!("CA {level}")));
        cas.push(next);
    }
    let client = cas.last().unwrap().issue(leaf("client"));
    let mut chain = vec![client];
    chain.extend(cas[1..].iter().map(|ca| ca.der.clone()));
    for lower in 2..=length {
        chain.push(certify(
            &cas[lower],
            &cas[lower - 1],
            ca(&format!("CA {}", lower - 1)),
        ));
    }
    (cas.swap_remove(0), chain)
}

#[test]
fn a_larger_depth_never_refuses_whom_a_smaller_one_admits() {
    for length in 1..=4 {
        let (root, chain) = circles(length);
        let anchors = store(&[&root]);
        for depth in 2..=8 {
            let policy = ruled(&anchors, &[], |rules| rules.chain_depth_max = depth);
            let verdict = policy.verify(&chain[0], &chain[1..], now());
            assert_eq!(
                verdict.is_ok(),
                depth >= length + 2,
                "{length} CAs, depth {depth}: {verdict:?}"
            );
            if depth < length + 2 {
                assert_eq!(verdict.unwrap_err().kind, RejectedKind::MaxChainDepthExceeded);
            }
        }
    }
}

fn printable(draft: Draft, name: &str) -> Draft {
    draft.with(|params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(
            DnType::CommonName,
            DnValue::PrintableString(name.try_into().unwrap()),
        );
    })
}

fn utf8(draft: Draft, name: &str) -> Draft {
    draft.with(|params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, DnValue::Utf8String(name.to_owned()));
    })
}

#[test]
fn a_name_in_another_string_type_or_case_is_the_same_name() {
    let root = TestCa::self_signed(printable(ca(""), "Partner CA"));
    let spelt_otherwise = reissued(&root, utf8(ca(""), "partner  CA"));
    let sub = root.intermediate(printable(ca(""), "Sub"));
    let sub_otherwise = certify(&root, &sub, utf8(ca(""), "SUB"));
    let direct = [root.issue(leaf("client"))];
    let below = [sub.issue(leaf("client")), sub_otherwise];
    for anchors in [
        vec![spelt_otherwise.clone()],
        vec![root.der.clone(), spelt_otherwise],
    ] {
        assert!(verdict_in_any_order(&anchors, &direct).is_ok());
        assert!(verdict_in_any_order(&anchors, &below).is_ok());
    }
    let other = TestCa::self_signed(utf8(ca(""), "Partner CB"));
    assert_eq!(
        verdict_in_any_order(&[other.der], &direct).unwrap_err().0,
        RejectedKind::Untrusted
    );
}

#[test]
fn a_spelling_that_fits_does_not_hide_another_that_admits() {
    let root = TestCa::self_signed(printable(ca(""), "Root"));
    let expired = reissued(&root, printable(ca("").valid((2010, 1, 1), (2026, 1, 1)), "Root"));
    let renewed = reissued(&root, utf8(ca(""), "Root"));
    let chain = [root.issue(leaf("client"))];
    assert!(verdict_in_any_order(std::slice::from_ref(&expired), &chain).is_err());
    assert!(verdict_in_any_order(&[expired, renewed], &chain).is_ok());
}

#[test]
fn cas_issued_in_their_own_name_do_not_count_for_the_path_length() {
    let old = TestCa::self_signed(ca("Rolling").with(path_length(0)));
    let new = TestCa::root("Rolling");
    let new_with_old = certify(&old, &new, ca("Rolling"));
    let rolled = [new.issue(leaf("client")), new_with_old.clone()];
    assert!(verdict_in_any_order(std::slice::from_ref(&old.der), &rolled).is_ok());
    // The certificate between the keys is limited itself, and so is what stands below it.
    let sub = new.intermediate(ca("Sub"));
    let deeper = [sub.issue(leaf("client")), sub.der.clone(), new_with_old];
    let (kind, reason) = verdict_in_any_order(&[old.der], &deeper).unwrap_err();
    assert_eq!(kind, RejectedKind::MaxChainDepthExceeded);
    assert!(
        reason.contains("allows 0 CAs below it (pathLenConstraint), and 1 were presented"),
        "{reason}"
    );
}

#[test]
fn cas_issued_in_their_own_name_are_free_of_name_constraints_and_the_leaf_is_not() {
    let named = |params: &mut rcgen::CertificateParams| params.subject_alt_names.push(dns("ca.example.org"));
    let old = TestCa::self_signed(ca("Rolling").with(permit_example));
    let new = TestCa::root("Rolling");
    let inside = leaf("client").with(|params| params.subject_alt_names.push(dns("a.example.com")));
    let rolled = [
        new.issue(inside.clone()),
        certify(&old, &new, ca("Rolling").with(named)),
    ];
    assert!(verdict_in_any_order(std::slice::from_ref(&old.der), &rolled).is_ok());
    let sub = TestCa::root("Sub");
    let below = [sub.issue(inside), certify(&old, &sub, ca("Sub").with(named))];
    let (kind, reason) = verdict_in_any_order(std::slice::from_ref(&old.der), &below).unwrap_err();
    assert_eq!(kind, RejectedKind::Invalid);
    assert!(
        reason.starts_with("intermediate O=Example, CN=Sub violates the name constraints of CA"),
        "{reason}"
    );
    let outside =
        old.issue(leaf("client").with(|params| params.subject_alt_names.push(dns("a.example.org"))));
    assert!(verdict_in_any_order(&[old.der], &[outside]).is_err());
}

fn with_path_length(length: &[u8]) -> impl FnOnce(&mut rcgen::CertificateParams) + '_ {
    use crate::der::{
        self,
        build::{element, sequence},
    };
    move |params| {
        let value = sequence(&[vec![1, 1, 0xff], element(der::INTEGER, length)]);
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 19], value);
        extension.set_criticality(true);
        params.is_ca = IsCa::NoCa;
        params.custom_extensions.push(extension);
    }
}

#[test]
fn a_path_length_may_be_any_number_that_is_not_negative() {
    let largest = [&[0x7f][..], &[0xff; 7]].concat();
    let huge = [1; 40];
    for length in [&[0][..], &[0, 0xff], &[1, 0], &[0, 0x80, 0], &largest, &huge] {
        let root = TestCa::self_signed(ca("Root").with(with_path_length(length)));
        assert!(verdict_in_any_order(std::slice::from_ref(&root.der), &[root.issue(leaf("client"))]).is_ok());
        let sub = TestCa::root("Top").intermediate(ca("Sub"));
        let top = TestCa::root("Top");
        let limited = certify(&top, &sub, ca("Sub").with(with_path_length(length)));
        assert!(
            verdict_in_any_order(&[top.der], &[sub.issue(leaf("client")), limited]).is_ok(),
            "{length:?}"
        );
    }
    for length in [&[0xff][..], &[0x80, 0], &[0, 1], &[]] {
        let root = TestCa::self_signed(ca("Root").with(with_path_length(length)));
        let loaded = TrustStore::from_pem("partners", pem("CERTIFICATE", &root.der).as_bytes());
        assert!(
            loaded.unwrap_err().to_string().contains("basicConstraints"),
            "{length:?}"
        );
    }
}

#[test]
fn a_mesh_of_certificates_costs_few_signatures_and_is_refused_alike_in_any_order() {
    let root = TestCa::root("Root");
    // Each of nine has a key of its own, and all have the name that the store knows.
    let mesh: Vec<_> = (0..9).map(|_| TestCa::root("Root")).collect();
    let mut chain = vec![mesh[0].issue(leaf("client"))];
    for (below, above) in mesh.iter().zip(&mesh[1..]) {
        chain.push(certify(above, below, ca("Root")));
    }
    chain.push(mesh[8].der.clone());
    let policy = ruled(&store(&[&root]), &[], |rules| rules.chain_depth_max = 8);
    let first = told(policy.verify(&chain[0], &chain[1..], now()));
    chain[1..].reverse();
    assert_eq!(told(policy.verify(&chain[0], &chain[1..], now())), first);
    assert!(first.is_err());
}

fn leaf_named(name: &str) -> Draft {
    leaf(name)
}

fn unknown_critical() -> CustomExtension {
    let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    unknown.set_criticality(true);
    unknown
}

pub(super) fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn permit_example(params: &mut rcgen::CertificateParams) {
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
        excluded_subtrees: vec![],
    });
}
