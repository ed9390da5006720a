//! Chains that were never valid at once, and agreement with webpki wherever they were.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyUsagePurpose,
    NameConstraints, SanType,
};

use super::*;
use crate::trust::path;
use crate::trust::test_pki::{Ca as TestCa, Draft, Raw, at, ca, leaf, now, policy, ruled, store};
use crate::trust::trace::Silent;
use crate::trust::{Policy, Rejected, TrustStore, VerifiedClient};

type Der = CertificateDer<'static>;

fn ignoring(store: &Arc<TrustStore>) -> Policy {
    ruled(store, &[], |rules| rules.ignore_expiry = true)
}

fn present(cas: &[&TestCa], chain: &[Der]) -> Result<VerifiedClient, Rejected> {
    ignoring(&store(cas)).verify(&chain[0], &chain[1..], now())
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
            "the client certificate expired 1787 days ago (notAfter 2022-01-01T00:00:00Z), which ignore_certificate_expiry lets pass"
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
    let list = crate::trust::facts::colon_hex(&serial);
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

#[test]
fn name_constraints_over_a_named_intermediate_are_refused_with_the_reason() {
    let root = TestCa::self_signed(ca("Root").with(permit_example));
    let named = |params: &mut rcgen::CertificateParams| params.subject_alt_names.push(dns("ca.example.com"));
    let inter = root.intermediate(ca("Inter").with(named).valid((2026, 1, 1), (2030, 1, 1)));
    let old = inter.issue(leaf("client").valid((2020, 1, 1), (2022, 1, 1)));
    let rejected = present(&[&root], &[old, inter.der.clone()]).unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::Invalid);
    assert!(
        rejected.reason.contains("cannot be checked"),
        "{}",
        rejected.reason
    );
}

#[test]
fn a_mesh_of_certificates_without_a_common_moment_costs_little() {
    let root = TestCa::root("Root");
    let windows = [(2001, 2002), (2003, 2004), (2005, 2006), (2007, 2008)];
    let key = rcgen::KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::new(ca("Root").0, key);
    let mesh = windows.map(|(from, to)| {
        let draft = ca("Root").valid((from, 1, 1), (to, 1, 1));
        let key = rcgen::KeyPair::generate().unwrap();
        draft.0.signed_by(&key, &issuer).unwrap().der().clone()
    });
    let client = TestCa::root("Root").issue(leaf("client"));
    let chain: Vec<_> = std::iter::once(client).chain(mesh).collect();
    assert!(present(&[&root], &chain).is_err());
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn permit_example(params: &mut rcgen::CertificateParams) {
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
        excluded_subtrees: vec![],
    });
}

/// What is wrong, or unusual, about one certificate of a random chain.
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

    fn constrains(self) -> bool {
        matches!(self.constraints, 1 | 2)
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

/// The real one, or another of the same name.
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

/// The one difference that is meant: name constraints above an intermediate with names of its own.
fn is_unevaluated(quirks: &[Quirks]) -> bool {
    let cas = &quirks[..quirks.len() - 1];
    (1..cas.len()).any(|level| cas[level].name != 0 && cas[..level].iter().any(|above| above.constrains()))
}

fn link_by_link(chain: &Chain) -> Result<Vec<Link>, Refusal> {
    let leaf = Certificate::parse(&chain.presented[0]).unwrap();
    let store = store(&[&chain.root]);
    let case = Case {
        store: &store,
        leaf: &leaf,
        intermediates: crate::trust::certificate::parse_readable(&chain.presented[1..]),
        now: crate::trust::time::seconds(now()),
        ignore_expiry: true,
        depth_max: 4,
    };
    let end_entity =
        EndEntityCert::try_from(&chain.presented[0]).map_err(|error| diagnosis::of_leaf(&error, &leaf))?;
    build(&end_entity, &case, &path::candidates(&case)?)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn link_by_link_and_webpki_agree_wherever_both_can_answer(quirks in proptest::collection::vec(quirks(), 2..=5)) {
        let chain = Chain::build(&quirks, |_, draft| draft);
        let leaf = Certificate::parse(&chain.presented[0]).unwrap();
        let store = store(&[&chain.root]);
        let case = Case {
            store: &store,
            leaf: &leaf,
            intermediates: crate::trust::certificate::parse_readable(&chain.presented[1..]),
            now: crate::trust::time::seconds(now()),
            ignore_expiry: false,
            depth_max: 4,
        };
        let webpki = path::build(&chain.presented[0], &case, &mut Silent);
        let ours = link_by_link(&chain);
        let told = |verdict: &Result<Vec<Link>, Refusal>| match verdict {
            Ok(links) => format!("{} links", links.len()),
            Err(refusal) => format!("{refusal:?}"),
        };
        if ours.is_ok() || !is_unevaluated(&quirks) {
            prop_assert_eq!(webpki.is_ok(), ours.is_ok(), "webpki: {}; ours: {}", told(&webpki), told(&ours));
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
        if verdict.is_ok() || !is_unevaluated(&quirks) {
            prop_assert_eq!(usual.is_ok(), verdict.is_ok(), "usual: {:?}; ignoring: {:?}", usual, verdict);
        }
        prop_assert_eq!(current.verdict(ignoring).is_ok(), usual.is_ok());
    }
}
