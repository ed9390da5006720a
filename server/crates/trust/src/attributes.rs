//! The attributes of a distinguished name, and the text of their values.
//!
//! A *name* here is the content of the `Name` SEQUENCE, without its tag and length, the way webpki hands it
//! out.

use super::der::{self, Reader};

/// An attribute of a name.
#[derive(Clone, Copy)]
pub(super) struct Attribute<'a> {
    pub(super) oid: &'a [u8],
    pub(super) value: der::Element<'a>,
    /// Belongs to the same RDN as the attribute before it.
    pub(super) joins_previous: bool,
}

/// Reads the attributes of a name (RFC 5280 §4.1.2.4): `SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER,
/// value ANY }`.
pub(super) fn attributes(name: &[u8]) -> Option<Vec<Attribute<'_>>> {
    let mut attributes = Vec::new();
    let mut rdns = Reader::new(name);
    while !rdns.is_empty() {
        let mut set = Reader::new(rdns.expect(der::SET)?.value);
        let mut joins_previous = false;
        while !set.is_empty() {
            let mut pair = Reader::new(set.expect(der::SEQUENCE)?.value);
            let oid = pair.expect(der::OBJECT_IDENTIFIER)?.value;
            let value = pair.next()?;
            if !pair.is_empty() {
                return None;
            }
            attributes.push(Attribute {
                oid,
                value,
                joins_previous,
            });
            joins_previous = true;
        }
        if !joins_previous {
            return None;
        }
    }
    Some(attributes)
}

/// The text of a string value, by its type (X.680 §41); `None` when it is no text of that type.
pub(super) fn text(value: &der::Element<'_>) -> Option<String> {
    match value.tag {
        UTF8_STRING => std::str::from_utf8(value.value).ok().map(str::to_owned),
        NUMERIC_STRING | PRINTABLE_STRING | IA5_STRING | VISIBLE_STRING => {
            let text = std::str::from_utf8(value.value).ok()?;
            text.is_ascii().then(|| text.to_owned())
        }
        // In practice Latin-1, which is how OpenSSL reads it.
        TELETEX_STRING => Some(value.value.iter().copied().map(char::from).collect()),
        BMP_STRING => {
            let (units, []) = value.value.as_chunks::<2>() else {
                return None;
            };
            char::decode_utf16(units.iter().copied().map(u16::from_be_bytes))
                .collect::<Result<_, _>>()
                .ok()
        }
        UNIVERSAL_STRING => {
            let (units, []) = value.value.as_chunks::<4>() else {
                return None;
            };
            let code_points = units.iter().copied().map(u32::from_be_bytes);
            code_points.map(char::from_u32).collect()
        }
        _ => None,
    }
}

pub(super) const UTF8_STRING: u8 = 12;
pub(super) const NUMERIC_STRING: u8 = 18;
pub(super) const PRINTABLE_STRING: u8 = 19;
pub(super) const TELETEX_STRING: u8 = 20;
pub(super) const IA5_STRING: u8 = 22;
pub(super) const VISIBLE_STRING: u8 = 26;
pub(super) const UNIVERSAL_STRING: u8 = 28;
pub(super) const BMP_STRING: u8 = 30;
