//! The policy of one distribution, and the verdict that it gives.
//!
//! Owns the order of the checks. First what is cheap and bounds the rest (sizes). Then each path that
//! [`path`] finds is asked everything else: its certificates' own conditions, then what only a trusted
//! certificate is worth telling about (key, keyUsage), then its standing (validity, revocation), which is the
//! part that can change while the certificate stays the same and is therefore asked again by
//! [`Policy::readmit`]. A client is admitted if one path meets all of it.

use std::sync::{Arc, OnceLock};

use rustls_pki_types::{CertificateDer, UnixTime};

use super::case::{Case, Chain};
use super::certificate::{Certificate, Version, parse_readable};
use super::conditions;
use super::crl_scope::Coverage;
use super::digest::sha256;
use super::facts::CertificateFacts;
use super::key_id::KeyId;
use super::names;
use super::path::{self, Failed, NoPath};
use super::presented::{self, check_key, check_key_usage, check_sizes, told_sizes, told_usage, told_version};
use super::required_purposes;
use super::revocation::{Listed, RevocationSet, Source};
use super::rules::{MODE_OCTETS, Mode, OutOfDate, Rules, WithoutCrl};
use super::store::{CERTIFICATE_BYTES_MAX, TrustStore};
use super::time::{Seconds, format_span, format_utc, seconds};
use super::trace::{Check, Furthest, Silent, Step, Trace};
use super::verdict::{Link, Refusal, Rejected, RejectedKind, Role, Verified, VerifiedClient};

/// Immutable; one per distribution and snapshot, shared by all cores.
#[derive(Debug)]
pub struct Policy {
    rules: Rules,
    store: Arc<TrustStore>,
    revocations: Arc<RevocationSet>,
    digest: [u8; 32],
    switches_digest: [u8; 32],
}

impl Policy {
    /// `revocations` must have been built for `store`.
    pub fn new(
        distribution_id: &str,
        rules: Rules,
        store: Arc<TrustStore>,
        revocations: Arc<RevocationSet>,
    ) -> Self {
        // The id comes last: what stands before it says where it ends, so no two policies share an encoding.
        let rules_encoded = rules.encode();
        let identity = [&rules_encoded[..], store.digest(), distribution_id.as_bytes()];
        Self {
            digest: sha256(&identity.concat()),
            switches_digest: sha256(rules_encoded.get(MODE_OCTETS..).unwrap_or_default()),
            rules,
            store,
            revocations,
        }
    }

    pub fn mode(&self) -> Mode {
        self.rules.mode
    }

    pub fn store(&self) -> &Arc<TrustStore> {
        &self.store
    }

    pub fn revocations(&self) -> &Arc<RevocationSet> {
        &self.revocations
    }

    /// Identifies distribution, trust store and all rules that decide who is admitted, not the revocation
    /// set: who was accepted under one digest is acceptable under the same digest unless revoked or expired
    /// since.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Identifies what decides about a chain beside store and revocations: the switches without the mode.
    pub(super) fn switches_digest(&self) -> &[u8; 32] {
        &self.switches_digest
    }

    /// Judges what a client presented; `intermediates` in any order.
    pub fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<VerifiedClient, Rejected> {
        self.judge(leaf, intermediates, now, &mut Silent)
    }

    /// The same, and how it came to that: each check as it passed, up to the one that failed.
    pub fn explain(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> (Result<VerifiedClient, Rejected>, Vec<Step>) {
        let mut steps = Vec::new();
        let verdict = self.judge(leaf, intermediates, now, &mut steps);
        (verdict, steps)
    }

    /// Checks if a client that was accepted before would be accepted now: same policy, still valid, still
    /// unrevoked.
    pub fn readmit(&self, client: &VerifiedClient, now: UnixTime) -> Result<(), Rejected> {
        self.standing_of(client, now).map(drop)
    }

    /// The same verdict as of now, or why it no longer stands: what [`Policy::verify`] would say without
    /// checking again what cannot have changed.
    pub fn restate(&self, client: &VerifiedClient, now: UnixTime) -> Result<VerifiedClient, Rejected> {
        let caveat = self.standing_of(client, now)?;
        Ok(client.with_caveat(caveat))
    }

    fn standing_of(&self, client: &VerifiedClient, now: UnixTime) -> Result<Option<String>, Rejected> {
        let same_policy = if *client.policy_digest() == self.digest {
            Ok(())
        } else {
            Err(another_policy())
        };
        same_policy
            .and_then(|()| self.standing(client.links(), now, &mut Silent))
            .map_err(|refusal| refusal.with_facts(Some(Arc::clone(client.facts()))))
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        trace: &mut impl Trace,
    ) -> Result<VerifiedClient, Rejected> {
        // A certificate that is too large is refused below. It is not parsed for the log either.
        let readable = leaf.len() <= CERTIFICATE_BYTES_MAX;
        let certificate = readable.then(|| Certificate::parse(leaf)).flatten();
        // The facts come first: whatever the refusal, its record names the certificate.
        let facts = certificate.as_ref().and_then(CertificateFacts::of).map(Arc::new);
        let sizes = check_sizes(leaf, intermediates);
        let standing = trace
            .report(Check::Size, sizes, |()| told_sizes(leaf, intermediates))
            .and_then(|()| {
                let readable = certificate.as_ref().ok_or_else(presented::unreadable);
                trace.report(Check::Encoding, readable, |found| told_version(found))
            })
            .and_then(|certificate| self.find_path(certificate, intermediates, now, trace));
        // Here alone a `VerifiedClient` is made: a path was found, and it met all that is asked of it.
        match (standing, facts) {
            (Ok((links, caveat)), Some(facts)) => Ok(VerifiedClient::new(Verified {
                facts,
                links: links.into(),
                policy_digest: self.digest,
                switches_digest: self.switches_digest,
                ends: !self.rules.ignore_expiry,
                caveat,
                intermediates: OnceLock::new(),
            })),
            // Admitted, but the record could not say whom: refused, since nobody could tell the client apart.
            (Ok(_), None) => Err(presented::unreadable().with_facts(None)),
            (Err(refusal), facts) => Err(refusal.with_facts(facts)),
        }
    }

    fn find_path(
        &self,
        leaf: &Certificate<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        trace: &mut impl Trace,
    ) -> Result<Admissible, Refusal> {
        if leaf.version() == Version::V1 && !self.rules.allow_v1 {
            return trace.report(Check::Path, Err(presented::version_1_switched_off()), |_| {
                String::new()
            });
        }
        let readable = parse_readable(intermediates);
        let case = Case {
            store: &self.store,
            leaf,
            // Certificates that cannot be read are no reason to refuse: another path may do without them.
            unreadable: intermediates.len() - readable.len(),
            intermediates: readable,
            depth_max: self.rules.chain_depth_max,
        };
        trace.passed(Check::Candidates, || path::told_candidates(&case));
        let mut comparisons_left = NAME_COMPARISONS_MAX;
        let found = path::find(&case, |chain| {
            // Silent but for how far the path came: that decides which of several failures is told.
            let mut reached = Furthest(Check::Path);
            let checked = self.check(&case, chain, now, &mut comparisons_left, &mut reached);
            checked.map_err(|refusal| Failed {
                check: reached.0,
                refusal,
            })
        });
        let (chain, verdict) = match found {
            Ok((chain, found)) => (chain, Ok(found)),
            Err(NoPath::Failed(chain, refusal)) => (chain, Err(refusal)),
            Err(NoPath::DeadEnd(refusal)) => {
                return trace.report(Check::Path, Err(refusal), |_| String::new());
            }
        };
        if trace.listens() {
            // Of all paths only the one that decides is told.
            comparisons_left = NAME_COMPARISONS_MAX;
            return self.check(&case, &chain, now, &mut comparisons_left, trace);
        }
        verdict
    }

    /// Everything that is asked of a path, the cheap and the general first.
    fn check(
        &self,
        case: &Case<'_>,
        chain: &Chain<'_>,
        now: UnixTime,
        comparisons_left: &mut usize,
        trace: &mut impl Trace,
    ) -> Result<Admissible, Refusal> {
        let leaf = chain.leaf;
        let conditions = conditions::check(case, chain, comparisons_left);
        let links = conditions.map(|()| chain.links());
        let links = trace.report(Check::Path, links, |links| told_path(links))?;
        trace.report(Check::Key, check_key(leaf), |key| key.to_string())?;
        trace.report(Check::KeyUsage, check_key_usage(leaf), |usage| {
            usage.as_ref().map_or_else(|| "absent".to_owned(), told_usage)
        })?;
        let purposes = required_purposes::check(leaf, &self.rules.required_purposes);
        trace.report(Check::ExtendedKeyUsage, purposes, |()| {
            required_purposes::told(leaf)
        })?;
        let caveat = self.standing(&links, now, trace)?;
        Ok((links, caveat))
    }

    /// Checks validity and revocation of a chain. Returns what the log has to say about a client that is
    /// admitted all the same.
    pub(super) fn standing(
        &self,
        links: &[Link],
        now: UnixTime,
        trace: &mut impl Trace,
    ) -> Result<Option<String>, Refusal> {
        let mut caveats = Vec::new();
        for link in links {
            let caveat = self.check_validity(link, seconds(now));
            caveats.extend(trace.report(Check::Validity, caveat, |caveat| link.told_validity(caveat))?);
        }
        for (position, link) in links.iter().enumerate() {
            let unrevoked = self.check_unrevoked(link, above(links, position));
            trace.report(Check::Revocation, unrevoked, |()| {
                format!("{} is not listed", link.who_with_serial())
            })?;
        }
        // The anchor is trusted by configuration: only what it or those below it issued depends on a CRL.
        for (position, link) in links.iter().enumerate() {
            if link.role == Role::Anchor {
                continue;
            }
            let above = above(links, position);
            let caveat = self.check_source(link, above, now);
            caveats.extend(trace.report(Check::RevocationSource, caveat, |caveat| {
                self.told_source(link, above, caveat.as_deref())
            })?);
        }
        Ok((!caveats.is_empty()).then(|| caveats.join("; ")))
    }

    /// A sentence, if the validity does not count and is over.
    fn check_validity(&self, link: &Link, now: Seconds) -> Result<Option<String>, Refusal> {
        match link.check_validity(now) {
            Err(refusal) if self.rules.ignore_expiry => Ok(Some(format!(
                "{}, which ignore_certificate_expiry lets pass",
                refusal.reason
            ))),
            checked => checked.map(|()| None),
        }
    }

    fn check_unrevoked(&self, link: &Link, above: &[Link]) -> Result<(), Refusal> {
        let listed = match &link.anchor_digest {
            Some(digest) => self.revocations.listed_anchor(digest),
            None => self
                .revocations
                .listed(&link.issuer, |key| place(key, above), &link.serial),
        };
        let Listed::Yes(source) = listed else {
            return Ok(());
        };
        let reason = match source {
            Source::SerialList => format!("{} is revoked by a serial list", link.who_with_serial()),
            Source::Crl => format!(
                "{} is revoked by a CRL of {}",
                link.who_with_serial(),
                names::display(&link.issuer)
            ),
        };
        Err(Refusal::new(RejectedKind::Revoked, reason))
    }

    /// Checks if a current CRL answers for this certificate. Returns a sentence if none does and that is
    /// accepted.
    fn check_source(&self, link: &Link, above: &[Link], now: UnixTime) -> Result<Option<String>, Refusal> {
        let refuse = |reason| Err(Refusal::new(RejectedKind::RevocationUnknown, reason));
        let rules = &self.rules;
        let not_current = |reason| match rules.out_of_date_crl {
            OutOfDate::Reject => refuse(reason),
            OutOfDate::AcceptAndLog => Ok(Some(reason)),
        };
        match self
            .revocations
            .coverage(&link.issuer, |key| place(key, above), &link.subject_of_crl(), now)
        {
            Coverage::Current => Ok(None),
            Coverage::OutOfDate { next_update } => not_current(out_of_date(link, next_update, seconds(now))),
            Coverage::NotYetValid { this_update } => {
                not_current(not_yet_valid(link, this_update, seconds(now)))
            }
            Coverage::None => match rules.ca_without_crl {
                WithoutCrl::Accept => Ok(None),
                WithoutCrl::AcceptAndLog => Ok(Some(self.without_crl(link, above))),
                WithoutCrl::Reject => refuse(self.without_crl(link, above)),
            },
        }
    }

    fn without_crl(&self, link: &Link, above: &[Link]) -> String {
        let (issuer, who) = (names::display(&link.issuer), link.who());
        let of_another_key = self
            .revocations
            .has_crl_of_another_key(&link.issuer, |key| place(key, above));
        let hint = match of_another_key {
            true => ", only one that another key of a CA of that name has signed",
            false => "",
        };
        format!("no CRL of {issuer} that covers {who} is loaded{hint}")
    }

    fn told_source(&self, link: &Link, above: &[Link], caveat: Option<&str>) -> String {
        let who = link.who();
        let entries = self.revocations.entries_of(&link.issuer, |key| place(key, above));
        match (caveat, entries) {
            (Some(caveat), _) => format!("{caveat}: accepted, and logged"),
            (None, None) => format!("{who}: no CRL of its issuer, and none is needed"),
            (None, Some(entries)) => {
                let issuer = names::display(&link.issuer);
                format!("{who}: CRL of {issuer}, {entries} entries")
            }
        }
    }
}

/// The links between one and the anchor, the anchor included.
fn above(links: &[Link], position: usize) -> &[Link] {
    links.get(position + 1..).unwrap_or_default()
}

/// Distance of the CA with this key above a certificate, if it is in its path.
fn place(key: &KeyId, above: &[Link]) -> Option<usize> {
    above.iter().position(|link| link.key.as_ref() == Some(key))
}

fn out_of_date(link: &Link, next_update: Seconds, now: Seconds) -> String {
    format!(
        "the CRL of {} is {} out of date (nextUpdate {})",
        names::display(&link.issuer),
        format_span(now.saturating_sub(next_update)),
        format_utc(next_update)
    )
}

fn not_yet_valid(link: &Link, this_update: Seconds, now: Seconds) -> String {
    format!(
        "the CRL of {} becomes valid in {} (thisUpdate {})",
        names::display(&link.issuer),
        format_span(this_update.saturating_sub(now)),
        format_utc(this_update)
    )
}

fn told_path(links: &[Link]) -> String {
    let path: Vec<_> = links.iter().map(Link::who).collect();
    format!("{}: every signature and constraint holds", path.join(" ← "))
}

fn another_policy() -> Refusal {
    Refusal::new(
        RejectedKind::Untrusted,
        "the client was verified under another policy or trust store",
    )
}

/// The links of a path and what the log has to say about it.
type Admissible = (Vec<Link>, Option<String>);

/// Names of certificates times subtrees of name constraints, for one client: some 10 ms.
const NAME_COMPARISONS_MAX: usize = 250_000;

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "standing_tests.rs"]
mod standing_tests;
