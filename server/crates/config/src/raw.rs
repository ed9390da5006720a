//! The configuration file as written: the names of keys and the types that TOML has, nothing more.
//!
//! Owns the key names. Every table refuses keys that it does not know. What the values mean, and whether they
//! are any good, is decided by the sibling files that turn each part into its type.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::limits::RawLimits;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    #[serde(default)]
    pub runtime: RawRuntime,
    #[serde(default)]
    pub limits: RawLimits,
    pub admin: Option<RawAdmin>,
    pub control: Option<RawControl>,
    #[serde(default)]
    pub listeners: Vec<RawListener>,
    #[serde(default)]
    pub trust_stores: Vec<RawTrustStore>,
    #[serde(default)]
    pub key_value_stores: Vec<RawKeyValueStore>,
    #[serde(default)]
    pub connection_functions: Vec<RawFunction>,
    #[serde(default)]
    pub functions: Vec<RawFunction>,
    #[serde(default)]
    pub distributions: Vec<RawDistribution>,
    #[serde(default)]
    pub logs: RawLogs,
}

/// The two tables that a command to a running server needs. All others may be anything that TOML can say.
#[derive(Deserialize)]
pub(super) struct RawControlOnly {
    #[serde(default)]
    pub limits: RawLimits,
    pub control: Option<RawControl>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRuntime {
    pub cores: Option<RawCores>,
    pub driver: Option<String>,
    pub balance_connections: Option<bool>,
    pub reuse_port: Option<bool>,
}

pub(super) enum RawCores {
    Name(String),
    Count(i64),
    List(Vec<i64>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAdmin {
    pub address: String,
    #[serde(default)]
    pub allow_remote: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawControl {
    pub socket: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawListener {
    pub address: String,
    pub protocol: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTrustStore {
    pub name: String,
    pub ca_bundle: String,
    #[serde(default)]
    pub revocations: Vec<RawRevocations>,
    #[serde(default)]
    pub allow_losing_all_revocations: bool,
    pub allow_v1_client_certificates: Option<bool>,
    pub out_of_date_crl: Option<String>,
    pub ca_without_crl: Option<String>,
    #[serde(default)]
    pub required_extended_key_usage: Vec<String>,
    pub max_chain_depth: Option<i64>,
}

/// A revocation file: its name alone, or more.
pub(super) enum RawRevocations {
    Name(String),
    File(RawRevocationFile),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRevocationFile {
    pub file: String,
    pub issuer: Option<String>,
    #[serde(default)]
    pub may_be_empty: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKeyValueStore {
    pub name: String,
    pub import: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFunction {
    pub name: String,
    pub code: String,
    pub key_value_store: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDistribution {
    pub id: String,
    #[serde(default)]
    pub aliases: Vec<String>,
    pub certificate: String,
    pub private_key: String,
    pub security_policy: Option<String>,
    #[serde(default)]
    pub default: bool,
    pub viewer_mtls: Option<RawViewerMtls>,
    pub identity_headers: Option<RawIdentityHeaders>,
    #[serde(default)]
    pub origins: Vec<RawOrigin>,
    #[serde(default)]
    pub behaviors: Vec<RawBehavior>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIdentityHeaders {
    #[serde(default)]
    pub remove: Vec<String>,
    #[serde(default)]
    pub let_through: Vec<String>,
}

/// Mode and trust store are needed; they are optional here so that their absence can be explained.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawViewerMtls {
    pub mode: Option<String>,
    pub trust_store: Option<String>,
    pub candidate_trust_store: Option<String>,
    pub ignore_certificate_expiry: Option<bool>,
    pub advertise_trust_store_ca_names: Option<bool>,
    pub on_revocation: Option<String>,
    pub connection_function: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOrigin {
    pub id: String,
    pub url: Option<String>,
    pub fixed_response: Option<RawFixedResponse>,
    pub connection_attempts: Option<i64>,
    pub connection_timeout: Option<i64>,
    pub origin_read_timeout: Option<i64>,
    pub origin_keepalive_timeout: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFixedResponse {
    pub status: Option<i64>,
    pub body: Option<String>,
    pub body_file: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBehavior {
    pub path_pattern: String,
    pub origin: String,
    pub viewer_protocol_policy: Option<String>,
    pub origin_request_policy: Option<RawOriginRequestPolicy>,
    pub function_associations: Option<RawFunctionAssociations>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFunctionAssociations {
    pub viewer_request: Option<String>,
    pub viewer_response: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOriginRequestPolicy {
    pub headers: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLogs {
    pub connection: Option<RawConnectionLog>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConnectionLog {
    pub format: Option<String>,
    pub sink: Option<RawSink>,
}

pub(super) enum RawSink {
    Name(String),
    File(String),
}

impl<'de> Deserialize<'de> for RawCores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CoresVisitor)
    }
}

impl<'de> Deserialize<'de> for RawSink {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SinkVisitor)
    }
}

/// Reads the three forms by hand: `#[serde(untagged)]` forgets what was wrong and where.
struct CoresVisitor;

impl<'de> Visitor<'de> for CoresVisitor {
    type Value = RawCores;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"all\", a number of cores, or a list of CPU numbers")
    }

    fn visit_i64<E>(self, count: i64) -> Result<RawCores, E> {
        Ok(RawCores::Count(count))
    }

    fn visit_str<E>(self, name: &str) -> Result<RawCores, E> {
        Ok(RawCores::Name(name.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<RawCores, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(RawCores::List)
    }
}

impl<'de> Deserialize<'de> for RawRevocations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RevocationsVisitor)
    }
}

struct RevocationsVisitor;

impl<'de> Visitor<'de> for RevocationsVisitor {
    type Value = RawRevocations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"…\" or { file = \"…\", issuer = \"…\", may_be_empty = true }")
    }

    fn visit_str<E>(self, name: &str) -> Result<RawRevocations, E> {
        Ok(RawRevocations::Name(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawRevocations, A::Error> {
        RawRevocationFile::deserialize(MapAccessDeserializer::new(map)).map(RawRevocations::File)
    }
}

struct SinkVisitor;

impl<'de> Visitor<'de> for SinkVisitor {
    type Value = RawSink;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"stdout\" or { file = \"…\" }")
    }

    fn visit_str<E>(self, name: &str) -> Result<RawSink, E> {
        Ok(RawSink::Name(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawSink, A::Error> {
        RawFileSink::deserialize(MapAccessDeserializer::new(map)).map(|sink| RawSink::File(sink.file))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFileSink {
    file: String,
}
