//! TLS configurations of a snapshot: certificate, security policy, verifier and tickets of each distribution.

use std::sync::Arc;

use bothways_config::{Config, ConfigError, TlsVersion};
use bothways_functions::LiveFunction;
use rustls::ServerConfig;

use crate::admission::{
    ClientPolicy, GateVersion, ServerIdentity, SessionVault, TicketScope, TlsPolicy, server_config,
};

/// Makes the configuration of one distribution, whose tickets are kept in `vault`.
///
/// # Errors
/// The security policy cannot be honoured.
pub(super) fn load(
    config: &Config,
    distribution: &bothways_config::Distribution,
    vault: &Arc<SessionVault>,
    identity: &ServerIdentity,
    policy: &ClientPolicy,
    gate: Option<&Arc<LiveFunction>>,
) -> Result<ServerConfig, ConfigError> {
    let security = distribution.security_policy;
    let tls = TlsPolicy {
        cipher_suites: security.cipher_suites(),
        key_exchange_groups: security.key_exchange_groups(),
        tls12: security.versions().contains(&TlsVersion::Tls12),
        memo_entries_max: config.limits.verdicts_per_core,
    };
    let tickets = TicketScope::new(vault.clone(), policy.clone()).at_gate(gate_version(gate));
    server_config(&tls, identity, policy, tickets).map_err(|error| {
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
