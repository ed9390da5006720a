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
    #[serde(default)]
    pub seed: u64,
    pub wait: Option<Time>,
    #[serde(default)]
    pub thresholds: Vec<String>,
    pub target: Option<Target>,
    #[serde(default)]
    pub identities: Vec<Identities>,
    pub mix: Vec<Mix>,
    pub phases: Vec<Phase>,
}

/// The table `[target]`: the server, and the trust in it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub url: Option<String>,
    pub address: Option<String>,
    pub sni: Option<String>,
    pub host: Option<String>,
    #[serde(default)]
    pub ca: Vec<PathBuf>,
    #[serde(default)]
    pub insecure: bool,
    pub tls: Option<Tls>,
    pub group: Option<Group>,
    pub cipher: Option<Cipher>,
    pub timeout: Option<Time>,
}

/// An element of `[[identities]]`: client certificates under a name. Either `cert` and `key`, or `bundle`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identities {
    pub name: String,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub bundle: Option<PathBuf>,
}

/// An element of `[[mix]]`: a kind of operation. Keys that are absent have the defaults of the options of the
/// same name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    pub name: String,
    pub weight: Option<u32>,
    pub work: Work,
    pub identities: Option<String>,
    pub expect: Option<Expect>,
    #[serde(default)]
    pub refusal_status: Vec<u16>,
    pub host: Option<String>,
    pub path: Option<String>,
    pub method: Option<String>,
    pub body_file: Option<PathBuf>,
    pub body_bytes: Option<u64>,
    pub content_type: Option<String>,
    #[serde(default)]
    pub chunked: bool,
    #[serde(default)]
    pub expect_status: Vec<u16>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub streams: Option<u32>,
    pub requests_per_connection: Option<u64>,
    pub think_time: Option<Time>,
    pub think_spread: Option<Time>,
    pub response_bytes: Option<Bytes>,
    pub tls: Option<Tls>,
    pub group: Option<Group>,
    pub cipher: Option<Cipher>,
}

/// An element of `[[phases]]`: a stretch of the run. It follows the one before without a gap.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    pub name: String,
    pub duration: Time,
    pub clients: Option<Course>,
    pub rate: Option<Course>,
    pub hold: Option<u32>,
    pub hold_entry: Option<String>,
    #[serde(default)]
    pub reconnect: bool,
    pub reconnect_within: Option<Time>,
    pub measured: Option<bool>,
}

/// `"500ms"`, `"10s"`, `"2m"`, or a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

/// A number, or `{ from = 0, to = 100 }`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Course {
    pub from: f64,
    pub to: f64,
}

/// A number of bytes, or `{ from = 1000, to = 2000 }`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes {
    pub from: u64,
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
