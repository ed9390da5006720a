//! `[[trust_stores]]`: where trust and revocation are read from. The files are not opened here.

use std::fmt;
use std::sync::Arc;

use bothways_trust::{Purpose, UnknownPurpose};

use super::error::Problem;
use super::key::KeyPath;
use super::number::number;
use super::raw::{RawRevocations, RawTrustStore};
use super::reference::Reference;
use super::source::Source;
use super::suggest::{choose, instead_of};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrustStoreConfig {
    pub key: KeyPath,
    pub name: TrustStoreName,
    pub ca_bundle: Reference,
    /// Serial lists and CRLs, in any mixture.
    pub revocations: Vec<RevocationFile>,
    /// A reload may leave nothing revoked, or no CRL, where something was before.
    pub allow_losing_all_revocations: bool,
    /// X.509 v1 leaf certificates, which `openssl x509 -req` without extensions makes.
    pub allow_v1_client_certificates: bool,
    pub out_of_date_crl: OutOfDateCrl,
    /// `None`: left out, which is decided when it is known whether the store has CRLs.
    pub ca_without_crl: Option<CaWithoutCrl>,
    /// Extended key usages that a client certificate must have, all of them. Usually empty.
    pub required_extended_key_usage: Vec<Purpose>,
    /// Certificates from the client's to that of the store, both included.
    pub max_chain_depth: usize,
}

/// Entry of `revocations`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RevocationFile {
    pub file: Reference,
    /// The CA whose serial numbers a serial list holds, and the key that says so. Which CA that is, is known
    /// when the bundle is.
    pub issuer: Option<(KeyPath, String)>,
    /// True if a serial list without an entry is accepted, rather than taken for a damaged file.
    pub may_be_empty: bool,
}

/// The name of a trust store: 1 to 64 letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrustStoreName(Arc<str>);

impl TrustStoreName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustStoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Treatment of clients of an issuer whose CRL has passed its `nextUpdate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutOfDateCrl {
    Reject,
    AcceptAndLog,
}

/// Treatment of clients of an issuer for whom no CRL is loaded that covers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CaWithoutCrl {
    Accept,
    AcceptAndLog,
    Reject,
}

pub(super) fn trust_stores(source: &Source, raw: &[RawTrustStore]) -> Result<Vec<TrustStoreConfig>, Problem> {
    let key = KeyPath::root().child("trust_stores");
    let mut stores: Vec<TrustStoreConfig> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let store = trust_store(source, &key.index(index), raw)?;
        if let Some(first) = stores.iter().find(|first| first.name == store.name) {
            let fault = format!("{:?} is the name of {} too", raw.name, first.key);
            return Err(Problem::new(
                &store.key.child("name"),
                fault,
                "give each trust store its own",
            ));
        }
        stores.push(store);
    }
    Ok(stores)
}

fn trust_store(source: &Source, key: &KeyPath, raw: &RawTrustStore) -> Result<TrustStoreConfig, Problem> {
    let revocations = key.child("revocations");
    let revocations = raw
        .revocations
        .iter()
        .enumerate()
        .map(|(index, file)| revocation_file(source, &revocations.index(index), file));
    Ok(TrustStoreConfig {
        key: key.clone(),
        name: TrustStoreName(identifier(&key.child("name"), &raw.name)?),
        ca_bundle: source.reference(&key.child("ca_bundle"), &raw.ca_bundle)?,
        revocations: revocations.collect::<Result<_, _>>()?,
        allow_losing_all_revocations: raw.allow_losing_all_revocations,
        allow_v1_client_certificates: raw.allow_v1_client_certificates.unwrap_or(true),
        out_of_date_crl: out_of_date_crl(&key.child("out_of_date_crl"), raw.out_of_date_crl.as_deref())?,
        ca_without_crl: ca_without_crl(&key.child("ca_without_crl"), raw.ca_without_crl.as_deref())?,
        required_extended_key_usage: purposes(
            &key.child("required_extended_key_usage"),
            &raw.required_extended_key_usage,
        )?,
        max_chain_depth: max_chain_depth(&key.child("max_chain_depth"), raw.max_chain_depth)?,
    })
}

fn revocation_file(source: &Source, key: &KeyPath, raw: &RawRevocations) -> Result<RevocationFile, Problem> {
    match raw {
        RawRevocations::Name(name) => Ok(RevocationFile {
            file: source.reference(key, name)?,
            issuer: None,
            may_be_empty: false,
        }),
        RawRevocations::File(raw) => Ok(RevocationFile {
            file: source.reference(&key.child("file"), &raw.file)?,
            issuer: raw.issuer.clone().map(|issuer| (key.child("issuer"), issuer)),
            may_be_empty: raw.may_be_empty,
        }),
    }
}

fn ca_without_crl(key: &KeyPath, given: Option<&str>) -> Result<Option<CaWithoutCrl>, Problem> {
    let choices = [
        ("accept", CaWithoutCrl::Accept),
        ("accept_and_log", CaWithoutCrl::AcceptAndLog),
        ("reject", CaWithoutCrl::Reject),
    ];
    given.map(|name| choose(key, name, &choices)).transpose()
}

fn purposes(key: &KeyPath, given: &[String]) -> Result<Vec<Purpose>, Problem> {
    if given.len() > PURPOSES_MAX {
        let fault = format!("{} extended key usages are required", given.len());
        return Err(Problem::new(key, fault, format!("name {PURPOSES_MAX} at most")));
    }
    let named = given.iter().enumerate();
    named
        .map(|(index, name)| purpose(&key.index(index), name))
        .collect()
}

fn purpose(key: &KeyPath, given: &str) -> Result<Purpose, Problem> {
    Purpose::parse(given).map_err(|unknown| {
        let remedy = match unknown {
            UnknownPurpose::Oid => "write a dotted OID such as 1.3.6.1.5.5.7.3.2".to_owned(),
            UnknownPurpose::Name => {
                instead_of(given, Purpose::names(), "names; others go by their dotted OID")
            }
        };
        Problem::new(key, format!("{given:?} is no extended key usage"), remedy)
    })
}

/// Reads `max_chain_depth`: 2 to 8 certificates. The upper end is webpki's, which follows six intermediates
/// at most.
fn max_chain_depth(key: &KeyPath, given: Option<i64>) -> Result<usize, Problem> {
    number(key, given, CHAIN_DEPTH_DEFAULT, &(2..=8))
}

fn out_of_date_crl(key: &KeyPath, given: Option<&str>) -> Result<OutOfDateCrl, Problem> {
    let choices = [
        ("reject", OutOfDateCrl::Reject),
        ("accept_and_log", OutOfDateCrl::AcceptAndLog),
    ];
    given.map_or(Ok(OutOfDateCrl::Reject), |name| choose(key, name, &choices))
}

/// Certificates of a chain, the client's and the store's included. The managed service's quota.
const CHAIN_DEPTH_DEFAULT: usize = 4;
/// Purposes that a store may demand: more than any certificate has. Each is looked for in each handshake.
const PURPOSES_MAX: usize = 16;

/// A name that can stand in a log line, a metric label and a file name as it is.
pub(super) fn identifier(key: &KeyPath, text: &str) -> Result<Arc<str>, Problem> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !text.is_empty() && text.len() <= 64 && text.bytes().all(allowed) {
        return Ok(text.into());
    }
    let remedy = "use 1 to 64 letters, digits, hyphens and underscores";
    Err(Problem::new(key, format!("{text:?} cannot be a name"), remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extended_key_usage_that_is_none_is_refused_with_a_remedy() {
        let refused = |text| purpose(&KeyPath::root(), text).expect_err(text).remedy;
        assert!(refused("1.40").contains("dotted OID"), "{}", refused("1.40"));
        assert_eq!(refused("clientauth"), "did you mean \"clientAuth\"?");
    }
}
