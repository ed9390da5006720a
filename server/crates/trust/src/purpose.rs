//! Extended key usages (RFC 5280 §4.2.1.12): what a certificate may be used for, by name or by OID.
//!
//! Owns the names that people use for them and the two forms of an OID, dotted and DER.

use std::fmt::{self, Write};

/// A KeyPurposeId: content octets of its OBJECT IDENTIFIER.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Purpose(Box<[u8]>);

impl Purpose {
    /// `octets`: content of an OBJECT IDENTIFIER, as a certificate has it.
    pub fn from_octets(octets: &[u8]) -> Self {
        Self(octets.into())
    }

    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// A name (`clientAuth`) or a dotted OID (`1.3.6.1.5.5.7.3.2`).
    ///
    /// # Errors
    /// The text is neither.
    pub fn parse(text: &str) -> Result<Self, UnknownPurpose> {
        if let Some((_, last)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(Self([PKIX, &[*last]].concat().into()));
        }
        let looks_dotted = text.starts_with(|first: char| first.is_ascii_digit());
        let encoded = looks_dotted.then(|| encode(text)).flatten();
        let unknown = match looks_dotted {
            true => UnknownPurpose::Oid,
            false => UnknownPurpose::Name,
        };
        encoded.map(|octets| Self(octets.into())).ok_or(unknown)
    }

    /// The names that [`Self::parse`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }
}

/// A text that is no extended key usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownPurpose {
    /// Begins as a dotted OID does, and is none.
    Oid,
    /// A name that is not among [`Purpose::names`].
    Name,
}

/// Its name, or else the dotted OID.
impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self.0 == *ANY {
            return f.write_str("anyExtendedKeyUsage");
        }
        let last = self.0.strip_prefix(PKIX);
        match NAMES.iter().find(|(_, known)| last == Some(&[*known])) {
            Some((name, _)) => f.write_str(name),
            None => f.write_str(&dotted(&self.0).unwrap_or_else(|| "(malformed OID)".to_owned())),
        }
    }
}

/// X.690 §8.19.4: the first two arcs share a number. `None`: not a dotted OID.
fn encode(text: &str) -> Option<Vec<u8>> {
    let is_number = |arc: &str| !arc.is_empty() && arc.bytes().all(|digit| digit.is_ascii_digit());
    let arcs: Option<Vec<u64>> = text
        .split('.')
        .map(|arc| is_number(arc).then(|| arc.parse().ok()).flatten())
        .collect();
    let arcs = arcs?;
    let [first @ 0..=2, second, rest @ ..] = arcs.as_slice() else {
        return None;
    };
    if (*first < 2 && *second >= 40) || arcs.len() > ARCS_MAX {
        return None;
    }
    let mut octets = Vec::new();
    push_arc(&mut octets, (first * 40).checked_add(*second)?);
    rest.iter().for_each(|arc| push_arc(&mut octets, *arc));
    Some(octets)
}

/// Seven bits an octet, most significant first.
fn push_arc(octets: &mut Vec<u8>, arc: u64) {
    let groups = (64 - arc.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let more = if group == 0 { 0 } else { 0x80 };
        octets.push((arc >> (7 * group)) as u8 & 0x7f | more);
    }
}

/// `None`: not an OID, or an arc beyond 64 bits.
fn dotted(octets: &[u8]) -> Option<String> {
    if octets.last().is_none_or(|last| last & 0x80 != 0) {
        return None;
    }
    let mut text = String::new();
    let mut arc: u64 = 0;
    for octet in octets {
        arc = arc.checked_mul(128)? + u64::from(octet & 0x7f);
        if octet & 0x80 != 0 {
            continue;
        }
        let _infallible = match (text.is_empty(), arc) {
            (true, 0..80) => write!(text, "{}.{}", arc / 40, arc % 40),
            (true, _) => write!(text, "2.{}", arc - 80),
            (false, _) => write!(text, ".{arc}"),
        };
        arc = 0;
    }
    Some(text)
}

/// 1.3.6.1.5.5.7.3
const PKIX: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3];
/// 2.5.29.37.0
const ANY: &[u8] = &[0x55, 0x1d, 37, 0];
/// Below 1.3.6.1.5.5.7.3 (RFC 5280, RFC 7299 and the IANA registry).
const NAMES: &[(&str, u8)] = &[
    ("clientAuth", 2),
    ("serverAuth", 1),
    ("codeSigning", 3),
    ("emailProtection", 4),
    ("timeStamping", 8),
    ("OCSPSigning", 9),
    ("ipsecIKE", 17),
    ("secureShellClient", 21),
    ("secureShellServer", 22),
    ("documentSigning", 36),
];
/// More than any OID in use has.
const ARCS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_its_oid_are_the_same_purpose() {
        assert_eq!(Purpose::parse("clientAuth"), Purpose::parse("1.3.6.1.5.5.7.3.2"));
        assert_eq!(Purpose::parse("OCSPSigning"), Purpose::parse("1.3.6.1.5.5.7.3.9"));
    }

    #[test]
    fn every_purpose_is_shown_by_name_or_as_it_was_written() {
        let cases = [
            ("clientAuth", "clientAuth"),
            ("1.3.6.1.5.5.7.3.1", "serverAuth"),
            ("2.5.29.37.0", "anyExtendedKeyUsage"),
            ("1.3.6.1.4.1.311.20.2.2", "1.3.6.1.4.1.311.20.2.2"),
            ("2.999.4294967295", "2.999.4294967295"),
            ("0.0", "0.0"),
        ];
        for (given, shown) in cases {
            assert_eq!(
                Purpose::parse(given).map(|purpose| purpose.to_string()),
                Ok(shown.to_owned())
            );
        }
    }

    #[test]
    fn what_is_neither_is_refused_as_what_it_looks_like() {
        for bad in [
            "1",
            "3.1",
            "1.40",
            "1..2",
            "1.2.",
            "1.2.18446744073709551616",
            "1.x",
        ] {
            assert_eq!(Purpose::parse(bad), Err(UnknownPurpose::Oid), "{bad}");
        }
        assert_eq!(
            Purpose::parse("clientauth"),
            Err(UnknownPurpose::Name),
            "names are spelt exactly"
        );
    }
}
