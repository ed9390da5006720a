//! Distinguished names in one spelling, so that two can be compared as RFC 5280 §7.1 compares them.
//!
//! Owns the rules of equality: RDN by RDN in their order, the attributes of one RDN as a set, each attribute
//! by its type and its value. A value of a string type (PrintableString, UTF8String, TeletexString,
//! BMPString, UniversalString, IA5String, VisibleString) is compared as text, whichever of them it is:
//! prepared as RFC 4518 §2 says (control characters dropped, every space a space, case folded, NFKC), runs
//! of spaces one space, none at either end. A value of another type, or that is no text of its type, is
//! compared octet for octet. Code points that RFC 4518 §2.4 prohibits or Unicode 3.2 lacked are compared
//! like any other.
//!
//! The canonical form is made when a store or a list is loaded. For names that clients send there is
//! [`is_same`], which makes the forms only where spellings differ. Both are bounded in size, so a name costs
//! no more than microseconds.
//!
//! A *name* is the content of the `Name` SEQUENCE, without its tag and length.

use unicode_normalization::UnicodeNormalization;

use super::attributes::{self, Attribute};
use super::der::{self, Element, Reader};

/// The canonical form of a name. Equal forms are equal names; the octets mean nothing else and
/// are never shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanonicalName(
    /// Each RDN behind its length, so that a name that begins with another's RDNs begins with its octets.
    Box<[u8]>,
);

impl CanonicalName {
    /// `None`: not a name, or one of more than 4,096 octets in either form. Two such names can be equal only
    /// octet for octet.
    pub fn of(name: &[u8]) -> Option<Self> {
        if name.len() > NAME_OCTETS_MAX {
            return None;
        }
        let attributes = attributes::attributes(name)?;
        let mut form = Vec::with_capacity(name.len() + name.len() / 2);
        for rdn in attributes.chunk_by(|_, next| next.joins_previous) {
            write_rdn(&mut form, rdn)?;
        }
        Some(Self(form.into()))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// True if this name lies in the subtree of `base` (RFC 5280 §4.2.1.10, directoryName): it begins with
    /// the RDNs of `base`. Every name lies in the subtree of the empty name.
    pub fn is_within(&self, base: &Self) -> bool {
        self.0.starts_with(&base.0)
    }
}

/// True if two names are the same. Costs one comparison of octets if both are spelt alike.
pub fn is_same(left: &[u8], right: &[u8]) -> bool {
    let is_spelt_otherwise =
        || CanonicalName::of(left).is_some_and(|left| Some(left) == CanonicalName::of(right));
    left == right || (!differ_plainly(left, right) && is_spelt_otherwise())
}

/// True if two names differ in ASCII text or in the number of RDNs. Nearly all names that are not the same
/// differ so. Allocates nothing.
fn differ_plainly(left: &[u8], right: &[u8]) -> bool {
    let (mut left, mut right) = (Reader::new(left), Reader::new(right));
    while !left.is_empty() && !right.is_empty() {
        let (Some(ours), Some(theirs)) = (left.next(), right.next()) else {
            return false;
        };
        if ours.encoded != theirs.encoded && rdns_differ_plainly(ours.value, theirs.value) {
            return true;
        }
    }
    left.is_empty() != right.is_empty()
}

fn rdns_differ_plainly(left: &[u8], right: &[u8]) -> bool {
    match (lone_attribute(left), lone_attribute(right)) {
        (Some((left_type, left)), Some((right_type, right))) => {
            let is_ascii = |text: &Element<'_>| OCTET_TEXT_TYPES.contains(&text.tag) && text.value.is_ascii();
            let are_ascii = is_ascii(&left) && is_ascii(&right);
            left_type != right_type || (are_ascii && !has_same_words(left.value, right.value))
        }
        _ => false,
    }
}

/// Type and value of the only attribute of an RDN.
fn lone_attribute(rdn: &[u8]) -> Option<(&[u8], Element<'_>)> {
    let mut pair = Reader::new(der::only(rdn, der::SEQUENCE)?);
    Some((pair.expect(der::OBJECT_IDENTIFIER)?.value, pair.next()?))
}

fn has_same_words(left: &[u8], right: &[u8]) -> bool {
    let (mut left, mut right) = (words(left), words(right));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some(ours), Some(theirs)) if letters(ours).eq(letters(theirs)) => {}
            _ => return false,
        }
    }
}

/// Splits a text at spaces, as [`prepared`] leaves them.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = text.split(|octet| matches!(octet, b' ' | b'\t'..=b'\r'));
    words.filter(|word| letters(word).next().is_some())
}

fn letters(word: &[u8]) -> impl Iterator<Item = u8> {
    let printable = word.iter().filter(|octet| !octet.is_ascii_control());
    printable.map(u8::to_ascii_lowercase)
}

/// The tag of a value that is no text of one of the types that are all the same.
pub(super) fn type_that_counts(tag: u8) -> Option<u8> {
    (!TEXT_TYPES.contains(&tag)).then_some(tag)
}

fn write_rdn(form: &mut Vec<u8>, rdn: &[Attribute<'_>]) -> Option<()> {
    let mut attributes = rdn.iter().map(attribute).collect::<Option<Vec<_>>>()?;
    // DER sorts a SET by the octets of its values, which differ from spelling to spelling.
    attributes.sort_unstable();
    write_counted(form, &attributes.concat())
}

fn attribute(attribute: &Attribute<'_>) -> Option<Vec<u8>> {
    let value = &attribute.value;
    let text = TEXT_TYPES
        .contains(&value.tag)
        .then(|| attributes::text(value))
        .flatten();
    let mut form = Vec::with_capacity(attribute.oid.len() + value.value.len() + 8);
    write_counted(&mut form, attribute.oid)?;
    match text {
        Some(text) => {
            form.push(TEXT);
            write_counted(&mut form, prepared(&text)?.as_bytes())?;
        }
        None => {
            form.push(value.tag);
            write_counted(&mut form, value.value)?;
        }
    }
    Some(form)
}

fn write_counted(form: &mut Vec<u8>, part: &[u8]) -> Option<()> {
    let length = u16::try_from(part.len()).ok()?;
    form.extend_from_slice(&length.to_be_bytes());
    form.extend_from_slice(part);
    (form.len() <= NAME_OCTETS_MAX).then_some(())
}

/// RFC 4518 §2. `None`: it would grow too long, as NFKC can make eighteen characters of one.
fn prepared(text: &str) -> Option<String> {
    let mapped = text.chars().filter_map(map);
    if text.is_ascii() {
        return compressed(mapped.map(|character| character.to_ascii_lowercase()));
    }
    // Twice, since what NFKC takes apart may have case again.
    compressed(mapped.flat_map(case_folded).nfkc().flat_map(case_folded).nfkc())
}

/// RFC 4518 §2.2. `None`: the character does not count.
fn map(character: char) -> Option<char> {
    match character {
        '\t'..='\r'
        | '\u{85}'
        | '\u{a0}'
        | '\u{1680}'
        | '\u{2000}'..='\u{200a}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{202f}'
        | '\u{205f}'
        | '\u{3000}' => Some(' '),
        '\u{ad}'
        | '\u{34f}'
        | '\u{6dd}'
        | '\u{70f}'
        | '\u{1806}'
        | '\u{180b}'..='\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2063}'
        | '\u{206a}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffc}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0001}'
        | '\u{e0020}'..='\u{e007f}' => None,
        _ if character.is_control() => None,
        _ => Some(character),
    }
}

/// RFC 3454 table B.2 by way of the upper case: "ß" as "ss". The dotless i is no i in it.
fn case_folded(character: char) -> impl Iterator<Item = char> {
    let upper = character.to_uppercase();
    upper.flat_map(move |upper| if character == 'ı' { character } else { upper }.to_lowercase())
}

/// RFC 4518 §2.6.1: what is only spaces is the same as nothing.
fn compressed(characters: impl Iterator<Item = char>) -> Option<String> {
    let mut out = String::new();
    let mut space_before = false;
    for character in characters {
        if character == ' ' {
            space_before = !out.is_empty();
            continue;
        }
        if std::mem::take(&mut space_before) {
            out.push(' ');
        }
        out.push(character);
        if out.len() > NAME_OCTETS_MAX {
            return None;
        }
    }
    Some(out)
}

/// Far more than the upper bounds of RFC 5280 appendix A.1 add up to. Bounds what a client's names can cost.
const NAME_OCTETS_MAX: usize = 4_096;
/// No universal type has this tag, so text differs from every value of another type.
const TEXT: u8 = 0;
/// UTF8String, PrintableString, TeletexString, IA5String, VisibleString: one octet for each ASCII character.
const OCTET_TEXT_TYPES: [u8; 5] = [12, 19, 20, 22, 26];
/// UTF8String, PrintableString, TeletexString, IA5String, VisibleString, UniversalString, BMPString: those
/// that OpenSSL takes for text.
const TEXT_TYPES: [u8; 7] = [12, 19, 20, 22, 26, 28, 30];

#[cfg(test)]
#[path = "canonical_name_tests.rs"]
mod tests;
