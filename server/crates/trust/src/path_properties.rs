//! Properties of the path search: agreement with webpki where webpki has the same rules, and with itself
//! in every order.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyUsagePurpose,
    NameConstraints,
};
use webpki::{EndEntityCert, KeyUsage};

use super::tests::{Der, certify, dns, ignoring, told};
use crate::test_pki::{Ca as TestCa, Draft, ca, leaf, now, pem, policy, ruled, store, store_of};
use crate::{Policy, Rejected, TrustStore, VerifiedClient};

/// Faults and oddities of one certificate of a random chain.
#[derive(Clone, Copy, Debug)]
struct Quirks {
    ca: u8,
    purpose: u8,
    usage: u8,
    constraints: u8,
    name: u8,
    critical: u8,
    imposter: u8,
}

fn quirks() -> impl Strategy<Value = Quirks> {
    // Zero is usual, and by far the most likely.
    let quirk = |most: u8| prop_oneof![8 => Just(0_u8), 2 => 1..=most];
    (
        quirk(4),
        quirk(3),
        quirk(2),
        quirk(3),
        quirk(2),
        quirk(12),
        quirk(6),
    )
        .prop_map(
            |(ca, purpose, usage, constraints, name, critical, imposter)| Quirks {
                ca,
                purpose,
                usage,
                constraints,
                name,
                critical,
                imposter,
            },
        )
}

impl Quirks {
    fn apply(self, mut draft: Draft, is_leaf: bool) -> Draft {
        let params = &mut draft.0;
        params.is_ca = match (is_leaf, self.ca) {
            (true, 0..=2) => IsCa::NoCa,
            (true, 3) => IsCa::ExplicitNoCa,
            (false, 1) => IsCa::Ca(BasicConstraints::Constrained(0)),
            (false, 2) => IsCa::Ca(BasicConstraints::Constrained(1)),
            (false, 3) => IsCa::NoCa,
            (false, 4) => IsCa::ExplicitNoCa,
            _ => IsCa::Ca(BasicConstraints::Unconstrained),
        };
        params.extended_key_usages = match self.purpose {
            1 => vec![ExtendedKeyUsagePurpose::ServerAuth],
            2 => vec![ExtendedKeyUsagePurpose::Any],
            3 => vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ],
            _ => Vec::new(),
        };
        params.key_usages = match self.usage {
            1 => vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign],
            2 => vec![KeyUsagePurpose::CrlSign],
            _ => Vec::new(),
        };
        match self.name {
            1 => params.subject_alt_names.push(dns("a.example.com")),
            2 => params.subject_alt_names.push(dns("a.example.org")),
            _ => {}
        }
        let subtree = |name: &str| vec![GeneralSubtree::DnsName(name.to_owned())];
        if !is_leaf && matches!(self.constraints, 1 | 2) {
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: if self.constraints == 1 {
                    subtree("example.com")
                } else {
                    vec![]
                },
                excluded_subtrees: if self.constraints == 2 {
                    subtree("example.com")
                } else {
                    vec![]
                },
            });
        }
        if self.critical == 1 {
            let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
            unknown.set_criticality(true);
            params.custom_extensions.push(unknown);
        }
        draft
    }
}

/// A chain made of quirks, root first, leaf last.
struct Chain {
    root: TestCa,
    /// Leaf first.
    presented: Vec<Der>,
}

impl Chain {
    fn build(quirks: &[Quirks], window: impl Fn(usize, Draft) -> Draft) -> Self {
        let (leaf_quirks, ca_quirks) = quirks.split_last().unwrap();
        let root_quirks = Quirks {
            ca: 0,
            critical: 0,
            usage: ca_quirks[0].usage % 2,
            ..ca_quirks[0]
        };
        let root = TestCa::self_signed(root_quirks.apply(window(0, ca("CA 0")), false));
        let mut cas = vec![root];
        for (level, quirks) in ca_quirks.iter().enumerate().skip(1) {
            let draft = quirks.apply(window(level, ca(&format!("CA {level}"))), false);
            let next = issuer(cas.last().unwrap(), level, quirks.imposter).intermediate(draft);
            cas.push(next);
        }
        let draft = leaf_quirks.apply(window(quirks.len() - 1, leaf("client")), true);
        let client = issuer(cas.last().unwrap(), cas.len(), leaf_quirks.imposter).issue(draft);
        let intermediates = cas[1..].iter().map(|ca| ca.der.clone());
        Self {
            presented: std::iter::once(client).chain(intermediates).collect(),
            root: cas.swap_remove(0),
        }
    }

    fn verdict(&self, policy: impl Fn(&Arc<TrustStore>) -> Policy) -> Result<VerifiedClient, Rejected> {
        policy(&store(&[&self.root])).verify(&self.presented[0], &self.presented[1..], now())
    }
}

/// Issuer of the certificate at `level`: `real`, or for an `imposter` of 1 another CA of the same name.
fn issuer(real: &TestCa, level: usize, imposter: u8) -> Issued<'_> {
    match imposter {
        1 => Issued::Imposter(Box::new(TestCa::root(&format!("CA {}", level - 1)))),
        _ => Issued::Real(real),
    }
}

enum Issued<'c> {
    Real(&'c TestCa),
    Imposter(Box<TestCa>),
}

impl std::ops::Deref for Issued<'_> {
    type Target = TestCa;

    fn deref(&self) -> &TestCa {
        match self {
            Self::Real(ca) => ca,
            Self::Imposter(ca) => ca,
        }
    }
}

/// Rules that we have and webpki has not.
fn is_stricter(quirks: &[Quirks]) -> bool {
    let (root, others) = quirks.split_first().unwrap();
    matches!(root.purpose, 1 | 2) || others.iter().any(|quirks| quirks.usage == 2)
}

fn by_webpki(chain: &Chain) -> Result<(), webpki::Error> {
    let anchor = webpki::anchor_from_trusted_cert(&chain.root.der)?;
    let leaf = EndEntityCert::try_from(&chain.presented[0])?;
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    let usage = KeyUsage::client_auth();
    leaf.verify_for_usage(
        algorithms,
        &[anchor],
        &chain.presented[1..],
        now(),
        usage,
        None,
        None,
    )
    .map(drop)
}

/// A small world of CAs that certify each other, some with limits.
#[derive(Debug)]
struct World {
    /// Subject, issuer, quirks.
    certificates: Vec<(usize, usize, Quirks)>,
    trusted: Vec<bool>,
}

fn world() -> impl Strategy<Value = World> {
    let certificate = (0..3_usize, 0..3_usize, quirks());
    let certificates = proptest::collection::vec((certificate, any::<bool>()), 1..6);
    certificates.prop_map(|all| {
        let (certificates, trusted): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        World {
            certificates,
            trusted,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn webpki_refuses_nobody_whom_we_admit_and_admits_only_whom_we_are_stricter_with(
        quirks in proptest::collection::vec(quirks(), 2..=4),
    ) {
        let chain = Chain::build(&quirks, |_, draft| draft);
        let webpki = by_webpki(&chain);
        let ours = chain.verdict(|store| policy(store, &[]));
        if ours.is_ok() || !is_stricter(&quirks) {
            prop_assert_eq!(webpki.is_ok(), ours.is_ok(), "webpki: {:?}; ours: {:?}", webpki, ours);
        }
    }

    #[test]
    fn ignoring_expiry_changes_nothing_but_expiry(quirks in proptest::collection::vec(quirks(), 2..=5)) {
        let current = Chain::build(&quirks, |_, draft| draft);
        let never_at_once = Chain::build(&quirks, |level, draft| {
            let year = 2001 + 2 * level as i32;
            draft.valid((year, 1, 1), (year + 1, 1, 1))
        });
        let usual = current.verdict(|store| policy(store, &[]));
        let verdict = never_at_once.verdict(ignoring);
        prop_assert_eq!(usual.is_ok(), verdict.is_ok(), "usual: {:?}; ignoring: {:?}", usual, verdict);
        prop_assert_eq!(current.verdict(ignoring).is_ok(), usual.is_ok());
    }

    #[test]
    fn no_verdict_depends_on_the_order_of_bundle_or_chain(world in world()) {
        let keys: Vec<_> = (0..3).map(|name| TestCa::root(&format!("CA {name}"))).collect();
        let ca = |name: usize| ca(&format!("CA {name}"));
        let made = world.certificates.iter().enumerate().map(|(number, (subject, issuer, quirks))| {
            let draft = quirks.apply(ca(*subject).serial(&[1 + number as u8]), false);
            certify(&keys[*issuer], &keys[*subject], draft)
        });
        let made: Vec<_> = made.collect();
        let split = |trusted: bool| -> Vec<Der> {
            let all = made.iter().zip(&world.trusted);
            all.filter(|(_, is)| **is == trusted).map(|(der, _)| der.clone()).collect()
        };
        let (mut anchors, mut presented) = (split(true), split(false));
        anchors.retain(|der| TrustStore::from_pem("one", pem("CERTIFICATE", der).as_bytes()).is_ok());
        if anchors.is_empty() {
            anchors.push(keys[0].der.clone());
        }
        let client = keys[1].issue(leaf("client"));
        let depth = |most| move |anchors: &[Der], presented: &[Der]| {
            let anchors: Vec<_> = anchors.iter().collect();
            let policy = ruled(&store_of(&anchors), &[], |rules| rules.chain_depth_max = most);
            told(policy.verify(&client, presented, now()))
        };
        let four = depth.clone()(4);
        let verdict = four(&anchors, &presented);
        let deeper = depth(8)(&anchors, &presented);
        prop_assert!(verdict.is_err() || deeper == verdict, "depth 4: {:?}; depth 8: {:?}", verdict, deeper);
        for _ in 0..2 {
            anchors.rotate_left(1);
            presented.reverse();
            prop_assert_eq!(&four(&anchors, &presented), &verdict);
            let by = 1.min(presented.len());
            presented.rotate_left(by);
            prop_assert_eq!(&four(&anchors, &presented), &verdict);
        }
    }
}
