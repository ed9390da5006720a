//! Revoked certificates: serial lists and CRLs of one trust store, merged into one immutable set.
//!
//! Owns the lookup. An issuer is a name *and a key* (RFC 5280 §6.3.3 f): a serial of a CRL, and its dates and
//! scope, count for what the key that signed the CRL has issued, not for another CA of that name, or for the
//! same one before or after it got another key. Names are compared as RFC 5280 §7.1 says. A serial of a list
//! is revoked whichever CA issued it, unless the configuration binds the list to a CA.
//!
//! There is one step beyond the key, in both directions of a CA's change of keys (RFC 4210 §4.4). A CRL
//! answers for a certificate if its key is further up in the path, in a certificate of the same name. And
//! what it lists is revoked, without its answering for anybody, if a certificate of the store says that the
//! old key vouches for the new one.
//!
//! Several CRLs of one issuer add up: what any of them lists is revoked, and while an older file lies beside
//! its successor the newest nextUpdate of each scope counts, of those whose thisUpdate has come.
//!
//! A lookup costs the same however long the lists are, and allocates nothing.

use std::fmt;
use std::time::Duration;

use rustls_pki_types::UnixTime;

use super::canonical_name;
use super::crl_scope::{Coverage, Covered, Scope};
use super::key_id::KeyId;
use super::serials::SerialSet;
use super::time::{Seconds, seconds};

/// Immutable; shared by all cores.
#[derive(Default)]
pub struct RevocationSet {
    pub(super) any_issuer: SerialSet,
    /// At most as many as the store has CAs.
    pub(super) issuers: Vec<IssuerSet>,
    pub(super) revoked_anchors: Vec<RevokedAnchor>,
    pub(super) crls: Vec<LoadedCrl>,
}

/// Facts that are known of the certificates of one issuer.
pub(super) struct IssuerSet {
    /// Raw content octets of the Name, as the CAs of the store and the CRLs spell it; never empty.
    pub(super) spellings: Vec<Box<[u8]>>,
    pub(super) key: KeyId,
    /// Keys that the same CA had before: a certificate of the store has this name as issuer and subject, and
    /// is signed with them.
    pub(super) certified_by: Vec<KeyId>,
    pub(super) by_list: SerialSet,
    pub(super) by_crl: SerialSet,
    pub(super) scopes: Vec<Scope>,
}

/// A CA of the bundle that was itself revoked by one above it.
pub(super) struct RevokedAnchor {
    /// SHA-256 of its certificate.
    pub(super) digest: [u8; 32],
    pub(super) source: Source,
    pub(super) subject: String,
}

/// CRL of a set, for whoever watches over the age of the CRL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedCrl {
    pub issuer: String,
    /// Two CAs may have one name.
    pub key: KeyId,
    pub this_update: UnixTime,
    pub next_update: UnixTime,
    pub entries: usize,
}

/// The answer for one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    No,
    Yes(Source),
}

impl Listed {
    pub fn is_listed(self) -> bool {
        matches!(self, Self::Yes(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    SerialList,
    Crl,
}

impl RevocationSet {
    /// Nothing is revoked.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Serials held, each counted once per issuer.
    pub fn len(&self) -> usize {
        let of_issuer = |issuer: &IssuerSet| issuer.by_list.len() + issuer.by_crl.len();
        self.any_issuer.len() + self.issuers.iter().map(of_issuer).sum::<usize>()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells if a certificate that `key` has issued was revoked. `issuer`: content octets of the Name,
    /// without tag and length; `serial`: content octets of the INTEGER.
    pub fn lookup(&self, issuer: &[u8], key: &KeyId, serial: &[u8]) -> Listed {
        self.listed(issuer, |known| (known == key).then_some(0), serial)
    }

    /// The CRLs it was made of.
    pub fn crls(&self) -> &[LoadedCrl] {
        &self.crls
    }

    /// The subjects of CAs of the bundle that a CRL or a list revokes: none of their clients is admitted.
    pub fn revoked_cas(&self) -> impl Iterator<Item = &str> {
        self.revoked_anchors.iter().map(|anchor| &*anchor.subject)
    }

    /// True if there is any CRL, of whatever issuer.
    pub fn has_crls(&self) -> bool {
        !self.crls.is_empty()
    }

    /// Memory held by the serials, in bytes.
    pub fn bytes(&self) -> usize {
        let of_issuer = |issuer: &IssuerSet| issuer.by_list.bytes() + issuer.by_crl.bytes();
        self.any_issuer.bytes() + self.issuers.iter().map(of_issuer).sum::<usize>()
    }

    /// Looks up a serial number as [`Self::lookup`] does, within a path. `place`: how far above the
    /// certificate a key is, if it is.
    pub(super) fn listed(
        &self,
        issuer: &[u8],
        place: impl Fn(&KeyId) -> Option<usize>,
        serial: &[u8],
    ) -> Listed {
        if self.any_issuer.contains(serial) {
            return Listed::Yes(Source::SerialList);
        }
        let is_in_path = |key: &KeyId| place(key).is_some();
        for set in &self.issuers {
            let is_issuer = is_in_path(&set.key);
            if !(is_issuer || set.certified_by.iter().any(is_in_path)) || !set.is_named(issuer) {
                continue;
            }
            if is_issuer && set.by_list.contains(serial) {
                return Listed::Yes(Source::SerialList);
            }
            if set.by_crl.contains(serial) {
                return Listed::Yes(Source::Crl);
            }
        }
        Listed::No
    }

    /// The same for a CA of the store, whose issuer no path shows. `digest`: SHA-256 of its certificate.
    pub(super) fn listed_anchor(&self, digest: &[u8; 32]) -> Listed {
        let mut revoked = self.revoked_anchors.iter();
        match revoked.find(|anchor| anchor.digest == *digest) {
            Some(anchor) => Listed::Yes(anchor.source),
            None => Listed::No,
        }
    }

    /// Tells if the CRLs of its issuer answer for `certificate` now. CRLs of the key that signed the
    /// certificate count before CRLs of keys further up. If several CRLs of the key that counts answer, each
    /// must be current.
    pub(super) fn coverage(
        &self,
        issuer: &[u8],
        place: impl Fn(&KeyId) -> Option<usize>,
        certificate: &Covered<'_>,
        now: UnixTime,
    ) -> Coverage {
        let mut nearest = (usize::MAX, Coverage::None);
        for set in &self.issuers {
            let Some(at) = place(&set.key).filter(|at| *at < nearest.0 && set.is_named(issuer)) else {
                continue;
            };
            let covering = set.scopes.iter().filter(|scope| scope.covers(certificate));
            if let Some(worst) = covering.map(|scope| scope.coverage(seconds(now))).min() {
                nearest = (at, worst);
            }
        }
        nearest.1
    }

    /// True if there is a CRL of that name, by a key that is not in the path.
    pub(super) fn has_crl_of_another_key(
        &self,
        issuer: &[u8],
        place: impl Fn(&KeyId) -> Option<usize>,
    ) -> bool {
        let mut sets = self.issuers.iter().filter(|set| !set.scopes.is_empty());
        sets.any(|set| place(&set.key).is_none() && set.is_named(issuer))
    }

    /// Number of serials that the CRLs of an issuer list, if there is one.
    pub(super) fn entries_of(&self, issuer: &[u8], place: impl Fn(&KeyId) -> Option<usize>) -> Option<usize> {
        let is_issuer = |set: &&IssuerSet| place(&set.key).is_some() && set.is_named(issuer);
        let mut sets = self.issuers.iter().filter(is_issuer);
        let set = sets.find(|set| !set.scopes.is_empty())?;
        Some(set.by_crl.len())
    }
}

impl IssuerSet {
    /// Known spellings first, since comparing the others takes longer.
    pub(super) fn is_named(&self, name: &[u8]) -> bool {
        self.spellings.iter().any(|known| **known == *name)
            || self
                .spellings
                .first()
                .is_some_and(|known| canonical_name::is_same(known, name))
    }
}

impl fmt::Debug for RevocationSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationSet")
            .field("serials", &self.len())
            .finish_non_exhaustive()
    }
}

/// Moments before 1970 become 1970.
pub(super) fn unix_time(seconds: Seconds) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

#[cfg(test)]
#[path = "revocation_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "revocation_issuer_tests.rs"]
mod issuer_tests;
