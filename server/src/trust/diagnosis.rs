//! Why webpki found no path, in words.
//!
//! Owns the map from webpki's errors to [`RejectedKind`] and the sentences. webpki tells the most specific error of all paths it
//! tried, without saying of which certificate; here the presented certificates are read again to find the one that it is about. Nothing
//! here can admit anybody: the answer is always a refusal.

use std::time::Duration;

use rustls_pki_types::UnixTime;
use webpki::Error;

use super::certificate::{Certificate, Validity, Version};
use super::names;
use super::nearest;
use super::path::{LEAF_AND_ANCHOR, may_issue};
use super::purpose;
use super::signature;
use super::store::TrustStore;
use super::time::Seconds;
use super::verdict::{Refusal, RejectedKind, Role, expired, not_yet_valid};
use crate::config::Purpose;

/// What was presented, to whom, when.
pub(super) struct Case<'c> {
    pub(super) store: &'c TrustStore,
    pub(super) leaf: &'c Certificate<'c>,
    /// Those that can be read, in the order of presentation.
    pub(super) intermediates: Vec<Certificate<'c>>,
    pub(super) now: Seconds,
    pub(super) ignore_expiry: bool,
    /// Leaf and anchor count.
    pub(super) depth_max: usize,
}

/// Where the names lead.
enum NameChain<'c> {
    /// To the store, over so many presented certificates.
    Reaches { intermediates: usize },
    /// To a certificate whose issuer is neither presented nor in the store.
    EndsAt(&'c Certificate<'c>),
}

/// webpki could not even read the leaf.
pub(super) fn of_leaf(error: &Error, leaf: &Certificate<'_>) -> Refusal {
    match error {
        Error::UnsupportedCertVersion => Refusal::new(
            RejectedKind::TypeUnsupported,
            "the client certificate is not X.509 version 3",
        ),
        Error::UnsupportedCriticalExtension => unsupported_extension(&Role::Leaf.name(""), leaf),
        _ => Refusal::new(
            RejectedKind::Invalid,
            format!("the client certificate is malformed ({error})"),
        ),
    }
}

/// webpki could not read an intermediate.
pub(super) fn of_intermediate(error: &Error, intermediate: &Certificate<'_>) -> Refusal {
    let who = Role::Intermediate.name(&intermediate.display_subject());
    match error {
        Error::UnsupportedCertVersion => Refusal::new(
            RejectedKind::TypeUnsupported,
            format!("{who} is not X.509 version 3, as every CA must be"),
        ),
        Error::UnsupportedCriticalExtension => unsupported_extension(&who, intermediate),
        _ => Refusal::new(RejectedKind::Invalid, format!("{who} is malformed ({error})")),
    }
}

impl Case<'_> {
    /// The refusal for what webpki answered.
    pub(super) fn explain(&self, error: &Error) -> Refusal {
        match error {
            Error::MaximumPathDepthExceeded => self.too_deep(),
            Error::MaximumSignatureChecksExceeded
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumNameConstraintComparisonsExceeded => Refusal::new(
                RejectedKind::Invalid,
                "the presented certificates can be combined in too many ways to check",
            ),
            _ => match self.follow_names() {
                NameChain::EndsAt(top) => self.untrusted(top),
                NameChain::Reaches { intermediates }
                    if intermediates + LEAF_AND_ANCHOR > self.depth_max && *error == Error::UnknownIssuer =>
                {
                    self.too_deep()
                }
                NameChain::Reaches { .. } => self.explain_path(error),
            },
        }
    }

    /// A path exists by name; what breaks it?
    fn explain_path(&self, error: &Error) -> Refusal {
        match error {
            Error::CertExpired { not_after, .. } => {
                let not_after = super::time::seconds(*not_after);
                let who = self.who(|v| v.not_after == not_after);
                expired(&who, not_after, self.now)
            }
            Error::CertNotValidYet { not_before, .. } => {
                let not_before = super::time::seconds(*not_before);
                let who = self.who(|v| v.not_before == not_before);
                not_yet_valid(&who, not_before, self.now)
            }
            Error::UnknownIssuer
            | Error::InvalidSignatureForPublicKey
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                self.signed_by_another(&self.leaf.display_issuer())
            }
            Error::CaUsedAsEndEntity => Refusal::new(
                RejectedKind::IntentInvalid,
                "the client certificate is a CA certificate (basicConstraints CA:TRUE); present an end-entity certificate",
            ),
            Error::EndEntityUsedAsCa => self.issued_by_no_ca(),
            Error::PathLenConstraintViolated => Refusal::new(
                RejectedKind::MaxChainDepthExceeded,
                "the chain is longer than one of its CAs allows (pathLenConstraint)",
            ),
            Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => self.wrong_purpose(),
            Error::UnsupportedSignatureAlgorithmContext(_) => self.weak_signature(),
            Error::UnsupportedCertVersion => self.old_intermediate(),
            Error::UnsupportedCriticalExtension => self.unsupported_extension(),
            Error::NameConstraintViolation => Refusal::new(
                RejectedKind::Invalid,
                "a name in the client certificate violates the name constraints of one of its CAs",
            ),
            Error::InvalidCertValidity => Refusal::new(
                RejectedKind::Invalid,
                "a presented certificate ends before it begins (notAfter before notBefore)",
            ),
            _ => Refusal::new(
                RejectedKind::Invalid,
                format!("a presented certificate is malformed or cannot be used ({error})"),
            ),
        }
    }

    /// Names match, keys do not.
    pub(super) fn signed_by_another(&self, issuer: &str) -> Refusal {
        let store = self.store.name();
        let reason = format!(
            "the chain is signed by another key than that of {issuer}: a CA of the same name as in trust store {store}, but not the same CA"
        );
        Refusal::new(RejectedKind::Untrusted, reason)
    }

    /// Follows the issuers' names upwards, through every presented certificate if need be.
    fn follow_names(&self) -> NameChain<'_> {
        let mut top = self.leaf;
        // A loop of names uses up the certificates too, and ends.
        for intermediates in 0..=self.intermediates.len() {
            if self.store.named(top.issuer()).next().is_some() {
                return NameChain::Reaches { intermediates };
            }
            let is_next = |candidate: &&Certificate<'_>| {
                candidate.subject() == top.issuer() && candidate.subject() != candidate.issuer()
            };
            match self.intermediates.iter().find(is_next) {
                Some(issuer) => top = issuer,
                None => break,
            }
        }
        NameChain::EndsAt(top)
    }

    fn untrusted(&self, top: &Certificate<'_>) -> Refusal {
        let store = self.store.name();
        let issuer = names::display(top.issuer());
        let presented = self.intermediates.iter().any(|i| i.subject() == top.issuer());
        let nearest = || nearest::told(self.store, top.issuer(), top.authority_key_id());
        let reason = if top.issuer() == self.leaf.subject() {
            format!("the client certificate is self-signed and not issued by a CA of trust store {store}")
        } else if presented {
            format!(
                "the chain ends in {issuer}, which is not in trust store {store}{}",
                nearest()
            )
        } else {
            format!(
                "issuer {issuer} is not in trust store {store} and was not presented{}",
                nearest()
            )
        };
        Refusal::new(RejectedKind::Untrusted, reason)
    }

    fn who(&self, is_it: impl Fn(Validity) -> bool) -> String {
        if is_it(self.leaf.validity()) {
            return Role::Leaf.name("");
        }
        if let Some(found) = self.intermediates.iter().find(|i| is_it(i.validity())) {
            return Role::Intermediate.name(&found.display_subject());
        }
        match self.store.anchors().iter().find(|a| is_it(a.validity)) {
            Some(anchor) => Role::Anchor.name(&anchor.subject_text),
            None => "a certificate of the chain".to_owned(),
        }
    }

    fn issued_by_no_ca(&self) -> Refusal {
        let mut all = self.intermediates.iter();
        if let Some(found) = all.clone().find(|i| i.is_ca() != Ok(true)) {
            return no_ca(found);
        }
        match all.find(|i| !may_issue(i)) {
            Some(found) => no_issuer(found),
            None => Refusal::new(
                RejectedKind::Untrusted,
                "an intermediate is not a CA certificate (basicConstraints CA:TRUE is missing)",
            ),
        }
    }

    fn wrong_purpose(&self) -> Refusal {
        let others = self.intermediates.iter().map(|i| (Role::Intermediate, i));
        let mut all = std::iter::once((Role::Leaf, self.leaf)).chain(others);
        let found = all.find(|(_, certificate)| match certificate.extended_key_usages() {
            Ok(usages) => usages.is_some_and(|usages| !usages.contains(&client_auth())),
            Err(_) => true,
        });
        match found {
            Some((role, certificate)) => wrong_purpose(role, certificate),
            None => Refusal::new(
                RejectedKind::IntentInvalid,
                "clientAuth is not among the extended key usages",
            ),
        }
    }

    fn unsupported_extension(&self) -> Refusal {
        let mut all = self.intermediates.iter();
        match all.find(|i| i.unsupported_critical_extension().is_some()) {
            Some(found) => unsupported_extension(&Role::Intermediate.name(&found.display_subject()), found),
            None => Refusal::new(
                RejectedKind::Invalid,
                "an intermediate has a critical extension that is not supported",
            ),
        }
    }

    fn too_deep(&self) -> Refusal {
        let reason = format!(
            "the chain from the client certificate to the trust store has more than {} certificates; add an intermediate to the CA bundle",
            self.depth_max
        );
        Refusal::new(RejectedKind::MaxChainDepthExceeded, reason)
    }

    pub(super) fn weak_signature(&self) -> Refusal {
        let all = std::iter::once(self.leaf).chain(&self.intermediates);
        let found = all
            .map(|certificate| (certificate, certificate.signature_algorithm()))
            .find(|(_, oid)| signature::algorithm_name(oid) != oid);
        let reason = match found {
            Some((certificate, oid)) => format!(
                "{} is signed with {}, which is not accepted",
                certificate.display_subject(),
                signature::algorithm_name(&oid)
            ),
            None => "a certificate of the chain is signed with an algorithm that is not accepted".to_owned(),
        };
        Refusal::new(RejectedKind::TypeUnsupported, reason)
    }

    fn old_intermediate(&self) -> Refusal {
        let old = self.intermediates.iter().find(|i| i.version() != Version::V3);
        let who = old.map_or_else(
            || "an intermediate".to_owned(),
            |found| Role::Intermediate.name(&found.display_subject()),
        );
        let reason = format!("{who} is not X.509 version 3, as every CA must be");
        Refusal::new(RejectedKind::TypeUnsupported, reason)
    }
}

pub(super) fn no_ca(intermediate: &Certificate<'_>) -> Refusal {
    let who = Role::Intermediate.name(&intermediate.display_subject());
    let reason = format!("{who} is not a CA certificate (basicConstraints CA:TRUE is missing)");
    Refusal::new(RejectedKind::Untrusted, reason)
}

pub(super) fn no_issuer(intermediate: &Certificate<'_>) -> Refusal {
    let who = Role::Intermediate.name(&intermediate.display_subject());
    let reason = format!("{who} may not sign certificates (its keyUsage lacks keyCertSign)");
    Refusal::new(RejectedKind::Untrusted, reason)
}

pub(super) fn wrong_purpose(role: Role, certificate: &Certificate<'_>) -> Refusal {
    let who = role.name(&certificate.display_subject());
    let reason = match certificate.extended_key_usages() {
        Ok(usages) => format!(
            "the extended key usage of {who} is {} only; clientAuth is needed",
            purpose::list(&usages.unwrap_or_default())
        ),
        Err(_) => format!("the extended key usage of {who} is malformed or empty"),
    };
    Refusal::new(RejectedKind::IntentInvalid, reason)
}

pub(super) fn client_auth() -> Purpose {
    Purpose::from_octets(CLIENT_AUTH)
}

/// For webpki's errors, which cannot hold a date before 1970.
pub(super) fn unix_time(seconds: Seconds) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

fn unsupported_extension(who: &str, certificate: &Certificate<'_>) -> Refusal {
    let oid = certificate.unsupported_critical_extension();
    let which = oid.map_or_else(String::new, |oid| format!(" ({})", extension_name(&oid)));
    let reason = format!("{who} has a critical extension that is not supported{which}");
    Refusal::new(RejectedKind::Invalid, reason)
}

/// Names the extensions that people meet; others by their OID alone.
fn extension_name(oid: &str) -> String {
    let name = match oid {
        "2.5.29.9" => "subjectDirectoryAttributes",
        "2.5.29.18" => "issuerAltName",
        "2.5.29.32" => "certificatePolicies",
        "2.5.29.33" => "policyMappings",
        "2.5.29.36" => "policyConstraints",
        "2.5.29.46" => "freshestCRL",
        "2.5.29.54" => "inhibitAnyPolicy",
        "1.3.6.1.5.5.7.1.1" => "authorityInfoAccess",
        "1.3.6.1.5.5.7.1.3" => "qcStatements",
        "1.3.6.1.5.5.7.1.24" => "TLS feature",
        "1.3.6.1.4.1.11129.2.4.3" => "precertificate poison",
        _ => return oid.to_owned(),
    };
    format!("{name}, {oid}")
}

/// 1.3.6.1.5.5.7.3.2
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
