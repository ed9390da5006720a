//! `[[distributions.origins]]`: where answers come from.

use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::error::Problem;
use super::hosts::{Authority, HostName};
use super::key::KeyPath;
use super::number::{number, seconds};
use super::raw::{RawFixedResponse, RawOrigin};
use super::reference::Reference;
use super::source::Source;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    pub key: KeyPath,
    pub id: String,
    pub target: OriginTarget,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OriginTarget {
    Http(HttpOrigin),
    Fixed(FixedResponse),
}

/// A server reached over plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpOrigin {
    pub host: HostName,
    pub port: NonZeroU16,
    pub limits: OriginLimits,
}

/// Limits of connections and requests to an origin. They bear the managed service's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OriginLimits {
    /// Connections that are tried before a request fails: 1 to 3.
    pub connection_attempts: u32,
    /// Bound on each of these attempts.
    pub connection_timeout: Duration,
    /// Bound on the time in which nothing moves while the origin is waited for: no byte of the request's body
    /// to it, and none of the response from it.
    pub read_timeout: Duration,
    /// Time for which an idle connection is kept.
    pub keepalive_timeout: Duration,
}

impl HttpOrigin {
    /// `host:port`, the port always written.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// An answer that the server gives by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FixedResponse {
    pub status: StatusCode,
    pub body: FixedBody,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FixedBody {
    Inline(Bytes),
    /// File that holds the body. It is read when the snapshot is built.
    File(Reference),
}

pub(super) fn origins(source: &Source, key: &KeyPath, raw: &[RawOrigin]) -> Result<Vec<Origin>, Problem> {
    let mut origins: Vec<Origin> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let origin = origin(source, &key.index(index), raw)?;
        if let Some(first) = origins.iter().find(|first| first.id == origin.id) {
            let fault = format!("{:?} is the id of {} too", origin.id, first.key);
            return Err(Problem::new(
                &origin.key.child("id"),
                fault,
                "give each origin its own",
            ));
        }
        origins.push(origin);
    }
    match origins.is_empty() {
        true => Err(Problem::new(
            key,
            "there is no origin",
            "add [[distributions.origins]]",
        )),
        false => Ok(origins),
    }
}

fn origin(source: &Source, key: &KeyPath, raw: &RawOrigin) -> Result<Origin, Problem> {
    if raw.id.is_empty() || raw.id.len() > ID_BYTES_MAX || raw.id.chars().any(char::is_control) {
        let remedy = format!("use 1 to {ID_BYTES_MAX} printable characters");
        return Err(Problem::new(
            &key.child("id"),
            format!("{:?} cannot be an id", raw.id),
            remedy,
        ));
    }
    let target = match (&raw.url, &raw.fixed_response) {
        (Some(url), None) => OriginTarget::Http(http_origin(key, url, raw)?),
        (None, Some(fixed)) => OriginTarget::Fixed(fixed_origin(source, key, fixed, raw)?),
        (Some(_), Some(_)) => {
            return Err(Problem::new(
                key,
                "both url and fixed_response are given",
                "keep one of them",
            ));
        }
        (None, None) => {
            let remedy = "add url = \"http://host:port\" or fixed_response = { status = 200, body = \"…\" }";
            return Err(Problem::new(
                key,
                "neither url nor fixed_response is given",
                remedy,
            ));
        }
    };
    Ok(Origin {
        key: key.clone(),
        id: raw.id.clone(),
        target,
    })
}

fn http_origin(key: &KeyPath, url: &str, raw: &RawOrigin) -> Result<HttpOrigin, Problem> {
    let (host, port) = origin_url(&key.child("url"), url)?;
    let limits = origin_limits(key, raw)?;
    Ok(HttpOrigin { host, port, limits })
}

fn origin_limits(key: &KeyPath, raw: &RawOrigin) -> Result<OriginLimits, Problem> {
    let seconds_at = |name: &'static str, given, default, accepted| {
        seconds(&key.child(name), given, Duration::from_secs(default), accepted)
    };
    let attempts = &key.child("connection_attempts");
    Ok(OriginLimits {
        connection_attempts: number(attempts, raw.connection_attempts, 3, &ATTEMPTS)?,
        connection_timeout: seconds_at("connection_timeout", raw.connection_timeout, 10, &CONNECTION_S)?,
        read_timeout: seconds_at("origin_read_timeout", raw.origin_read_timeout, 30, &READ_S)?,
        keepalive_timeout: seconds_at(
            "origin_keepalive_timeout",
            raw.origin_keepalive_timeout,
            5,
            &KEEPALIVE_S,
        )?,
    })
}

/// `http://host[:port]`, with or without a final slash.
fn origin_url(key: &KeyPath, url: &str) -> Result<(HostName, NonZeroU16), Problem> {
    let refused = |fault: &str| Problem::new(key, format!("{url:?} {fault}"), URL_REMEDY);
    if url
        .get(..8)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
    {
        return Err(refused("is an https origin, which is not supported yet"));
    }
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| refused("is no http:// URL"))?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains('@') {
        return Err(refused("has a user name in it"));
    }
    if authority.contains(['/', '?', '#']) {
        return Err(refused("has more than a host and a port"));
    }
    let authority =
        Authority::parse(authority).map_err(|fault| refused(&format!("has no usable host: {fault}")))?;
    let port = NonZeroU16::new(authority.port.unwrap_or(80)).ok_or_else(|| refused("has port 0"))?;
    Ok((authority.host, port))
}

fn fixed_origin(
    source: &Source,
    key: &KeyPath,
    fixed: &RawFixedResponse,
    raw: &RawOrigin,
) -> Result<FixedResponse, Problem> {
    let without_use = [
        ("connection_attempts", raw.connection_attempts),
        ("connection_timeout", raw.connection_timeout),
        ("origin_read_timeout", raw.origin_read_timeout),
        ("origin_keepalive_timeout", raw.origin_keepalive_timeout),
    ];
    if let Some((name, _)) = without_use.into_iter().find(|(_, given)| given.is_some()) {
        let fault = "a fixed_response is never connected to";
        return Err(Problem::new(&key.child(name), fault, "remove this key"));
    }
    fixed_response(source, &key.child("fixed_response"), fixed)
}

fn fixed_response(source: &Source, key: &KeyPath, raw: &RawFixedResponse) -> Result<FixedResponse, Problem> {
    let status: u16 = number(&key.child("status"), raw.status, 200, &STATUS)?;
    let status = StatusCode::from_u16(status)
        .map_err(|fault| Problem::new(&key.child("status"), fault.to_string(), "give 200 to 599"))?;
    let body = match (&raw.body, &raw.body_file) {
        (Some(_), Some(_)) => {
            return Err(Problem::new(
                key,
                "both body and body_file are given",
                "keep one of them",
            ));
        }
        (None, Some(file)) => FixedBody::File(source.reference(&key.child("body_file"), file)?),
        (body, None) => FixedBody::Inline(Bytes::from(body.clone().unwrap_or_default())),
    };
    let bodiless = [
        StatusCode::NO_CONTENT,
        StatusCode::RESET_CONTENT,
        StatusCode::NOT_MODIFIED,
    ]
    .contains(&status);
    if bodiless && body != FixedBody::Inline(Bytes::new()) {
        let fault = format!("an answer with status {} has no body", status.as_u16());
        return Err(Problem::new(key, fault, "remove the body or change the status"));
    }
    Ok(FixedResponse {
        status,
        body,
        headers: fixed_headers(&key.child("headers"), raw)?,
    })
}

fn fixed_headers(key: &KeyPath, raw: &RawFixedResponse) -> Result<Vec<(HeaderName, HeaderValue)>, Problem> {
    let mut headers = Vec::with_capacity(raw.headers.len());
    for (name, value) in &raw.headers {
        let key = key.child(name.clone());
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Problem::new(&key, "this is no header name", "use letters, digits and hyphens"))?;
        if FRAMING.contains(&name) {
            return Err(Problem::new(
                &key,
                "the server sets this header by itself",
                "remove it",
            ));
        }
        let value = HeaderValue::from_str(value)
            .map_err(|_| Problem::new(&key, "the value cannot stand in a header", "use printable ASCII"))?;
        headers.push((name, value));
    }
    Ok(headers)
}

const URL_REMEDY: &str = "give http://host or http://host:port";

/// Headers that belong to the connection or to the framing of the body (RFC 9110 §7.6.1); beside them, a
/// second copy would split the answer in two.
const FRAMING: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The managed service's limits, in its units (seconds).
const ATTEMPTS: RangeInclusive<i64> = 1..=3;
const CONNECTION_S: RangeInclusive<i64> = 1..=10;
const READ_S: RangeInclusive<i64> = 1..=180;
const KEEPALIVE_S: RangeInclusive<i64> = 1..=180;
const ID_BYTES_MAX: usize = 128;
const STATUS: RangeInclusive<i64> = 200..=599;
