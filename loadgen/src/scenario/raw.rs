//! A scenario's file as serde sees it: names and types. What the values mean together is for [`super::check`]
//! to decide.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::options::{Cipher, Expect, Group, Tls, Work, parse_duration};

/// The whole file: its top keys and its tables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Order of the mix: the same number, the same order.
    #[serde(default)]
    pub seed: u64,
    /// The longest wait for operations in flight at the end of the run; absent: none.
    pub wait: Option<Time>,
    /// Limits that the run has to keep, as `--threshold` takes them.
    #[serde(default)]
    pub thresholds: Vec<String>,
    /// Absent: the options say it all.
    pub target: Option<Target>,
    /// Sets of client certificates, by name.
    #[serde(default)]
    pub identities: Vec<Identities>,
    /// Kinds of operations, at least one.
    pub mix: Vec<Mix>,
    /// Phases in the order of time, at least one.
    pub phases: Vec<Phase>,
}

/// The table `[target]`: the server, and the trust in it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// `https://NAME[:PORT][/PATH]`.
    pub url: Option<String>,
    /// `HOST:PORT` to connect to; absent: host and port of `url`.
    pub address: Option<String>,
    /// Server name to send and to verify; absent: the host of `url`.
    pub sni: Option<String>,
    /// Host header; absent: the authority of `url`, or the server name.
    pub host: Option<String>,
    /// PEM files of authorities that may vouch for the server, relative to the scenario's folder.
    #[serde(default)]
    pub ca: Vec<PathBuf>,
    /// Any server certificate is accepted; not beside `ca`.
    #[serde(default)]
    pub insecure: bool,
    /// The only version to offer; absent: 1.3 and 1.2.
    pub tls: Option<Tls>,
    /// The only group to offer; absent: all.
    pub group: Option<Group>,
    /// The only cipher to offer; absent: all.
    pub cipher: Option<Cipher>,
    /// Time limit of one operation; absent: ten seconds.
    pub timeout: Option<Time>,
}

/// An element of `[[identities]]`: client certificates under a name. Either `cert` and `key`, or `bundle`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identities {
    /// Name by which entries of the mix refer to it.
    pub name: String,
    /// PEM file of a certificate and its chain, beside `key`.
    pub cert: Option<PathBuf>,
    /// PEM file of the private key of `cert`.
    pub key: Option<PathBuf>,
    /// PEM file of many identities, as `loadgen pki` makes.
    pub bundle: Option<PathBuf>,
}

/// An element of `[[mix]]`: a kind of operation. Keys that are absent have the defaults of the options of the
/// same name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Name in the report, by which phases refer to it.
    pub name: String,
    /// Share of the operations; absent: 1.
    pub weight: Option<u32>,
    /// Kind of its operations.
    pub work: Work,
    /// Name of a set of `[[identities]]`; absent: no certificate.
    pub identities: Option<String>,
    /// End of its operations that counts as `ok`; absent: `ok`.
    pub expect: Option<Expect>,
    /// Statuses that count as a refusal, 400 to 599; only beside `expect = "refused"`.
    #[serde(default)]
    pub refusal_status: Vec<u16>,
    /// Host header; absent: that of the target.
    pub host: Option<String>,
    /// Path and query; absent: that of the target's URL.
    pub path: Option<String>,
    /// Request method; absent: GET, or POST with a body.
    pub method: Option<String>,
    /// File whose bytes are the body, relative to the scenario's folder; not beside `body_bytes`.
    pub body_file: Option<PathBuf>,
    /// Length of a body that is made up, at most 64 MiB.
    pub body_bytes: Option<u64>,
    /// Media type of the body.
    pub content_type: Option<String>,
    /// Body sent in chunks, without its length (HTTP/1.1).
    #[serde(default)]
    pub chunked: bool,
    /// Statuses that an answer may have; empty: all below 400.
    #[serde(default)]
    pub expect_status: Vec<u16>,
    /// Further request headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Concurrent requests on one connection; only with `work = "h2"`.
    pub streams: Option<u32>,
    /// Requests after which a connection that stays open is closed; absent: any number.
    pub requests_per_connection: Option<u64>,
    /// Mean pause of a client after each operation; only in closed loops.
    pub think_time: Option<Time>,
    /// The most by which a pause may be longer or shorter; only beside `think_time`.
    pub think_spread: Option<Time>,
    /// Accepted length of a response's body; absent: any.
    pub response_bytes: Option<Bytes>,
    /// The only version to offer; absent: that of the target.
    pub tls: Option<Tls>,
    /// The only group to offer; absent: that of the target.
    pub group: Option<Group>,
    /// The only cipher to offer; absent: that of the target.
    pub cipher: Option<Cipher>,
}

/// An element of `[[phases]]`: a stretch of the run. It follows the one before without a gap.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Name in the report.
    pub name: String,
    /// Length of the phase; all together at most 24 hours.
    pub duration: Time,
    /// Clients of a closed loop; beside `rate` the most operations under way at the same time.
    pub clients: Option<Course>,
    /// Operations per second of an open loop.
    pub rate: Option<Course>,
    /// Idle connections to keep open through the phase.
    pub hold: Option<u32>,
    /// Name of the `keepalive` entry by which they connect and ask; absent: the only such entry.
    pub hold_entry: Option<String>,
    /// All open connections are dropped at the start of the phase.
    #[serde(default)]
    pub reconnect: bool,
    /// Time within which idle ones are opened again.
    pub reconnect_within: Option<Time>,
    /// `false`: warm-up; absent: `true`.
    pub measured: Option<bool>,
}

/// `"500ms"`, `"10s"`, `"2m"`, or a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

/// A number, or `{ from = 0, to = 100 }`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Course {
    /// Value at the start of the phase.
    pub from: f64,
    /// Value at the end of the phase.
    pub to: f64,
}

/// A number of bytes, or `{ from = 1000, to = 2000 }`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// The least, in bytes.
    pub from: u64,
    /// The most, in bytes.
    pub to: u64,
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor)
    }
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as \"500ms\", \"10s\" or \"2m\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
        parse_duration(text).map(Time).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Time, E> {
        self.visit_str(&seconds.to_string())
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Time, E> {
        self.visit_str(&seconds.to_string())
    }
}

impl<'de> Deserialize<'de> for Course {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CourseVisitor)
    }
}

struct CourseVisitor;

impl<'de> Visitor<'de> for CourseVisitor {
    type Value = Course;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or { from = 0, to = 100 }")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Course, E> {
        self.visit_f64(number as f64)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Course, E> {
        Ok(Course {
            from: number,
            to: number,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Course, A::Error> {
        let ends: Ends<f64> = Ends::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(Course {
            from: ends.from,
            to: ends.to,
        })
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BytesVisitor)
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes, or { from = 1000, to = 2000 }")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Bytes, E> {
        let number = u64::try_from(number).map_err(|_| E::custom("a number of bytes is not below zero"))?;
        Ok(Bytes {
            from: number,
            to: number,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Bytes, A::Error> {
        let ends: Ends<u64> = Ends::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(Bytes {
            from: ends.from,
            to: ends.to,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ends<T> {
    from: T,
    to: T,
}
