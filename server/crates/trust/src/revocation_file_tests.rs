//! Nothing, a part of something, and something else are not a list.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::test_pki::{Ca, pem as to_pem, store};
use crate::{ListRules, RevocationError, RevocationSetBuilder};

#[track_caller]
fn assert_refused(name: &str, bytes: &[u8]) {
    let store = store(&[&Ca::root("Root")]);
    let refused = RevocationSetBuilder::new(&store).add_file(bytes);
    let error = refused.expect_err(name);
    assert!(!error.remedy().is_empty(), "{name}: {error}");
}

#[test]
fn a_file_without_an_entry_is_no_list() {
    assert_eq!(Format::of(b""), Err(FileFault::Empty));
    for nothing in [
        &b"\n"[..],
        b" ",
        b"\r\n\r\n",
        b"\t \n",
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbf\r\n",
    ] {
        assert_eq!(Format::of(nothing), Err(FileFault::NoEntries), "{nothing:?}");
    }
    for comments in [&b"#"[..], b"# nobody\n", b"\xef\xbb\xbf# a\n\n  # b\r\n"] {
        let store = store(&[&Ca::root("Root")]);
        let mut builder = RevocationSetBuilder::new(&store);
        let error = builder.add_file(comments).unwrap_err();
        assert_eq!(error, RevocationError::File(FileFault::NoEntries));
        assert!(error.remedy().contains("may_be_empty = true"));
    }
}

#[test]
fn a_list_without_an_entry_is_one_where_the_configuration_says_so() {
    let root = Ca::root("Root");
    let store = store(&[&root]);
    let may_be_empty = ListRules {
        may_be_empty: true,
        ..ListRules::default()
    };
    for nothing in [&b""[..], b"\n", b"# nobody yet\n"] {
        let mut builder = RevocationSetBuilder::new(&store);
        assert_eq!(builder.add_file_as(nothing, &may_be_empty).unwrap().entries, 0);
        let bound = ListRules {
            issuer: Some("O=Example, CN=Root"),
            ..may_be_empty
        };
        assert_eq!(builder.add_file_as(nothing, &bound).unwrap().entries, 0);
        let unknown = ListRules {
            issuer: Some("CN=Other"),
            ..may_be_empty
        };
        assert!(builder.add_file_as(nothing, &unknown).is_err());
    }
    for cut in [
        &b"0"[..],
        b"\x30\x82",
        b"<html>",
        b"-----BEGIN X509 CRL-----\n",
        b"\0\0",
    ] {
        let mut builder = RevocationSetBuilder::new(&store);
        assert!(builder.add_file_as(cut, &may_be_empty).is_err(), "{cut:?}");
    }
}

#[test]
fn a_crl_that_was_cut_anywhere_is_refused() {
    let root = Ca::root("Root");
    let (der, store) = (root.crl(&[&[5]]), store(&[&root]));
    let pem = to_pem("X509 CRL", &der);
    for length in 0..der.len() {
        let cut = RevocationSetBuilder::new(&store).add_file(&der[..length]);
        assert!(
            matches!(cut, Err(RevocationError::File(_))),
            "{length} octets of DER: {cut:?}"
        );
    }
    let end = pem.rfind("-----").unwrap() + 5;
    for length in 0..end {
        let cut = RevocationSetBuilder::new(&store).add_file(&pem.as_bytes()[..length]);
        assert!(cut.is_err(), "{length} octets of PEM");
    }
    for start in 1..end - 25 {
        let cut = RevocationSetBuilder::new(&store).add_file(&pem.as_bytes()[start..]);
        assert!(cut.is_err(), "PEM from octet {start} on");
    }
    let cut = RevocationSetBuilder::new(&store)
        .add_file(&der[..100])
        .unwrap_err();
    let whole = format!("the CRL ends after 100 of {} octets: it was cut", der.len());
    assert_eq!(cut.to_string(), whole);
}

#[test]
fn what_lies_behind_a_crl_is_refused() {
    let root = Ca::root("Root");
    let (der, store) = (root.crl(&[&[5]]), store(&[&root]));
    for surplus in [&b"\n"[..], b"\0", &der] {
        let file = [&der, surplus].concat();
        let error = RevocationSetBuilder::new(&store).add_file(&file).unwrap_err();
        let octets = surplus.len();
        assert_eq!(error, RevocationError::File(FileFault::Surplus { octets }));
        let block = to_pem("X509 CRL", &file);
        assert!(
            RevocationSetBuilder::new(&store)
                .add_file(block.as_bytes())
                .is_err()
        );
    }
    let text = to_pem("X509 CRL", &der) + "rubbish\n";
    assert!(
        RevocationSetBuilder::new(&store)
            .add_file(text.as_bytes())
            .is_err()
    );
}

#[test]
fn crls_in_pem_are_read_behind_a_byte_order_mark() {
    let root = Ca::root("Root");
    let text = ["\u{feff}", &to_pem("X509 CRL", &root.crl(&[&[5]]))].concat();
    let store = store(&[&root]);
    let loaded = RevocationSetBuilder::new(&store).add_file(text.as_bytes());
    assert_eq!(loaded.unwrap().entries, 1);
}

#[test]
fn what_is_plainly_something_else_is_named() {
    let utf16: Vec<u8> = "4a3f\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases = [
        (&b"<!DOCTYPE html><html></html>"[..], FileFault::WebPage),
        (b"\xef\xbb\xbf\n  <html>", FileFault::WebPage),
        (b"<?xml version=\"1.0\"?>", FileFault::WebPage),
        (b"{\"error\":\"not found\"}", FileFault::Json),
        (b"[]", FileFault::Json),
        (&utf16, FileFault::Nul),
        (&[0; 4096], FileFault::Nul),
        (b"4a3f\n\0\0\0\0", FileFault::Nul),
        (b"\xff\xfe", FileFault::Nul),
    ];
    for (bytes, fault) in cases {
        assert_eq!(Format::of(bytes), Err(fault), "{bytes:?}");
    }
    let empty_block = "-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n";
    for other in [
        "404 page not found\n",
        "Error: timed out",
        "-----END X509 CRL-----",
        empty_block,
        "\u{1}",
    ] {
        assert_refused(other, other.as_bytes());
    }
}
