//! The configuration: from a TOML file to a [`Config`] that is valid by construction, or to one message that
//! says which key of which file is wrong and what to do about it.
//!
//! Owns the names, the defaults, the ranges and the cross-references (every trust store, origin and name that
//! is mentioned exists, and is unique where it must be). Opens no file: the caller hands in the text, and the
//! snapshot loads certificates, bundles and lists. Its errors take their form from [`Source::error`].
//!
//! Invariant: nothing here becomes weaker by being left out or mistyped. Unknown keys, half-empty policies
//! and policies that cannot be honoured in full are refused. Runs on the control thread.

// Standard output and error are the operator's, and printing waits where nobody reads them.
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![warn(unreachable_pub)]

mod behaviors;
mod control;
mod distributions;
mod error;
mod functions;
mod hosts;
mod identity_headers;
mod key;
mod key_value_stores;
mod limits;
mod listeners;
mod logs;
mod number;
mod origins;
mod path_pattern;
pub mod path_reading;
mod raw;
mod reference;
mod runtime;
mod security_policy;
mod source;
mod suggest;
#[cfg(test)]
mod tests;
mod trust_stores;
mod viewer_mtls;

use std::net::SocketAddr;
use std::path::Path;

pub use behaviors::{Behavior, FunctionAssociations, OriginRequestPolicy, ViewerProtocolPolicy};
pub use control::{ControlAccess, ControlConfig, read_control};
pub use distributions::{Distribution, DistributionId};
pub use error::ConfigError;
pub use functions::{FunctionConfig, FunctionName, Functions};
pub use hosts::{Alias, Authority, HostMap, HostName, InvalidAlias, InvalidHost};
pub use identity_headers::IdentityHeaders;
pub use key::KeyPath;
pub use key_value_stores::KeyValueStoreConfig;
pub use limits::{Limits, Lingering, accepted};
pub use listeners::{Listener, Protocol};
pub use logs::{ConnectionLog, LogFormat, LogsConfig, Sink};
pub use origins::{FixedBody, FixedResponse, HttpOrigin, Origin, OriginLimits, OriginTarget};
pub use path_pattern::{InvalidPathPattern, PathPattern};
pub use reference::{FileRef, Place, Reference};
pub use runtime::{Cores, Driver, RuntimeConfig};
pub use security_policy::{SecurityPolicy, TlsVersion, UnusablePolicy};
pub use source::Source;
pub use trust_stores::{CaWithoutCrl, OutOfDateCrl, RevocationFile, TrustStoreConfig, TrustStoreName};
pub use viewer_mtls::{MtlsMode, MtlsPolicy, OnRevocation, ViewerMtls};

use error::Problem;
use raw::RawConfig;

/// A configuration, checked. Files that it names have not been looked at.
#[derive(Clone, Debug)]
pub struct Config {
    /// Gives errors about named files their key and line.
    pub source: Source,
    pub runtime: RuntimeConfig,
    pub limits: Limits,
    pub admin: Option<SocketAddr>,
    pub control: Option<ControlConfig>,
    /// Never empty.
    pub listeners: Vec<Listener>,
    pub trust_stores: Vec<TrustStoreConfig>,
    pub key_value_stores: Vec<KeyValueStoreConfig>,
    pub functions: Functions,
    /// Never empty.
    pub distributions: Vec<Distribution>,
    /// Leads from a name to an index into `distributions`.
    pub hosts: HostMap<usize>,
    pub logs: LogsConfig,
}

impl Config {
    /// The distribution with this id.
    ///
    /// # Errors
    /// There is none; the message offers the nearest.
    pub fn distribution(&self, id: &str) -> Result<&Distribution, ConfigError> {
        let found = self.distributions.iter().find(|known| known.id.as_str() == id);
        found.ok_or_else(|| {
            let known = self.distributions.iter().map(|known| known.id.as_str());
            let remedy = suggest::instead_of(id, known, "distributions");
            let key = KeyPath::root().child("distributions");
            self.source
                .error(&key, format!("no distribution has the id {id:?}"), remedy)
        })
    }
}

/// Takes `text` for the contents of the file `path`, which is not opened.
pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let source = Source::new(path, text);
    let raw: RawConfig = source.parse()?;
    match check(&source, &raw) {
        Ok(config) => Ok(config),
        Err(problem) => Err(source.locate(problem)),
    }
}

fn check(source: &Source, raw: &RawConfig) -> Result<Config, Problem> {
    let listeners = listeners::listeners(&raw.listeners)?;
    let trust_stores = trust_stores::trust_stores(source, &raw.trust_stores)?;
    let key_value_stores = key_value_stores::key_value_stores(source, &raw.key_value_stores)?;
    let store_names: Vec<_> = key_value_stores.iter().map(|store| &*store.name).collect();
    let functions = Functions::check(source, &raw.connection_functions, &raw.functions, &store_names)?;
    let named = distributions::Named {
        trust_stores: &trust_stores,
        functions: &functions,
    };
    let distributions = distributions::distributions(source, &raw.distributions, &named)?;
    Ok(Config {
        source: source.clone(),
        runtime: runtime::runtime(&raw.runtime)?,
        limits: Limits::check(&raw.limits)?,
        admin: raw
            .admin
            .as_ref()
            .map(|admin| listeners::admin(admin, &listeners))
            .transpose()?,
        control: control::control(source, raw.control.as_ref())?,
        hosts: distributions::hosts(&distributions)?,
        logs: logs::logs(source, &raw.logs)?,
        listeners,
        trust_stores,
        key_value_stores,
        functions,
        distributions,
    })
}
