//! Purposes of a certificate: the extended key usages that a trust store demands of a leaf.
//!
//! webpki has checked by then that an extendedKeyUsage, where there is one, allows client authentication.
//! Here is the stricter rule that an operator may add: the leaf must carry all of a list, and then an absent
//! extension is not enough.

use super::certificate::Certificate;
use super::purpose::Purpose;
use super::verdict::{Refusal, RejectedKind};

pub(super) fn check(leaf: &Certificate<'_>, required: &[Purpose]) -> Result<(), Refusal> {
    if required.is_empty() {
        return Ok(());
    }
    let refuse = |reason| Err(Refusal::new(RejectedKind::IntentInvalid, reason));
    match leaf.extended_key_usages() {
        Ok(None) => refuse(format!(
            "the client certificate has no extended key usage; this trust store requires {}",
            list(required)
        )),
        Ok(Some(present)) => match required.iter().find(|purpose| !present.contains(purpose)) {
            Some(missing) => refuse(format!(
                "the extended key usage of the client certificate is {}; this trust store requires \
                 {missing} too",
                list(&present)
            )),
            None => Ok(()),
        },
        Err(_) => refuse("the extended key usage of the client certificate is malformed".to_owned()),
    }
}

/// The purposes that the leaf states.
pub(super) fn told(leaf: &Certificate<'_>) -> String {
    match leaf.extended_key_usages() {
        Ok(None) => "absent: any purpose".to_owned(),
        Ok(Some(present)) => list(&present),
        Err(_) => "malformed".to_owned(),
    }
}

/// clientAuth, 1.2.3.4
pub(super) fn list(purposes: &[Purpose]) -> String {
    let names: Vec<_> = purposes.iter().map(ToString::to_string).collect();
    names.join(", ")
}
