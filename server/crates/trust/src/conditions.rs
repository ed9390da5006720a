//! The conditions of RFC 5280 §6.1 that every certificate of a path has to meet, signatures, dates
//! and revocation apart.
//!
//! Asked of each path that names and signatures lead to, from the leaf's issuer upwards, the leaf last: the
//! fault that is told is that of the CA nearest to the client. Owns form (version 3, extensions once, none
//! critical that nobody knows), CA:TRUE, keyCertSign, pathLenConstraint, extended key usage, name
//! constraints, certificate policies. A CA of the trust store is held to the limits of its own certificate
//! too: RFC 5280 §6.1.1 leaves that to whoever configures it, and OpenSSL, which an operator will compare
//! with, keeps to them.

use super::case::{Case, Chain};
use super::certificate::{CaDepth, Certificate, Version};
use super::certificate_fault::{Fault, MalformedExtension};
use super::certificate_policies::{self, MalformedPolicies, NoValidPolicy, PolicyExtensions};
use super::constrained_names::{self, ConstrainedName};
use super::extensions::Known;
use super::name_constraints::{NameConstraints, Outcome};
use super::purpose::Purpose;
use super::required_purposes;
use super::v1_leaf;
use super::verdict::{Refusal, RejectedKind, Role};

/// Checks if this path may stand, whatever the date and whoever is revoked. Takes the cost of its
/// names from `comparisons_left`.
pub(super) fn check(case: &Case<'_>, chain: &Chain<'_>, comparisons_left: &mut usize) -> Result<(), Refusal> {
    let mut below: &[&Certificate<'_>] = &[];
    for (count, ca) in (1..).zip(&chain.intermediates) {
        check_ca(ca, below)?;
        below = chain.intermediates.get(..count).unwrap_or_default();
    }
    check_anchor(chain, below)?;
    match chain.leaf.version() {
        Version::V1 => v1_leaf::check(case, chain)?,
        _ => check_leaf(chain.leaf)?,
    }
    check_names(chain, comparisons_left)?;
    check_policies(chain)
}

fn check_ca(ca: &Certificate<'_>, below: &[&Certificate<'_>]) -> Result<(), Refusal> {
    let who = || Role::Intermediate.name(&ca.display_subject());
    let malformed = |MalformedExtension(name)| Refusal::of_fault(&Fault::Extension(name), &who());
    let form = ca.check_form().and_then(|()| ca.check_dates());
    form.map_err(|fault| Refusal::of_fault(&fault, &who()))?;
    let depth = ca.ca_depth().map_err(malformed)?;
    if depth == CaDepth::NoCa {
        return Err(Refusal::new(
            RejectedKind::Untrusted,
            format!(
                "{} is not a CA certificate (basicConstraints CA:TRUE is missing)",
                who()
            ),
        ));
    }
    let usage = ca.key_usage().map_err(malformed)?;
    // RFC 5280 §6.1.4 n.
    if usage.is_some_and(|usage| !usage.key_cert_sign()) {
        return Err(Refusal::new(
            RejectedKind::Untrusted,
            format!(
                "{} may not sign certificates (its keyUsage lacks keyCertSign)",
                who()
            ),
        ));
    }
    check_depth(depth, below, who)?;
    let purposes = ca.extended_key_usages().map_err(malformed)?;
    check_purposes(purposes.as_deref(), || {
        format!("the extended key usage of {} is", who())
    })
}

/// RFC 5280 §6.1.3 b and c: the constraints of each CA, for the leaf and all CAs below that were not issued
/// in their own name.
fn check_names(chain: &Chain<'_>, comparisons_left: &mut usize) -> Result<(), Refusal> {
    for (below, ca) in chain.intermediates.iter().enumerate() {
        let who = || Role::Intermediate.name(&ca.display_subject());
        let malformed = || Refusal::of_fault(&Fault::Extension("nameConstraints"), &who());
        let value = ca.value(Known::NameConstraints).map_err(|_| malformed())?;
        if let Some(value) = value {
            let constraints = NameConstraints::parse(value).ok_or_else(malformed)?;
            check_names_below(chain, below, &constraints, comparisons_left, who)?;
        }
    }
    let anchor = chain.anchor;
    match &anchor.name_constraints {
        Some(constraints) => {
            let who = || Role::Anchor.name(&anchor.subject_text);
            check_names_below(
                chain,
                chain.intermediates.len(),
                constraints,
                comparisons_left,
                who,
            )
        }
        None => Ok(()),
    }
}

/// The names of the leaf, and of so many CAs above it.
fn check_names_below(
    chain: &Chain<'_>,
    below: usize,
    constraints: &NameConstraints,
    comparisons_left: &mut usize,
    whose: impl Fn() -> String,
) -> Result<(), Refusal> {
    let leaf = std::iter::once((Role::Leaf, chain.leaf));
    let cas = chain
        .intermediates
        .iter()
        .take(below)
        .filter(|ca| !ca.is_self_issued());
    for (role, certificate) in leaf.chain(cas.map(|ca| (Role::Intermediate, *ca))) {
        let who = || role.name(&certificate.display_subject());
        let outcome = match names_of(role, certificate) {
            Some(names) => constraints.check(&names, comparisons_left),
            None => return Err(Refusal::of_fault(&Fault::Extension("subjectAltName"), &who())),
        };
        let breaks = match outcome {
            Outcome::Holds => continue,
            Outcome::Violated { .. } => "violates",
            Outcome::CannotTell { .. } | Outcome::TooManyComparisons => "cannot be checked against",
        };
        let reason = format!(
            "{} {breaks} the name constraints of {}: {outcome}",
            who(),
            whose()
        );
        return Err(Refusal::new(RejectedKind::Invalid, reason));
    }
    Ok(())
}

/// `None`: no names.
fn names_of<'a>(role: Role, certificate: &Certificate<'a>) -> Option<Vec<ConstrainedName<'a>>> {
    let alternative = certificate.value(Known::SubjectAlternativeName).ok()?;
    match role {
        Role::Leaf => constrained_names::of_leaf(certificate.subject(), alternative),
        _ => constrained_names::of_ca(certificate.subject(), alternative),
    }
}

/// RFC 5280 §6.1.3 d to f, §6.1.4 a to j: only a path of which a certificate demands a policy can fail.
fn check_policies(chain: &Chain<'_>) -> Result<(), Refusal> {
    let below_anchor = chain.intermediates.iter().rev();
    let cas = below_anchor.map(|ca| (Role::Intermediate, *ca));
    let path: Vec<_> = cas.chain([(Role::Leaf, chain.leaf)]).collect();
    let says_something = |certificate: &Certificate<'_>| {
        certificate.policy_values().is_ok_and(|values| {
            let restricts = [
                values.policy_constraints,
                values.policy_mappings,
                values.inhibit_any_policy,
            ];
            values.certificate_policies_are_critical || restricts.iter().any(Option::is_some)
        })
    };
    if !path.iter().any(|(_, certificate)| says_something(certificate)) {
        return Ok(());
    }
    let mut read = Vec::with_capacity(path.len());
    for (role, certificate) in &path {
        let malformed = |name| {
            Refusal::of_fault(
                &Fault::Extension(name),
                &role.name(&certificate.display_subject()),
            )
        };
        let values = certificate
            .policy_values()
            .map_err(|MalformedExtension(name)| malformed(name))?;
        let extensions = PolicyExtensions::read(values).map_err(|MalformedPolicies(name)| malformed(name))?;
        read.push((extensions, certificate.is_self_issued()));
    }
    let policies: Vec<_> = read
        .iter()
        .map(|(extensions, is_self_issued)| (extensions, *is_self_issued))
        .collect();
    certificate_policies::check(&policies).map_err(|missing| no_policy(&path, missing))
}

fn no_policy(path: &[(Role, &Certificate<'_>)], missing: NoValidPolicy) -> Refusal {
    let who = |position: usize| {
        let found = path.get(position);
        found.map_or_else(String::new, |(role, certificate)| {
            role.name(&certificate.display_subject())
        })
    };
    let reason = format!(
        "{} requires a certificate policy that is valid for the whole chain (policyConstraints), and none \
         is from {} on",
        who(missing.required_by),
        who(missing.lost_at)
    );
    Refusal::new(RejectedKind::Invalid, reason)
}

/// The anchor's own form was checked when the store was loaded.
fn check_anchor(chain: &Chain<'_>, below: &[&Certificate<'_>]) -> Result<(), Refusal> {
    let anchor = chain.anchor;
    let who = || Role::Anchor.name(&anchor.subject_text);
    check_depth(anchor.ca_depth, below, who)?;
    check_purposes(anchor.purposes.as_deref(), || format!("{} is for", who()))
}

fn check_leaf(leaf: &Certificate<'_>) -> Result<(), Refusal> {
    let who = || Role::Leaf.name("");
    let malformed = |MalformedExtension(name)| Refusal::of_fault(&Fault::Extension(name), &who());
    let form = leaf.check_form().and_then(|()| leaf.check_dates());
    form.map_err(|fault| Refusal::of_fault(&fault, &who()))?;
    if leaf.ca_depth().map_err(malformed)? != CaDepth::NoCa {
        return Err(Refusal::new(
            RejectedKind::IntentInvalid,
            "the client certificate is a CA certificate (basicConstraints CA:TRUE); present an end-entity \
             certificate",
        ));
    }
    let purposes = leaf.extended_key_usages().map_err(malformed)?;
    check_purposes(purposes.as_deref(), || {
        format!("the extended key usage of {} is", who())
    })
}

/// RFC 5280 §4.2.1.9: CAs issued in their own name do not count.
fn check_depth(
    depth: CaDepth,
    below: &[&Certificate<'_>],
    who: impl FnOnce() -> String,
) -> Result<(), Refusal> {
    let CaDepth::AtMost(most) = depth else {
        return Ok(());
    };
    // To know how a CA was issued costs two names in canonical form, so it is asked only where it matters.
    if below.len() <= most {
        return Ok(());
    }
    let counted = below.iter().filter(|ca| !ca.is_self_issued()).count();
    if counted <= most {
        return Ok(());
    }
    let reason = format!(
        "{} allows {most} CAs below it (pathLenConstraint), and {counted} were presented",
        who()
    );
    Err(Refusal::new(RejectedKind::MaxChainDepthExceeded, reason))
}

/// Checks that a certificate may serve for client authentication. An absent extension allows every purpose;
/// anyExtendedKeyUsage does not stand for clientAuth.
fn check_purposes(purposes: Option<&[Purpose]>, what_is: impl FnOnce() -> String) -> Result<(), Refusal> {
    let Some(purposes) = purposes else {
        return Ok(());
    };
    if purposes.iter().any(|purpose| purpose.octets() == CLIENT_AUTH) {
        return Ok(());
    }
    let reason = format!(
        "{} {} only; clientAuth is needed",
        what_is(),
        required_purposes::list(purposes)
    );
    Err(Refusal::new(RejectedKind::IntentInvalid, reason))
}

/// 1.3.6.1.5.5.7.3.2
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

#[cfg(test)]
#[path = "conditions_tests.rs"]
mod tests;
