//! Tests for each way to be refused, and for the chains that must be accepted.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use rcgen::{BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};

use super::*;
use crate::test_pki::{Ca, ECDSA_WITH_SHA1, FakeRsa, Raw, bundle, ca, leaf, now, policy, store, usages};

type Der = CertificateDer<'static>;

/// Verdict on a client that presents `chain` (leaf first) to a store of `cas`.
fn present(cas: &[&Ca], chain: &[Der]) -> Result<VerifiedClient, Rejected> {
    policy(&store(cas), &[]).verify(&chain[0], &chain[1..], now())
}

fn refused(cas: &[&Ca], chain: &[Der]) -> (RejectedKind, String) {
    let rejected = present(cas, chain).unwrap_err();
    (rejected.kind, rejected.reason)
}

#[track_caller]
fn assert_refused(cas: &[&Ca], chain: &[Der], kind: RejectedKind, reason: &str) {
    let refused = refused(cas, chain);
    assert_eq!(refused, (kind, reason.to_owned()));
}

/// A chain of `levels` certificates, root first.
fn cas(levels: usize) -> Vec<Ca> {
    let mut cas = vec![Ca::root("CA 1")];
    for level in 2..levels {
        let next = cas.last().unwrap().intermediate(ca(&format!("CA {level}")));
        cas.push(next);
    }
    cas
}

/// Leaf first; the root is not presented.
fn presented(cas: &[Ca]) -> Vec<Der> {
    let leaf = cas.last().unwrap().issue(leaf("client"));
    let intermediates = cas[1..].iter().rev().map(|ca| ca.der.clone());
    std::iter::once(leaf).chain(intermediates).collect()
}

#[test]
fn a_leaf_of_a_root_is_accepted() {
    let root = Ca::root("Root");
    let client = present(&[&root], &[root.issue(leaf("client"))]).unwrap();
    assert_eq!(client.facts().subject, "O=Example, CN=client");
    assert_eq!(client.facts().issuer, "O=Example, CN=Root");
    assert_eq!(client.not_after().as_secs(), 1_893_456_000);
    assert_eq!(client.caveat(), None);
}

#[test]
fn chains_of_up_to_four_levels_are_accepted_and_five_refused() {
    for levels in 2..=4 {
        let cas = cas(levels);
        assert!(present(&[&cas[0]], &presented(&cas)).is_ok(), "{levels}");
    }
    for levels in [5, 8, 10] {
        let cas = cas(levels);
        assert_refused(
            &[&cas[0]],
            &presented(&cas),
            RejectedKind::MaxChainDepthExceeded,
            "the chain from the client certificate to the trust store has more than 4 certificates; add an \
             intermediate to the CA bundle",
        );
    }
}

#[test]
fn the_chain_ends_at_the_first_certificate_of_the_store() {
    let cas = cas(5);
    assert!(present(&[&cas[2]], &presented(&cas)).is_ok());
    assert!(present(&[&cas[3]], &presented(&cas)[..1]).is_ok());
    assert!(present(&[&cas[0], &cas[1]], &presented(&cas)).is_ok());
}

#[test]
fn order_and_surplus_of_intermediates_do_not_matter() {
    let cas = cas(4);
    let mut chain = presented(&cas);
    chain.extend([
        cas[0].der.clone(),
        Ca::root("Stranger").der,
        Der::from(b"garbage".to_vec()),
        chain[1].clone(),
    ]);
    chain[1..].reverse();
    assert!(present(&[&cas[0]], &chain).is_ok());
}

#[test]
fn a_leaf_may_name_client_auth_and_digital_signature() {
    let root = Ca::root("Root");
    let draft = leaf("client").with(|params| {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
    });
    assert!(present(&[&root], &[root.issue(draft)]).is_ok());
}

#[test]
fn an_issuer_that_is_not_in_the_store_is_named() {
    let (root, stranger) = (Ca::root("Root"), Ca::root("Stranger"));
    let leaf_of_stranger = stranger.issue(leaf("client"));
    assert_refused(
        &[&root],
        std::slice::from_ref(&leaf_of_stranger),
        RejectedKind::Untrusted,
        "issuer O=Example, CN=Stranger is not in trust store partners and was not presented",
    );
    assert_refused(
        &[&root],
        &[leaf_of_stranger, stranger.der.clone()],
        RejectedKind::Untrusted,
        "the chain ends in O=Example, CN=Stranger, which is not in trust store partners",
    );
}

#[test]
fn a_missing_intermediate_is_named() {
    let cas = cas(4);
    let mut chain = presented(&cas);
    chain.truncate(2);
    assert_refused(
        &[&cas[0]],
        &chain,
        RejectedKind::Untrusted,
        "issuer O=Example, CN=CA 2 is not in trust store partners and was not presented; nearest match: \
         O=Example, CN=CA 1 (differs in CN)",
    );
}

#[test]
fn a_self_signed_client_is_untrusted_even_as_a_ca() {
    let root = Ca::root("Root");
    for draft in [leaf("client"), ca("client")] {
        assert_refused(
            &[&root],
            &[Ca::self_signed(draft).der],
            RejectedKind::Untrusted,
            "the client certificate is self-signed and not issued by a CA of trust store partners",
        );
    }
}

#[test]
fn untrusted_comes_before_expired() {
    let expired = Ca::root("Stranger").issue(leaf("client").valid((2020, 1, 1), (2021, 1, 1)));
    assert_eq!(
        refused(&[&Ca::root("Root")], &[expired]).0,
        RejectedKind::Untrusted
    );
}

#[test]
fn a_ca_of_the_same_name_is_not_the_same_ca() {
    let (root, imposter) = (Ca::root("Root"), Ca::root("Root"));
    let (kind, reason) = refused(&[&root], &[imposter.issue(leaf("client"))]);
    assert_eq!(kind, RejectedKind::Untrusted);
    assert!(
        reason.contains("another key than that of O=Example, CN=Root"),
        "{reason}"
    );
}

#[test]
fn an_intermediate_that_may_not_sign_certificates_cannot_issue() {
    let root = Ca::root("Root");
    let limited = root.intermediate(ca("Inter").with(usages(&[KeyUsagePurpose::DigitalSignature])));
    let (kind, reason) = refused(&[&root], &[limited.issue(leaf("client")), limited.der.clone()]);
    assert_eq!(kind, RejectedKind::Untrusted);
    assert!(reason.contains("lacks keyCertSign"), "{reason}");
}

#[test]
fn an_intermediate_of_the_store_keeps_to_its_own_limits() {
    let root = Ca::root("Root");
    let short = root.intermediate(ca("Short").with(|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    }));
    let below = short.intermediate(ca("Below"));
    let chain = [below.issue(leaf("client")), below.der.clone()];
    let (kind, reason) = refused(&[&short], &chain);
    assert_eq!(kind, RejectedKind::MaxChainDepthExceeded);
    assert!(reason.contains("allows 0 CAs below it"), "{reason}");
    assert!(present(&[&short], &[short.issue(leaf("client"))]).is_ok());

    let for_servers = root.intermediate(ca("Servers").with(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    }));
    let (kind, reason) = refused(&[&for_servers], &[for_servers.issue(leaf("client"))]);
    assert_eq!(kind, RejectedKind::IntentInvalid);
    assert!(reason.contains("is for serverAuth only"), "{reason}");
}

#[test]
fn an_end_entity_cannot_issue() {
    let root = Ca::root("Root");
    let no_ca = root.intermediate(leaf("No CA"));
    assert_refused(
        &[&root],
        &[no_ca.issue(leaf("client")), no_ca.der.clone()],
        RejectedKind::Untrusted,
        "intermediate O=Example, CN=No CA is not a CA certificate (basicConstraints CA:TRUE is missing)",
    );
}

#[test]
fn an_expired_leaf_is_told_since_when() {
    let root = Ca::root("Root");
    let expired = root.issue(leaf("client").valid((2025, 1, 1), (2026, 11, 20)));
    assert_refused(
        &[&root],
        &[expired],
        RejectedKind::Expired,
        "the client certificate expired 3 days ago (notAfter 2026-11-20T00:00:00Z)",
    );
}

#[test]
fn a_leaf_of_the_future_is_told_until_when() {
    let root = Ca::root("Root");
    let early = root.issue(leaf("client").valid((2026, 11, 24), (2027, 1, 1)));
    assert_refused(
        &[&root],
        &[early],
        RejectedKind::NotYetValid,
        "the client certificate becomes valid in 1 day (notBefore 2026-11-24T00:00:00Z)",
    );
}

#[test]
fn an_expired_intermediate_is_named() {
    let root = Ca::root("Root");
    let inter = root.intermediate(ca("Inter").valid((2020, 1, 1), (2026, 1, 1)));
    assert_refused(
        &[&root],
        &[inter.issue(leaf("client")), inter.der.clone()],
        RejectedKind::Expired,
        "intermediate O=Example, CN=Inter expired 326 days ago (notAfter 2026-01-01T00:00:00Z)",
    );
}

#[test]
fn an_anchor_outside_its_validity_admits_nobody() {
    let old = Ca::self_signed(ca("Old").valid((2010, 1, 1), (2026, 11, 22)));
    assert_refused(
        &[&old],
        &[old.issue(leaf("client"))],
        RejectedKind::Expired,
        "CA O=Example, CN=Old of the trust store expired 1 day ago (notAfter 2026-11-22T00:00:00Z)",
    );
    let new = Ca::self_signed(ca("New").valid((2027, 1, 1), (2028, 1, 1)));
    let (kind, reason) = refused(&[&new], &[new.issue(leaf("client"))]);
    assert_eq!(kind, RejectedKind::NotYetValid);
    assert!(
        reason.starts_with("CA O=Example, CN=New of the trust store"),
        "{reason}"
    );
}

#[test]
fn an_expired_anchor_does_not_hide_its_renewal() {
    let old = Ca::self_signed(ca("Root").valid((2010, 1, 1), (2026, 1, 1)));
    let renewed = ca("Root").0.self_signed(old.issuer.key()).unwrap();
    let text = bundle(&[&old]) + &crate::test_pki::pem("CERTIFICATE", renewed.der());
    let store = Arc::new(TrustStore::from_pem("partners", text.as_bytes()).unwrap());
    let client = policy(&store, &[])
        .verify(&old.issue(leaf("client")), &[], now())
        .unwrap();
    assert_eq!(client.not_after().as_secs(), 1_893_456_000);
}

#[test]
fn not_after_is_the_earliest_of_the_chain() {
    let root = Ca::self_signed(ca("Root").valid((2020, 1, 1), (2028, 1, 1)));
    let inter = root.intermediate(ca("Inter").valid((2020, 1, 1), (2027, 1, 1)));
    let chain = [inter.issue(leaf("client")), inter.der.clone()];
    assert_eq!(
        present(&[&root], &chain).unwrap().not_after().as_secs(),
        1_798_761_600
    );
    let chain = [root.issue(leaf("client"))];
    assert_eq!(
        present(&[&root], &chain).unwrap().not_after().as_secs(),
        1_830_297_600
    );
}

#[test]
fn a_server_certificate_is_not_a_client_certificate() {
    let root = Ca::root("Root");
    let server =
        leaf("server").with(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    assert_refused(
        &[&root],
        &[root.issue(server)],
        RejectedKind::IntentInvalid,
        "the extended key usage of the client certificate is serverAuth only; clientAuth is needed",
    );
}

#[test]
fn an_intermediate_for_servers_cannot_issue_clients() {
    let root = Ca::root("Root");
    let inter = root.intermediate(
        ca("Inter").with(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
    );
    let (kind, reason) = refused(&[&root], &[inter.issue(leaf("client")), inter.der.clone()]);
    assert_eq!(kind, RejectedKind::IntentInvalid);
    assert!(
        reason.contains("of intermediate O=Example, CN=Inter is serverAuth only"),
        "{reason}"
    );
}

#[test]
fn a_key_that_may_not_sign_is_refused() {
    let root = Ca::root("Root");
    let draft = leaf("client").with(usages(&[KeyUsagePurpose::KeyEncipherment]));
    assert_refused(
        &[&root],
        &[root.issue(draft)],
        RejectedKind::IntentInvalid,
        "the key usage of the client certificate is Key Encipherment only; Digital Signature is needed",
    );
}

#[test]
fn a_ca_is_no_client() {
    let root = Ca::root("Root");
    let inter = root.intermediate(ca("Inter"));
    for certificate in [&root, &inter] {
        let (kind, reason) = refused(&[&root, &inter], std::slice::from_ref(&certificate.der));
        assert_eq!(kind, RejectedKind::IntentInvalid);
        assert!(reason.contains("CA:TRUE"), "{reason}");
    }
}

#[test]
fn a_path_length_constraint_limits_the_chain() {
    let root = Ca::root("Root");
    let first = root
        .intermediate(ca("First").with(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))));
    let second = first.intermediate(ca("Second"));
    let chain = [
        second.issue(leaf("client")),
        second.der.clone(),
        first.der.clone(),
    ];
    let (kind, reason) = refused(&[&root], &chain);
    assert_eq!(kind, RejectedKind::MaxChainDepthExceeded);
    assert!(reason.contains("pathLenConstraint"), "{reason}");
}

#[test]
fn sizes_are_checked_before_anything_else() {
    let root = Ca::root("Root");
    let padding = || CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![4; 16_384]);
    let fat = root.issue(leaf("client").with(|params| params.custom_extensions.push(padding())));
    let rejected = present(&[&root], std::slice::from_ref(&fat)).unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::MaxSizeExceeded);
    assert!(rejected.facts.is_none());
    let rejected = present(&[&root], &[root.issue(leaf("client")), fat]).unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::MaxSizeExceeded);
    assert_eq!(rejected.facts.unwrap().subject, "O=Example, CN=client");
    let many = vec![root.issue(leaf("client")); 11];
    assert_refused(
        &[&root],
        &many,
        RejectedKind::MaxChainDepthExceeded,
        "11 certificates were presented; at most 10 are looked at",
    );
    assert!(present(&[&root], &many[..10]).is_ok());
}

#[test]
fn a_weak_key_is_told_as_such() {
    let root = Ca::root("Root");
    let weak = leaf("client")
        .0
        .signed_by(&FakeRsa::new(1024), &root.issuer)
        .unwrap();
    let (kind, reason) = refused(&[&root], &[weak.der().clone()]);
    assert_eq!(kind, RejectedKind::TypeUnsupported);
    assert!(reason.contains("is RSA 1024, which is not accepted"), "{reason}");
    let fine = leaf("client")
        .0
        .signed_by(&FakeRsa::new(2048), &root.issuer)
        .unwrap();
    assert!(present(&[&root], &[fine.der().clone()]).is_ok());
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let fine = leaf("client").0.signed_by(&ed25519, &root.issuer).unwrap();
    assert!(present(&[&root], &[fine.der().clone()]).is_ok());
}

#[test]
fn a_sha_1_signature_is_told_as_such() {
    let root = Ca::root("Root");
    let sha1 = Raw {
        version: vec![0xa0, 3, 2, 1, 2],
        algorithm: ECDSA_WITH_SHA1.to_vec(),
        algorithm_outside: ECDSA_WITH_SHA1.to_vec(),
        ..Raw::v1()
    };
    let (kind, reason) = refused(&[&root], &[sha1.signed_by(&root)]);
    assert_eq!(kind, RejectedKind::TypeUnsupported);
    assert_eq!(
        reason,
        "the client certificate is signed with ecdsa-with-SHA1; that is not accepted"
    );
}

#[test]
fn version_2_is_unsupported() {
    let root = Ca::root("Root");
    let v2 = Raw {
        version: vec![0xa0, 3, 2, 1, 1],
        ..Raw::v1()
    };
    assert_eq!(
        refused(&[&root], &[v2.signed_by(&root)]).0,
        RejectedKind::TypeUnsupported
    );
}

#[test]
fn what_is_no_certificate_is_invalid_and_has_no_facts() {
    let root = Ca::root("Root");
    let mut trailing = root.issue(leaf("client")).to_vec();
    trailing.push(0);
    for der in [
        b"".to_vec(),
        b"garbage".to_vec(),
        vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        trailing,
    ] {
        let rejected = present(&[&root], &[Der::from(der)]).unwrap_err();
        assert_eq!(rejected.kind, RejectedKind::Invalid);
        assert!(rejected.facts.is_none());
    }
}

#[test]
fn an_unknown_critical_extension_is_invalid() {
    let root = Ca::root("Root");
    let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    unknown.set_criticality(true);
    let der = root.issue(leaf("client").with(|params| params.custom_extensions.push(unknown)));
    assert_refused(
        &[&root],
        &[der],
        RejectedKind::Invalid,
        "the client certificate has a critical extension that is not supported (1.2.3.4)",
    );
}

#[test]
fn an_unreadable_key_usage_is_not_an_absent_one() {
    let root = Ca::root("Root");
    let garbage = CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![0xff]);
    let der = root.issue(leaf("client").with(|params| params.custom_extensions.push(garbage)));
    assert_eq!(refused(&[&root], &[der]).0, RejectedKind::Invalid);
}

#[test]
fn a_name_that_breaks_the_name_constraints_is_invalid() {
    use rcgen::{GeneralSubtree, NameConstraints, SanType};
    let root = Ca::self_signed(ca("Root").with(|params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
            excluded_subtrees: vec![],
        });
    }));
    let named = |name: &str| {
        let san = SanType::DnsName(name.try_into().unwrap());
        root.issue(leaf("client").with(|params| params.subject_alt_names.push(san)))
    };
    assert!(present(&[&root], &[named("a.example.com")]).is_ok());
    let (kind, reason) = refused(&[&root], &[named("a.example.org")]);
    assert_eq!(kind, RejectedKind::Invalid);
    assert!(reason.contains("name constraints"), "{reason}");
}

#[test]
fn a_mesh_of_certificates_costs_little() {
    let root = Ca::root("Root");
    for name in ["Mesh", "Root"] {
        let mesh = (0..9).map(|_| Ca::root(name).intermediate(ca(name)).der);
        let client = Ca::root(name).issue(leaf("client"));
        let chain: Vec<_> = std::iter::once(client).chain(mesh).collect();
        assert_eq!(refused(&[&root], &chain).0, RejectedKind::Untrusted);
    }
}

#[test]
fn a_cross_certified_chain_is_accepted_over_either_root() {
    let (old, new) = (Ca::root("Old"), Ca::root("New"));
    let inter = new.intermediate(ca("Inter"));
    let cross = ca("New").0.signed_by(new.issuer.key(), &old.issuer).unwrap();
    let chain = [
        inter.issue(leaf("client")),
        inter.der.clone(),
        cross.der().clone(),
        new.der.clone(),
    ];
    for store in [&[&old][..], &[&new], &[&new, &old]] {
        assert!(present(store, &chain).is_ok());
    }
}

#[test]
fn a_ca_that_changed_its_key_under_the_same_name_is_followed() {
    let (old, new) = (Ca::root("Root"), Ca::root("Root"));
    let new_with_old = ca("Root").0.signed_by(new.issuer.key(), &old.issuer).unwrap();
    let chain = [new.issue(leaf("client")), new_with_old.der().clone()];
    assert!(present(&[&old], &chain).is_ok());
}

#[test]
fn no_altered_leaf_is_admitted() {
    let root = Ca::root("Root");
    let policy = policy(&store(&[&root]), &[]);
    let der = root.issue(leaf("client"));
    for position in 0..der.len() {
        for bit in [0x01, 0x80] {
            let mut altered = der.to_vec();
            altered[position] ^= bit;
            let altered = Der::from(altered);
            assert!(policy.verify(&altered, &[], now()).is_err(), "octet {position}");
        }
    }
}

proptest! {
    #[test]
    fn nothing_presented_panics(leaf in proptest::collection::vec(any::<u8>(), 0..200),
                                other in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bundle = include_bytes!("testdata/article_bundle.pem");
        let store = Arc::new(TrustStore::from_pem("article", bundle).unwrap());
        let policy = policy(&store, &[]);
        let (leaf, other) = (Der::from(leaf), Der::from(other));
        prop_assert!(policy.verify(&leaf, &[other], now()).is_err());
    }
}
