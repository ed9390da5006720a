//! Names against the service's own examples and against what `openssl x509 -nameopt RFC2253` printed for the
//! same bytes.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::attributes::{
    BMP_STRING, IA5_STRING, PRINTABLE_STRING, TELETEX_STRING, UNIVERSAL_STRING, UTF8_STRING,
};
use crate::der::{
    self,
    build::{element, sequence},
};

const CN: &[u8] = &[0x55, 4, 3];
const O: &[u8] = &[0x55, 4, 10];
const OU: &[u8] = &[0x55, 4, 11];
const C: &[u8] = &[0x55, 4, 6];
const ST: &[u8] = &[0x55, 4, 8];
const L: &[u8] = &[0x55, 4, 7];
const EMAIL: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];

fn pair(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    sequence(&[element(der::OBJECT_IDENTIFIER, oid), element(tag, value)])
}

fn rdn(pairs: &[Vec<u8>]) -> Vec<u8> {
    element(der::SET, &pairs.concat())
}

fn utf8(oid: &[u8], value: &str) -> Vec<u8> {
    rdn(&[pair(oid, UTF8_STRING, value.as_bytes())])
}

fn both(name: &[u8]) -> (String, String) {
    (forward(name).unwrap(), rfc2253(name).unwrap())
}

fn common_name(value: &str) -> (String, String) {
    both(&utf8(CN, value))
}

#[test]
fn the_services_examples_come_out_as_documented() {
    let log = [
        utf8(C, "US"),
        utf8(ST, "WA"),
        utf8(L, "Seattle"),
        utf8(O, "Amazon.com"),
        utf8(OU, "CloudFront"),
        utf8(CN, "client.test.mtls.net"),
    ];
    assert_eq!(
        forward(&log.concat()).unwrap(),
        "C=US, ST=WA, L=Seattle, O=Amazon.com, OU=CloudFront, CN=client.test.mtls.net"
    );
    let header = [
        utf8(C, "US"),
        utf8(ST, "Washington"),
        utf8(L, "Seattle"),
        utf8(O, "mTLS"),
        utf8(OU, "rootCA"),
        utf8(CN, "rootcamtls.com"),
    ];
    assert_eq!(
        rfc2253(&header.concat()).unwrap(),
        "CN=rootcamtls.com,OU=rootCA,O=mTLS,L=Seattle,ST=Washington,C=US"
    );
}

#[test]
fn specials_are_escaped_with_a_backslash() {
    let (forward, rfc2253) = common_name(r#"a,b+c"d\e<f>g;h=i#j"#);
    assert_eq!(forward, r#"CN=a\,b\+c\"d\\e\<f\>g\;h=i#j"#);
    assert_eq!(rfc2253, forward);
}

#[test]
fn leading_and_trailing_spaces_and_a_leading_hash_are_escaped() {
    assert_eq!(common_name("  a b  ").0, r"CN=\  a b \ ");
    assert_eq!(common_name("#a").0, r"CN=\#a");
    assert_eq!(common_name(" ").0, r"CN=\ ");
    assert_eq!(common_name("").0, "CN=");
}

#[test]
fn control_characters_never_come_out_raw() {
    let (forward, rfc2253) = common_name("admin\0.evil\r\nX: y\u{7f}\u{202e}");
    assert_eq!(rfc2253, r"CN=admin\00.evil\0D\0AX: y\7F\E2\80\AE");
    assert_eq!(forward, rfc2253);
}

#[test]
fn text_beyond_ascii_is_readable_in_logs_and_ascii_in_headers() {
    let (forward, rfc2253) = common_name("Zoë");
    assert_eq!(forward, "CN=Zoë");
    assert_eq!(rfc2253, r"CN=Zo\C3\AB");
}

#[test]
fn a_multi_valued_rdn_is_joined_with_plus_and_reversed_as_a_whole() {
    let name = [
        utf8(C, "US"),
        rdn(&[
            pair(CN, UTF8_STRING, b"a"),
            pair(EMAIL, IA5_STRING, b"a@example.com"),
        ]),
        utf8(OU, "x"),
    ]
    .concat();
    let (forward, rfc2253) = both(&name);
    assert_eq!(forward, "C=US, CN=a + emailAddress=a@example.com, OU=x");
    assert_eq!(rfc2253, "OU=x,emailAddress=a@example.com+CN=a,C=US");
}

#[test]
fn other_string_types_are_converted_by_their_own_rules() {
    let cases: [(u8, &[u8], &str); 10] = [
        (BMP_STRING, b"\x00Z\x00o\x00\xeb", "CN=Zoë"),
        (BMP_STRING, b"\xd8\x3d\xde\x00", "CN=😀"),
        (BMP_STRING, b"\xd8\x00", "CN=#1E02D800"),
        (BMP_STRING, b"\x00", "CN=#1E0100"),
        (UNIVERSAL_STRING, b"\x00\x01\xf6\x00", "CN=😀"),
        (UNIVERSAL_STRING, b"\x00\x11\x00\x00", "CN=#1C0400110000"),
        (TELETEX_STRING, b"Zo\xeb", "CN=Zoë"),
        (PRINTABLE_STRING, b"Zo\xeb", "CN=#13035A6FEB"),
        (UTF8_STRING, b"\xff", "CN=#0C01FF"),
        (der::INTEGER, b"\x07", "CN=#020107"),
    ];
    for (tag, value, text) in cases {
        let name = rdn(&[pair(CN, tag, value)]);
        assert_eq!(forward(&name).unwrap(), text);
    }
}

#[test]
fn unknown_attribute_types_are_dotted_with_a_hex_value() {
    let private = [0x2b, 6, 1, 4, 1, 0x83, 0x8d, 0x1b, 1];
    assert_eq!(
        rfc2253(&utf8(&private, "a")).unwrap(),
        "1.3.6.1.4.1.50843.1=#0C0161"
    );
    assert_eq!(rfc2253(&utf8(&[0x88, 0x37, 3], "a")).unwrap(), "2.999.3=#0C0161");
}

/// Made by `openssl req -multivalue-rdn`; the expected text by `openssl x509 -nameopt RFC2253 -subject`
/// (3.0).
#[test]
fn openssl_writes_the_same() {
    let mut names = Vec::new();
    let pem = include_bytes!("testdata/odd_names.pem");
    crate::pem::for_each_block(pem, |block| {
        let certificate = crate::certificate::Certificate::parse(&block.der).unwrap();
        names.push(rfc2253(certificate.subject()).unwrap());
        Ok::<(), crate::PemError>(())
    })
    .unwrap();
    let openssl = include_str!("testdata/odd_names.rfc2253").trim_end_matches('\n');
    // The one difference: RFC 2253 §2.3 spells this keyword in capitals.
    assert_eq!(names, [openssl.replace("street=", "STREET=")]);
}

#[test]
fn what_is_no_name_is_none() {
    let no_set = pair(CN, UTF8_STRING, b"a");
    let empty_rdn = rdn(&[]);
    let trailing = rdn(&[sequence(&[
        element(der::OBJECT_IDENTIFIER, CN),
        element(UTF8_STRING, b"a"),
        element(UTF8_STRING, b"b"),
    ])]);
    let long_arc = utf8(&[[0xff; 40].as_slice(), &[0]].concat(), "a");
    for name in [no_set, empty_rdn, trailing, long_arc, vec![0x31, 0x7f]] {
        assert_eq!(forward(&name), None);
        assert_eq!(rfc2253(&name), None);
    }
    assert_eq!(forward(&[]).unwrap(), "");
    assert_eq!(display(&[]), "(empty name)");
}

proptest! {
    #[test]
    fn no_name_panics_or_leaks_a_raw_control(
        tag in 0_u8..0x1f,
        value in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let name = [rdn(&[pair(CN, tag, &value)]), utf8(C, "US")].concat();
        if let Some(text) = forward(&name) {
            prop_assert!(!text.chars().any(char::is_control));
        }
        if let Some(text) = rfc2253(&name) {
            prop_assert!(text.bytes().all(|octet| (0x20..0x7f).contains(&octet)));
        }
    }
}
