//! `[[distributions]]`: what is served under which names, to whom.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::behaviors::{Behavior, behaviors};
use super::error::Problem;
use super::hosts::{Alias, HostMap, InvalidAlias};
use super::key::KeyPath;
use super::origins::{Origin, origins};
use super::raw::{RawDistribution, RawViewerMtls};
use super::security_policy::{SecurityPolicy, UnusablePolicy};
use super::source::{FileRef, Source};
use super::suggest::{choose, instead_of};
use super::trust_stores::{TrustStoreConfig, identifier};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    pub key: KeyPath,
    pub id: DistributionId,
    pub aliases: Vec<Alias>,
    /// The chain, leaf first (PEM).
    pub certificate: FileRef,
    pub private_key: FileRef,
    pub security_policy: SecurityPolicy,
    /// Whether it serves clients that name no distribution or an unknown one.
    pub default: bool,
    /// `None`: clients are not asked for a certificate.
    pub viewer_mtls: Option<ViewerMtls>,
    pub origins: Vec<Origin>,
    /// Never empty; the last one matches every path.
    pub behaviors: Vec<Behavior>,
}

impl Distribution {
    /// The first behavior whose pattern matches the path (without query).
    pub fn behavior_for(&self, path: &str) -> Option<&Behavior> {
        self.behaviors
            .iter()
            .find(|behavior| behavior.path_pattern.matches(path))
    }
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewerMtls {
    pub key: KeyPath,
    pub mode: MtlsMode,
    /// Index into the trust stores of the configuration.
    pub trust_store: usize,
    /// notBefore and notAfter of every certificate of the chain do not count.
    pub ignore_certificate_expiry: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MtlsMode {
    /// No certificate, no connection.
    Required,
    /// A client without a certificate is let in; one with a bad certificate is not.
    Optional,
}

pub(super) fn distributions(
    source: &Source,
    raw: &[RawDistribution],
    stores: &[TrustStoreConfig],
) -> Result<Vec<Distribution>, Problem> {
    let key = KeyPath::root().child("distributions");
    let mut distributions = Vec::with_capacity(raw.len());
    let mut ids = HashMap::new();
    for (index, raw) in raw.iter().enumerate() {
        let distribution = distribution(source, &key.index(index), raw, stores)?;
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
    stores: &[TrustStoreConfig],
) -> Result<Distribution, Problem> {
    let origins = origins(source, &key.child("origins"), &raw.origins)?;
    let mtls = |raw: &RawViewerMtls| viewer_mtls(&key.child("viewer_mtls"), raw, stores);
    Ok(Distribution {
        key: key.clone(),
        id: DistributionId(identifier(&key.child("id"), &raw.id)?),
        aliases: aliases(&key.child("aliases"), &raw.aliases)?,
        certificate: source.file_ref(&key.child("certificate"), &raw.certificate)?,
        private_key: source.file_ref(&key.child("private_key"), &raw.private_key)?,
        security_policy: security_policy(&key.child("security_policy"), raw.security_policy.as_deref())?,
        default: raw.default,
        viewer_mtls: raw.viewer_mtls.as_ref().map(mtls).transpose()?,
        behaviors: behaviors(&key.child("behaviors"), &raw.behaviors, &origins)?,
        origins,
    })
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

/// Mode and trust store must both be there: a policy left half empty must not become a weaker one.
fn viewer_mtls(
    key: &KeyPath,
    raw: &RawViewerMtls,
    stores: &[TrustStoreConfig],
) -> Result<ViewerMtls, Problem> {
    let Some(mode) = raw.mode.as_deref() else {
        let remedy =
            "set mode = \"required\" or \"optional\", or remove the table to ask for no certificates";
        return Err(Problem::new(&key.child("mode"), "missing", remedy));
    };
    let mode = mtls_mode(&key.child("mode"), mode)?;
    let Some(store) = raw.trust_store.as_deref() else {
        let remedy = "name the trust store that clients are verified against";
        return Err(Problem::new(&key.child("trust_store"), "missing", remedy));
    };
    let trust_store = stores
        .iter()
        .position(|known| known.name.as_str() == store)
        .ok_or_else(|| {
            let known = stores.iter().map(|known| known.name.as_str());
            let fault = format!("no trust store is named {store:?}");
            Problem::new(
                &key.child("trust_store"),
                fault,
                instead_of(store, known, "trust stores"),
            )
        })?;
    Ok(ViewerMtls {
        key: key.clone(),
        mode,
        trust_store,
        ignore_certificate_expiry: raw.ignore_certificate_expiry,
    })
}

fn mtls_mode(key: &KeyPath, name: &str) -> Result<MtlsMode, Problem> {
    if name == "passthrough" {
        let fault = "the mode \"passthrough\" is not supported yet";
        return Err(Problem::new(key, fault, "use \"required\" or \"optional\""));
    }
    choose(
        key,
        name,
        &[("required", MtlsMode::Required), ("optional", MtlsMode::Optional)],
    )
}
