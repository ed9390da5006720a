//! Origins of a distribution, loaded: where they are, or what they answer.

use std::sync::Arc;

use bothways_config::{Config, ConfigError, FixedBody, OriginTarget, Source};
use bytes::Bytes;
use http::HeaderMap;

use super::inventory::Loading;
use super::origin_names;
use super::parts::{Digest, Keep};
use super::references::{self, Contents};
use crate::metrics::{Directory, OriginCounters, OriginName};
use crate::origin::{Destination, FixedResponse, HttpOrigin, NamedAddresses, Origin};

/// Body of an origin that answers by itself; empty of others.
#[derive(Default)]
pub(super) struct Body {
    bytes: Bytes,
    /// Digest of the file that it comes from, if it comes from one.
    pub(super) file: Option<Digest>,
}

/// Loads the body of each origin of `distribution`, or keeps the one of a file with the same bytes.
///
/// # Errors
/// A file cannot be used.
pub(super) fn bodies(
    source: &Source,
    distribution: &bothways_config::Distribution,
    parts: &mut Loading<'_>,
) -> Result<Vec<Body>, ConfigError> {
    let load = |origin: &bothways_config::Origin| match &origin.target {
        OriginTarget::Fixed(fixed) => {
            let keep = parts.now.bodies.after(&parts.before.bodies);
            body(source, &fixed.body, keep)
        }
        OriginTarget::Http(_) => Ok(Body::default()),
    };
    distribution.origins.iter().map(load).collect()
}

/// Makes the origins of a distribution, in their order. `names`: addresses of all names.
///
/// # Errors
/// A name has no addresses.
pub(super) fn load(
    config: &Config,
    distribution: &bothways_config::Distribution,
    bodies: &[Body],
    names: &NamedAddresses,
) -> Result<Vec<Arc<Origin>>, ConfigError> {
    let load = |(origin, body): (&bothways_config::Origin, &Body)| {
        let loaded = match &origin.target {
            OriginTarget::Http(http) => Origin::Http(Arc::new(http_origin(config, origin, http, names)?)),
            OriginTarget::Fixed(fixed) => Origin::Fixed(fixed_response(fixed, body)),
        };
        Ok(Arc::new(loaded))
    };
    distribution.origins.iter().zip(bodies).map(load).collect()
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
        limits: http.limits,
    })
}

fn body(source: &Source, body: &FixedBody, mut keep: Keep<'_, Bytes>) -> Result<Body, ConfigError> {
    let file = match body {
        FixedBody::Inline(bytes) => {
            let bytes = bytes.clone();
            return Ok(Body { bytes, file: None });
        }
        FixedBody::File(file) => file,
    };
    let part = match keep.find(|| references::digest(file, FIXED_BODY_BYTES_MAX)) {
        Some(kept) => kept,
        None => {
            let Contents { bytes, digest } = references::read(source, file, FIXED_BODY_BYTES_MAX)?;
            keep.add(digest, Bytes::from(bytes))
        }
    };
    Ok(Body {
        bytes: Bytes::clone(&part.value),
        file: Some(part.digest),
    })
}

fn fixed_response(fixed: &bothways_config::FixedResponse, body: &Body) -> FixedResponse {
    let headers: HeaderMap = fixed.headers.iter().cloned().collect();
    FixedResponse {
        status: fixed.status,
        headers,
        body: body.bytes.clone(),
    }
}

/// A fixed response lives in memory.
const FIXED_BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
