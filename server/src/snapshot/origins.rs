//! Origins of a distribution, loaded: where they are, or what they answer.

use std::sync::Arc;

use bothways_config::{Config, ConfigError, FixedBody, OriginTarget, Source};
use bytes::Bytes;
use http::HeaderMap;

use super::files;
use super::origin_names;
use crate::metrics::{Directory, OriginCounters, OriginName};
use crate::origin::{Destination, FixedResponse, HttpOrigin, NamedAddresses, Origin};

/// Loads the origins of a distribution, in their order. `names`: addresses of all names.
///
/// # Errors
/// A file cannot be used.
pub(super) fn load(
    config: &Config,
    distribution: &bothways_config::Distribution,
    names: &NamedAddresses,
) -> Result<Vec<Arc<Origin>>, ConfigError> {
    let load = |origin: &bothways_config::Origin| {
        let loaded = match &origin.target {
            OriginTarget::Http(http) => Origin::Http(Arc::new(http_origin(config, origin, http, names)?)),
            OriginTarget::Fixed(fixed) => Origin::Fixed(fixed_response(&config.source, fixed)?),
        };
        Ok(Arc::new(loaded))
    };
    distribution.origins.iter().map(load).collect()
}

/// Counters of an origin that is asked; a response in memory has none.
pub(super) fn counters(
    distribution: &bothways_config::Distribution,
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

fn http_origin(
    config: &Config,
    origin: &bothways_config::Origin,
    http: &bothways_config::HttpOrigin,
    names: &NamedAddresses,
) -> Result<HttpOrigin, ConfigError> {
    let addresses = origin_names::addresses(names, http).ok_or_else(|| {
        let (key, remedy) = (origin.key.child("url"), "name a host that resolves");
        config.source.error(&key, "the name is gone", remedy)
    })?;
    Ok(HttpOrigin {
        id: origin.id.as_str().into(),
        destination: Destination::http(http.authority(), addresses),
        connection_attempts: http.connection_attempts,
        connection_timeout: http.connection_timeout,
        read_timeout: http.read_timeout,
        keepalive_timeout: http.keepalive_timeout,
    })
}

fn fixed_response(
    source: &Source,
    fixed: &bothways_config::FixedResponse,
) -> Result<FixedResponse, ConfigError> {
    let body = match &fixed.body {
        FixedBody::Inline(bytes) => bytes.clone(),
        FixedBody::File(file) => files::read(source, file, FIXED_BODY_BYTES_MAX).map(Bytes::from)?,
    };
    let headers: HeaderMap = fixed.headers.iter().cloned().collect();
    Ok(FixedResponse {
        status: fixed.status,
        headers,
        body,
    })
}

/// A fixed response lives in memory.
const FIXED_BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
