//! Names of distributions: one normaliser and one map for SNI, `Host` and `:authority` alike.
//!
//! Owns the spelling of host names and the order exact → wildcard → default. Any second opinion on either
//! would let a client be admitted under one distribution's rules and served under another's.
//!
//! Invariant: a `HostName` is in its one normal form (lower case, no trailing dot, addresses as their types
//! print them), so equal hosts are equal text. Pure; used on every core.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

/// A host in normal form: a DNS name, an IPv4 address, or an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(Arc<str>);

impl HostName {
    /// A host without a port, as in SNI. One trailing dot is dropped, case is folded.
    ///
    /// Text that is no host name is refused and must not be taken for an unknown name: an unknown name may
    /// reach the default distribution.
    pub fn parse(text: &str) -> Result<Self, InvalidHost> {
        if text.contains('@') {
            return Err(InvalidHost::Userinfo);
        }
        if let Some(rest) = text.strip_prefix('[') {
            let inner = rest.strip_suffix(']').ok_or(InvalidHost::Address)?;
            let address = Ipv6Addr::from_str(inner).map_err(|_| InvalidHost::Address)?;
            return Ok(Self(format!("[{address}]").into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        check_labels(name)?;
        if ends_in_a_number(name) {
            let address = Ipv4Addr::from_str(name).map_err(|_| InvalidHost::Address)?;
            return Ok(Self(address.to_string().into()));
        }
        Ok(Self(name.to_ascii_lowercase().into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address, where the host is one and no name.
    pub fn ip(&self) -> Option<IpAddr> {
        let text = self
            .0
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(&self.0);
        text.parse().ok()
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for HostName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The value of a `Host` header or `:authority`: a host and perhaps a port (RFC 3986 §3.2, without userinfo).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    pub host: HostName,
    pub port: Option<u16>,
}

impl Authority {
    pub fn parse(text: &str) -> Result<Self, InvalidHost> {
        if text.contains('@') {
            return Err(InvalidHost::Userinfo);
        }
        let (host, port) = split_port(text)?;
        Ok(Self {
            host: HostName::parse(host)?,
            port,
        })
    }
}

/// A text that is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidHost {
    Empty,
    TooLong,
    Label,
    Character,
    Address,
    Port,
    Userinfo,
}

impl fmt::Display for InvalidHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::TooLong => "it is longer than 253 characters",
            Self::Label => "a label is empty, longer than 63 characters, or begins or ends with a hyphen",
            Self::Character => "only letters, digits, hyphens, underscores and dots can stand in it",
            Self::Address => "it is neither a name nor a well-formed address",
            Self::Port => "the port is no number from 0 to 65535",
            Self::Userinfo => "a user name cannot stand in it",
        })
    }
}

impl std::error::Error for InvalidHost {}

/// A name that a distribution answers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Alias {
    Exact(HostName),
    /// `*.example.com`, held as `example.com`: every name below it, however deep, as the managed service has
    /// it.
    Wildcard(HostName),
}

impl Alias {
    pub fn parse(text: &str) -> Result<Self, InvalidAlias> {
        let (name, wildcard) = match text.strip_prefix("*.") {
            Some(parent) => (parent, true),
            None => (text, false),
        };
        if name.contains('*') {
            return Err(InvalidAlias::Wildcard);
        }
        let host = HostName::parse(name).map_err(InvalidAlias::Host)?;
        match (host.ip(), wildcard) {
            (Some(_), _) => Err(InvalidAlias::Address),
            (None, true) => Ok(Self::Wildcard(host)),
            (None, false) => Ok(Self::Exact(host)),
        }
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => write!(f, "{host}"),
            Self::Wildcard(parent) => write!(f, "*.{parent}"),
        }
    }
}

/// A text that is no alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidAlias {
    Host(InvalidHost),
    Wildcard,
    Address,
}

/// A value for each alias, and one for clients that name none of them.
#[derive(Clone, Debug)]
pub struct HostMap<T> {
    exact: HashMap<HostName, T>,
    wildcard: HashMap<HostName, T>,
    default: Option<T>,
}

impl<T> HostMap<T> {
    pub fn new() -> Self {
        Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            default: None,
        }
    }

    /// Gives the value back where the alias is taken.
    pub fn insert(&mut self, alias: &Alias, value: T) -> Result<(), T> {
        let (names, name) = match alias {
            Alias::Exact(name) => (&mut self.exact, name),
            Alias::Wildcard(parent) => (&mut self.wildcard, parent),
        };
        if names.contains_key(name) {
            return Err(value);
        }
        names.insert(name.clone(), value);
        Ok(())
    }

    /// Gives the value back where there is a default already.
    pub fn insert_default(&mut self, value: T) -> Result<(), T> {
        if self.default.is_some() {
            return Err(value);
        }
        self.default = Some(value);
        Ok(())
    }

    /// Finds the value for a client that gave this name: exact, then wildcard, then the default.
    pub fn lookup(&self, name: Option<&HostName>) -> Option<&T> {
        name.and_then(|name| self.named(name)).or(self.default.as_ref())
    }

    /// Finds the value that has this name among its aliases. The default does not count.
    pub fn named(&self, name: &HostName) -> Option<&T> {
        self.exact.get(name).or_else(|| {
            let parents =
                std::iter::successors(name.as_str().split_once('.'), |(_, rest)| rest.split_once('.'));
            parents
                .map(|(_, parent)| parent)
                .find_map(|parent| self.wildcard.get(parent))
        })
    }

    /// Finds the value that holds exactly this alias.
    pub fn holder(&self, alias: &Alias) -> Option<&T> {
        match alias {
            Alias::Exact(name) => self.exact.get(name),
            Alias::Wildcard(parent) => self.wildcard.get(parent),
        }
    }

    /// The value for clients without a name or with an unknown one.
    pub fn default_value(&self) -> Option<&T> {
        self.default.as_ref()
    }

    /// The same names, with other values.
    pub fn map<U>(&self, mut f: impl FnMut(&T) -> U) -> HostMap<U> {
        HostMap {
            exact: self
                .exact
                .iter()
                .map(|(name, value)| (name.clone(), f(value)))
                .collect(),
            wildcard: self
                .wildcard
                .iter()
                .map(|(name, value)| (name.clone(), f(value)))
                .collect(),
            default: self.default.as_ref().map(f),
        }
    }
}

impl<T> Default for HostMap<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The part before the port, and the port. An empty port is allowed and means none (RFC 3986 §3.2.3).
fn split_port(authority: &str) -> Result<(&str, Option<u16>), InvalidHost> {
    let Some((host, port)) = authority.rsplit_once(':') else {
        return Ok((authority, None));
    };
    if authority.ends_with(']') {
        return Ok((authority, None));
    }
    if port.is_empty() {
        return Ok((host, None));
    }
    let digits = port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    let number = if digits { port.parse().ok() } else { None };
    Ok((host, Some(number.ok_or(InvalidHost::Port)?)))
}

/// Checks the labels by RFC 1123 §2.1 and RFC 1035 §2.3.4: ASCII alone, and `xn--…` for all else. The
/// underscore, which they do not have, stands in names that are in use all the same, and that clients send
/// (RFC 8552 §1).
fn check_labels(name: &str) -> Result<(), InvalidHost> {
    if name.is_empty() {
        return Err(InvalidHost::Empty);
    }
    if name.len() > 253 {
        return Err(InvalidHost::TooLong);
    }
    if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
    {
        return Err(InvalidHost::Character);
    }
    let well_formed =
        |label: &str| (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
    match name.split('.').all(well_formed) {
        true => Ok(()),
        false => Err(InvalidHost::Label),
    }
}

/// Such a text is an IPv4 address or nothing: clients disagree about `127.1`, `0x7f.0.0.1` and `1.2.3.4.5`.
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
    let hexadecimal = last
        .strip_prefix("0x")
        .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    hexadecimal || last.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
#[path = "hosts_tests.rs"]
mod tests;
