//! TLS configurations of a snapshot: certificate, security policy, verifier and tickets of each distribution.

use std::sync::Arc;

use bothways_config::{Config, ConfigError, TlsVersion};
use bothways_functions::LiveFunction;
use rustls::ServerConfig;

use super::parts::{Digest, Keep, Part};
use crate::admission::{
    ClientPolicy, GateVersion, ServerIdentity, SessionVault, TicketScope, TlsPolicy, server_config,
};

/// The parts that a configuration is made from, and the vault of tickets, which all snapshots share.
pub(super) struct Ingredients<'a> {
    pub(super) identity: &'a Part<ServerIdentity>,
    pub(super) policy: &'a Part<ClientPolicy>,
    pub(super) gate: Option<&'a Arc<LiveFunction>>,
    pub(super) vault: &'a Arc<SessionVault>,
}

/// Makes the configuration of one distribution, or keeps the one that was made of the same parts.
///
/// # Errors
/// The security policy cannot be honoured.
pub(super) fn load(
    config: &Config,
    distribution: &bothways_config::Distribution,
    from: &Ingredients<'_>,
    mut keep: Keep<'_, ServerConfig>,
) -> Result<Part<ServerConfig>, ConfigError> {
    let digest = Digest::of(&(
        (from.identity.digest, from.policy.digest),
        // A version belongs to one live function and is never given again.
        from.gate.map(|gate| gate.current().version()),
        (distribution.security_policy, config.limits.verdicts_per_core),
    ));
    keep.find_or_load(digest, || tls_config(config, distribution, from))
}

fn tls_config(
    config: &Config,
    distribution: &bothways_config::Distribution,
    from: &Ingredients<'_>,
) -> Result<ServerConfig, ConfigError> {
    let policy = &*from.policy.value;
    let security = distribution.security_policy;
    let tls = TlsPolicy {
        cipher_suites: security.cipher_suites(),
        key_exchange_groups: security.key_exchange_groups(),
        tls12: security.versions().contains(&TlsVersion::Tls12),
        memo_entries_max: config.limits.verdicts_per_core,
    };
    let tickets = TicketScope::new(from.vault.clone(), policy.clone()).at_gate(gate_version(from.gate));
    server_config(&tls, &from.identity.value, policy, tickets).map_err(|error| {
        let key = distribution.key.child("security_policy");
        let fault = format!("{} cannot be served: {error}", security.as_str());
        config.source.error(&key, fault, "choose another policy")
    })
}

/// A session is as good as the function that admitted its client.
fn gate_version(function: Option<&Arc<LiveFunction>>) -> GateVersion {
    match function.cloned() {
        Some(function) => GateVersion::told_by(move || *function.current().digest()),
        None => GateVersion::default(),
    }
}
