//! Trust stores of a snapshot: the CAs of a bundle, and what is revoked under them.

use std::sync::Arc;

use bothways_config::{Config, ConfigError, MtlsPolicy, Source, TrustStoreConfig, ViewerMtls};
use bothways_trust::{Policy, RevocationSet, TrustStore};

use super::inventory::{Inventory, Loading};
use super::parts::{Digest, Keep, Part};
use super::references;
use super::revocations::{self, StoreRevocations};
use super::rules::rules;
use crate::metrics::CrlDates;

/// A trust store with what has been revoked under it.
pub(super) struct LoadedTrust<'c> {
    config: &'c TrustStoreConfig,
    /// Digest of bundle, revocations and what the configuration says about them.
    pub(super) digest: Digest,
    pub(super) trust: Arc<TrustStore>,
    pub(super) revocations: Arc<RevocationSet>,
}

/// Loads every trust store of `config`, in its order. `before`: the revocations of the snapshot that this one
/// is to follow.
///
/// # Errors
/// A file cannot be used, or revocations would vanish.
pub(super) fn load<'c>(
    config: &'c Config,
    before: &[StoreRevocations],
    parts: &mut Loading<'_>,
) -> Result<Vec<LoadedTrust<'c>>, ConfigError> {
    let load = |store| LoadedTrust::load(config, store, parts);
    let stores = config
        .trust_stores
        .iter()
        .map(load)
        .collect::<Result<Vec<_>, _>>()?;
    for store in &stores {
        revocations::check_loss(config, store.config, &store.store_revocations(), before)?;
    }
    Ok(stores)
}

/// Loads what decides about the clients of one distribution, and nothing else; `None`: no trust store does.
///
/// # Errors
/// A file of its trust store cannot be used.
pub fn policy(
    config: &Config,
    distribution: &bothways_config::Distribution,
) -> Result<Option<Arc<Policy>>, ConfigError> {
    let MtlsPolicy::Verify(mtls) = &distribution.viewer_mtls else {
        return Ok(None);
    };
    let store = config.trust_stores.get(mtls.trust_store);
    let (store, nothing) = (store.ok_or_else(|| no_store(config, mtls))?, Inventory::default());
    let store = LoadedTrust::load(config, store, &mut Loading::after(&nothing))?;
    Ok(Some(store.policy(distribution.id.as_str(), mtls)))
}

pub(super) fn no_store(config: &Config, mtls: &ViewerMtls) -> ConfigError {
    let remedy = "name one of [[trust_stores]]";
    config.source.error(&mtls.key, "the trust store is gone", remedy)
}

impl<'c> LoadedTrust<'c> {
    fn load(
        config: &Config,
        store: &'c TrustStoreConfig,
        parts: &mut Loading<'_>,
    ) -> Result<Self, ConfigError> {
        let (before, now) = (parts.before, &mut parts.now);
        let bundle = bundle(&config.source, store, now.bundles.after(&before.bundles))?;
        warn_of_constraints(&bundle.value);
        let keep = now.revocations.after(&before.revocations);
        let revocations = revocations::load(config, store, &bundle, keep)?;
        Ok(Self {
            config: store,
            digest: Digest::of(&(bundle.digest, revocations.digest, store)),
            trust: bundle.value,
            revocations: revocations.value.set.clone(),
        })
    }

    pub(super) fn crl_dates(&self) -> impl Iterator<Item = CrlDates> {
        let trust_store: Arc<str> = self.trust.name().into();
        (0..)
            .zip(self.revocations.crls())
            .map(move |(number, crl)| CrlDates {
                trust_store: trust_store.clone(),
                number,
                issuer: crl.issuer.clone(),
                this_update: crl.this_update.as_secs(),
                next_update: crl.next_update.as_secs(),
            })
    }

    pub(super) fn store_revocations(&self) -> StoreRevocations {
        StoreRevocations::new(self.trust.clone(), self.revocations.clone())
    }

    /// The policy by which this store judges the clients of one distribution.
    pub(super) fn policy(&self, distribution_id: &str, mtls: &ViewerMtls) -> Arc<Policy> {
        let rules = rules(self.config, &self.revocations, mtls);
        let (trust, revocations) = (self.trust.clone(), self.revocations.clone());
        Arc::new(Policy::new(distribution_id, rules, trust, revocations))
    }
}

/// A store knows its name, so the name is an input.
fn bundle(
    source: &Source,
    store: &TrustStoreConfig,
    mut keep: Keep<'_, TrustStore>,
) -> Result<Part<TrustStore>, ConfigError> {
    let (file, inputs) = (&store.ca_bundle, |bytes: Digest| {
        Digest::of(&(&store.name, bytes))
    });
    let today = || references::digest(file, BUNDLE_BYTES_READ_MAX).map(inputs);
    if let Some(kept) = keep.find(today) {
        return Ok(kept);
    }
    let bundle = references::read(source, file, BUNDLE_BYTES_READ_MAX)?;
    let loaded = TrustStore::from_pem(store.name.as_str(), &bundle.bytes).map_err(|error| {
        let (fault, remedy) = (format!("{file}: {error}"), error.remedy(&file.to_string()));
        source.error(&file.key, fault, remedy)
    })?;
    Ok(keep.add(inputs(bundle.digest), loaded))
}

fn warn_of_constraints(trust: &TrustStore) {
    for (ca, kinds) in trust.constraints_not_evaluated() {
        let trust_store = trust.name();
        tracing::warn!(
            trust_store,
            ca,
            kinds,
            "a CA has name constraints of a kind that is not evaluated; \
             a client with a name of that kind is refused"
        );
    }
}

/// Well over the documented 64 KiB, so that the bundle's own error, with the number, is the one shown.
const BUNDLE_BYTES_READ_MAX: u64 = 1024 * 1024;
