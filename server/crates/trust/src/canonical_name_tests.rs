//! Tests of which names are the same, and which are not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::der::{
    self,
    build::{element, sequence},
};

const CN: &[u8] = &[0x55, 4, 3];
const O: &[u8] = &[0x55, 4, 10];
const UTF8: u8 = 12;
const NUMERIC: u8 = 18;
const PRINTABLE: u8 = 19;
const TELETEX: u8 = 20;
const IA5: u8 = 22;
const UNIVERSAL: u8 = 28;
const BMP: u8 = 30;

fn pair(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    sequence(&[element(der::OBJECT_IDENTIFIER, oid), element(tag, value)])
}

fn rdn(pairs: &[Vec<u8>]) -> Vec<u8> {
    element(der::SET, &pairs.concat())
}

/// RDN with one attribute, a CN.
fn cn(tag: u8, value: &[u8]) -> Vec<u8> {
    rdn(&[pair(CN, tag, value)])
}

fn utf8(text: &str) -> Vec<u8> {
    cn(UTF8, text.as_bytes())
}

fn bmp(text: &str) -> Vec<u8> {
    let octets: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    cn(BMP, &octets)
}

fn universal(text: &str) -> Vec<u8> {
    let octets: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
    cn(UNIVERSAL, &octets)
}

#[track_caller]
fn assert_same(left: &[u8], right: &[u8]) {
    assert!(is_same(left, right), "{left:02x?} {right:02x?}");
    assert_eq!(CanonicalName::of(left), CanonicalName::of(right));
}

#[track_caller]
fn assert_differ(left: &[u8], right: &[u8]) {
    assert!(!is_same(left, right), "{left:02x?} {right:02x?}");
}

#[test]
fn a_text_is_the_same_in_every_string_type() {
    let all = [
        utf8("Partner CA"),
        cn(PRINTABLE, b"Partner CA"),
        cn(TELETEX, b"Partner CA"),
        cn(IA5, b"Partner CA"),
        cn(26, b"Partner CA"),
        bmp("Partner CA"),
        universal("Partner CA"),
    ];
    for left in &all {
        for right in &all {
            assert_same(left, right);
        }
    }
    assert_same(&utf8("Zürich"), &cn(TELETEX, b"Z\xfcrich"));
    assert_same(&utf8("Zürich"), &bmp("ZÜRICH"));
    assert_same(&universal("𝒳"), &bmp("𝒳"));
}

#[test]
fn case_and_spaces_do_not_count() {
    for (left, right) in [
        ("Partner CA", "partner ca"),
        ("Partner CA", "  Partner \t\n  CA "),
        ("Partner CA", "Partner\u{a0}CA"),
        ("Partner CA", "Part\u{ad}ner\u{200b} C\u{7}A"),
        ("", "   "),
        ("STRASSE", "straße"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("e\u{301}", "É"),
        ("Ａｃｍｅ", "acme"),
        ("㎯", "RAD∕S2"),
    ] {
        assert_same(&utf8(left), &utf8(right));
    }
    for (left, right) in [
        ("Partner CA", "PartnerCA"),
        ("Partner CA", "Partner CB"),
        ("é", "e"),
        ("ı", "i"),
        ("a", ""),
    ] {
        assert_differ(&utf8(left), &utf8(right));
    }
}

#[test]
fn what_is_no_text_is_compared_octet_for_octet() {
    let broken = [
        cn(UTF8, b"A\xff"),
        cn(PRINTABLE, b"A\xff"),
        cn(BMP, b"A\0B"),
        cn(BMP, b"\xd8\0"),
        cn(UNIVERSAL, b"\0\x11\0\0"),
        cn(NUMERIC, b"1"),
        cn(der::INTEGER, b"1"),
        cn(der::OCTET_STRING, b"1"),
        cn(der::BIT_STRING, b"1"),
        cn(der::OCTET_STRING, b"a"),
        cn(der::OCTET_STRING, b"A"),
        utf8("1"),
        utf8("a"),
    ];
    for (position, left) in broken.iter().enumerate() {
        assert_same(left, left);
        for right in &broken[position + 1..] {
            assert_differ(left, right);
        }
    }
}

#[test]
fn an_attribute_is_its_type_and_its_value() {
    assert_differ(&cn(UTF8, b"x"), &rdn(&[pair(O, UTF8, b"x")]));
    // The boundary between type and value cannot be moved.
    assert_differ(
        &rdn(&[pair(&[0x55, 4], UTF8, b"\x03x")]),
        &rdn(&[pair(&[0x55, 4, 3], UTF8, b"x")]),
    );
}

#[test]
fn the_attributes_of_one_rdn_are_a_set_and_the_rdns_are_a_sequence() {
    let (a, b) = (pair(CN, UTF8, b"a"), pair(O, PRINTABLE, b"B"));
    let (b_again, c) = (pair(O, UTF8, b"b"), pair(CN, UTF8, b"c"));
    assert_same(&rdn(&[a.clone(), b.clone()]), &rdn(&[b_again.clone(), a.clone()]));
    assert_differ(&rdn(&[a.clone(), b.clone()]), &rdn(&[a.clone(), c]));
    assert_differ(&rdn(&[a.clone(), a.clone()]), &rdn(std::slice::from_ref(&a)));
    let (one, two) = (rdn(std::slice::from_ref(&a)), rdn(&[b_again]));
    assert_differ(
        &[one.clone(), two.clone()].concat(),
        &[two.clone(), one.clone()].concat(),
    );
    assert_differ(&[one, two].concat(), &rdn(&[a, b]));
}

#[test]
fn a_subtree_begins_with_whole_rdns() {
    let of = |parts: &[Vec<u8>]| CanonicalName::of(&parts.concat()).unwrap();
    let example = rdn(&[pair(O, PRINTABLE, b"EXAMPLE")]);
    let example_utf8 = rdn(&[pair(O, UTF8, b"Example")]);
    let longer = rdn(&[pair(O, UTF8, b"Example Two")]);
    let with_more = rdn(&[pair(O, UTF8, b"Example"), pair(CN, UTF8, b"x")]);
    let base = of(&[example]);
    assert!(of(&[example_utf8.clone(), utf8("x")]).is_within(&base));
    assert!(of(std::slice::from_ref(&example_utf8)).is_within(&base));
    assert!(base.is_within(&of(&[])));
    for outside in [
        vec![longer],
        vec![with_more],
        vec![utf8("x"), example_utf8],
        vec![],
    ] {
        assert!(!of(&outside).is_within(&base), "{outside:02x?}");
    }
}

#[test]
fn what_is_no_name_or_too_long_equals_only_itself() {
    let long = utf8(&"a".repeat(NAME_OCTETS_MAX));
    let grows = utf8(&"\u{fdfa}".repeat(1_000));
    for name in [
        &long[..],
        &grows,
        b"junk",
        &[0x31, 0],
        &cn(UTF8, b"x")[1..],
        &[0x31, 2, 0x30, 0],
    ] {
        assert_eq!(CanonicalName::of(name), None);
        assert!(is_same(name, name));
        assert!(!is_same(name, b"other"));
        assert!(!is_same(b"other", name));
    }
    let fits = utf8(&"a".repeat(4_000));
    assert!(CanonicalName::of(&fits).is_some());
}

proptest! {
    #[test]
    fn upper_and_lower_case_are_one_name(text in "[a-zA-Z0-9 .,'äöüéß-]{0,40}") {
        let (as_is, upper) = (utf8(&text), bmp(&text.to_uppercase()));
        prop_assert!(is_same(&as_is, &upper));
    }

    #[test]
    fn names_of_different_words_differ(left in "[a-z0-9]{0,9}", right in "[a-z0-9]{0,9}") {
        prop_assert_eq!(is_same(&utf8(&left), &cn(PRINTABLE, right.as_bytes())), left == right);
    }

    #[test]
    fn no_input_panics(name in proptest::collection::vec(any::<u8>(), 0..200)) {
        let form = CanonicalName::of(&name);
        prop_assert!(form.is_none_or(|form| form.as_bytes().len() <= NAME_OCTETS_MAX));
    }
}

proptest! {
    #[test]
    fn what_differs_plainly_has_different_forms(
        left in proptest::collection::vec((0_usize..6, "[aA bB\t\u{7}]{0,4}"), 0..3),
        right in proptest::collection::vec((0_usize..6, "[aA bB\t\u{7}]{0,4}"), 0..3),
    ) {
        let write = |parts: &[(usize, String)]| -> Vec<u8> {
            let spell = |(kind, text): &(usize, String)| match kind {
                0 => utf8(text),
                1 => cn(PRINTABLE, text.as_bytes()),
                2 => bmp(text),
                3 => cn(NUMERIC, text.as_bytes()),
                4 => rdn(&[pair(O, UTF8, text.as_bytes())]),
                _ => rdn(&[pair(O, UTF8, text.as_bytes()), pair(CN, IA5, b"x")]),
            };
            parts.iter().flat_map(spell).collect()
        };
        let (left, right) = (write(&left), write(&right));
        prop_assert_eq!(is_same(&left, &right), CanonicalName::of(&left) == CanonicalName::of(&right));
    }
}
