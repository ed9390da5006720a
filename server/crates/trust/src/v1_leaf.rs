//! X.509 version 1 client certificates.
//!
//! `openssl x509 -req` without an extension file makes them, and so do the launch article's commands. A
//! version 1 certificate cannot say what it is for, so its conditions are narrow and fail closed. It is
//! accepted as a *leaf* that
//! - is exactly the six fields of a version 1 TBSCertificate (RFC 5280 §4.1), in DER, with the same algorithm
//!   inside and outside;
//! - was issued by a certificate of the trust store itself;
//! - has an issuer without name constraints, since it has no names that they could be enforced on but its
//!   subject.
//!
//! A CA is never version 1, and a presented intermediate is never the issuer. All else is asked of its path
//! as of any other.

use super::case::{Case, Chain};
use super::certificate_fault::Fault;
use super::dead_end;
use super::verdict::{Refusal, RejectedKind};

pub(super) fn check(case: &Case<'_>, chain: &Chain<'_>) -> Result<(), Refusal> {
    if !chain.intermediates.is_empty() {
        let reason = dead_end::v1_issuer_unknown(case);
        return Err(Refusal::new(RejectedKind::Untrusted, reason));
    }
    let form = chain.leaf.check_v1_form().and_then(|()| chain.leaf.check_dates());
    form.map_err(|fault| of_fault(&fault))?;
    if chain.anchor.name_constraints.is_some() {
        return Err(constrained(&chain.anchor.subject_text));
    }
    Ok(())
}

fn of_fault(fault: &Fault) -> Refusal {
    match fault {
        Fault::Encoding | Fault::UniqueId => Refusal::new(
            RejectedKind::Invalid,
            "the client certificate is X.509 version 1 but not encoded as such",
        ),
        other => Refusal::of_fault(other, "the client certificate"),
    }
}

fn constrained(anchor: &str) -> Refusal {
    let reason = format!(
        "the client certificate is X.509 version 1, which is not accepted from a CA with name constraints \
         ({anchor})"
    );
    Refusal::new(RejectedKind::TypeUnsupported, reason)
}

#[cfg(test)]
#[path = "v1_leaf_tests.rs"]
mod tests;
