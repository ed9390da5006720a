//! The revocation files of a trust store: read, and held against what was revoked under it before.
//!
//! Owns the rule that revocations do not vanish by accident. Lists are written by scripts and fetched over
//! networks, and a reload that finds them empty or gone looks like any other; so one that would leave nobody
//! revoked, or no CRL, is refused unless the configuration says in words that it may. A single file is judged
//! by `trust`; the comparison needs the snapshot before, which a start does not have.

use std::sync::Arc;

use bothways_config::{Config, ConfigError, Place, RevocationFile, TrustStoreConfig};
use bothways_trust::{
    ListRules, LoadedFile, RevocationError, RevocationSet, RevocationSetBuilder, TrustStore,
};
use rustls_pki_types::UnixTime;

use super::parts::{Digest, Keep, Part};
use super::references;

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

/// The revocation files of one trust store, loaded.
#[derive(Debug)]
pub(super) struct LoadedRevocations {
    pub(super) set: Arc<RevocationSet>,
    /// Findings in each file, in the order of the configuration.
    files: Vec<LoadedFile>,
}

/// Loads the files that `store` names, or keeps what was loaded of the same bytes. `bundle` is an input too:
/// it decides which CRLs are believed, and for which keys. Oddities that are no errors are logged at each
/// reload, also of files that are kept: it is time that makes most of them.
pub(super) fn load(
    config: &Config,
    store: &TrustStoreConfig,
    bundle: &Part<TrustStore>,
    mut keep: Keep<'_, LoadedRevocations>,
) -> Result<Part<LoadedRevocations>, ConfigError> {
    let part = match keep.find(|| digest(config, store, bundle)) {
        Some(kept) => {
            for (file, loaded) in store.revocations.iter().zip(&kept.value.files) {
                warn(file, store, loaded);
            }
            kept
        }
        None => {
            let (digest, loaded) = read(config, store, bundle)?;
            keep.add(digest, loaded)
        }
    };
    for ca in part.value.set.revoked_cas() {
        let trust_store = store.name.as_str();
        tracing::warn!(
            trust_store,
            ca,
            "a CA certificate of the bundle is itself revoked, so that no client is admitted by it; \
             take it out of the bundle if that is meant"
        );
    }
    Ok(part)
}

/// Digest of the inputs as they are now. `None`: a file cannot be read, which [`read`] will tell.
fn digest(config: &Config, store: &TrustStoreConfig, bundle: &Part<TrustStore>) -> Option<Digest> {
    let mut inputs = Vec::with_capacity(store.revocations.len());
    for file in &store.revocations {
        let bytes = references::digest(&file.file, config.limits.revocation_file_bytes_max)?;
        inputs.push((rules(file), bytes));
    }
    Some(Digest::of(&(bundle.digest, inputs)))
}

/// Reads one file after the other, so that the bytes of one at most are in memory.
fn read(
    config: &Config,
    store: &TrustStoreConfig,
    bundle: &Part<TrustStore>,
) -> Result<(Digest, LoadedRevocations), ConfigError> {
    let bytes_max = config.limits.revocation_file_bytes_max;
    let mut builder = RevocationSetBuilder::new(&bundle.value);
    let (mut inputs, mut loaded) = (Vec::new(), Vec::new());
    for file in &store.revocations {
        let contents = references::read(&config.source, &file.file, bytes_max)?;
        let found = builder
            .add_file_as(&contents.bytes, &rules(file))
            .map_err(|error| refused(config, file, &error))?;
        warn(file, store, &found);
        inputs.push((rules(file), contents.digest));
        loaded.push(found);
    }
    let set = Arc::new(builder.build());
    let digest = Digest::of(&(bundle.digest, inputs));
    Ok((digest, LoadedRevocations { set, files: loaded }))
}

fn rules(file: &RevocationFile) -> ListRules<'_> {
    ListRules {
        issuer: file.issuer.as_ref().map(|(_, issuer)| issuer.as_str()),
        may_be_empty: file.may_be_empty,
        is_named_as_crl: is_named_as_crl(file),
    }
}

/// True if a file is a CRL by its name. A file that the configuration describes as a serial list is a serial
/// list.
fn is_named_as_crl(file: &RevocationFile) -> bool {
    let Place::File(path) = &file.file.place;
    let extension = path.extension().and_then(|extension| extension.to_str());
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
            "the last CRL of trust store {name} is gone, and ca_without_crl, which is not set, \
             would change from accept_and_log to accept"
        );
        let remedy = "write the CRL again, or say what is meant: ca_without_crl, \
                      or allow_losing_all_revocations = true";
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
    let fault = format!("{}: {error}", file.file);
    config.source.error(key, fault, error.remedy())
}

fn warn(file: &RevocationFile, store: &TrustStoreConfig, loaded: &LoadedFile) {
    let (file, trust_store) = (&file.file, store.name.as_str());
    let now = UnixTime::now();
    if let Some(this_update) = loaded.begins_after(now) {
        tracing::warn!(
            %file,
            trust_store,
            this_update,
            "a CRL is not valid yet; out_of_date_crl decides about its issuer's clients until then, \
             unless an older one is current"
        );
    }
    if let Some(next_update) = loaded.ended_before(now) {
        tracing::warn!(
            %file,
            trust_store,
            next_update,
            "a CRL is out of date; out_of_date_crl decides about its issuer's clients, \
             unless a newer one is current"
        );
    }
    if loaded.looks_decimal {
        tracing::warn!(
            %file,
            trust_store,
            "every serial number of the list has decimal digits only; a list is read as hexadecimal, \
             so convert them if the CA prints decimal numbers"
        );
    }
}

#[cfg(test)]
#[path = "revocations_tests.rs"]
mod tests;
