//! The few steps through DER that neither webpki nor x509-parser offers: raw slices of a signed object,
//! names, key sizes.
//!
//! Owns the rules of X.690 §8.1 and §10.1 for one element: single-octet tag, definite length, shortest form.
//! Reading copies nothing, interprets nothing and cannot panic: whatever is not strict DER is `None`. The
//! one thing it writes is [`encode`].

/// Walks the elements of one DER value, front to back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// A tag-length-value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    /// The content octets.
    pub(super) value: &'a [u8],
    /// Tag, length and content together.
    pub(super) encoded: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn peek_tag(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(super) fn next(&mut self) -> Option<Element<'a>> {
        let (&tag, after_tag) = self.rest.split_first()?;
        if tag & TAG_NUMBER_MASK == TAG_NUMBER_MASK {
            return None;
        }
        let (length, after_length) = read_length(after_tag)?;
        let (value, rest) = after_length.split_at_checked(length)?;
        let header_length = self.rest.len() - after_length.len();
        let (encoded, _) = self.rest.split_at_checked(header_length + length)?;
        self.rest = rest;
        Some(Element { tag, value, encoded })
    }

    pub(super) fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }
}

/// Encodes one element. `None`: more than 65,535 octets of content, which no name has.
pub(super) fn encode(tag: u8, content: &[u8]) -> Option<Box<[u8]>> {
    let [high, low] = u16::try_from(content.len()).ok()?.to_be_bytes();
    let header: &[u8] = match (high, low) {
        (0, ..LONG_FORM) => &[tag, low],
        (0, _) => &[tag, LONG_FORM | 1, low],
        _ => &[tag, LONG_FORM | 2, high, low],
    };
    Some([header, content].concat().into())
}

/// The content of `bytes` when they are exactly one element with `tag`.
pub(super) fn only(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let mut reader = Reader::new(bytes);
    let element = reader.expect(tag)?;
    reader.is_empty().then_some(element.value)
}

/// Octets of the element that `bytes` begin with, header included, however many of them are there. `None`:
/// no DER header.
pub(super) fn total_length(bytes: &[u8]) -> Option<usize> {
    let (length, rest) = read_length(bytes.get(1..)?)?;
    (bytes.len() - rest.len()).checked_add(length)
}

/// An INTEGER's magnitude: its content without leading zero octets (X.690 §8.3).
pub(super) fn magnitude(integer: &[u8]) -> &[u8] {
    let zeros = integer.iter().take_while(|&&octet| octet == 0).count();
    integer.get(zeros..).unwrap_or_default()
}

/// X.690 §8.3.2: at least one octet, and no octet that says nothing.
pub(super) fn is_shortest_integer(integer: &[u8]) -> bool {
    !matches!(integer, [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..])
}

/// X.690 §11.1. `None`: not a BOOLEAN's content in DER.
pub(super) fn boolean(content: &[u8]) -> Option<bool> {
    match content {
        [0xff] => Some(true),
        [0] => Some(false),
        _ => None,
    }
}

fn read_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first & LONG_FORM == 0 {
        return Some((usize::from(first), rest));
    }
    let (octets, rest) = rest.split_at_checked(usize::from(first & !LONG_FORM))?;
    if octets.len() > LENGTH_OCTETS_MAX || octets.first().is_none_or(|&octet| octet == 0) {
        return None;
    }
    let length = octets
        .iter()
        .fold(0_usize, |length, &octet| length << 8 | usize::from(octet));
    (length >= usize::from(LONG_FORM)).then_some((length, rest))
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

const TAG_NUMBER_MASK: u8 = 0x1f;
const LONG_FORM: u8 = 0x80;
/// Four octets reach 4 GiB, more than any file that is loaded here.
const LENGTH_OCTETS_MAX: usize = 4;

/// Writing DER, for tests that need what no library makes.
#[cfg(test)]
pub(super) mod build {
    pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        match content.len() {
            length @ 0..=0x7f => out.push(length as u8),
            length @ 0x80..=0xff => out.extend([0x81, length as u8]),
            length => out.extend([0x82, (length >> 8) as u8, length as u8]),
        }
        out.extend_from_slice(content);
        out
    }

    pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
        element(super::SEQUENCE, &parts.concat())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_element_gives_its_content_and_its_encoding() {
        let bytes = [0x30, 0x03, 0x02, 0x01, 0x07, 0xaa];
        let mut reader = Reader::new(&bytes);
        let sequence = reader.expect(SEQUENCE).unwrap();
        assert_eq!(sequence.encoded, &bytes[..5]);
        assert_eq!(only(sequence.value, INTEGER), Some(&[7_u8][..]));
        assert!(!reader.is_empty());
    }

    #[test]
    fn lengths_that_are_not_the_shortest_are_refused() {
        for bytes in [
            &[0x04, 0x81, 0x01, 0x00][..],
            &[0x04, 0x82, 0x00, 0x80],
            &[0x04, 0x80, 0x00, 0x00],
            &[0x04, 0x85, 0x01, 0x00, 0x00, 0x00, 0x00],
            &[0x04, 0x02, 0x00],
            &[0x1f, 0x01, 0x00],
            &[0x04],
            &[],
        ] {
            assert!(Reader::new(bytes).next().is_none(), "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(
            tag in 0_u8..0x1f,
            content in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            let bytes = build::element(tag, &content);
            prop_assert_eq!(only(&bytes, tag), Some(&content[..]));
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            while reader.next().is_some() {}
        }
    }
}
