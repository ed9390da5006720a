//! Client policies of a snapshot: the demands of each distribution on its clients, and all that they are
//! judged by.

use bothways_config::{Config, ConfigError, MtlsPolicy, ViewerMtls};
use bothways_trust::TrustStore;
use rustls::DistinguishedName;

use super::parts::{Digest, Keep, Part};
use super::trust_stores::{LoadedTrust, no_store};
use crate::admission::{ClientPolicy, Verification};
use crate::tls;

/// Makes the policy of `distribution`, or keeps the one that was made of the same trust stores and settings.
///
/// # Errors
/// The CA names that it is to advertise take too much room.
pub(super) fn load(
    config: &Config,
    distribution: &bothways_config::Distribution,
    stores: &[LoadedTrust<'_>],
    mut keep: Keep<'_, ClientPolicy>,
) -> Result<Part<ClientPolicy>, ConfigError> {
    let mtls = &distribution.viewer_mtls;
    let digest = Digest::of(&(&distribution.id, mtls, digests(mtls, stores)));
    keep.find_or_load(digest, || client_policy(config, distribution, stores))
}

/// Digests of the trust stores that judge: the one that decides, and the candidate.
fn digests(mtls: &MtlsPolicy, stores: &[LoadedTrust<'_>]) -> [Option<Digest>; 2] {
    let digest = |index: usize| stores.get(index).map(|store| store.digest);
    match mtls {
        MtlsPolicy::Verify(mtls) => [
            digest(mtls.trust_store),
            mtls.candidate_trust_store.and_then(digest),
        ],
        MtlsPolicy::Off | MtlsPolicy::Passthrough => [None, None],
    }
}

fn client_policy(
    config: &Config,
    distribution: &bothways_config::Distribution,
    stores: &[LoadedTrust<'_>],
) -> Result<ClientPolicy, ConfigError> {
    let id = distribution.id.as_str();
    match &distribution.viewer_mtls {
        MtlsPolicy::Off => Ok(ClientPolicy::Off(scope("no client authentication", id))),
        MtlsPolicy::Passthrough => Ok(ClientPolicy::Passthrough(scope("passthrough", id))),
        MtlsPolicy::Verify(mtls) => verification(config, id, mtls, stores).map(ClientPolicy::Verify),
    }
}

fn verification(
    config: &Config,
    id: &str,
    mtls: &ViewerMtls,
    stores: &[LoadedTrust<'_>],
) -> Result<Verification, ConfigError> {
    let named = |index: usize| stores.get(index).ok_or_else(|| no_store(config, mtls));
    let store = named(mtls.trust_store)?;
    let candidate = mtls.candidate_trust_store.map(named).transpose()?;
    let advertised = match mtls.advertise_trust_store_ca_names {
        true => advertised(config, mtls, &store.trust)?,
        false => Vec::new(),
    };
    Ok(Verification {
        policy: store.policy(id, mtls),
        candidate: candidate.map(|store| store.policy(id, mtls)),
        advertised: advertised.into(),
    })
}

/// The names of the store's CAs, each once, if they are not too many.
fn advertised(
    config: &Config,
    mtls: &ViewerMtls,
    store: &TrustStore,
) -> Result<Vec<DistinguishedName>, ConfigError> {
    let mut names: Vec<DistinguishedName> = Vec::new();
    for subject in store.subjects() {
        let name = DistinguishedName::in_sequence(subject);
        if names.iter().all(|known| known.as_ref() != name.as_ref()) {
            names.push(name);
        }
    }
    let bytes: usize = names.iter().map(|name| name.as_ref().len() + LENGTH_BYTES).sum();
    if bytes <= ADVERTISED_BYTES_MAX {
        return Ok(names);
    }
    let fault = format!(
        "the CA names of trust store {:?} take {bytes} bytes in a handshake; \
         {ADVERTISED_BYTES_MAX} at most are safe for clients",
        store.name()
    );
    Err(config.source.error(
        &mtls.key.child("advertise_trust_store_ca_names"),
        fault,
        "set it to false, or keep only the CAs in the bundle that issue client certificates",
    ))
}

/// Scope that the tickets of a distribution without a trust store are bound to.
fn scope(mode: &str, id: &str) -> [u8; 32] {
    *Digest::of_bytes(format!("{mode}\0{id}").as_bytes()).octets()
}

/// Before each name (RFC 8446 §4.2.4).
const LENGTH_BYTES: usize = 2;
/// Room for CA names in a CertificateRequest. All of it, signature algorithms included, then fits into one
/// record of 16,384 bytes (RFC 8446 §5.1): there are clients that cannot put one together from several.
const ADVERTISED_BYTES_MAX: usize = 15 * 1024;
/// Everything else in a CertificateRequest: headers, certificate types, signature algorithms, some 60 bytes.
const OTHER_BYTES_MAX: usize = 256;

const _: () = assert!(ADVERTISED_BYTES_MAX + OTHER_BYTES_MAX <= tls::PLAIN_BYTES_MAX);
