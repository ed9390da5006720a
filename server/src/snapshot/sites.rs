//! Sites of a snapshot: each distribution's behaviors, put together from origins and functions.

use std::sync::Arc;

use bothways_config::{Config, ConfigError};
use bothways_functions::LiveFunction;

use super::functions::Functions;
use super::hosts::Served;
use super::inventory::Loading;
use super::origins;
use super::parts::{Digest, Part};
use super::site::{Behavior, Behaviors, Site};
use crate::metrics::{Directory, DistributionCounters, DistributionName};
use crate::origin::{NamedAddresses, Origin};

/// Values that the sites of a snapshot have in common.
pub(super) struct Ground<'a> {
    pub(super) config: &'a Config,
    pub(super) functions: &'a Functions,
    /// Hosts of all distributions.
    pub(super) served: &'a Part<Served>,
    pub(super) addresses: &'a NamedAddresses,
    pub(super) directory: &'a Directory,
}

/// Loads the site of one distribution, or keeps the one that was made of the same inputs.
///
/// Addresses are no input. A kept site was made of the same names, and a name that two published snapshots in
/// a row have keeps its entry in the table of addresses.
///
/// # Errors
/// A file of an origin cannot be used.
pub(super) fn load(
    ground: &Ground<'_>,
    distribution: &bothways_config::Distribution,
    (name, counters): (&DistributionName, &Arc<DistributionCounters>),
    parts: &mut Loading<'_>,
) -> Result<Part<Site>, ConfigError> {
    let bodies = origins::bodies(&ground.config.source, distribution, parts)?;
    let functions = functions(ground, distribution)?;
    let digest = Digest::of(&(
        (distribution, &ground.config.limits, ground.served.digest),
        bodies.iter().map(|body| body.file).collect::<Vec<_>>(),
        functions.iter().map(Associated::versions).collect::<Vec<_>>(),
        // Counters are found by these names.
        (&name.distribution, &name.trust_store),
    ));
    let mut keep = parts.now.sites.after(&parts.before.sites);
    keep.find_or_load(digest, || {
        let origins = origins::load(ground.config, distribution, &bodies, ground.addresses)?;
        let behaviors = behaviors(ground, distribution, &origins, functions)?;
        Ok(site(ground, distribution, counters.clone(), behaviors))
    })
}

fn site(
    ground: &Ground<'_>,
    distribution: &bothways_config::Distribution,
    counters: Arc<DistributionCounters>,
    behaviors: Vec<Arc<Behavior>>,
) -> Site {
    Site {
        distribution_id: distribution.id.as_str().into(),
        counters,
        limits: ground.config.limits.clone(),
        identity_headers: distribution.identity_headers.clone(),
        behaviors: Behaviors::new(behaviors),
        served: ground.served.value.clone(),
    }
}

/// Functions of one behavior.
struct Associated {
    viewer_request: Option<Arc<LiveFunction>>,
    viewer_response: Option<Arc<LiveFunction>>,
}

impl Associated {
    /// A version belongs to one live function and is never given again.
    fn versions(&self) -> [Option<u64>; 2] {
        [&self.viewer_request, &self.viewer_response]
            .map(|function| function.as_ref().map(|function| function.current().version()))
    }
}

/// Functions of each behavior of `distribution`, in their order.
fn functions(
    ground: &Ground<'_>,
    distribution: &bothways_config::Distribution,
) -> Result<Vec<Associated>, ConfigError> {
    let associated = |behavior: &bothways_config::Behavior| {
        let key = behavior.key.child("function_associations");
        let function = |index| ground.functions.viewer(ground.config, &key, index);
        Ok(Associated {
            viewer_request: function(behavior.function_associations.viewer_request)?,
            viewer_response: function(behavior.function_associations.viewer_response)?,
        })
    };
    distribution.behaviors.iter().map(associated).collect()
}

fn behaviors(
    ground: &Ground<'_>,
    distribution: &bothways_config::Distribution,
    origins: &[Arc<Origin>],
    functions: Vec<Associated>,
) -> Result<Vec<Arc<Behavior>>, ConfigError> {
    let load = |(behavior, functions): (&bothways_config::Behavior, Associated)| {
        let origin = origins.get(behavior.origin).cloned().ok_or_else(|| {
            let remedy = "name one of the distribution's origins";
            let source = &ground.config.source;
            source.error(&behavior.key, "the origin is gone", remedy)
        })?;
        Ok(Arc::new(Behavior {
            viewer_request: functions.viewer_request,
            viewer_response: functions.viewer_response,
            path_pattern: behavior.path_pattern.clone(),
            viewer_protocol_policy: behavior.viewer_protocol_policy,
            origin_counters: origins::counters(distribution, &origin, ground.directory),
            origin,
            certificate_headers: behavior.origin_request_policy.headers.clone(),
            connection_id: behavior.origin_request_policy.connection_id,
        }))
    };
    distribution.behaviors.iter().zip(functions).map(load).collect()
}
