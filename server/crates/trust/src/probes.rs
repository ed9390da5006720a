//! Entries into parsers and rules that no public type reaches by itself, for the fuzz targets and the oracle.
//! Nothing else calls them.

use super::certificate_policies::{self, PolicyExtensions, PolicyValues};
use super::name_constraints::{NameConstraints, Outcome};
use super::{constrained_names, der, pss};

/// Judges the names of a leaf by a nameConstraints extension: all three as they stand in a certificate, tag
/// and length included. The error is the reason. `None`: one of them is malformed.
pub fn judge_names(
    constraints: &[u8],
    subject: &[u8],
    alternative_names: Option<&[u8]>,
) -> Option<Result<(), String>> {
    let constraints = NameConstraints::parse(constraints)?;
    let subject = der::only(subject, der::SEQUENCE)?;
    let names = constrained_names::of_leaf(subject, alternative_names)?;
    let mut comparisons_left = COMPARISONS_MAX;
    Some(match constraints.check(&names, &mut comparisons_left) {
        Outcome::Holds => Ok(()),
        refused => Err(refused.to_string()),
    })
}

/// Judges the policies of a path, from the CA below the anchor down to the leaf. Of each certificate the
/// values of certificatePolicies, policyMappings, policyConstraints and inhibitAnyPolicy. `None`: one of them
/// is malformed.
pub fn judge_policies(path: &[[Option<&[u8]>; 4]]) -> Option<bool> {
    let all = path.iter().map(read_policies).collect::<Option<Vec<_>>>()?;
    let path: Vec<_> = all.iter().map(|extensions| (extensions, false)).collect();
    Some(certificate_policies::check(&path).is_ok())
}

fn read_policies<'a>(
    [policies, mappings, constraints, inhibit]: &[Option<&'a [u8]>; 4],
) -> Option<PolicyExtensions<'a>> {
    PolicyExtensions::read(PolicyValues {
        certificate_policies: *policies,
        certificate_policies_are_critical: true,
        policy_mappings: *mappings,
        policy_constraints: *constraints,
        inhibit_any_policy: *inhibit,
    })
    .ok()
}

/// Checks a signature whose AlgorithmIdentifier has this content. The error is the reason. `None`: it is not
/// RSASSA-PSS.
pub fn judge_pss(
    algorithm: &[u8],
    public_key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Option<Result<(), String>> {
    let parameters = pss::Parameters::of(algorithm)?;
    let verdict = parameters.and_then(|known| pss::verify(public_key, known, message, signature));
    Some(verdict.map_err(|fault| fault.to_string()))
}

const COMPARISONS_MAX: usize = 100_000;
