//! Distribution of a snapshot, put together from its parts.

use std::sync::Arc;

use bothways_config::{Alias, Config, ConfigError, HostName, MtlsPolicy, OnRevocation};
use bothways_functions::LiveFunction;
use rustls::ServerConfig;

use super::client_policies;
use super::identities;
use super::inventory::Loading;
use super::site::Site;
use super::sites::{self, Ground};
use super::tls_configs::{self, Ingredients};
use super::trust_stores::LoadedTrust;
use crate::admission::{ClientPolicy, SessionVault};
use crate::metrics::{DistributionCounters, DistributionName};

/// A distribution, loaded.
#[derive(Debug)]
pub struct Distribution {
    pub id: Arc<str>,
    /// TLS configuration, with the verifier of its trust store and the tickets of its scope inside.
    pub tls: Arc<ServerConfig>,
    /// Demands on clients: what a reload judges the connected ones by.
    pub client_policy: ClientPolicy,
    pub on_revocation: OnRevocation,
    /// Function that every client has to pass once it has passed everything else.
    pub connection_function: Option<Arc<LiveFunction>>,
    /// The first alias that is no wildcard.
    pub domain_name: Option<Arc<str>>,
    pub counters: Arc<DistributionCounters>,
    /// End of the validity of its own certificate, in seconds since 1970, where that can be read.
    pub certificate_not_after: Option<i64>,
    pub site: Arc<Site>,
}

impl Distribution {
    /// Name of the distribution, as functions are told it. In the managed service's examples this is the
    /// distribution's own domain name, however the client came. Here it is the first name that is no
    /// wildcard. A distribution without such a name is called what the client called it, or else by its id.
    pub fn called<'a>(&'a self, name: Option<&'a HostName>) -> &'a str {
        let called = || name.map(HostName::as_str);
        self.domain_name.as_deref().or_else(called).unwrap_or(&self.id)
    }
}

/// Loads one distribution. `stores`: all trust stores, in the order of the configuration.
///
/// # Errors
/// A file cannot be used, or what is demanded cannot be honoured.
pub(super) fn load(
    ground: &Ground<'_>,
    distribution: &bothways_config::Distribution,
    stores: &[LoadedTrust<'_>],
    vault: &Arc<SessionVault>,
    parts: &mut Loading<'_>,
) -> Result<Distribution, ConfigError> {
    let (config, before) = (ground.config, parts.before);
    let keep = parts.now.identities.after(&before.identities);
    let (certificate, private_key) = (&distribution.certificate, &distribution.private_key);
    let identity = identities::load(&config.source, certificate, private_key, keep)?;
    let keep = parts.now.client_policies.after(&before.client_policies);
    let policy = client_policies::load(config, distribution, stores, keep)?;
    let key = distribution.key.child("viewer_mtls").child("connection_function");
    let gate = ground
        .functions
        .connection(config, &key, distribution.connection_function)?;
    let from = Ingredients {
        identity: &identity,
        policy: &policy,
        gate: gate.as_ref(),
        vault,
    };
    let keep = parts.now.tls_configs.after(&before.tls_configs);
    let tls = tls_configs::load(config, distribution, &from, keep)?;
    let name = name(config, distribution);
    let counters = ground.directory.distribution(name.clone());
    let site = sites::load(ground, distribution, (&name, &counters), parts)?;
    Ok(Distribution {
        id: distribution.id.as_str().into(),
        tls: tls.value,
        client_policy: ClientPolicy::clone(&policy.value),
        on_revocation: on_revocation(&distribution.viewer_mtls),
        connection_function: gate,
        domain_name: domain_name(distribution),
        counters,
        certificate_not_after: identity.value.leaf().and_then(bothways_trust::not_after),
        site: site.value,
    })
}

/// Name under which metrics show a distribution.
fn name(config: &Config, distribution: &bothways_config::Distribution) -> DistributionName {
    let trust_store = match &distribution.viewer_mtls {
        MtlsPolicy::Verify(mtls) => config.trust_stores.get(mtls.trust_store),
        MtlsPolicy::Off | MtlsPolicy::Passthrough => None,
    };
    DistributionName {
        distribution: distribution.id.as_str().into(),
        trust_store: trust_store.map_or("", |store| store.name.as_str()).into(),
    }
}

fn on_revocation(policy: &MtlsPolicy) -> OnRevocation {
    match policy {
        MtlsPolicy::Verify(mtls) => mtls.on_revocation,
        MtlsPolicy::Off | MtlsPolicy::Passthrough => OnRevocation::Close,
    }
}

fn domain_name(distribution: &bothways_config::Distribution) -> Option<Arc<str>> {
    distribution.aliases.iter().find_map(|alias| match alias {
        Alias::Exact(name) => Some(name.as_str().into()),
        Alias::Wildcard(_) => None,
    })
}
