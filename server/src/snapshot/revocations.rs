//! The revocation files of a trust store: read, and held against what was revoked under it before.
//!
//! Owns the rule that revocations do not vanish by accident. Lists are written by scripts and fetched over
//! networks, and a reload that finds them empty or gone looks like any other; so one that would leave nobody
//! revoked, or no CRL, is refused unless the configuration says in words that it may. A single file is judged
//! by `trust`; the comparison needs the snapshot before, which a start does not have.

use std::sync::Arc;

use bothways_config::{Config, ConfigError, RevocationFile, TrustStoreConfig};
use bothways_trust::{
    ListRules, LoadedFile, RevocationError, RevocationSet, RevocationSetBuilder, TrustStore,
};
use rustls_pki_types::UnixTime;

use super::files;

/// Revocations under one trust store of a snapshot.
#[derive(Clone, Debug)]
pub struct StoreRevocations {
    pub trust_store: Arc<str>,
    pub set: Arc<RevocationSet>,
    /// A store that was given another name is known by its CAs.
    trust: Arc<TrustStore>,
}

impl StoreRevocations {
    pub(super) fn new(trust: Arc<TrustStore>, set: Arc<RevocationSet>) -> Self {
        Self {
            trust_store: trust.name().into(),
            set,
            trust,
        }
    }
}

/// Reads the files that `store` names; what is odd about them and no error is logged.
pub(super) fn load(
    config: &Config,
    store: &TrustStoreConfig,
    trust: &TrustStore,
) -> Result<RevocationSet, ConfigError> {
    let mut builder = RevocationSetBuilder::new(trust);
    for file in &store.revocations {
        let bytes = files::read(
            &config.source,
            &file.file,
            config.limits.revocation_file_bytes_max,
        )?;
        let rules = ListRules {
            issuer: file.issuer.as_ref().map(|(_, issuer)| issuer.as_str()),
            may_be_empty: file.may_be_empty,
            is_named_as_crl: is_named_as_crl(file),
        };
        let loaded = builder.add_file_as(&bytes, &rules);
        warn(
            file,
            store,
            &loaded.map_err(|error| refused(config, file, &error))?,
        );
    }
    let set = builder.build();
    for ca in set.revoked_cas() {
        let trust_store = store.name.as_str();
        tracing::warn!(
            trust_store,
            ca,
            "a CA certificate of the bundle is itself revoked, so that no client is admitted by it; take it out of the bundle if that is meant"
        );
    }
    Ok(set)
}

/// True if a file is a CRL by its name. A file that the configuration describes as a serial list is a serial
/// list.
fn is_named_as_crl(file: &RevocationFile) -> bool {
    let extension = file
        .file
        .path
        .extension()
        .and_then(|extension| extension.to_str());
    let is_crl = |extension: &str| {
        CRL_EXTENSIONS
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    };
    !file.may_be_empty && file.issuer.is_none() && extension.is_some_and(is_crl)
}

const CRL_EXTENSIONS: [&str; 3] = ["crl", "der", "pem"];

/// Compares with `before`, the revocations of the snapshot that this one is to follow.
pub(super) fn check_loss(
    config: &Config,
    store: &TrustStoreConfig,
    now: &StoreRevocations,
    before: &[StoreRevocations],
) -> Result<(), ConfigError> {
    let Some(before) = predecessor(config, now, before) else {
        return Ok(());
    };
    let (had, has, name) = (before.set.len(), now.set.len(), store.name.as_str());
    let loses_crls = before.set.has_crls() && !now.set.has_crls() && store.ca_without_crl.is_none();
    if had > 0 && has == 0 && !store.allow_losing_all_revocations {
        let fault = format!(
            "nobody would be revoked any more under trust store {name}, where {had} serial numbers are"
        );
        let remedy = "write the lists again, or set allow_losing_all_revocations = true for this trust store";
        return Err(config
            .source
            .error(&store.key.child("revocations"), fault, remedy));
    }
    if loses_crls && !store.allow_losing_all_revocations {
        let fault = format!(
            "the last CRL of trust store {name} is gone, and ca_without_crl, which is not set, would change from accept_and_log to accept"
        );
        let remedy = "write the CRL again, or say what is meant: ca_without_crl, or allow_losing_all_revocations = true";
        return Err(config
            .source
            .error(&store.key.child("revocations"), fault, remedy));
    }
    if has < had.div_ceil(2) {
        tracing::warn!(
            trust_store = name,
            before = had,
            now = has,
            "more than half of the revocations are gone"
        );
    }
    Ok(())
}

/// The same store in the last snapshot: of its name, or with one of its CAs if no store has that other name
/// any more.
fn predecessor<'b>(
    config: &Config,
    now: &StoreRevocations,
    before: &'b [StoreRevocations],
) -> Option<&'b StoreRevocations> {
    let is_gone = |name: &str| {
        !config
            .trust_stores
            .iter()
            .any(|store| store.name.as_str() == name)
    };
    let mut of_name = before.iter().filter(|old| old.trust_store == now.trust_store);
    let renamed = before.iter().filter(|old| is_gone(&old.trust_store));
    let most_revoked = || {
        renamed
            .filter(|old| old.trust.shares_a_ca(&now.trust))
            .max_by_key(|old| old.set.len())
    };
    of_name.next().or_else(most_revoked)
}

fn refused(config: &Config, file: &RevocationFile, error: &RevocationError) -> ConfigError {
    let key = match (&file.issuer, error) {
        (Some((key, _)), RevocationError::NoSuchIssuer { .. } | RevocationError::IssuerOfCrl) => key,
        _ => &file.file.key,
    };
    let fault = format!("{}: {error}", file.file.path.display());
    config.source.error(key, fault, error.remedy())
}

fn warn(file: &RevocationFile, store: &TrustStoreConfig, loaded: &LoadedFile) {
    let (file, trust_store) = (file.file.path.display(), store.name.as_str());
    let now = UnixTime::now();
    if let Some(this_update) = loaded.begins_after(now) {
        tracing::warn!(%file, trust_store, this_update, "a CRL is not valid yet; out_of_date_crl decides about its issuer's clients until then, unless an older one is current");
    }
    if let Some(next_update) = loaded.ended_before(now) {
        tracing::warn!(%file, trust_store, next_update, "a CRL is out of date; out_of_date_crl decides about its issuer's clients, unless a newer one is current");
    }
    if loaded.looks_decimal {
        tracing::warn!(%file, trust_store, "every serial number of the list has decimal digits only; a list is read as hexadecimal, so convert them if the CA prints decimal numbers");
    }
}

#[cfg(test)]
#[path = "revocations_tests.rs"]
mod tests;
