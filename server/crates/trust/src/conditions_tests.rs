//! The conditions of a path's certificates, beyond those that `policy` and `path` have tests for.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use rcgen::{CustomExtension, GeneralSubtree, NameConstraints, SanType};
use rustls_pki_types::CertificateDer;

use crate::RejectedKind;
use crate::der::{
    self,
    build::{element, sequence},
};
use crate::test_pki::{Ca, Raw, ca, leaf, now, policy, store};

type Der = CertificateDer<'static>;

fn verdict(root: &Ca, chain: &[Der]) -> Result<(), (RejectedKind, String)> {
    let verdict = policy(&store(&[root]), &[]).verify(&chain[0], &chain[1..], now());
    verdict
        .map(drop)
        .map_err(|rejected| (rejected.kind, rejected.reason))
}

fn v3() -> Raw {
    Raw {
        version: vec![0xa0, 3, 2, 1, 2],
        ..Raw::v1()
    }
}

#[test]
fn a_certificate_that_can_be_read_and_not_relied_on_is_refused_in_plain_words() {
    let root = Ca::root("Root");
    let unique_id = Raw {
        rest: element(0x81, &[0, 1, 2]),
        ..v3()
    };
    let two_algorithms = Raw {
        algorithm: crate::test_pki::ECDSA_WITH_SHA1.to_vec(),
        ..v3()
    };
    let long_serial = Raw {
        serial: vec![0, 1],
        ..v3()
    };
    let usage = sequence(&[
        element(der::OBJECT_IDENTIFIER, &[0x55, 0x1d, 15]),
        element(4, &[3, 2, 7, 0x80]),
    ]);
    let twice = Raw {
        rest: element(0xa3, &sequence(&[usage.clone(), usage])),
        ..v3()
    };
    for (raw, words) in [
        (unique_id, "has an issuerUniqueID or a subjectUniqueID"),
        (
            two_algorithms,
            "names one signature algorithm in what is signed and another beside the signature",
        ),
        (long_serial, "is not encoded as DER demands"),
        (twice, "an extension that is malformed, or there twice (keyUsage)"),
    ] {
        let (kind, reason) = verdict(&root, &[raw.signed_by(&root)]).unwrap_err();
        assert_eq!(kind, RejectedKind::Invalid);
        assert!(
            reason.starts_with("the client certificate ") && reason.contains(words),
            "{reason}"
        );
    }
}

#[test]
fn a_key_usage_of_nothing_is_told_as_such() {
    let root = Ca::root("Root");
    let mut nothing = CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 1, 0]);
    nothing.set_criticality(true);
    let client = root.issue(leaf("client").with(|params| params.custom_extensions.push(nothing)));
    let (kind, reason) = verdict(&root, &[client]).unwrap_err();
    assert_eq!(kind, RejectedKind::IntentInvalid);
    assert_eq!(
        reason,
        "the key usage of the client certificate is nothing only; Digital Signature is needed"
    );
}

fn permit(subtrees: Vec<GeneralSubtree>) -> impl FnOnce(&mut rcgen::CertificateParams) {
    move |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: subtrees,
            excluded_subtrees: vec![],
        });
    }
}

fn with_email(address: &str) -> impl FnOnce(&mut rcgen::CertificateParams) + '_ {
    let email = rcgen::DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
    move |params| {
        let address = rcgen::DnValue::Ia5String(address.try_into().unwrap());
        params.distinguished_name.push(email, address);
    }
}

#[test]
fn name_constraints_reach_the_subjects_e_mail_address_below_anchor_and_intermediate() {
    let mail = || vec![GeneralSubtree::Rfc822Name("example.org".to_owned())];
    let anchor = Ca::self_signed(ca("Root").with(permit(mail())));
    let root = Ca::root("Root");
    let sub = root.intermediate(ca("Sub").with(permit(mail())));
    for (address, inside) in [("x@example.org", true), ("x@evil.example", false)] {
        let draft = || leaf("client").with(with_email(address));
        let direct = verdict(&anchor, &[anchor.issue(draft())]);
        let below = verdict(&root, &[sub.issue(draft()), sub.der.clone()]);
        for verdict in [direct, below] {
            assert_eq!(verdict.is_ok(), inside, "{verdict:?}");
            if let Err((kind, reason)) = verdict {
                assert_eq!(kind, RejectedKind::Invalid);
                assert!(reason.contains("violates the name constraints of"), "{reason}");
            }
        }
    }
}

#[test]
fn a_constraint_that_nobody_can_evaluate_is_told_as_such() {
    // registeredID 1.2.3, permitted.
    let subtree = sequence(&[element(0x88, &[0x2a, 3])]);
    let value = sequence(&[element(0xa0, &subtree)]);
    let constrain = |params: &mut rcgen::CertificateParams| {
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(&[2, 5, 29, 30], value));
    };
    let root = Ca::self_signed(ca("Root").with(constrain));
    assert!(
        verdict(&root, &[root.issue(leaf("client"))]).is_ok(),
        "it has no such name"
    );
    let id = sequence(&[element(0x88, &[0x2a, 3, 4])]);
    let named = |params: &mut rcgen::CertificateParams| {
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(&[2, 5, 29, 17], id));
    };
    let (kind, reason) = verdict(&root, &[root.issue(leaf("client").with(named))]).unwrap_err();
    assert_eq!(kind, RejectedKind::Invalid);
    assert!(
        reason.contains("cannot be checked against the name constraints of CA"),
        "{reason}"
    );
}

#[test]
fn names_times_constraints_are_bounded() {
    let names = |count: usize, label: &str| (0..count).map(|n| format!("{label}{n}.t")).collect::<Vec<_>>();
    let exclude = |params: &mut rcgen::CertificateParams| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![],
            excluded_subtrees: names(600, "x").into_iter().map(GeneralSubtree::DnsName).collect(),
        });
    };
    let root = Ca::self_signed(ca("Root").with(exclude));
    let client = |count: usize| {
        root.issue(leaf("client").with(|params| {
            let names = names(count, "y").into_iter();
            params.subject_alt_names = names
                .map(|name| SanType::DnsName(name.try_into().unwrap()))
                .collect();
        }))
    };
    assert!(verdict(&root, &[client(300)]).is_ok());
    let (kind, reason) = verdict(&root, &[client(600)]).unwrap_err();
    assert_eq!(kind, RejectedKind::Invalid);
    assert!(
        reason.contains("too many names for the number of name constraints"),
        "{reason}"
    );
}

fn policies(oids: &[&[u8]], critical: bool) -> CustomExtension {
    let entries: Vec<_> = oids
        .iter()
        .map(|oid| sequence(&[element(der::OBJECT_IDENTIFIER, oid)]))
        .collect();
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 32], sequence(&entries));
    extension.set_criticality(critical);
    extension
}

/// requireExplicitPolicy 0 is tag 0x80, inhibitPolicyMapping 0 is 0x81.
fn policy_constraints(tag: u8) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 36], sequence(&[element(tag, &[0])]));
    extension.set_criticality(true);
    extension
}

fn with(extensions: Vec<CustomExtension>) -> impl FnOnce(&mut rcgen::CertificateParams) {
    move |params| params.custom_extensions.extend(extensions)
}

/// 1.2.3.4, and anyPolicy.
const OURS: &[u8] = &[0x2a, 3, 4];
const ANY: &[u8] = &[0x55, 0x1d, 0x20, 0];

#[test]
fn critical_policies_are_processed_and_not_refused() {
    let root = Ca::root("Root");
    let alone = root.issue(leaf("client").with(with(vec![policies(&[OURS], true)])));
    assert_eq!(verdict(&root, &[alone]), Ok(()));
    let bridge =
        root.intermediate(ca("Sub").with(with(vec![policies(&[ANY], true), policy_constraints(0x81)])));
    assert_eq!(
        verdict(&root, &[bridge.issue(leaf("client")), bridge.der.clone()]),
        Ok(())
    );
    let explicit =
        root.intermediate(ca("Sub").with(with(vec![policies(&[OURS], true), policy_constraints(0x80)])));
    let has_it = explicit.issue(leaf("client").with(with(vec![policies(&[OURS], false)])));
    assert_eq!(verdict(&root, &[has_it, explicit.der.clone()]), Ok(()));
    let lacks_it = explicit.issue(leaf("client"));
    let (kind, reason) = verdict(&root, &[lacks_it, explicit.der.clone()]).unwrap_err();
    assert_eq!(kind, RejectedKind::Invalid);
    assert_eq!(
        reason,
        "intermediate O=Example, CN=Sub requires a certificate policy that is valid for the whole chain \
         (policyConstraints), and none is from the client certificate on"
    );
}

#[test]
fn a_critical_policy_extension_that_cannot_be_read_is_refused() {
    let root = Ca::root("Root");
    for id in [32, 33, 36, 54] {
        let mut garbage = CustomExtension::from_oid_content(&[2, 5, 29, id], vec![4, 1, 0]);
        garbage.set_criticality(true);
        let sub = root.intermediate(ca("Sub").with(with(vec![garbage])));
        let (kind, reason) = verdict(&root, &[sub.issue(leaf("client")), sub.der.clone()]).unwrap_err();
        assert_eq!(kind, RejectedKind::Invalid, "{reason}");
    }
}
