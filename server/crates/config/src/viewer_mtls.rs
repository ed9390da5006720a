//! `[distributions.viewer_mtls]`: what a distribution asks of its clients.

use bothways_trust::CertificateHeader;

use super::behaviors::Behavior;
use super::error::Problem;
use super::key::KeyPath;
use super::raw::RawViewerMtls;
use super::suggest::{choose, instead_of};
use super::trust_stores::TrustStoreConfig;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MtlsPolicy {
    /// Clients are not asked for a certificate.
    Off,
    /// They are asked, and only proof of the key is checked.
    Passthrough,
    Verify(ViewerMtls),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ViewerMtls {
    pub key: KeyPath,
    pub mode: MtlsMode,
    /// Index into the trust stores of the configuration.
    pub trust_store: usize,
    /// Another one, which judges beside it and decides nothing.
    pub candidate_trust_store: Option<usize>,
    /// notBefore and notAfter of every certificate of the chain do not count.
    pub ignore_certificate_expiry: bool,
    pub advertise_trust_store_ca_names: bool,
    pub on_revocation: OnRevocation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MtlsMode {
    /// No certificate, no connection.
    Required,
    /// A client without a certificate is let in; one with a bad certificate is not.
    Optional,
}

/// Treatment of open connections whose client a reload revokes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnRevocation {
    Close,
    /// They stay until they end by themselves.
    Keep,
}

impl MtlsPolicy {
    /// A header that is never sent in this mode is a mistake: an origin that waits for it might take its
    /// absence for an answer.
    pub(super) fn check_headers(&self, behaviors: &[Behavior]) -> Result<(), Problem> {
        use CertificateHeader as Header;
        for behavior in behaviors {
            let key = behavior.key.child("origin_request_policy").child("headers");
            for (index, header) in behavior.origin_request_policy.headers.iter().enumerate() {
                let problem = match (self, header) {
                    (Self::Passthrough, Header::Validity | Header::Pem) => Some((
                        "is not sent in mode \"passthrough\"",
                        "name \"Client-Cert\", which carries the whole certificate",
                    )),
                    (Self::Verify(_) | Self::Off, Header::ClientCert | Header::ClientCertChain) => Some((
                        "is sent in mode \"passthrough\" only",
                        "name \"CloudFront-Viewer-Cert-Pem\", which carries the whole certificate",
                    )),
                    _ => None,
                };
                if let Some((fault, remedy)) = problem {
                    return Err(Problem::new(
                        &key.index(index),
                        format!("{header} {fault}"),
                        remedy,
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Reads `viewer_mtls`. Mode and trust store have no default: a policy left half empty must not become a
/// weaker one.
pub(super) fn viewer_mtls(
    key: &KeyPath,
    raw: Option<&RawViewerMtls>,
    stores: &[TrustStoreConfig],
) -> Result<MtlsPolicy, Problem> {
    let Some(raw) = raw else {
        return Ok(MtlsPolicy::Off);
    };
    let Some(mode) = raw.mode.as_deref() else {
        let remedy = "set mode = \"required\", \"optional\" or \"passthrough\", or remove the table to ask \
            for no certificates";
        return Err(Problem::new(&key.child("mode"), "missing", remedy));
    };
    let choices = [
        ("required", Some(MtlsMode::Required)),
        ("optional", Some(MtlsMode::Optional)),
        ("passthrough", None),
    ];
    match choose(&key.child("mode"), mode, &choices)? {
        Some(mode) => verify(key, mode, raw, stores).map(MtlsPolicy::Verify),
        None => passthrough(key, raw).map(|()| MtlsPolicy::Passthrough),
    }
}

fn verify(
    key: &KeyPath,
    mode: MtlsMode,
    raw: &RawViewerMtls,
    stores: &[TrustStoreConfig],
) -> Result<ViewerMtls, Problem> {
    let Some(name) = raw.trust_store.as_deref() else {
        let remedy = "name the trust store that clients are verified against";
        return Err(Problem::new(&key.child("trust_store"), "missing", remedy));
    };
    let trust_store = store(&key.child("trust_store"), name, stores)?;
    Ok(ViewerMtls {
        key: key.clone(),
        mode,
        trust_store,
        candidate_trust_store: candidate(key, trust_store, raw, stores)?,
        ignore_certificate_expiry: raw.ignore_certificate_expiry.unwrap_or(false),
        advertise_trust_store_ca_names: raw.advertise_trust_store_ca_names.unwrap_or(false),
        on_revocation: on_revocation(&key.child("on_revocation"), raw.on_revocation.as_deref())?,
    })
}

fn store(key: &KeyPath, name: &str, stores: &[TrustStoreConfig]) -> Result<usize, Problem> {
    let found = stores.iter().position(|known| known.name.as_str() == name);
    found.ok_or_else(|| {
        let known = stores.iter().map(|known| known.name.as_str());
        let fault = format!("no trust store is named {name:?}");
        Problem::new(key, fault, instead_of(name, known, "trust stores"))
    })
}

fn candidate(
    key: &KeyPath,
    trust_store: usize,
    raw: &RawViewerMtls,
    stores: &[TrustStoreConfig],
) -> Result<Option<usize>, Problem> {
    let Some(name) = raw.candidate_trust_store.as_deref() else {
        return Ok(None);
    };
    let key = key.child("candidate_trust_store");
    let candidate = store(&key, name, stores)?;
    if candidate == trust_store {
        let fault = format!("{name:?} is the trust store that decides already");
        let remedy = "name the one that is to take its place, or remove the key";
        return Err(Problem::new(&key, fault, remedy));
    }
    Ok(Some(candidate))
}

/// Refuses keys that would have no effect: whoever wrote one expects a check that nobody makes.
fn passthrough(key: &KeyPath, raw: &RawViewerMtls) -> Result<(), Problem> {
    let given = [
        ("trust_store", raw.trust_store.is_some()),
        ("candidate_trust_store", raw.candidate_trust_store.is_some()),
        (
            "ignore_certificate_expiry",
            raw.ignore_certificate_expiry.is_some(),
        ),
        (
            "advertise_trust_store_ca_names",
            raw.advertise_trust_store_ca_names.is_some(),
        ),
        ("on_revocation", raw.on_revocation.is_some()),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((name, _)) => Err(Problem::new(
            &key.child(name),
            "mode \"passthrough\" checks certificates against no trust store",
            "remove it, or set mode = \"required\" or \"optional\"",
        )),
    }
}

fn on_revocation(key: &KeyPath, given: Option<&str>) -> Result<OnRevocation, Problem> {
    let choices = [("close", OnRevocation::Close), ("keep", OnRevocation::Keep)];
    given.map_or(Ok(OnRevocation::Close), |name| choose(key, name, &choices))
}
