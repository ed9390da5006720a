//! `[[distributions]]`: what is served under which names, to whom.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::behaviors::{Behavior, behaviors};
use super::error::Problem;
use super::functions::Functions;
use super::hosts::{Alias, HostMap, InvalidAlias};
use super::identity_headers::{IdentityHeaders, identity_headers};
use super::key::KeyPath;
use super::origins::{Origin, origins};
use super::raw::{RawDistribution, RawViewerMtls};
use super::reference::Reference;
use super::security_policy::{SecurityPolicy, UnusablePolicy};
use super::source::Source;
use super::suggest::instead_of;
use super::trust_stores::{TrustStoreConfig, identifier};
use super::viewer_mtls::{MtlsPolicy, viewer_mtls};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Distribution {
    pub key: KeyPath,
    pub id: DistributionId,
    pub aliases: Vec<Alias>,
    /// The chain, leaf first (PEM).
    pub certificate: Reference,
    pub private_key: Reference,
    pub security_policy: SecurityPolicy,
    /// Serves clients that name no distribution or an unknown one.
    pub default: bool,
    pub viewer_mtls: MtlsPolicy,
    /// Index into the connection functions of the configuration.
    pub connection_function: Option<usize>,
    pub identity_headers: IdentityHeaders,
    pub origins: Vec<Origin>,
    /// Never empty; the last one matches every path.
    pub behaviors: Vec<Behavior>,
}

/// The id of a distribution: 1 to 64 letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DistributionId(Arc<str>);

impl DistributionId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DistributionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parts that distributions refer to by name.
pub(super) struct Named<'a> {
    pub(super) trust_stores: &'a [TrustStoreConfig],
    pub(super) functions: &'a Functions,
}

pub(super) fn distributions(
    source: &Source,
    raw: &[RawDistribution],
    named: &Named<'_>,
) -> Result<Vec<Distribution>, Problem> {
    let key = KeyPath::root().child("distributions");
    let mut distributions = Vec::with_capacity(raw.len());
    let mut ids = HashMap::new();
    for (index, raw) in raw.iter().enumerate() {
        let distribution = distribution(source, &key.index(index), raw, named)?;
        if let Some(first) = ids.insert(distribution.id.clone(), index) {
            let fault = format!("{:?} is the id of {} too", raw.id, key.index(first));
            return Err(Problem::new(
                &distribution.key.child("id"),
                fault,
                "give each distribution its own",
            ));
        }
        distributions.push(distribution);
    }
    match distributions.is_empty() {
        true => Err(Problem::new(
            &key,
            "there is no distribution to serve",
            "add [[distributions]]",
        )),
        false => Ok(distributions),
    }
}

/// The index of the distribution that each name leads to.
pub(super) fn hosts(distributions: &[Distribution]) -> Result<HostMap<usize>, Problem> {
    let mut hosts = HostMap::new();
    for (index, distribution) in distributions.iter().enumerate() {
        let aliases = distribution.key.child("aliases");
        for (position, alias) in distribution.aliases.iter().enumerate() {
            if hosts.insert(alias, index).is_err() {
                let holder = hosts.holder(alias).and_then(|&holder| distributions.get(holder));
                let holder = holder.map_or("another", |holder| holder.id.as_str());
                let fault = format!("\"{alias}\" is an alias of the distribution {holder:?} already");
                return Err(Problem::new(
                    &aliases.index(position),
                    fault,
                    "give each name once",
                ));
            }
        }
        if distribution.default && hosts.insert_default(index).is_err() {
            let fault = "another distribution is the default already";
            return Err(Problem::new(
                &distribution.key.child("default"),
                fault,
                "keep one default at most",
            ));
        }
        if !distribution.default && distribution.aliases.is_empty() {
            let remedy = "add aliases = [\"edge.example.com\"] or default = true";
            return Err(Problem::new(
                &aliases,
                "no client can reach this distribution",
                remedy,
            ));
        }
    }
    Ok(hosts)
}

fn distribution(
    source: &Source,
    key: &KeyPath,
    raw: &RawDistribution,
    named: &Named<'_>,
) -> Result<Distribution, Problem> {
    let origins = origins(source, &key.child("origins"), &raw.origins)?;
    let mtls_key = key.child("viewer_mtls");
    let viewer_mtls = viewer_mtls(&mtls_key, raw.viewer_mtls.as_ref(), named.trust_stores)?;
    let behaviors = behaviors(&key.child("behaviors"), &raw.behaviors, &origins, named.functions)?;
    viewer_mtls.check_headers(&behaviors)?;
    Ok(Distribution {
        key: key.clone(),
        id: DistributionId(identifier(&key.child("id"), &raw.id)?),
        aliases: aliases(&key.child("aliases"), &raw.aliases)?,
        certificate: source.reference(&key.child("certificate"), &raw.certificate)?,
        private_key: source.reference(&key.child("private_key"), &raw.private_key)?,
        security_policy: security_policy(&key.child("security_policy"), raw.security_policy.as_deref())?,
        default: raw.default,
        viewer_mtls,
        connection_function: connection_function(&mtls_key, raw.viewer_mtls.as_ref(), named.functions)?,
        identity_headers: identity_headers(&key.child("identity_headers"), raw.identity_headers.as_ref())?,
        behaviors,
        origins,
    })
}

fn connection_function(
    key: &KeyPath,
    raw: Option<&RawViewerMtls>,
    functions: &Functions,
) -> Result<Option<usize>, Problem> {
    let name = raw.and_then(|raw| raw.connection_function.as_deref());
    let key = key.child("connection_function");
    name.map(|name| functions.connection_function(&key, name))
        .transpose()
}

fn aliases(key: &KeyPath, raw: &[String]) -> Result<Vec<Alias>, Problem> {
    let aliases = raw.iter().enumerate();
    aliases
        .map(|(index, text)| Alias::parse(text).map_err(|e| no_alias(&key.index(index), text, e)))
        .collect()
}

fn no_alias(key: &KeyPath, text: &str, reason: InvalidAlias) -> Problem {
    let (fault, remedy) = match reason {
        InvalidAlias::Host(reason) => (
            format!("{text:?} is no host name: {reason}"),
            "give a name such as edge.example.com, without port",
        ),
        InvalidAlias::Wildcard => {
            let remedy = "write *.example.com; for clients with any name or none, set default = true";
            (
                format!("in {text:?} the wildcard is not the whole first label"),
                remedy,
            )
        }
        InvalidAlias::Address => {
            let remedy = "clients that connect by address send no name: set default = true to serve them";
            (format!("{text:?} is an address"), remedy)
        }
    };
    Problem::new(key, fault, remedy)
}

fn security_policy(key: &KeyPath, given: Option<&str>) -> Result<SecurityPolicy, Problem> {
    let Some(name) = given else {
        return Ok(SecurityPolicy::default());
    };
    SecurityPolicy::parse(name).map_err(|reason| match reason {
        UnusablePolicy::Unknown => {
            let known = SecurityPolicy::ALL.map(SecurityPolicy::as_str);
            let remedy = instead_of(name, known, "supported policies");
            Problem::new(key, format!("{name:?} is no security policy"), remedy)
        }
        UnusablePolicy::NotHonoured(needs) => {
            let fault = format!("the policy {name:?} needs {needs}, which this server does not speak");
            let remedy = format!(
                "the nearest supported policy is {:?}",
                SecurityPolicy::default().as_str()
            );
            Problem::new(key, fault, remedy)
        }
    })
}
