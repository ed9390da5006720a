//! Sites of a snapshot: each distribution's behaviors, put together from origins and functions.

use std::sync::Arc;

use bothways_config::Limits;
use bothways_config::{Config, ConfigError, HostMap};

use super::functions::Functions;
use super::origins;
use super::site::{Behavior, Behaviors, Site};
use crate::metrics::{Directory, DistributionCounters};
use crate::origin::{NamedAddresses, Origin, ResponseBounds};

/// Values that the sites of a snapshot have in common.
pub(super) struct Ground<'a> {
    pub(super) config: &'a Config,
    pub(super) functions: &'a Functions,
    /// Hosts of all distributions.
    pub(super) served: &'a Arc<HostMap<Option<Arc<str>>>>,
    pub(super) addresses: &'a NamedAddresses,
    pub(super) directory: &'a Directory,
}

/// Loads the site of one distribution.
///
/// # Errors
/// A file of an origin cannot be used.
pub(super) fn load(
    ground: &Ground<'_>,
    distribution: &bothways_config::Distribution,
    counters: Arc<DistributionCounters>,
) -> Result<Site, ConfigError> {
    let Limits {
        lingering,
        header_fields_max,
        origin_connections_per_core: origin_connections_max,
        origin_requests_per_client,
        ..
    } = ground.config.limits;
    Ok(Site {
        distribution_id: distribution.id.as_str().into(),
        counters,
        origin_connections_max,
        origin_requests_per_client,
        lingering,
        response_bounds: ResponseBounds {
            header_fields_max: ground.config.limits.origin_header_fields_max,
            buffer_bytes: ground.config.limits.origin_buffer_bytes,
        },
        header_fields_max,
        identity_headers: distribution.identity_headers.clone(),
        behaviors: Behaviors::new(behaviors(ground, distribution)?),
        served: ground.served.clone(),
    })
}

fn behaviors(
    ground: &Ground<'_>,
    distribution: &bothways_config::Distribution,
) -> Result<Vec<Arc<Behavior>>, ConfigError> {
    let origins = origins::load(ground.config, distribution, ground.addresses)?;
    let load = |of: &bothways_config::Behavior| behavior(ground, distribution, of, &origins).map(Arc::new);
    distribution.behaviors.iter().map(load).collect()
}

fn behavior(
    ground: &Ground<'_>,
    distribution: &bothways_config::Distribution,
    behavior: &bothways_config::Behavior,
    origins: &[Arc<Origin>],
) -> Result<Behavior, ConfigError> {
    let origin = origins.get(behavior.origin).cloned().ok_or_else(|| {
        let remedy = "name one of the distribution's origins";
        let source = &ground.config.source;
        source.error(&behavior.key, "the origin is gone", remedy)
    })?;
    let key = behavior.key.child("function_associations");
    let function = |index| ground.functions.viewer(ground.config, &key, index);
    Ok(Behavior {
        viewer_request: function(behavior.function_associations.viewer_request)?,
        viewer_response: function(behavior.function_associations.viewer_response)?,
        path_pattern: behavior.path_pattern.clone(),
        viewer_protocol_policy: behavior.viewer_protocol_policy,
        origin_counters: origins::counters(distribution, &origin, ground.directory),
        origin,
        certificate_headers: behavior.origin_request_policy.headers.clone(),
        connection_id: behavior.origin_request_policy.connection_id,
    })
}
