//! From a checked configuration and the files it names to a snapshot.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use super::client_policy::client_policy;
use super::files;
use super::functions::Functions;
use super::key_value_stores;
use super::origin_names;
use super::revocations::{self, StoreRevocations};
use super::site::{Behavior, Behaviors, Site};
use super::{Distribution, Snapshot};
use crate::admission::{GateVersion, SessionVault, TicketScope, TlsPolicy, server_config};
use crate::config::{
    self, Alias, CaWithoutCrl, Config, ConfigError, FixedBody, HostMap, KeyPath, MtlsMode, MtlsPolicy,
    OnRevocation, OriginTarget, OutOfDateCrl, TlsVersion, TrustStoreConfig, ViewerMtls,
};
use crate::functions::LiveFunction;
use crate::kvs::{self, Candidate};
use crate::metrics::{CrlDates, Dates, Directory, DistributionName, OriginCounters, OriginName};
use crate::origin::{Addresses, FixedResponse, HttpOrigin, Origin, ResponseBounds};
use crate::trust::{self, Mode, OutOfDate, Policy, RevocationSet, Rules, TrustStore, WithoutCrl};

/// A new snapshot, and what is worth telling about it.
pub struct Built {
    pub snapshot: Snapshot,
    /// Trust store name and the size of its revocation set.
    pub revocation_entries: Vec<(String, u64)>,
    pub dates: Dates,
    reloaded_stores: Vec<(Arc<kvs::Store>, Candidate)>,
}

impl Built {
    /// What the import files held when this was built. To be done when the snapshot is published.
    pub fn publish_key_values(&self) {
        for (store, candidate) in &self.reloaded_stores {
            store.publish(candidate);
        }
    }
}

/// Loads everything that `config` names. What has not changed since `before`, the snapshot that this one is
/// to follow, and has a life of its own, is taken over.
///
/// # Errors
/// The first file, key or name that cannot be used, with the key that named it.
pub fn build(
    config: &Config,
    generation: u64,
    vault: &Arc<SessionVault>,
    directory: &Directory,
    before: Option<&Snapshot>,
) -> Result<Built, ConfigError> {
    let previous = before.map_or(&[][..], |before| &before.key_value_stores);
    let key_values = key_value_stores::load(config, previous)?;
    let functions = before.map(|before| &before.functions);
    let functions = Functions::load(config, &key_values.stores, functions)?;
    let stores = config
        .trust_stores
        .iter()
        .map(|store| Store::load(config, store))
        .collect::<Result<Vec<_>, _>>()?;
    let revoked: Vec<_> = stores.iter().map(Store::revocations).collect();
    let revoked_before = before.map_or(&[][..], |before| &before.revocations);
    for (store, now) in config.trust_stores.iter().zip(&revoked) {
        revocations::check_loss(config, store, now, revoked_before)?;
    }
    let id = |&index: &usize| {
        let distribution = config.distributions.get(index);
        distribution.map(|distribution| Arc::from(distribution.id.as_str()))
    };
    let served = Arc::new(config.hosts.map(id));
    let origin_names = origin_names::look_up_new(config, before)?;
    let parts = Parts {
        origin_names: &origin_names,
        stores: &stores,
        functions: &functions,
        served: &served,
        vault,
        directory,
    };
    let load = |distribution| load_distribution(config, distribution, &parts).map(Arc::new);
    let distributions = config
        .distributions
        .iter()
        .map(load)
        .collect::<Result<Vec<_>, _>>()?;
    let hosts = config.hosts.map(|&index| distributions.get(index).cloned());
    let entries = |store: &Store| (store.trust.name().to_owned(), store.revocations.len() as u64);
    Ok(Built {
        snapshot: Snapshot {
            generation,
            limits: config.limits.clone(),
            functions,
            key_value_stores: key_values.stores,
            revocations: revoked,
            origin_names,
            hosts,
        },
        revocation_entries: stores.iter().map(entries).collect(),
        dates: dates(&distributions, &stores),
        reloaded_stores: key_values.reloaded,
    })
}

/// Loads what decides about the clients of one distribution, and nothing else; `None`: no trust store does.
///
/// # Errors
/// A file of its trust store cannot be used.
pub fn policy(
    config: &Config,
    distribution: &config::Distribution,
) -> Result<Option<Arc<Policy>>, ConfigError> {
    let MtlsPolicy::Verify(mtls) = &distribution.viewer_mtls else {
        return Ok(None);
    };
    let store = config.trust_stores.get(mtls.trust_store);
    let store = Store::load(config, store.ok_or_else(|| no_store(config, mtls))?)?;
    Ok(Some(store.policy(distribution.id.as_str(), mtls)))
}

pub(super) fn no_store(config: &Config, mtls: &ViewerMtls) -> ConfigError {
    let remedy = "name one of [[trust_stores]]";
    config.source.error(&mtls.key, "the trust store is gone", remedy)
}

/// A trust store with what has been revoked under it.
pub(super) struct Store {
    pub(super) trust: Arc<TrustStore>,
    revocations: Arc<RevocationSet>,
    /// Mode and expiry are the distribution's.
    rules: Rules,
}

impl Store {
    fn load(config: &Config, store: &TrustStoreConfig) -> Result<Self, ConfigError> {
        let source = &config.source;
        let bundle = files::read(source, &store.ca_bundle, BUNDLE_BYTES_READ_MAX)?;
        let trust = TrustStore::from_pem(store.name.as_str(), &bundle).map_err(|error| {
            let path = store.ca_bundle.path.display().to_string();
            source.error(
                &store.ca_bundle.key,
                format!("{path}: {error}"),
                error.remedy(&path),
            )
        })?;
        for (ca, kinds) in trust.constraints_not_evaluated() {
            let trust_store = store.name.as_str();
            tracing::warn!(
                trust_store,
                ca,
                kinds,
                "a CA has name constraints of a kind that is not evaluated; a client with a name of that kind is refused"
            );
        }
        let revocations = Arc::new(revocations::load(config, store, &trust)?);
        Ok(Self {
            trust: Arc::new(trust),
            rules: rules(store, &revocations),
            revocations,
        })
    }

    fn crl_dates(&self) -> impl Iterator<Item = CrlDates> {
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

    fn revocations(&self) -> StoreRevocations {
        StoreRevocations::new(self.trust.clone(), self.revocations.clone())
    }

    /// How the clients of one distribution are judged by this store.
    pub(super) fn policy(&self, distribution_id: &str, mtls: &ViewerMtls) -> Arc<Policy> {
        let mut rules = self.rules.clone();
        rules.mode = match mtls.mode {
            MtlsMode::Required => Mode::Required,
            MtlsMode::Optional => Mode::Optional,
        };
        rules.ignore_expiry = mtls.ignore_certificate_expiry;
        let (trust, revocations) = (self.trust.clone(), self.revocations.clone());
        Arc::new(Policy::new(distribution_id, rules, trust, revocations))
    }
}

fn rules(store: &TrustStoreConfig, revocations: &RevocationSet) -> Rules {
    Rules {
        allow_v1: store.allow_v1_client_certificates,
        out_of_date_crl: match store.out_of_date_crl {
            OutOfDateCrl::Reject => OutOfDate::Reject,
            OutOfDateCrl::AcceptAndLog => OutOfDate::AcceptAndLog,
        },
        // Who has no CRLs has chosen to go without; who has some, and not of each CA, is told about the
        // others.
        ca_without_crl: match store.ca_without_crl {
            Some(CaWithoutCrl::Accept) => WithoutCrl::Accept,
            Some(CaWithoutCrl::AcceptAndLog) => WithoutCrl::AcceptAndLog,
            Some(CaWithoutCrl::Reject) => WithoutCrl::Reject,
            None if revocations.has_crls() => WithoutCrl::AcceptAndLog,
            None => WithoutCrl::Accept,
        },
        required_purposes: store.required_extended_key_usage.clone(),
        chain_depth_max: store.max_chain_depth,
        ..Rules::new(Mode::Required)
    }
}

/// What distributions are put together from.
struct Parts<'a> {
    stores: &'a [Store],
    functions: &'a Functions,
    served: &'a Arc<HostMap<Option<Arc<str>>>>,
    vault: &'a Arc<SessionVault>,
    directory: &'a Directory,
    origin_names: &'a [Arc<Addresses>],
}

fn load_distribution(
    config: &Config,
    distribution: &config::Distribution,
    parts: &Parts<'_>,
) -> Result<Distribution, ConfigError> {
    let source = &config.source;
    let id: Arc<str> = distribution.id.as_str().into();
    let identity = files::identity(source, &distribution.certificate, &distribution.private_key)?;
    let policy = client_policy(config, distribution, parts.stores)?;
    let connection_function = connection_function(config, distribution, parts.functions)?;
    let security = distribution.security_policy;
    let tls = TlsPolicy {
        cipher_suites: security.cipher_suites(),
        key_exchange_groups: security.key_exchange_groups(),
        tls12: security.versions().contains(&TlsVersion::Tls12),
        memo_entries_max: config.limits.verdicts_per_core,
    };
    let tickets = TicketScope::new(parts.vault.clone(), policy.clone())
        .at_gate(gate_version(connection_function.as_ref()));
    let tls = server_config(&tls, &identity, &policy, tickets).map_err(|error| {
        let fault = format!("{} cannot be served: {error}", security.as_str());
        source.error(
            &distribution.key.child("security_policy"),
            fault,
            "choose another policy",
        )
    })?;
    let counters = parts.directory.distribution(name(config, distribution));
    let site = Site {
        distribution_id: id.clone(),
        counters: counters.clone(),
        origin_connections_max: config.limits.origin_connections_per_core,
        origin_requests_per_client: config.limits.origin_requests_per_client,
        lingering: config.limits.lingering,
        response_bounds: ResponseBounds {
            header_fields_max: config.limits.origin_header_fields_max,
            buffer_bytes: config.limits.origin_buffer_bytes,
        },
        header_fields_max: config.limits.header_fields_max,
        identity_headers: distribution.identity_headers.clone(),
        behaviors: Behaviors::new(load_behaviors(config, distribution, parts)?),
        served: parts.served.clone(),
    };
    Ok(Distribution {
        id,
        tls: Arc::new(tls),
        client_policy: policy,
        connection_function,
        domain_name: domain_name(distribution),
        counters,
        certificate_not_after: identity.leaf().and_then(trust::not_after),
        on_revocation: match &distribution.viewer_mtls {
            MtlsPolicy::Verify(mtls) => mtls.on_revocation,
            MtlsPolicy::Off | MtlsPolicy::Passthrough => OnRevocation::Close,
        },
        site: Arc::new(site),
    })
}

fn connection_function(
    config: &Config,
    distribution: &config::Distribution,
    functions: &Functions,
) -> Result<Option<Arc<LiveFunction>>, ConfigError> {
    let key = || distribution.key.child("viewer_mtls").child("connection_function");
    let found = |index| {
        functions
            .connection(index)
            .ok_or_else(|| no_function(config, &key()))
    };
    distribution
        .connection_function
        .map(found)
        .transpose()
        .map(Option::<&_>::cloned)
}

/// A function that is configured and not there must not become none.
fn no_function(config: &Config, key: &KeyPath) -> ConfigError {
    config
        .source
        .error(key, "the function is gone", "name one of the configuration")
}

/// A session is as good as the function that admitted its client.
fn gate_version(function: Option<&Arc<LiveFunction>>) -> GateVersion {
    match function.cloned() {
        Some(function) => GateVersion::told_by(move || *function.current().digest()),
        None => GateVersion::default(),
    }
}

/// Names that metrics show.
fn name(config: &Config, distribution: &config::Distribution) -> DistributionName {
    let trust_store = match &distribution.viewer_mtls {
        MtlsPolicy::Verify(mtls) => config.trust_stores.get(mtls.trust_store),
        MtlsPolicy::Off | MtlsPolicy::Passthrough => None,
    };
    DistributionName {
        distribution: distribution.id.as_str().into(),
        trust_store: trust_store.map_or("", |store| store.name.as_str()).into(),
    }
}

fn dates(distributions: &[Arc<Distribution>], stores: &[Store]) -> Dates {
    let certificate = |distribution: &Arc<Distribution>| {
        let not_after = distribution.certificate_not_after?;
        Some((distribution.id.clone(), not_after))
    };
    Dates {
        certificates: distributions.iter().filter_map(certificate).collect(),
        crls: stores.iter().flat_map(Store::crl_dates).collect(),
    }
}

fn domain_name(distribution: &config::Distribution) -> Option<Arc<str>> {
    distribution.aliases.iter().find_map(|alias| match alias {
        Alias::Exact(name) => Some(name.as_str().into()),
        Alias::Wildcard(_) => None,
    })
}

fn load_behaviors(
    config: &Config,
    distribution: &config::Distribution,
    parts: &Parts<'_>,
) -> Result<Vec<Arc<Behavior>>, ConfigError> {
    let load = |origin| load_origin(config, origin, parts.origin_names).map(Arc::new);
    let origins = distribution
        .origins
        .iter()
        .map(load)
        .collect::<Result<Vec<_>, _>>()?;
    let behaviors = distribution.behaviors.iter().map(|behavior| {
        let origin = origins.get(behavior.origin).cloned().ok_or_else(|| {
            config.source.error(
                &behavior.key,
                "the origin is gone",
                "name one of the distribution's origins",
            )
        })?;
        let key = behavior.key.child("function_associations");
        let function = |index: Option<usize>| {
            let found = |index| {
                parts
                    .functions
                    .viewer(index)
                    .ok_or_else(|| no_function(config, &key))
            };
            index.map(found).transpose().map(Option::<&_>::cloned)
        };
        Ok(Arc::new(Behavior {
            viewer_request: function(behavior.function_associations.viewer_request)?,
            viewer_response: function(behavior.function_associations.viewer_response)?,
            path_pattern: behavior.path_pattern.clone(),
            viewer_protocol_policy: behavior.viewer_protocol_policy,
            origin_counters: origin_counters(distribution, &origin, parts.directory),
            origin,
            certificate_headers: behavior.origin_request_policy.headers.clone(),
            connection_id: behavior.origin_request_policy.connection_id,
        }))
    });
    behaviors.collect()
}

fn origin_counters(
    distribution: &config::Distribution,
    origin: &Origin,
    directory: &Directory,
) -> Option<Arc<OriginCounters>> {
    let Origin::Http(origin) = origin else {
        return None;
    };
    Some(directory.origin(OriginName {
        distribution: distribution.id.as_str().into(),
        origin: origin.id.clone(),
    }))
}

fn load_origin(
    config: &Config,
    origin: &config::Origin,
    names: &[Arc<Addresses>],
) -> Result<Origin, ConfigError> {
    match &origin.target {
        OriginTarget::Http(http) => {
            let addresses = origin_names::addresses(names, http).ok_or_else(|| {
                let key = origin.key.child("url");
                config
                    .source
                    .error(&key, "the name is gone", "name a host that resolves")
            })?;
            Ok(Origin::Http(Arc::new(HttpOrigin {
                id: origin.id.as_str().into(),
                authority: http.authority().into(),
                addresses,
                connection_attempts: http.connection_attempts,
                connection_timeout: http.connection_timeout,
                read_timeout: http.read_timeout,
                keepalive_timeout: http.keepalive_timeout,
            })))
        }
        OriginTarget::Fixed(fixed) => {
            let body = match &fixed.body {
                FixedBody::Inline(bytes) => bytes.clone(),
                FixedBody::File(file) => {
                    files::read(&config.source, file, FIXED_BODY_BYTES_MAX).map(Bytes::from)?
                }
            };
            let headers: HeaderMap = fixed.headers.iter().cloned().collect();
            Ok(Origin::Fixed(FixedResponse {
                status: fixed.status,
                headers,
                body,
            }))
        }
    }
}

/// Well over the documented 64 KiB, so that the bundle's own error, with the number, is the one shown.
const BUNDLE_BYTES_READ_MAX: u64 = 1024 * 1024;
/// A fixed response lives in memory.
const FIXED_BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
