//! Effect of a reload on a client that is connected already: would it be admitted if it came now?
//!
//! Owns the short cut. A chain that was accepted under the same switches, and whose very anchor is in today's
//! store, would find the same path again: only its standing (validity, revocation) can have changed, and that
//! is a few lookups. So a CA more in a store costs nobody anything. Whatever else has changed, the chain is
//! verified anew, signatures too, as it was presented: also where the path that was taken no longer stands,
//! since there may be another, over a certificate that replaced a revoked one.

use rustls_pki_types::{CertificateDer, UnixTime};

use super::policy::Policy;
use super::trace::Silent;
use super::verdict::{Rejected, Role, VerifiedClient};

impl Policy {
    /// Checks if `client`, accepted under whatever policy, would be accepted under this one now.
    ///
    /// # Errors
    /// Why not, in the words of a handshake that fails today.
    pub fn reassess(&self, client: &VerifiedClient, now: UnixTime) -> Result<(), Rejected> {
        let stands = || self.standing(client.links(), now, &mut Silent).is_ok();
        if self.would_find_the_same_path(client) && stands() {
            return Ok(());
        }
        let leaf = CertificateDer::from(client.facts().der());
        self.verify(&leaf, &intermediates(client), now).map(drop)
    }

    fn would_find_the_same_path(&self, client: &VerifiedClient) -> bool {
        let digest = client.links().last().and_then(|anchor| anchor.anchor_digest);
        let has = |digest| {
            self.store()
                .anchors()
                .iter()
                .any(|anchor| anchor.digest == digest)
        };
        client.switches_digest() == self.switches_digest() && digest.is_some_and(has)
    }
}

/// Intermediates of the accepted path. Other certificates that were presented are forgotten.
fn intermediates(client: &VerifiedClient) -> Vec<CertificateDer<'_>> {
    let links = client.links().iter();
    links
        .filter(|link| link.role == Role::Intermediate)
        .filter_map(|link| link.der.as_deref().map(CertificateDer::from))
        .collect()
}

#[cfg(test)]
#[path = "reassess_tests.rs"]
mod tests;
