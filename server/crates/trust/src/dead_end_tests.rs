//! The certificate and the fault that a refusal names, whatever else was presented and in which order.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use rcgen::{
    CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls_pki_types::CertificateDer;

use crate::RejectedKind;
use crate::test_pki::{Ca, Draft, ca, leaf, now, policy, store, store_of, usages};

type Der = CertificateDer<'static>;

fn refused(anchors: &[&Der], chain: &[Der]) -> (RejectedKind, String) {
    let verdict = policy(&store_of(anchors), &[]).verify(&chain[0], &chain[1..], now());
    let rejected = verdict.unwrap_err();
    (rejected.kind, rejected.reason)
}

/// A certificate of `subject`'s key.
fn certify(issuer: &Ca, subject: &Ca, draft: Draft) -> Der {
    draft
        .0
        .signed_by(subject.issuer.key(), &issuer.issuer)
        .unwrap()
        .der()
        .clone()
}

fn for_servers(params: &mut rcgen::CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
}

fn permit_example(params: &mut rcgen::CertificateParams) {
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
        excluded_subtrees: vec![],
    });
}

fn named(name: &str) -> Draft {
    leaf("client").with(|params| {
        params
            .subject_alt_names
            .push(SanType::DnsName(name.try_into().unwrap()))
    })
}

/// Each way in which the CA that issued the client can be at fault, and what is to be said.
fn faults() -> Vec<(Draft, RejectedKind, &'static str)> {
    let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    unknown.set_criticality(true);
    vec![
        (
            ca("Issuing").valid((2020, 1, 1), (2026, 1, 1)),
            RejectedKind::Expired,
            "expired 326 days ago",
        ),
        (
            ca("Issuing").with(for_servers),
            RejectedKind::IntentInvalid,
            "serverAuth only",
        ),
        (
            leaf("Issuing"),
            RejectedKind::Untrusted,
            "is not a CA certificate",
        ),
        (
            ca("Issuing").with(|params| params.custom_extensions.push(unknown)),
            RejectedKind::Invalid,
            "(1.2.3.4)",
        ),
        (
            ca("Issuing").with(usages(&[KeyUsagePurpose::DigitalSignature])),
            RejectedKind::Untrusted,
            "lacks keyCertSign",
        ),
        (
            ca("Issuing").with(permit_example),
            RejectedKind::Invalid,
            "violates the name constraints",
        ),
    ]
}

#[test]
fn the_fault_of_the_right_ca_is_told_beside_another_of_its_name() {
    let root = Ca::root("Root");
    let namesake = root.intermediate(ca("Issuing"));
    let right = Ca::root("Issuing");
    for (draft, kind, words) in faults() {
        let bad = certify(&root, &right, draft);
        let client = right.issue(named("a.example.org"));
        let others = [
            vec![bad.clone()],
            vec![namesake.der.clone(), bad.clone()],
            vec![bad, namesake.der.clone()],
        ];
        for others in others {
            let (told, reason) = refused(&[&root.der], &[vec![client.clone()], others].concat());
            assert_eq!(told, kind, "{reason}");
            assert!(reason.contains(words), "{reason}");
        }
    }
}

#[test]
fn the_fault_of_the_right_ca_is_told_where_both_are_in_the_bundle() {
    let root = Ca::root("Root");
    let namesake = root.intermediate(ca("Issuing"));
    let right = Ca::root("Issuing");
    let client = [right.issue(named("a.example.org"))];
    for draft in [
        ca("Issuing").with(for_servers),
        ca("Issuing").with(permit_example),
    ] {
        let bad = certify(&root, &right, draft);
        for anchors in [[&namesake.der, &bad], [&bad, &namesake.der]] {
            let (kind, reason) = refused(&anchors, &client);
            assert_ne!(kind, RejectedKind::Untrusted, "{reason}");
            assert!(
                reason.contains("CA O=Example, CN=Issuing of the trust store"),
                "{reason}"
            );
        }
    }
}

#[test]
fn a_bad_client_is_told_as_such_beside_certificates_that_lead_round_in_circles() {
    let root = Ca::root("Root");
    let b = root.intermediate(ca("B"));
    let c = b.intermediate(ca("C"));
    let cross = certify(&c, &b, ca("B"));
    let expired = c.issue(leaf("client").valid((2020, 1, 1), (2026, 1, 1)));
    let server = c.issue(leaf("client").with(for_servers));
    let orders = [
        [&c.der, &b.der, &cross],
        [&c.der, &cross, &b.der],
        [&cross, &b.der, &c.der],
    ];
    for (client, kind) in [
        (expired, RejectedKind::Expired),
        (server, RejectedKind::IntentInvalid),
    ] {
        for order in orders {
            let others = order.iter().map(|der| (*der).clone());
            let chain: Vec<_> = std::iter::once(client.clone()).chain(others).collect();
            let (told, reason) = refused(&[&root.der], &chain);
            assert_eq!(told, kind, "{reason}");
            assert!(reason.contains("client certificate"), "{reason}");
        }
    }
}

#[test]
fn a_chain_that_is_too_long_is_told_as_such_beside_circles() {
    let root = Ca::root("Root");
    let a = root.intermediate(ca("A"));
    let b = a.intermediate(ca("B"));
    let c = b.intermediate(ca("C"));
    let cross = certify(&c, &a, ca("A"));
    let client = c.issue(leaf("client"));
    for order in [[&c, &b, &a], [&a, &b, &c]] {
        let mut chain = vec![client.clone()];
        chain.extend(order.map(|ca| ca.der.clone()));
        chain.insert(2, cross.clone());
        assert_eq!(
            refused(&[&root.der], &chain).0,
            RejectedKind::MaxChainDepthExceeded
        );
    }
}

#[test]
fn a_ca_of_another_key_is_said_to_be_in_the_store_only_if_it_is() {
    let root = Ca::root("Root");
    let (presented, issuer) = (root.intermediate(ca("Issuing")), Ca::root("Issuing"));
    let chain = [issuer.issue(leaf("client")), presented.der.clone()];
    let (kind, reason) = refused(&[&root.der], &chain);
    assert_eq!(kind, RejectedKind::Untrusted);
    assert_eq!(
        reason,
        "the client certificate is signed by another key than that of the O=Example, CN=Issuing that was \
         presented, and no CA of that name is in trust store partners"
    );
    let (_, reason) = refused(&[&presented.der], &chain[..1]);
    assert!(
        reason.contains("a CA of the same name as in trust store partners"),
        "{reason}"
    );
}

#[test]
fn the_certificate_with_the_signature_that_nobody_checks_is_the_one_that_is_named() {
    // The leaf is signed with Ed25519, which is accepted; its issuer with SHA-1.
    let root = Ca::root("Root");
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let issuer = Ca {
        der: sha1_intermediate(&root, &key),
        issuer: rcgen::Issuer::new(v1_named(), key),
    };
    let chain = [issuer.issue(leaf("client")), issuer.der.clone()];
    let (kind, reason) = refused(&[&root.der], &chain);
    assert_eq!(kind, RejectedKind::TypeUnsupported);
    assert_eq!(
        reason,
        "intermediate CN=v1 is signed with ecdsa-with-SHA1; that is not accepted"
    );
}

fn v1_named() -> rcgen::CertificateParams {
    let mut params = ca("").0;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "v1");
    params
}

/// CN=v1 of the test PKI's raw certificates, with this key.
fn sha1_intermediate(root: &Ca, key: &rcgen::KeyPair) -> Der {
    use crate::test_pki::{ECDSA_WITH_SHA1, Raw, basic_constraints_ca};
    use rcgen::PublicKeyData;
    Raw {
        version: vec![0xa0, 3, 2, 1, 2],
        algorithm: ECDSA_WITH_SHA1.to_vec(),
        algorithm_outside: ECDSA_WITH_SHA1.to_vec(),
        public_key: key.subject_public_key_info(),
        rest: basic_constraints_ca(),
        ..Raw::v1()
    }
    .signed_by(root)
}

#[test]
fn an_intermediate_that_cannot_be_read_is_not_said_to_be_missing() {
    let root = Ca::root("Root");
    let inter = root.intermediate(ca("Inter"));
    let chain = [inter.issue(leaf("client")), Der::from(b"garbage".to_vec())];
    let (kind, reason) = refused(&[&root.der], &chain);
    assert_eq!(kind, RejectedKind::Untrusted);
    assert!(
        reason.contains("unless it is the presented certificate that cannot be read"),
        "{reason}"
    );
}

#[test]
fn no_reason_has_the_words_of_a_library() {
    let root = Ca::root("Root");
    let client = root.issue(leaf("client"));
    let policy = policy(&store(&[&root]), &[]);
    for position in 0..client.len() {
        for bit in [0x01, 0x20, 0x80] {
            let mut altered = client.to_vec();
            altered[position] ^= bit;
            let rejected = policy.verify(&Der::from(altered), &[], now()).unwrap_err();
            for raw in [
                "BadDer",
                "TrailingData",
                "Context",
                "Malformed",
                "Unsupported",
                "Error",
                "::",
            ] {
                assert!(!rejected.reason.contains(raw), "{position}: {}", rejected.reason);
            }
        }
    }
}
