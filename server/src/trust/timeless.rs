//! A path whose certificates were never all valid at once, for distributions that ignore expiry.
//!
//! webpki knows no way not to look at the dates, so this goes link by link and asks webpki where it can: the leaf is verified by webpki
//! under its issuer as the trust anchor, at a moment when the leaf was valid (signature, extended key usage, basicConstraints, critical
//! extensions, name constraints); each CA above it is read by webpki and its signature checked by webpki's algorithms. What remains
//! is checked here, as strictly as webpki does or more: dates well-formed, CA:TRUE, pathLenConstraint, keyCertSign, extended key
//! usage. The name constraints of every CA of the path are applied to the leaf by webpki; those that would apply to the alternative
//! names of an intermediate cannot be evaluated, and such a path is refused.
//!
//! Nothing else is weaker than in [`super::path`]; a property test compares the two wherever both have an answer. The search is bounded
//! by the candidates that `path` lets through and by a budget of signatures.

use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki::{EndEntityCert, Error, KeyUsage};

use super::certificate::{CaDepth, Certificate};
use super::diagnosis::{self, Case};
use super::path::{LEAF_AND_ANCHOR, may_issue};
use super::signature::Signed;
use super::store::Anchor;
use super::verdict::{Link, Refusal, RejectedKind, Role};

/// The links of a path, leaf first, anchor last.
pub(super) fn build(
    end_entity: &EndEntityCert<'_>,
    case: &Case<'_>,
    candidates: &[&Certificate<'_>],
) -> Result<Vec<Link>, Refusal> {
    let ders: Vec<_> = candidates.iter().map(|c| CertificateDer::from(c.der())).collect();
    let cas = candidates.iter().zip(&ders).map(|(c, der)| Ca::read(c, der));
    let mut search = Search {
        end_entity,
        case,
        cas: cas.collect(),
        signatures_left: SIGNATURES_MAX,
        refusal: None,
    };
    let mut path = Vec::new();
    match search.extend(&mut path) {
        Some(anchor) => Ok(search.links(&path, anchor)),
        None => Err(search
            .refusal
            .unwrap_or_else(|| case.explain(&Error::UnknownIssuer))),
    }
}

/// An intermediate that was presented.
struct Ca<'s, 'c> {
    certificate: &'s Certificate<'c>,
    /// How it would stand in a trust store, or what disqualifies it wherever it stands in the path.
    usable: Result<UsableCa<'s>, Refusal>,
}

struct UsableCa<'s> {
    anchor: TrustAnchor<'s>,
    depth: CaDepth,
    has_names: bool,
}

struct Search<'s, 'c> {
    end_entity: &'s EndEntityCert<'s>,
    case: &'s Case<'c>,
    cas: Vec<Ca<'s, 'c>>,
    signatures_left: usize,
    /// The most telling one so far.
    refusal: Option<Refusal>,
}

impl<'s, 'c> Search<'s, 'c> {
    /// Completes `path`, which holds the intermediates so far, from the leaf upwards, each of them checked but for the name
    /// constraints above it. Depth first; as deep as the chain may be.
    fn extend(&mut self, path: &mut Vec<usize>) -> Option<&'s Anchor> {
        let case = self.case;
        let issuer = self.top(path).issuer();
        for anchor in case.store.anchors().iter().filter(|a| *a.subject == *issuer) {
            match self.check_anchor(path, anchor) {
                Ok(()) => return Some(anchor),
                Err(refusal) => self.note(refusal),
            }
        }
        if path.len() + LEAF_AND_ANCHOR >= case.depth_max {
            return None;
        }
        for next in 0..self.cas.len() {
            let leads_on = self
                .cas
                .get(next)
                .is_some_and(|ca| ca.certificate.subject() == issuer && !self.repeats(path, ca));
            if !leads_on {
                continue;
            }
            if let Err(refusal) = self.check_ca(path, next) {
                self.note(refusal);
                continue;
            }
            path.push(next);
            if let Some(anchor) = self.extend(path) {
                return Some(anchor);
            }
            path.pop();
        }
        None
    }

    fn top(&self, path: &[usize]) -> &'s Certificate<'c> {
        let top = path.last().and_then(|last| self.cas.get(*last));
        top.map_or(self.case.leaf, |ca| ca.certificate)
    }

    fn on<'p>(&'p self, path: &'p [usize]) -> impl Iterator<Item = &'p Ca<'s, 'c>> {
        path.iter().filter_map(|position| self.cas.get(*position))
    }

    /// RFC 4158 §5.2: the same name and key twice in a path.
    fn repeats(&self, path: &[usize], ca: &Ca<'_, '_>) -> bool {
        let is_same = |other: &Certificate<'_>| {
            other.subject() == ca.certificate.subject() && other.public_key() == ca.certificate.public_key()
        };
        is_same(self.case.leaf) || self.on(path).any(|below| is_same(below.certificate))
    }

    /// Whether the intermediate at `next` may and did issue the top of `path`.
    fn check_ca(&mut self, path: &[usize], next: usize) -> Result<(), Refusal> {
        let ca = self.cas.get(next).ok_or_else(too_many)?;
        let usable = ca.usable.as_ref().map_err(Clone::clone)?;
        let too_deep = |depth: u8| path.len() > usize::from(depth);
        if matches!(usable.depth, CaDepth::AtMost(depth) if too_deep(depth)) {
            return Err(self.case.explain(&Error::PathLenConstraintViolated));
        }
        let (anchor, certificate) = (usable.anchor.clone(), ca.certificate);
        if path.is_empty() {
            return self.check_leaf(anchor);
        }
        self.check_signature(path, certificate.public_key(), &certificate.display_subject())
    }

    /// Whether `anchor` did issue the top of `path`, and the constraints of all CAs of the path hold.
    fn check_anchor(&mut self, path: &[usize], anchor: &'s Anchor) -> Result<(), Refusal> {
        let lost = || self.case.explain(&Error::UnknownIssuer);
        let trusted = self.case.store.trust_anchor(anchor).ok_or_else(lost)?.clone();
        if path.is_empty() {
            return self.check_leaf(trusted);
        }
        self.check_signature(path, &anchor.public_key, &anchor.subject_text)?;
        self.check_names(path, trusted)
    }

    /// By webpki: everything about the leaf but where its issuer comes from.
    fn check_leaf(&mut self, issuer: TrustAnchor<'_>) -> Result<(), Refusal> {
        self.spend_signature()?;
        let moment = diagnosis::unix_time(self.case.leaf.validity().not_before);
        self.end_entity
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &[issuer],
                &[],
                moment,
                KeyUsage::client_auth(),
                None,
                None,
            )
            .map(drop)
            .map_err(|error| self.case.explain(&error))
    }

    fn check_signature(&mut self, path: &[usize], public_key: &[u8], issuer: &str) -> Result<(), Refusal> {
        self.spend_signature()?;
        let signed = Signed::parse(self.top(path).der()).ok_or_else(|| malformed(self.top(path)))?;
        signed
            .verify(public_key)
            .map_err(|_| match signed.is_verifiable() {
                true => self.case.signed_by_another(issuer),
                false => self.case.weak_signature(),
            })
    }

    /// The name constraints of each CA of the path, the leaf's issuer apart, which [`Self::check_leaf`] has seen.
    fn check_names(&mut self, path: &[usize], trusted: TrustAnchor<'_>) -> Result<(), Refusal> {
        let usable = self.on(path).filter_map(|ca| ca.usable.as_ref().ok());
        let usable: Vec<_> = usable.map(|ca| (ca.anchor.clone(), ca.has_names)).collect();
        let Some((issuer, mut below_have_names)) = usable.first().cloned() else {
            return Ok(());
        };
        let above = usable.into_iter().skip(1).chain([(trusted, false)]);
        for (ca, has_names) in above {
            if let Some(constraints) = ca.name_constraints {
                if below_have_names {
                    return Err(unevaluated());
                }
                self.check_leaf(TrustAnchor {
                    name_constraints: Some(constraints),
                    ..issuer.clone()
                })?;
            }
            below_have_names |= has_names;
        }
        Ok(())
    }

    fn spend_signature(&mut self) -> Result<(), Refusal> {
        self.signatures_left = self.signatures_left.checked_sub(1).ok_or_else(too_many)?;
        Ok(())
    }

    /// What says more than that keys or names do not match comes first.
    fn note(&mut self, refusal: Refusal) {
        let known = self.refusal.as_ref();
        if known.is_none_or(|known| known.kind == RejectedKind::Untrusted) {
            self.refusal = Some(refusal);
        }
    }

    fn links(&self, path: &[usize], anchor: &Anchor) -> Vec<Link> {
        let intermediates = self
            .on(path)
            .map(|ca| Link::of(Role::Intermediate, ca.certificate));
        std::iter::once(Link::of(Role::Leaf, self.case.leaf))
            .chain(intermediates)
            .chain([Link::of_anchor(anchor)])
            .collect()
    }
}

impl<'s, 'c> Ca<'s, 'c> {
    fn read(certificate: &'s Certificate<'c>, der: &'s CertificateDer<'s>) -> Self {
        Self {
            certificate,
            usable: UsableCa::read(certificate, der),
        }
    }
}

impl<'s> UsableCa<'s> {
    fn read(certificate: &Certificate<'_>, der: &'s CertificateDer<'s>) -> Result<Self, Refusal> {
        // webpki's strict reading: version 3, no extension twice, none unknown and critical.
        EndEntityCert::try_from(der).map_err(|error| diagnosis::of_intermediate(&error, certificate))?;
        let anchor = webpki::anchor_from_trusted_cert(der).map_err(|_| malformed(certificate))?;
        if !certificate.has_proper_validity() {
            return Err(malformed(certificate));
        }
        let depth = certificate.ca_depth().map_err(|_| malformed(certificate))?;
        if depth == CaDepth::NoCa {
            return Err(diagnosis::no_ca(certificate));
        }
        if !may_issue(certificate) {
            return Err(diagnosis::no_issuer(certificate));
        }
        let purposes = certificate
            .extended_key_usages()
            .map_err(|_| malformed(certificate))?;
        if purposes.is_some_and(|purposes| !purposes.contains(&diagnosis::client_auth())) {
            return Err(diagnosis::wrong_purpose(Role::Intermediate, certificate));
        }
        let has_names = certificate.has_subject_alternative_name();
        Ok(Self {
            anchor,
            depth,
            has_names: has_names.map_err(|_| malformed(certificate))?,
        })
    }
}

fn malformed(certificate: &Certificate<'_>) -> Refusal {
    let who = Role::Intermediate.name(&certificate.display_subject());
    Refusal::new(
        RejectedKind::Invalid,
        format!("{who} is malformed or cannot be used"),
    )
}

fn unevaluated() -> Refusal {
    Refusal::new(
        RejectedKind::Invalid,
        "the name constraints of a CA apply to an intermediate with alternative names; with certificates that were never valid at the same time this cannot be checked",
    )
}

fn too_many() -> Refusal {
    Refusal::new(
        RejectedKind::Invalid,
        "the presented certificates can be combined in too many ways to check",
    )
}

/// As many as webpki allows itself.
const SIGNATURES_MAX: usize = 100;

#[cfg(test)]
#[path = "timeless_tests.rs"]
mod tests;
