//! The limit on open descriptors (RLIMIT_NOFILE), beside the number that this process may need by its
//! configured limits.

use bothways_config::{Config, OriginTarget};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, and says so where that is not enough: clients would then be turned
/// away by the kernel, without a record, before any limit of the configuration is reached.
pub(super) fn raise(config: &Config, cores: usize) {
    let needed = needed(config, cores);
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum.or(Some(needed)),
        maximum: limit.maximum,
    };
    let may_open = match is_enough(limit.current, needed) || setrlimit(Resource::Nofile, raised).is_err() {
        true => limit.current,
        false => raised.current,
    };
    if !is_enough(may_open, needed) {
        tracing::warn!(
            may_open,
            needed,
            cores,
            connections_per_core = config.limits.connections_per_core,
            "the limit on open files (RLIMIT_NOFILE) is below what the connections of all cores and of their \
             origins can need: raise it (LimitNOFILE= in a systemd unit, `ulimit -Hn` in a shell), or lower \
             limits.connections_per_core"
        );
    }
}

/// `None`: there is no limit.
fn is_enough(limit: Option<u64>, needed: u64) -> bool {
    limit.is_none_or(|limit| limit >= needed)
}

fn needed(config: &Config, cores: usize) -> u64 {
    let origins = config
        .distributions
        .iter()
        .flat_map(|distribution| &distribution.origins);
    let origins = origins
        .filter(|origin| matches!(origin.target, OriginTarget::Http(_)))
        .count();
    let limits = &config.limits;
    let of_origins = origins.saturating_mul(limits.origin_connections_per_core);
    let of_core = limits.connections_per_core.saturating_add(of_origins);
    let all = cores.saturating_mul(of_core).saturating_add(OTHERS);
    u64::try_from(all).unwrap_or(u64::MAX)
}

/// Listeners, rings, logs, the admin endpoint, and files that a reload reads.
const OTHERS: usize = 256;
