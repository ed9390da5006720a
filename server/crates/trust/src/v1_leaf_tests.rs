//! The narrow path for version 1 leaves, from both sides.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use rustls_pki_types::CertificateDer;

use super::*;
use crate::test_pki::{Ca, ECDSA_WITH_SHA1, FakeRsa, Raw, at, ca, now, policy, policy_with, store};
use crate::{OutOfDate, Rejected, RevocationSet, TrustStore, VerifiedClient};
use rcgen::PublicKeyData;
use std::sync::Arc;

fn present(root: &Ca, der: &CertificateDer<'_>) -> Result<VerifiedClient, Rejected> {
    policy(&store(&[root]), &[]).verify(der, &[], now())
}

fn article() -> (Arc<TrustStore>, CertificateDer<'static>) {
    use rustls_pki_types::pem::PemObject;
    let bundle = include_bytes!("testdata/article_bundle.pem");
    let client = include_bytes!("testdata/article_client.pem");
    (
        Arc::new(TrustStore::from_pem("article", bundle).unwrap()),
        CertificateDer::from_pem_slice(client).unwrap(),
    )
}

/// Made with `openssl` 3.0 by the article's commands; a day in 2027.
#[test]
fn the_launch_articles_client_is_accepted() {
    let (store, der) = article();
    let client = policy(&store, &[]).verify(&der, &[], at(1_800_000_000)).unwrap();
    assert_eq!(client.facts().serial_number, "01");
    assert_eq!(
        client.facts().subject_rfc2253,
        "CN=client_.com,OU=client-3,O=mTLS,ST=Washington,C=US"
    );
}

#[test]
fn the_launch_articles_client_is_revoked_by_its_issuers_crl() {
    let (store, der) = article();
    let crl = include_bytes!("testdata/article_intermediate.crl.pem");
    let rejected = policy(&store, &[crl])
        .verify(&der, &[], at(1_800_000_000))
        .unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::Revoked);
}

#[test]
fn a_v1_leaf_of_a_ca_in_the_store_is_accepted() {
    let root = Ca::root("Root");
    let client = present(&root, &Raw::v1().signed_by(&root)).unwrap();
    assert_eq!(client.facts().subject, "CN=v1");
    assert_eq!(client.not_after().as_secs(), 1_893_456_000);
}

#[test]
fn a_v1_leaf_is_refused_where_it_is_switched_off() {
    let root = Ca::root("Root");
    let policy = policy_with(&store(&[&root]), RevocationSet::empty(), false, OutOfDate::Reject);
    let rejected = policy
        .verify(&Raw::v1().signed_by(&root), &[], now())
        .unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::TypeUnsupported);
    assert!(rejected.reason.contains("allow_v1_client_certificates is false"));
    assert_eq!(rejected.facts.unwrap().subject, "CN=v1");
}

#[test]
fn a_presented_intermediate_is_no_issuer_for_a_v1_leaf() {
    let root = Ca::root("Root");
    let inter = root.intermediate(ca("Inter"));
    let der = Raw::v1().signed_by(&inter);
    let rejected = policy(&store(&[&root]), &[])
        .verify(&der, std::slice::from_ref(&inter.der), now())
        .unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::Untrusted);
    assert!(rejected.reason.contains(
        "issuer O=Example, CN=Inter is not in trust store partners; add its issuer to the CA bundle"
    ));
    assert!(
        policy(&store(&[&root, &inter]), &[])
            .verify(&der, &[], now())
            .is_ok()
    );
}

#[test]
fn the_signature_of_a_v1_leaf_is_checked() {
    let (root, imposter) = (Ca::root("Root"), Ca::root("Root"));
    let rejected = present(&root, &Raw::v1().signed_by(&imposter)).unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::Untrusted);
}

#[test]
fn no_altered_v1_leaf_is_admitted() {
    let root = Ca::root("Root");
    let policy = policy(&store(&[&root]), &[]);
    let der = Raw::v1().signed_by(&root);
    for position in 0..der.len() {
        for bit in [0x01, 0x80] {
            let mut altered = der.to_vec();
            altered[position] ^= bit;
            let altered = CertificateDer::from(altered);
            assert!(policy.verify(&altered, &[], now()).is_err(), "octet {position}");
        }
    }
}

#[test]
fn validity_of_leaf_and_anchor_counts() {
    let root = Ca::root("Root");
    let policy = policy(&store(&[&root]), &[]);
    let der = Raw::v1().signed_by(&root);
    assert_eq!(
        policy.verify(&der, &[], at(1_900_000_000)).unwrap_err().kind,
        RejectedKind::Expired
    );
    assert_eq!(
        policy.verify(&der, &[], at(1_700_000_000)).unwrap_err().kind,
        RejectedKind::NotYetValid
    );
    let old = Ca::self_signed(ca("Old").valid((2010, 1, 1), (2026, 1, 1)));
    let rejected = present(&old, &Raw::v1().signed_by(&old)).unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::Expired);
    assert!(
        rejected.reason.contains("CA O=Example, CN=Old"),
        "{}",
        rejected.reason
    );
}

#[test]
fn a_weak_key_or_signature_is_refused() {
    let root = Ca::root("Root");
    let weak_key = Raw {
        public_key: FakeRsa::new(1024).subject_public_key_info(),
        ..Raw::v1()
    };
    let weak_signature = Raw {
        algorithm: ECDSA_WITH_SHA1.to_vec(),
        algorithm_outside: ECDSA_WITH_SHA1.to_vec(),
        ..Raw::v1()
    };
    for raw in [weak_key, weak_signature] {
        let rejected = present(&root, &raw.signed_by(&root)).unwrap_err();
        assert_eq!(rejected.kind, RejectedKind::TypeUnsupported);
    }
}

#[test]
fn a_ca_with_name_constraints_cannot_vouch_for_a_v1_leaf() {
    use rcgen::{GeneralSubtree, NameConstraints};
    let root = Ca::self_signed(ca("Root").with(|params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
            excluded_subtrees: vec![],
        });
    }));
    let rejected = present(&root, &Raw::v1().signed_by(&root)).unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::TypeUnsupported);
    assert!(rejected.reason.contains("name constraints"));
}

#[test]
fn only_the_six_fields_of_version_1_in_der_are_accepted() {
    let root = Ca::root("Root");
    let explicit_v1 = Raw {
        version: vec![0xa0, 3, 2, 1, 0],
        ..Raw::v1()
    };
    let with_unique_id = Raw {
        rest: vec![0x81, 2, 0, 1],
        ..Raw::v1()
    };
    let with_extensions = Raw {
        rest: crate::test_pki::basic_constraints_ca(),
        ..Raw::v1()
    };
    let with_garbage = Raw {
        rest: vec![5, 0],
        ..Raw::v1()
    };
    let long_serial = Raw {
        serial: vec![0, 1],
        ..Raw::v1()
    };
    let no_serial = Raw {
        serial: vec![],
        ..Raw::v1()
    };
    let other_algorithm_inside = Raw {
        algorithm: ECDSA_WITH_SHA1.to_vec(),
        ..Raw::v1()
    };
    let local_time = Raw {
        validity: [
            &[0x17, 17][..],
            b"250101000000+0000",
            &[0x17, 13],
            b"300101000000Z",
        ]
        .concat(),
        ..Raw::v1()
    };
    for raw in [
        explicit_v1,
        with_unique_id,
        with_extensions,
        with_garbage,
        long_serial,
        no_serial,
        other_algorithm_inside,
        local_time,
    ] {
        let rejected = present(&root, &raw.signed_by(&root)).unwrap_err();
        assert_eq!(rejected.kind, RejectedKind::Invalid, "{}", rejected.reason);
    }
}
