//! Names and subtrees of the kinds that consist of hosts, mailboxes and addresses, and which name lies in
//! which subtree.
//!
//! Owns the syntax of the names (RFC 5280 §4.2.1.6) and the comparisons of §4.2.1.10:
//!
//! | kind | `host.example` | `.host.example` | other forms |
//! |---|---|---|---|
//! | dNSName | the host and all below it | only what is below it | |
//! | rfc822Name | those at the host | those below the host | `local@host`: a mailbox; `@host`: `host` |
//! | URI | the host | hosts below it | |
//! | iPAddress | | | a range: address and contiguous mask |
//!
//! The empty base covers every name of its kind. Hosts are compared without regard to the case of ASCII
//! letters, local parts octet for octet. A name that does not have the syntax
//! of its kind has no comparison: reading it is an error that says why, and the caller refuses. Nothing is
//! guessed, normalised or resolved: no trailing dots, no percent-encoding.
//!
//! Directory names are compared by [`super::canonical_name`].

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The list that a subtree stands in. A name that stands for several others (a wildcard, a quoted local part,
/// an IPv4 address written as IPv6) lies in a permitted subtree if all of them do, and in an excluded one if
/// any of them does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Permitted,
    Excluded,
}

/// The hosts that a base names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hosts {
    Every,
    Only(Box<[u8]>),
    AtOrBelow(Box<[u8]>),
    Below(Box<[u8]>),
}

impl Hosts {
    pub(super) fn of_dns_base(base: &[u8]) -> Result<Self, &'static str> {
        Self::read(base, Self::AtOrBelow)
    }

    pub(super) fn of_uri_base(base: &[u8]) -> Result<Self, &'static str> {
        Self::read(base, Self::Only)
    }

    fn read(base: &[u8], without_dot: impl Fn(Box<[u8]>) -> Self) -> Result<Self, &'static str> {
        match base.strip_prefix(b".") {
            _ if base.is_empty() => Ok(Self::Every),
            Some(host) if is_host(host) => Ok(Self::Below(host.into())),
            None if is_host(base) => Ok(without_dot(base.into())),
            _ => Err("is no host name"),
        }
    }

    fn contains(&self, host: &[u8]) -> bool {
        match self {
            Self::Every => true,
            Self::Only(base) => host.eq_ignore_ascii_case(base),
            Self::AtOrBelow(base) => host.eq_ignore_ascii_case(base) || is_below(host, base),
            Self::Below(base) => is_below(host, base),
        }
    }

    /// The asterisk of a wildcard stands for one label (RFC 6125 §6.4.3). All its names lie at or below the
    /// base if the name after the asterisk does. One of them at least, if they do or if the base is itself
    /// one of them.
    pub(super) fn contains_dns_name(&self, name: &[u8], side: Side) -> bool {
        let covers_one = |parent: &[u8]| match self {
            Self::AtOrBelow(base) | Self::Only(base) => {
                let first_dot = base.iter().position(|&octet| octet == b'.');
                first_dot
                    .and_then(|dot| base.get(dot + 1..))
                    .is_some_and(|rest| rest.eq_ignore_ascii_case(parent))
            }
            Self::Every | Self::Below(_) => false,
        };
        match name.strip_prefix(b"*.") {
            None => self.contains(name),
            Some(parent) => self.contains(name) || side == Side::Excluded && covers_one(parent),
        }
    }

    pub(super) fn contains_uri_host(&self, host: &[u8]) -> bool {
        self.contains(host)
    }
}

/// The mailboxes that a base of an rfc822Name constraint names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mailboxes {
    At(Hosts),
    /// Its local part as it was written.
    One {
        local: Box<[u8]>,
        host: Box<[u8]>,
    },
}

impl Mailboxes {
    pub(super) fn of_base(base: &[u8]) -> Result<Self, &'static str> {
        let hosts = |base| Hosts::read(base, Hosts::Only).map(Self::At);
        match base.strip_prefix(b"@") {
            Some(host) if is_host(host) => hosts(host),
            Some(_) => Err("is no host name"),
            None if !base.contains(&b'@') => hosts(base),
            None => Mailbox::read(base, Charset::Ascii).map(|mailbox| Self::One {
                local: mailbox.local.into(),
                host: mailbox.host.into(),
            }),
        }
    }

    /// `"jane"@host` and `jane@host` are one mailbox (RFC 5321 §4.1.2), so one is excluded with the other. It
    /// is permitted only as it is written, as in OpenSSL.
    pub(super) fn contains(&self, mailbox: Mailbox<'_>, side: Side) -> bool {
        match self {
            Self::At(hosts) => hosts.contains(mailbox.host),
            Self::One { local, host } => {
                let is_local = match side {
                    Side::Permitted => mailbox.local == &**local,
                    Side::Excluded => unquoted(mailbox.local).eq(unquoted(local)),
                };
                is_local && mailbox.host.eq_ignore_ascii_case(host)
            }
        }
    }
}

/// An e-mail address: `local@host` (RFC 5321 §4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mailbox<'a> {
    /// The local part as it was written, quotes included.
    local: &'a [u8],
    host: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    Ascii,
    /// RFC 6531 §3.3: the local part may hold other letters too. The host may not (RFC 9598 §3).
    Utf8,
}

impl<'a> Mailbox<'a> {
    pub(super) fn read(address: &'a [u8], charset: Charset) -> Result<Self, &'static str> {
        let malformed = "is no e-mail address of the form local@host";
        let length = local_length(address, charset).ok_or(malformed)?;
        let (local, at_host) = address.split_at_checked(length).ok_or(malformed)?;
        let host = at_host.strip_prefix(b"@").ok_or(malformed)?;
        is_host(host).then_some(Self { local, host }).ok_or(malformed)
    }
}

/// The local part that is meant.
fn unquoted(local: &[u8]) -> impl Iterator<Item = u8> {
    let inside = local
        .strip_prefix(b"\"")
        .and_then(|local| local.strip_suffix(b"\""));
    let is_quoted = inside.is_some();
    let mut octets = inside.unwrap_or(local).iter().copied();
    std::iter::from_fn(move || match octets.next() {
        Some(b'\\') if is_quoted => octets.next(),
        next => next,
    })
}

/// Length of the Dot-string or Quoted-string that `address` begins with.
fn local_length(address: &[u8], charset: Charset) -> Option<usize> {
    if let Some(inside) = address.strip_prefix(b"\"") {
        return quoted_length(inside, charset).map(|length| length + 2);
    }
    let length = address.iter().position(|&octet| octet == b'@')?;
    let atoms = address.get(..length)?.split(|&octet| octet == b'.');
    let is_atom = |atom: &[u8]| !atom.is_empty() && atom.iter().all(|&octet| is_atext(octet, charset));
    atoms.into_iter().all(is_atom).then_some(length)
}

/// Length of the text before the closing quote.
fn quoted_length(inside: &[u8], charset: Charset) -> Option<usize> {
    let is_text = |octet: u8| matches!(octet, b' '..=b'~') || charset == Charset::Utf8 && !octet.is_ascii();
    let mut octets = inside.iter().copied().enumerate();
    loop {
        match octets.next()? {
            (at, b'"') => return Some(at),
            (_, b'\\') => octets.next().filter(|(_, octet)| is_text(*octet)).map(drop)?,
            (_, octet) => is_text(octet).then_some(())?,
        }
    }
}

fn is_atext(octet: u8, charset: Charset) -> bool {
    octet.is_ascii_alphanumeric()
        || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
        || charset == Charset::Utf8 && !octet.is_ascii()
}

/// The host of a URI (RFC 3986 §3.2). An error where there is none to compare: RFC 5280 §4.2.1.10 asks to
/// refuse a certificate whose URI has no authority, or one without a host name.
pub(super) fn uri_host(uri: &[u8]) -> Result<&[u8], &'static str> {
    let malformed = "is no URI";
    let colon = uri.iter().position(|&octet| octet == b':').ok_or(malformed)?;
    let (scheme, rest) = uri.split_at_checked(colon).ok_or(malformed)?;
    // Browsers take a backslash for a slash, others do not: the host would depend on the reader.
    if !is_scheme(scheme)
        || uri
            .iter()
            .any(|octet| !octet.is_ascii_graphic() || *octet == b'\\')
    {
        return Err(malformed);
    }
    let rest = rest.strip_prefix(b"://").ok_or("has no host")?;
    let authority = rest
        .split(|octet| b"/?#".contains(octet))
        .next()
        .unwrap_or_default();
    let mut parts = authority.split(|&octet| octet == b'@');
    let host_and_port = match (parts.next(), parts.next(), parts.next()) {
        (Some(host), None, None) | (Some(_), Some(host), None) => host,
        _ => return Err(malformed),
    };
    host_of(host_and_port)
}

fn host_of(host_and_port: &[u8]) -> Result<&[u8], &'static str> {
    let mut parts = host_and_port.split(|&octet| octet == b':');
    let host = parts.next().unwrap_or_default();
    let port_is_digits = parts
        .next()
        .is_none_or(|port| port.iter().all(u8::is_ascii_digit));
    match () {
        () if host.is_empty() => Err("has no host"),
        () if host.starts_with(b"[") || is_ipv4(host) => Err("has an IP address for a host"),
        () if !is_host(host) || !port_is_digits || parts.next().is_some() => Err("has no proper host"),
        () => Ok(host),
    }
}

/// The last label tells (WHATWG URL, "ends in a number"): `10.1`, `127.0.0.0x1` and `2130706433` are
/// addresses to many programs.
fn is_ipv4(host: &[u8]) -> bool {
    let last = host.rsplit(|&octet| octet == b'.').next().unwrap_or_default();
    let hex = last.strip_prefix(b"0x").or_else(|| last.strip_prefix(b"0X"));
    !last.is_empty() && last.iter().all(u8::is_ascii_digit)
        || hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
}

/// RFC 3986 §3.1.
fn is_scheme(scheme: &[u8]) -> bool {
    scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme
            .iter()
            .all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(octet))
}

/// A dNSName: a host, whose first label may be an asterisk.
pub(super) fn is_dns_name(name: &[u8]) -> bool {
    is_host(name.strip_prefix(b"*.").unwrap_or(name))
}

/// Letters, digits, hyphens, and underscores, which names in use have; RFC 1034 §3.1 bounds the lengths. No
/// dot at the end.
pub(super) fn is_host(host: &[u8]) -> bool {
    let is_label = |label: &[u8]| {
        (1..=63).contains(&label.len())
            && label
                .iter()
                .all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(octet))
    };
    host.len() <= 253 && host.split(|&octet| octet == b'.').all(is_label)
}

fn is_below(host: &[u8], base: &[u8]) -> bool {
    let above = host.len().checked_sub(base.len() + 1);
    above.is_some_and(|above| {
        host.get(above) == Some(&b'.')
            && host
                .get(above + 1..)
                .is_some_and(|end| end.eq_ignore_ascii_case(base))
    })
}

/// The addresses of an iPAddress base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IpRange {
    address: Box<[u8]>,
    mask: Box<[u8]>,
}

impl IpRange {
    /// RFC 5280 §4.2.1.10: eight octets for IPv4, 32 for IPv6, mask as in CIDR.
    pub(super) fn of_base(base: &[u8]) -> Result<Self, &'static str> {
        if !matches!(base.len(), 8 | 32) {
            return Err("is no IP address with a mask");
        }
        let (address, mask) = base.split_at_checked(base.len() / 2).unwrap_or_default();
        let bits = mask.iter().map(|octet| octet.leading_ones()).sum::<u32>();
        let set = mask.iter().map(|octet| octet.count_ones()).sum::<u32>();
        let mut from_first_gap = mask.iter().skip_while(|octet| **octet == 0xff).skip(1);
        if bits != set || from_first_gap.any(|octet| *octet != 0) {
            return Err("has a mask with gaps");
        }
        Ok(Self {
            address: address.into(),
            mask: mask.into(),
        })
    }

    /// An IPv4 address and an IPv6 range are strangers to each other. `::ffff:192.0.2.1` reaches the host
    /// 192.0.2.1 (RFC 4291 §2.5.5.2).
    pub(super) fn contains(&self, address: &[u8], side: Side) -> bool {
        let address = match address.strip_prefix(&MAPPED) {
            Some(mapped) if side == Side::Excluded && self.address.len() == mapped.len() => mapped,
            _ => address,
        };
        let pairs = address.iter().zip(&self.address).zip(&self.mask);
        address.len() == self.address.len() && pairs.into_iter().all(|((a, b), mask)| a & mask == b & mask)
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix: u32 = self.mask.iter().map(|octet| octet.count_ones()).sum();
        match (
            <[u8; 4]>::try_from(&*self.address),
            <[u8; 16]>::try_from(&*self.address),
        ) {
            (Ok(address), _) => write!(f, "{}/{prefix}", Ipv4Addr::from(address)),
            (_, Ok(address)) => write!(f, "{}/{prefix}", Ipv6Addr::from(address)),
            _ => Ok(()),
        }
    }
}

pub(super) fn is_ip_address(octets: &[u8]) -> bool {
    matches!(octets.len(), 4 | 16)
}

/// `::ffff:0:0/96`.
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

#[cfg(test)]
#[path = "name_forms_tests.rs"]
mod tests;
