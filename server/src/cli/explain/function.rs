//! The connection function's word on a client that everything else admits: it has the last one online, so it
//! has it here.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bothways_config::{Alias, Config, ConfigError};
use bothways_functions::{ConnectionEvent, Function, TlsFacts, call_connection_at};
use rustls_pki_types::UnixTime;

use super::explanation::{Told, ToldStep};
use crate::admission::{Barred, ClientAuth};
use crate::logs::ConnectionIds;
use crate::snapshot;
use crate::worker::{barred, intermediates};

/// Circumstances that a certificate does not tell, and a function may ask about.
#[derive(Clone, Debug)]
pub struct Circumstances {
    pub client_ip: IpAddr,
    /// Name in the ClientHello. `None`: the first name of the distribution that is no wildcard.
    pub sni: Option<String>,
}

/// Result of the call.
pub(super) struct Heard {
    pub(super) barred: Option<Barred>,
    pub(super) told: Told,
}

/// Calls the connection function of `distribution` for the first connection of `client` over TLS 1.3. `None`:
/// there is no function.
///
/// # Errors
/// Its code or its key-value store cannot be loaded.
pub(super) fn hear(
    config: &Config,
    distribution: &bothways_config::Distribution,
    client: &ClientAuth,
    circumstances: &Circumstances,
    at: UnixTime,
) -> Result<Option<Heard>, ConfigError> {
    let Some(function) = snapshot::connection_function(config, distribution)? else {
        return Ok(None);
    };
    let first_name = || distribution.aliases.iter().find_map(exact);
    let sni = circumstances.sni.as_deref().or_else(first_name);
    let id = ConnectionIds::new().next().to_string();
    let event = ConnectionEvent {
        connection_id: &id,
        client_ip: circumstances.client_ip,
        endpoint: first_name().or(sni).unwrap_or(distribution.id.as_str()),
        distribution_id: distribution.id.as_str(),
        leaf: client.facts().map(|facts| &**facts),
        intermediates: intermediates(client),
        tls: TlsFacts {
            protocol: Some("TLSv1.3"),
            cipher: Some("TLS_AES_128_GCM_SHA256"),
            sni,
            resumed: false,
        },
    };
    let outcome = call_connection_at(&function, &event, system_time(at));
    let barred = barred(&function, outcome.decision);
    Ok(Some(Heard {
        told: Told {
            name: name(&function),
            allowed: barred.is_none(),
            connection_log_custom_data: outcome.custom_data,
            execution_logs: outcome.console,
        },
        barred,
    }))
}

impl Heard {
    pub(super) fn step(&self) -> ToldStep {
        let allowed = || format!("{:?} allows the client", self.told.name);
        ToldStep {
            check: "connection function",
            passed: self.barred.is_none(),
            detail: self
                .barred
                .as_ref()
                .map_or_else(allowed, |barred| barred.reason.clone()),
        }
    }
}

fn name(function: &Function) -> String {
    function.name().to_string()
}

fn exact(alias: &Alias) -> Option<&str> {
    match alias {
        Alias::Exact(name) => Some(name.as_str()),
        Alias::Wildcard(_) => None,
    }
}

fn system_time(at: UnixTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(at.as_secs())
}
