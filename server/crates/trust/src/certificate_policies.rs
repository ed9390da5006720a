//! Certificate policies: whether a path is valid under the policies that its CAs require (RFC 5280 §6.1, as
//! changed by RFC 9618).
//!
//! Owns the four extensions (certificatePolicies, policyMappings, policyConstraints, inhibitAnyPolicy;
//! critical or not) and their processing for a relying party that asks for nothing itself:
//! user-initial-policy-set is any-policy, and none of the initial flags is set. So a path fails only where
//! one of its CAs sets requireExplicitPolicy and no policy is valid all the way down. Qualifiers are not
//! looked at.
//!
//! Usage, once the whole path is known:
//! ```text
//! // For each certificate below the anchor. The error names the extension that is malformed.
//! let policies = PolicyExtensions::read(PolicyValues { … })?;
//! // From the highest CA down to the leaf; the bool says whether it is self-issued.
//! certificate_policies::check(&[(&policies_of_ca, false), …, (&policies_of_leaf, false)])?;
//! ```
//! The anchor is no part of the path (RFC 5280 §6.1): its own policies bind nobody.
//!
//! RFC 9618 replaces the tree of policies, which a hostile chain could make exponentially large, by a graph
//! with one node for each policy and depth. Only its lowest level decides whether it is empty, since nodes
//! without children are pruned: that level is all that is kept here. It has at most as many nodes as the
//! extensions of the path have entries, and nothing is looked at twice: the work is n log n in the octets of
//! the path.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::der::{self, Element, Reader};

/// The content of an OBJECT IDENTIFIER.
type Oid<'a> = &'a [u8];

/// Statements of one certificate about policies.
#[derive(Clone, Debug, Default)]
pub(super) struct PolicyExtensions<'a> {
    policies: Option<BTreeSet<Oid<'a>>>,
    /// Policy of the issuer's domain → those of the subject's domain.
    mappings: BTreeMap<Oid<'a>, BTreeSet<Oid<'a>>>,
    require_explicit_policy: Option<usize>,
    inhibit_policy_mapping: Option<usize>,
    inhibit_any_policy: Option<usize>,
}

/// The extension that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MalformedPolicies(pub(super) &'static str);

/// No policy is valid for the path, and one of its certificates requires that there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoValidPolicy {
    /// Position, in the path that was checked, of the certificate whose policyConstraints say so.
    pub(super) required_by: usize,
    /// Position of the certificate below which no policy was left.
    pub(super) lost_at: usize,
}

/// Values of the extensions of one certificate, undecoded; `None` where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PolicyValues<'a> {
    pub(super) certificate_policies: Option<&'a [u8]>,
    pub(super) certificate_policies_are_critical: bool,
    pub(super) policy_mappings: Option<&'a [u8]>,
    pub(super) policy_constraints: Option<&'a [u8]>,
    pub(super) inhibit_any_policy: Option<&'a [u8]>,
}

impl<'a> PolicyExtensions<'a> {
    pub(super) fn read(values: PolicyValues<'a>) -> Result<Self, MalformedPolicies> {
        let (require_explicit_policy, inhibit_policy_mapping) =
            read(values.policy_constraints, "policyConstraints", read_constraints)?.unwrap_or_default();
        let policies = read(values.certificate_policies, "certificatePolicies", read_policies);
        Ok(Self {
            // Many a certificate lists a policy twice. It then has no policy to show, which matters only
            // where one is required.
            policies: match values.certificate_policies_are_critical {
                true => policies?,
                false => policies.unwrap_or_default(),
            },
            mappings: read(values.policy_mappings, "policyMappings", read_mappings)?.unwrap_or_default(),
            require_explicit_policy,
            inhibit_policy_mapping,
            inhibit_any_policy: read(values.inhibit_any_policy, "inhibitAnyPolicy", read_skip_certs)?,
        })
    }

    /// True where a path with this certificate may need a valid policy.
    pub(super) fn requires_explicit_policy(&self) -> bool {
        self.require_explicit_policy.is_some()
    }
}

/// Checks the certificates of a path from the one below the anchor down to the leaf, each with whether it is
/// self-issued. Costs next to nothing where none of them has requireExplicitPolicy.
pub(super) fn check(path: &[(&PolicyExtensions<'_>, bool)]) -> Result<(), NoValidPolicy> {
    if !path
        .iter()
        .any(|(extensions, _)| extensions.requires_explicit_policy())
    {
        return Ok(());
    }
    let mut state = State::new(path.len());
    let last = path.len().saturating_sub(1);
    for (position, (extensions, is_self_issued)) in path.iter().enumerate() {
        let is_last = position == last;
        state.apply_policies(position, extensions, *is_self_issued && !is_last);
        state.check()?;
        if is_last {
            state.wrap_up(position, extensions);
        } else {
            state.prepare_for_next(position, extensions, *is_self_issued);
        }
    }
    state.check()
}

/// The state variables of RFC 5280 §6.1.2 that concern policies.
struct State<'a> {
    /// valid_policy → expected_policy_set, of the graph's lowest level. Empty: the graph is NULL.
    level: BTreeMap<Oid<'a>, BTreeSet<Oid<'a>>>,
    explicit_policy: usize,
    policy_mapping: usize,
    inhibit_any_policy: usize,
    required_by: usize,
    lost_at: usize,
}

impl<'a> State<'a> {
    /// RFC 5280 §6.1.2 a, d, e, f.
    fn new(path_length: usize) -> Self {
        Self {
            level: BTreeMap::from([own_node(ANY_POLICY)]),
            explicit_policy: path_length + 1,
            policy_mapping: path_length + 1,
            inhibit_any_policy: path_length + 1,
            required_by: 0,
            lost_at: 0,
        }
    }

    /// RFC 5280 §6.1.3 d and e, by RFC 9618 §5.4.
    fn apply_policies(
        &mut self,
        position: usize,
        certificate: &PolicyExtensions<'a>,
        is_self_issued_ca: bool,
    ) {
        if self.level.is_empty() {
            return;
        }
        let expected: BTreeSet<Oid<'a>> = self.level.values().flatten().copied().collect();
        let covers_all = self.level.contains_key(ANY_POLICY);
        let policies = certificate.policies.iter().flatten().copied();
        self.level = policies
            .filter(|policy| *policy != ANY_POLICY && (covers_all || expected.contains(policy)))
            .map(own_node)
            .collect();
        let has_any = certificate
            .policies
            .iter()
            .flatten()
            .any(|policy| *policy == ANY_POLICY);
        if has_any && (self.inhibit_any_policy > 0 || is_self_issued_ca) {
            for policy in expected {
                self.level
                    .entry(policy)
                    .or_insert_with(|| BTreeSet::from([policy]));
            }
        }
        self.note_loss(position);
    }

    /// RFC 5280 §6.1.3 f.
    fn check(&self) -> Result<(), NoValidPolicy> {
        let is_valid = self.explicit_policy > 0 || !self.level.is_empty();
        is_valid.then_some(()).ok_or(NoValidPolicy {
            required_by: self.required_by,
            lost_at: self.lost_at,
        })
    }

    /// RFC 5280 §6.1.4 b and h to j. (a, anyPolicy in a mapping, is malformed from the start.)
    fn prepare_for_next(
        &mut self,
        position: usize,
        certificate: &PolicyExtensions<'a>,
        is_self_issued: bool,
    ) {
        if !self.level.is_empty() {
            self.map_policies(certificate);
            self.note_loss(position);
        }
        if !is_self_issued {
            self.explicit_policy = self.explicit_policy.saturating_sub(1);
            self.policy_mapping = self.policy_mapping.saturating_sub(1);
            self.inhibit_any_policy = self.inhibit_any_policy.saturating_sub(1);
        }
        self.require_explicit(position, certificate.require_explicit_policy);
        lower(&mut self.policy_mapping, certificate.inhibit_policy_mapping);
        lower(&mut self.inhibit_any_policy, certificate.inhibit_any_policy);
    }

    fn map_policies(&mut self, certificate: &PolicyExtensions<'a>) {
        let covers_all = self.level.contains_key(ANY_POLICY);
        for (policy, mapped) in &certificate.mappings {
            if self.policy_mapping == 0 {
                self.level.remove(policy);
            } else if covers_all || self.level.contains_key(policy) {
                self.level.insert(policy, mapped.clone());
            }
        }
    }

    /// RFC 5280 §6.1.5 a and b.
    fn wrap_up(&mut self, position: usize, leaf: &PolicyExtensions<'_>) {
        self.explicit_policy = self.explicit_policy.saturating_sub(1);
        self.require_explicit(position, leaf.require_explicit_policy.filter(|skip| *skip == 0));
    }

    fn require_explicit(&mut self, position: usize, skip: Option<usize>) {
        if lower(&mut self.explicit_policy, skip) {
            self.required_by = position;
        }
    }

    fn note_loss(&mut self, position: usize) {
        if self.level.is_empty() {
            self.lost_at = position;
        }
    }
}

/// Lowers `counter` to `limit`; true if that changed it.
fn lower(counter: &mut usize, limit: Option<usize>) -> bool {
    match limit {
        Some(limit) if limit < *counter => {
            *counter = limit;
            true
        }
        _ => false,
    }
}

fn own_node(policy: Oid<'_>) -> (Oid<'_>, BTreeSet<Oid<'_>>) {
    (policy, BTreeSet::from([policy]))
}

fn read<'a, T>(
    value: Option<&'a [u8]>,
    name: &'static str,
    read: impl Fn(&'a [u8]) -> Option<T>,
) -> Result<Option<T>, MalformedPolicies> {
    value
        .map(|value| read(value).ok_or(MalformedPolicies(name)))
        .transpose()
}

/// RFC 5280 §4.2.1.4: `SEQUENCE OF SEQUENCE { policyIdentifier, policyQualifiers SEQUENCE OPTIONAL }`, no
/// policy twice.
fn read_policies(value: &[u8]) -> Option<BTreeSet<Oid<'_>>> {
    let mut policies = BTreeSet::new();
    for_each_sequence(value, |mut fields| {
        let policy = fields.expect(der::OBJECT_IDENTIFIER)?.value;
        if !fields.is_empty() {
            let _qualifiers = fields.expect(der::SEQUENCE)?;
        }
        (policies.insert(policy) && fields.is_empty()).then_some(())
    })?;
    Some(policies)
}

/// RFC 5280 §4.2.1.5: `SEQUENCE OF SEQUENCE { issuerDomainPolicy, subjectDomainPolicy }`; anyPolicy is
/// neither.
fn read_mappings(value: &[u8]) -> Option<BTreeMap<Oid<'_>, BTreeSet<Oid<'_>>>> {
    let mut mappings: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for_each_sequence(value, |mut fields| {
        let issuers = fields.expect(der::OBJECT_IDENTIFIER)?.value;
        let subjects = fields.expect(der::OBJECT_IDENTIFIER)?.value;
        mappings.entry(issuers).or_default().insert(subjects);
        (fields.is_empty() && issuers != ANY_POLICY && subjects != ANY_POLICY).then_some(())
    })?;
    Some(mappings)
}

/// The SEQUENCEs in a SEQUENCE, at least one.
fn for_each_sequence<'a>(value: &'a [u8], mut visit: impl FnMut(Reader<'a>) -> Option<()>) -> Option<()> {
    let mut elements = Reader::new(der::only(value, der::SEQUENCE)?);
    loop {
        visit(Reader::new(elements.expect(der::SEQUENCE)?.value))?;
        if elements.is_empty() {
            return Some(());
        }
    }
}

/// RFC 5280 §4.2.1.11: requireExplicitPolicy, inhibitPolicyMapping; at least one of them.
fn read_constraints(value: &[u8]) -> Option<(Option<usize>, Option<usize>)> {
    let mut fields = Reader::new(der::only(value, der::SEQUENCE)?);
    let mut field = |tag| match fields.peek_tag() == Some(tag) {
        true => fields.next().and_then(|element| skip_certs(&element)).map(Some),
        false => Some(None),
    };
    let constraints = (field(REQUIRE_EXPLICIT_POLICY)?, field(INHIBIT_POLICY_MAPPING)?);
    (fields.is_empty() && constraints != (None, None)).then_some(constraints)
}

fn read_skip_certs(value: &[u8]) -> Option<usize> {
    let content = der::only(value, der::INTEGER)?;
    skip_certs_of(content)
}

fn skip_certs(element: &Element<'_>) -> Option<usize> {
    skip_certs_of(element.value)
}

/// `INTEGER (0..MAX)`. No path is so long that it matters what is above 65,535.
fn skip_certs_of(content: &[u8]) -> Option<usize> {
    let is_negative = content.first()? & 0x80 != 0;
    let magnitude = der::magnitude(content);
    let value = match magnitude {
        [] => 0,
        [low] => usize::from(*low),
        [high, low] => usize::from(u16::from_be_bytes([*high, *low])),
        _ => usize::from(u16::MAX),
    };
    (!is_negative).then_some(value)
}

impl fmt::Display for MalformedPolicies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its {} is malformed", self.0)
    }
}

/// 2.5.29.32.0.
const ANY_POLICY: Oid<'static> = &[0x55, 0x1d, 0x20, 0];
const REQUIRE_EXPLICIT_POLICY: u8 = 0x80;
const INHIBIT_POLICY_MAPPING: u8 = 0x81;

#[cfg(test)]
#[path = "certificate_policies_tests.rs"]
mod tests;
