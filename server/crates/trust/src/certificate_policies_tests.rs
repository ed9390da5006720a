//! The cases of NIST PKITS 4.8 to 4.12 (policies, explicit policy, policy mappings, inhibit mapping, inhibit
//! any-policy) with the initial settings that are used here, as structures instead of files; then the reading
//! of the extensions.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::der::build::{element, sequence};

const P1: Oid<'static> = &[0x2a, 1];
const P2: Oid<'static> = &[0x2a, 2];
const P3: Oid<'static> = &[0x2a, 3];
const P4: Oid<'static> = &[0x2a, 4];
const P5: Oid<'static> = &[0x2a, 5];
const P6: Oid<'static> = &[0x2a, 6];
const P7: Oid<'static> = &[0x2a, 7];
const ANY: Oid<'static> = ANY_POLICY;

#[derive(Clone, Debug)]
struct Step(PolicyExtensions<'static>, bool);

/// A certificate with these policies.
fn with(policies: &[Oid<'static>]) -> Step {
    let policies = Some(policies.iter().copied().collect()).filter(|set: &BTreeSet<_>| !set.is_empty());
    Step(
        PolicyExtensions {
            policies,
            ..PolicyExtensions::default()
        },
        false,
    )
}

fn none() -> Step {
    with(&[])
}

impl Step {
    fn explicit(mut self, skip: usize) -> Self {
        self.0.require_explicit_policy = Some(skip);
        self
    }

    fn no_mapping(mut self, skip: usize) -> Self {
        self.0.inhibit_policy_mapping = Some(skip);
        self
    }

    fn no_any(mut self, skip: usize) -> Self {
        self.0.inhibit_any_policy = Some(skip);
        self
    }

    fn map(mut self, from: Oid<'static>, to: Oid<'static>) -> Self {
        self.0.mappings.entry(from).or_default().insert(to);
        self
    }

    fn self_issued(mut self) -> Self {
        self.1 = true;
        self
    }
}

fn check(path: &[Step]) -> Result<(), NoValidPolicy> {
    let path: Vec<_> = path
        .iter()
        .map(|Step(extensions, self_issued)| (extensions, *self_issued))
        .collect();
    super::check(&path)
}

#[track_caller]
fn assert_valid(path: &[Step]) {
    assert_eq!(check(path), Ok(()));
}

#[track_caller]
fn assert_refused(path: &[Step], required_by: usize, lost_at: usize) {
    assert_eq!(check(path), Err(NoValidPolicy { required_by, lost_at }));
}

#[test]
fn without_a_requirement_every_path_is_valid() {
    // 4.8.2 to 4.8.5, 4.8.7 to 4.8.9 with initial-explicit-policy false
    assert_valid(&[none(), none()]);
    assert_valid(&[with(&[P1]), none()]);
    assert_valid(&[with(&[P1, P2]), with(&[P2]), with(&[P1])]);
    assert_valid(&[with(&[P1]), with(&[P2]).no_any(0).no_mapping(0)]);
    assert_valid(&[]);
}

#[test]
fn a_required_policy_has_to_hold_all_the_way_down() {
    // 4.8.1: All Certificates Same Policy
    assert_valid(&[with(&[P1]).explicit(0), with(&[P1])]);
    // 4.8.3, 4.8.4: Different Policies
    assert_refused(&[with(&[P1]).explicit(0), with(&[P2])], 0, 1);
    assert_refused(&[with(&[P1, P2]).explicit(0), with(&[P3]), with(&[P1])], 0, 1);
    // 4.8.6: Overlapping Policies
    assert_valid(&[with(&[P1, P2, P3]).explicit(0), with(&[P1, P2]), with(&[P1])]);
    // 4.8.10, 4.8.12: several policies of the leaf
    assert_valid(&[with(&[P1, P2]).explicit(0), with(&[P1, P2])]);
    assert_refused(&[with(&[P1]).explicit(0), with(&[P3])], 0, 1);
    // 4.8.11, 4.8.14: anyPolicy in a CA
    assert_valid(&[with(&[ANY]).explicit(0), with(&[ANY])]);
    assert_valid(&[with(&[ANY]).explicit(0), with(&[P1])]);
    assert_valid(&[with(&[P1]).explicit(0), with(&[ANY]), with(&[P1])]);
    assert_refused(&[with(&[P1]).explicit(0), with(&[ANY]), with(&[P2])], 0, 2);
    // A certificate without policies ends all of them.
    assert_refused(&[none().explicit(0), with(&[P1])], 0, 0);
    assert_refused(&[with(&[P1]).explicit(0), none()], 0, 1);
    assert_refused(&[with(&[P1]).explicit(0), none(), with(&[P1])], 0, 1);
}

#[test]
fn require_explicit_policy_begins_so_many_certificates_below() {
    let four = |skip| [none().explicit(skip), none(), none(), none()];
    // 4.9.1: 10 below a path of four
    assert_valid(&four(10));
    // 4.9.2: 5
    assert_valid(&four(5));
    // 4.9.3 and 4.9.5 (4 with policies missing): the leaf is the fourth below the anchor, the third below the
    // CA that asks
    assert_valid(&four(4));
    assert_refused(&four(2), 0, 0);
    assert_refused(&four(0), 0, 0);
    let all_p1 = [with(&[P1]).explicit(0), with(&[P1]), with(&[P1]), with(&[P1])];
    assert_valid(&all_p1);
    // 4.9.5: a later CA asks for less; the stricter one counts
    assert_refused(
        &[
            none().explicit(7),
            none().explicit(2),
            none().explicit(4),
            none(),
            none(),
        ],
        1,
        0,
    );
    // A later CA asks for more.
    assert_refused(&[none().explicit(5), none().explicit(0), none()], 1, 0);
    // 4.9.6 to 4.9.8: self-issued CAs are not counted
    assert_valid(&[none().explicit(2), none().self_issued(), none()]);
    assert_refused(&[none().explicit(2), none().self_issued(), none(), none()], 0, 0);
    assert_refused(
        &[
            none().explicit(2),
            none().self_issued(),
            none(),
            none().self_issued(),
            none(),
        ],
        0,
        0,
    );
}

#[test]
fn a_leaf_can_require_a_policy_of_its_own_path() {
    assert_refused(&[none(), none().explicit(0)], 1, 0);
    assert_valid(&[with(&[P1]), with(&[P1]).explicit(0)]);
    assert_valid(&[none(), none().explicit(1)]);
    // §6.1.5 a: the counter is taken down once more at the leaf.
    assert_refused(&[none().explicit(1), none()], 0, 0);
    assert_valid(&[none().explicit(2), none()]);
}

#[test]
fn mapped_policies_are_those_of_the_domain_below() {
    // 4.10.1: P1 is called P2 below
    assert_valid(&[with(&[P1]).map(P1, P2).explicit(0), with(&[P2])]);
    assert_refused(&[with(&[P1]).map(P1, P2).explicit(0), with(&[P1])], 0, 1);
    // 4.10.2, 4.10.13: another policy than the one that is mapped
    assert_refused(&[with(&[P1]).map(P2, P3).explicit(0), with(&[P3])], 0, 1);
    // 4.10.3, 4.10.4: over two domains
    let twice = [with(&[P1]).map(P1, P2).explicit(0), with(&[P2]).map(P2, P3)];
    assert_valid(&[twice.to_vec(), vec![with(&[P3])]].concat());
    assert_refused(&[twice.to_vec(), vec![with(&[P4])]].concat(), 0, 2);
    // 4.10.5, 4.10.6: several policies, of which one is mapped
    assert_valid(&[with(&[P1, P2]).map(P1, P3).explicit(0), with(&[P3])]);
    assert_valid(&[with(&[P1, P2]).map(P1, P3).explicit(0), with(&[P2])]);
    // 4.10.9: to several
    let several = with(&[P1]).map(P1, P2).map(P1, P3).explicit(0);
    assert_valid(&[several.clone(), with(&[P3])]);
    assert_valid(&[several, with(&[P2])]);
    // 4.10.10, 4.10.14: under anyPolicy
    assert_valid(&[with(&[ANY]).map(P1, P2).explicit(0), with(&[P2])]);
    assert_valid(&[with(&[ANY]).map(P1, P2).explicit(0), with(&[P3])]);
    // 4.10.11: a mapping says nothing about policies that the certificate lacks
    assert_refused(&[none().map(P1, P2).explicit(0), with(&[P2])], 0, 0);
    // anyPolicy of the CA below keeps what was mapped
    assert_valid(&[with(&[P1]).map(P1, P2).explicit(0), with(&[ANY]), with(&[P2])]);
}

#[test]
fn inhibited_mappings_lose_the_policies_that_would_be_mapped() {
    // 4.11.1: inhibited from the first certificate below
    let top = with(&[P1, P2]).no_mapping(0).explicit(0);
    assert_refused(&[top.clone(), with(&[P1]).map(P1, P3), with(&[P3])], 0, 1);
    // 4.11.2, 4.11.3: one level may map still
    let top = with(&[P1, P2]).no_mapping(1).explicit(0);
    let mapping = with(&[P1, P2]).map(P1, P3).map(P2, P4);
    assert_valid(&[top.clone(), mapping.clone(), with(&[P3])]);
    let deeper = with(&[P3, P4]).map(P3, P5).map(P4, P6);
    assert_refused(&[top.clone(), mapping.clone(), deeper.clone(), with(&[P5])], 0, 2);
    // 4.11.5: the stricter of two counts
    let later = with(&[P1, P2]).no_mapping(5).map(P1, P3).map(P2, P4);
    assert_refused(&[top, later, deeper, with(&[P6])], 0, 2);
    // 4.11.7 to 4.11.11: self-issued CAs are not counted
    let top = with(&[P1]).no_mapping(1).explicit(0);
    let own = with(&[P1]).self_issued();
    assert_valid(&[top.clone(), own.clone(), with(&[P1]).map(P1, P2), with(&[P2])]);
    let own_mapping = with(&[P1]).map(P1, P2).self_issued();
    assert_valid(&[top.clone(), own_mapping.clone(), with(&[P2])]);
    assert_refused(
        &[top, with(&[P1]).map(P1, P2), with(&[P2]).map(P2, P3), with(&[P3])],
        0,
        2,
    );
    // Another policy outlives the mapping that is inhibited.
    let top = with(&[P1, P2]).no_mapping(0).explicit(0);
    assert_valid(&[top, with(&[P1, P2]).map(P1, P3), with(&[P2])]);
}

#[test]
fn inhibited_any_policy_stands_for_nothing() {
    // 4.12.1: inhibited at once
    assert_refused(&[with(&[P1]).no_any(0).explicit(0), with(&[ANY])], 0, 1);
    // 4.12.2: a policy by name still holds
    assert_valid(&[with(&[P1]).no_any(0).explicit(0), with(&[P1, ANY])]);
    // 4.12.3: one certificate below may have it
    let one = with(&[P1]).no_any(1).explicit(0);
    assert_valid(&[one.clone(), with(&[ANY]), with(&[P1])]);
    assert_refused(&[one.clone(), with(&[ANY]), with(&[ANY])], 0, 2);
    // 4.12.4 to 4.12.6: the stricter of two counts
    assert_refused(&[one.clone(), with(&[P1]).no_any(0), with(&[ANY])], 0, 2);
    assert_refused(
        &[
            with(&[P1]).no_any(0).explicit(0),
            with(&[P1]).no_any(5),
            with(&[ANY]),
        ],
        0,
        2,
    );
    // 4.12.7 to 4.12.10: self-issued CAs may have it, and are not counted; a self-issued leaf may not
    let zero = with(&[P1]).no_any(0).explicit(0);
    assert_valid(&[zero.clone(), with(&[ANY]).self_issued(), with(&[P1])]);
    assert_valid(&[one, with(&[ANY]).self_issued(), with(&[ANY]), with(&[P1])]);
    assert_refused(&[zero, with(&[ANY]).self_issued()], 0, 1);
}

#[test]
fn bridges_and_sub_cas_of_the_field_are_valid() {
    // A sub-CA under requireExplicitPolicy with anyPolicy, and a leaf with a policy of its own
    assert_valid(&[with(&[ANY]).explicit(0).no_mapping(0), with(&[P7])]);
    // A bridge: two domains, cross-certified both ways
    let bridge = [
        with(&[P1, P2]).map(P1, P3).map(P2, P4).explicit(0),
        with(&[P3, P4]).map(P3, P5).no_mapping(0).no_any(0),
        with(&[P5]),
        with(&[P5]),
    ];
    assert_valid(&bridge);
}

fn oid(oid: Oid<'_>) -> Vec<u8> {
    element(der::OBJECT_IDENTIFIER, oid)
}

fn read_policies(value: &[u8], critical: bool) -> Result<PolicyExtensions<'_>, MalformedPolicies> {
    PolicyExtensions::read(PolicyValues {
        certificate_policies: Some(value),
        certificate_policies_are_critical: critical,
        ..PolicyValues::default()
    })
}

#[test]
fn policies_are_read_with_their_qualifiers_unread() {
    let qualifiers = sequence(&[sequence(&[oid(P7), b"\x16\x01x".to_vec()])]);
    let value = sequence(&[sequence(&[oid(P1), qualifiers]), sequence(&[oid(ANY)])]);
    let read = read_policies(&value, true).unwrap();
    assert_eq!(read.policies.unwrap(), BTreeSet::from([P1, ANY]));
}

#[test]
fn malformed_policies_are_refused_where_critical_and_else_show_no_policy() {
    let one = || sequence(&[oid(P1)]);
    for value in [
        sequence(&[]),
        sequence(&[one(), one()]),
        sequence(&[oid(P1)]),
        sequence(&[sequence(&[oid(P1), oid(P2)])]),
        [sequence(&[one()]), vec![0]].concat(),
        Vec::new(),
    ] {
        assert_eq!(
            read_policies(&value, true).unwrap_err(),
            MalformedPolicies("certificatePolicies")
        );
        assert_eq!(read_policies(&value, false).unwrap().policies, None);
    }
}

#[test]
fn constraints_are_read_and_a_wrong_one_is_named() {
    let read = |constraints: &[Vec<u8>]| {
        let value = sequence(constraints);
        let values = PolicyValues {
            policy_constraints: Some(&value),
            ..PolicyValues::default()
        };
        PolicyExtensions::read(values).map(|read| (read.require_explicit_policy, read.inhibit_policy_mapping))
    };
    let (explicit, inhibit) = (|n: &[u8]| element(0x80, n), |n: &[u8]| element(0x81, n));
    assert_eq!(read(&[explicit(&[0])]), Ok((Some(0), None)));
    assert_eq!(read(&[inhibit(&[3])]), Ok((None, Some(3))));
    assert_eq!(
        read(&[explicit(&[1, 0]), inhibit(&[0, 0x80])]),
        Ok((Some(256), Some(128)))
    );
    assert_eq!(read(&[explicit(&[0x7f; 20])]), Ok((Some(65_535), None)));
    for wrong in [
        vec![],
        vec![explicit(&[0xff])],
        vec![explicit(&[])],
        vec![inhibit(&[0]), explicit(&[0])],
    ] {
        assert_eq!(read(&wrong), Err(MalformedPolicies("policyConstraints")));
    }
}

#[test]
fn mappings_and_inhibit_any_policy_are_read_and_a_wrong_one_is_named() {
    let pair = |from, to| sequence(&[oid(from), oid(to)]);
    let read = |value: &[u8]| {
        let values = PolicyValues {
            policy_mappings: Some(value),
            ..PolicyValues::default()
        };
        PolicyExtensions::read(values).map(|read| read.mappings.len())
    };
    assert_eq!(
        read(&sequence(&[pair(P1, P2), pair(P1, P3), pair(P2, P3)])),
        Ok(2)
    );
    for wrong in [
        sequence(&[]),
        sequence(&[pair(ANY, P1)]),
        sequence(&[pair(P1, ANY)]),
        sequence(&[sequence(&[oid(P1)])]),
    ] {
        assert_eq!(read(&wrong), Err(MalformedPolicies("policyMappings")));
    }
    let read = |value: &[u8]| {
        let values = PolicyValues {
            inhibit_any_policy: Some(value),
            ..PolicyValues::default()
        };
        PolicyExtensions::read(values).map(|read| read.inhibit_any_policy)
    };
    assert_eq!(read(&[2, 1, 4]), Ok(Some(4)));
    for wrong in [&[2, 1, 0xff][..], &[2, 0], &[4, 1, 4], &[2, 1, 4, 0]] {
        assert_eq!(read(wrong), Err(MalformedPolicies("inhibitAnyPolicy")));
    }
}

/// The chain that makes the tree of RFC 5280 grow exponentially (RFC 9618 §4): every policy is mapped to
/// every other, at each depth.
#[test]
fn a_chain_made_to_grow_costs_no_more_than_its_octets() {
    let names: Vec<[u8; 2]> = (1..=40).map(|last| [0x2a, last]).collect();
    let mut extensions = PolicyExtensions {
        policies: Some(names.iter().map(|name| &name[..]).collect()),
        require_explicit_policy: Some(0),
        ..PolicyExtensions::default()
    };
    for from in &names {
        extensions
            .mappings
            .insert(from, names.iter().map(|name| &name[..]).collect());
    }
    let path: Vec<_> = std::iter::repeat_n((&extensions, false), 50).collect();
    assert_eq!(super::check(&path), Ok(()));
}

proptest! {
    #[test]
    fn no_value_panics(
        value in proptest::collection::vec(any::<u8>(), 0..48),
        content in proptest::collection::vec(any::<u8>(), 0..48),
    ) {
        for value in [value, sequence(std::slice::from_ref(&content)), sequence(&[sequence(&[content])])] {
            let values = |which: usize| PolicyValues {
                certificate_policies: (which == 0).then_some(&value[..]),
                certificate_policies_are_critical: true,
                policy_mappings: (which == 1).then_some(&value[..]),
                policy_constraints: (which == 2).then_some(&value[..]),
                inhibit_any_policy: (which == 3).then_some(&value[..]),
            };
            for which in 0..4 {
                let _ = PolicyExtensions::read(values(which));
            }
        }
    }

    /// Without mappings and anyPolicy the rule is plain: a policy that all of them have.
    #[test]
    fn plain_policies_hold_where_all_certificates_share_one(
        sets in proptest::collection::vec(0_u8..16, 1..6),
    ) {
        let all = [P1, P2, P3, P4];
        let mut path: Vec<_> = sets.iter().map(|bits| {
            let chosen = all.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
            with(&chosen.map(|(_, policy)| *policy).collect::<Vec<_>>())
        }).collect();
        path[0] = path[0].clone().explicit(0);
        let shared = sets.iter().fold(0xf, |shared, bits| shared & bits);
        prop_assert_eq!(check(&path).is_ok(), shared != 0);
    }
}
