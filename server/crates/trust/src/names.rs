//! Distinguished names as text.
//!
//! Owns the two forms in which a name leaves the process: the certificate's own order with `, ` (connection
//! object, logs, reasons) and RFC 2253 (headers). Both escape, so that no name can end a line, a header or an
//! attribute early:
//! - RFC 2253 §2.4 specials `, + " \ < > ;`, a leading `#` or space, a trailing space: backslash and the
//!   character;
//! - control characters, and invisible or direction-changing ones (U+202E and the like): `\` and two hex
//!   digits for each UTF-8 octet;
//! - in the RFC 2253 form every octet outside ASCII too, as `openssl x509 -nameopt RFC2253` does, which makes
//!   it pure ASCII.
//!
//! A value that is no text in its declared string type, or that belongs to an attribute type without a short
//! name, is written as `#` and the hex of its DER (RFC 4514 §2.4), so that nothing is guessed.
//!
//! A *name* here is the content of the `Name` SEQUENCE, without its tag and length, the way webpki hands it
//! out.

use std::fmt::Write;

use super::attributes::{Attribute, attributes, text};
use super::canonical_name;

/// `C=US, O=Example, CN=client`: the order of the certificate. `None`: not a name.
pub(super) fn forward(name: &[u8]) -> Option<String> {
    write_all(attributes(name)?.iter(), ", ", " + ", Charset::Utf8)
}

/// `CN=client,O=Example,C=US`: RFC 2253, last first. `None`: not a name.
pub(super) fn rfc2253(name: &[u8]) -> Option<String> {
    write_all(reversed(&attributes(name)?).iter(), ",", "+", Charset::Ascii)
}

/// The forward form for messages, whatever the name holds.
pub(super) fn display(name: &[u8]) -> String {
    match forward(name) {
        Some(text) if text.is_empty() => "(empty name)".to_owned(),
        Some(text) => text,
        None => "(malformed name)".to_owned(),
    }
}

/// An attribute of a name, for comparing names by what people see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// `CN`, or a dotted OID.
    pub(super) name: String,
    pub(super) text: String,
    /// The tag of the value, where it is of no string type that names are compared across.
    own_type: Option<u8>,
}

/// The attributes in the name's own order. `None`: not a name.
pub(super) fn parts(name: &[u8]) -> Option<Vec<Part>> {
    attributes(name)?
        .iter()
        .map(|attribute| {
            let mut written = String::new();
            write_attribute(&mut written, attribute, Charset::Utf8)?;
            let (name, text) = written.split_once('=')?;
            Some(Part {
                name: name.to_owned(),
                text: text.to_owned(),
                own_type: canonical_name::type_that_counts(attribute.value.tag),
            })
        })
        .collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Charset {
    Utf8,
    Ascii,
}

/// Last attribute first; `joins_previous` moves to the other end of each RDN.
fn reversed<'a>(attributes: &[Attribute<'a>]) -> Vec<Attribute<'a>> {
    let mut after_joins = false;
    let mut reversed: Vec<_> = attributes.to_vec();
    reversed.reverse();
    for attribute in &mut reversed {
        std::mem::swap(&mut attribute.joins_previous, &mut after_joins);
    }
    reversed
}

fn write_all<'a, 'b: 'a>(
    attributes: impl Iterator<Item = &'a Attribute<'b>>,
    between_rdns: &str,
    within_rdn: &str,
    charset: Charset,
) -> Option<String> {
    let mut out = String::new();
    for (position, attribute) in attributes.enumerate() {
        out.push_str(match attribute.joins_previous {
            _ if position == 0 => "",
            true => within_rdn,
            false => between_rdns,
        });
        write_attribute(&mut out, attribute, charset)?;
    }
    Some(out)
}

fn write_attribute(out: &mut String, attribute: &Attribute<'_>, charset: Charset) -> Option<()> {
    let text = match short_name(attribute.oid) {
        Some(short) => {
            out.push_str(short);
            text(&attribute.value)
        }
        None => {
            write_dotted(out, attribute.oid)?;
            None
        }
    };
    out.push('=');
    match text {
        Some(text) => write_escaped(out, &text, charset),
        None => write_hex(out, attribute.value.encoded),
    }
    Some(())
}

fn write_escaped(out: &mut String, text: &str, charset: Charset) {
    let last = text.chars().count().saturating_sub(1);
    for (position, character) in text.chars().enumerate() {
        match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => out.extend(['\\', character]),
            '#' if position == 0 => out.push_str("\\#"),
            ' ' if position == 0 || position == last => out.push_str("\\ "),
            _ if is_unprintable(character) => write_octets(out, character),
            _ if charset == Charset::Ascii && !character.is_ascii() => write_octets(out, character),
            _ => out.push(character),
        }
    }
}

pub(super) fn write_octets(out: &mut String, character: char) {
    for octet in character.encode_utf8(&mut [0; 4]).bytes() {
        let _infallible = write!(out, "\\{octet:02X}");
    }
}

fn write_hex(out: &mut String, encoded: &[u8]) {
    out.push('#');
    for octet in encoded {
        let _infallible = write!(out, "{octet:02X}");
    }
}

/// Control characters, and those that are invisible or reorder what surrounds them.
pub(super) fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// OpenSSL's short names, which the service's own examples follow; `STREET` is spelt as in RFC 2253 §2.3.
fn short_name(oid: &[u8]) -> Option<&'static str> {
    Some(match oid {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 4] => "SN",
        [0x55, 4, 5] => "serialNumber",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 9] => "STREET",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        [0x55, 4, 12] => "title",
        [0x55, 4, 13] => "description",
        [0x55, 4, 15] => "businessCategory",
        [0x55, 4, 16] => "postalAddress",
        [0x55, 4, 17] => "postalCode",
        [0x55, 4, 18] => "postOfficeBox",
        [0x55, 4, 20] => "telephoneNumber",
        [0x55, 4, 41] => "name",
        [0x55, 4, 42] => "GN",
        [0x55, 4, 43] => "initials",
        [0x55, 4, 44] => "generationQualifier",
        [0x55, 4, 45] => "x500UniqueIdentifier",
        [0x55, 4, 46] => "dnQualifier",
        [0x55, 4, 65] => "pseudonym",
        [0x55, 4, 97] => "organizationIdentifier",
        // 0.9.2342.19200300.100.1
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, last] => match last {
            1 => "UID",
            3 => "mail",
            25 => "DC",
            _ => return None,
        },
        // 1.2.840.113549.1.9
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, last] => match last {
            1 => "emailAddress",
            2 => "unstructuredName",
            8 => "unstructuredAddress",
            _ => return None,
        },
        // 1.3.6.1.4.1.311.60.2.1
        [0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x3c, 2, 1, last] => match last {
            1 => "jurisdictionL",
            2 => "jurisdictionST",
            3 => "jurisdictionC",
            _ => return None,
        },
        _ => return None,
    })
}

/// `1.2.840.113549`. `None`: not an OID.
pub(super) fn dotted(oid: &[u8]) -> Option<String> {
    let mut out = String::new();
    write_dotted(&mut out, oid)?;
    Some(out)
}

/// X.690 §8.19. `None`: not an OID, or an arc beyond 128 bits.
fn write_dotted(out: &mut String, oid: &[u8]) -> Option<()> {
    if oid.last().is_none_or(|last| last & 0x80 != 0) {
        return None;
    }
    let mut arc: u128 = 0;
    let mut first = true;
    for octet in oid {
        arc = arc.checked_mul(128)? + u128::from(octet & 0x7f);
        if octet & 0x80 != 0 {
            continue;
        }
        let _infallible = match (first, arc) {
            (true, 0..80) => write!(out, "{}.{}", arc / 40, arc % 40),
            (true, _) => write!(out, "2.{}", arc - 80),
            (false, _) => write!(out, ".{arc}"),
        };
        first = false;
        arc = 0;
    }
    Some(())
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
