//! Odd CRLs: what they revoke, whom they answer for, and what is said where they are refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use super::*;
use crate::crl_scope::Coverage;
use crate::crl_scope::Covered;
use crate::der::build::{element, sequence};
use crate::revocation::RevocationSet;
use crate::test_pki::{Ca, ECDSA_WITH_SHA256, Forge, at, store};
use crate::{Listed, RevocationSetBuilder, Source};

/// A TBSCertList to be.
struct Draft {
    version: Vec<u8>,
    entries: Vec<Vec<u8>>,
    extensions: Vec<Vec<u8>>,
}

impl Draft {
    /// Version 2, with a serial number of 5 and nothing else.
    fn plain() -> Self {
        Self {
            version: element(der::INTEGER, &[1]),
            entries: vec![entry(&[])],
            extensions: Vec::new(),
        }
    }

    fn with(extension: Vec<u8>) -> Self {
        Self {
            extensions: vec![crl_number(&[1]), extension],
            ..Self::plain()
        }
    }

    fn with_entry(extension: Vec<u8>) -> Self {
        Self {
            entries: vec![entry(&[extension])],
            extensions: vec![crl_number(&[1])],
            ..Self::plain()
        }
    }

    fn signed_by(&self, ca: &Ca) -> Vec<u8> {
        let extensions = match self.extensions.is_empty() {
            true => Vec::new(),
            false => element(EXTENSIONS, &sequence(&self.extensions)),
        };
        let message = sequence(&[
            self.version.clone(),
            element(der::SEQUENCE, ECDSA_WITH_SHA256),
            ca.subject(),
            element(der::UTC_TIME, b"260601000000Z"),
            element(der::UTC_TIME, b"270101000000Z"),
            sequence(&self.entries),
            extensions,
        ]);
        ca.sign(message, ECDSA_WITH_SHA256)
    }
}

fn extension(last_arc: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { vec![1, 1, 0xff] } else { Vec::new() };
    sequence(&[
        element(der::OBJECT_IDENTIFIER, &[0x55, 0x1d, last_arc]),
        critical,
        element(der::OCTET_STRING, value),
    ])
}

fn crl_number(number: &[u8]) -> Vec<u8> {
    extension(20, false, &element(der::INTEGER, number))
}

fn entry(extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions = match extensions {
        [] => Vec::new(),
        extensions => sequence(extensions),
    };
    let date = element(der::UTC_TIME, b"260601000000Z");
    sequence(&[element(der::INTEGER, &[5]), date, extensions])
}

fn issuing_distribution_point(fields: &[Vec<u8>]) -> Vec<u8> {
    extension(28, true, &sequence(fields))
}

/// `[0] DistributionPointName`, a full name of these.
fn point(names: &[Vec<u8>]) -> Vec<u8> {
    element(0xa0, &element(0xa0, &names.concat()))
}

fn uri(uri: &str) -> Vec<u8> {
    element(0x86, uri.as_bytes())
}

/// A directoryName of one CN, in this string type.
fn directory(tag: u8, text: &[u8]) -> Vec<u8> {
    let pair = sequence(&[element(der::OBJECT_IDENTIFIER, &[0x55, 4, 3]), element(tag, text)]);
    element(0xa4, &sequence(&[element(der::SET, &pair)]))
}

struct Loaded {
    ca: Ca,
    set: Result<RevocationSet, String>,
}

fn load(draft: &Draft) -> Loaded {
    let ca = Ca::root("Root");
    let store = store(&[&ca]);
    let mut builder = RevocationSetBuilder::new(&store);
    let loaded = builder.add_file(&draft.signed_by(&ca));
    let set = loaded.map(|_| builder.build()).map_err(|error| error.to_string());
    Loaded { ca, set }
}

impl Loaded {
    fn revokes(&self) -> bool {
        let set = self.set.as_ref().unwrap();
        let issuer = self.ca.subject();
        let name = der::only(&issuer, der::SEQUENCE).unwrap();
        set.lookup(name, &self.ca.key(), &[5]) == Listed::Yes(Source::Crl)
    }

    fn covers(&self, is_ca: bool, distribution_points: Option<&[u8]>) -> bool {
        let certificate = Covered {
            is_ca,
            distribution_points,
        };
        let issuer = self.ca.subject();
        let name = der::only(&issuer, der::SEQUENCE).unwrap();
        let place = |key: &KeyId| (*key == self.ca.key()).then_some(0);
        let set = self.set.as_ref().unwrap();
        set.coverage(name, place, &certificate, at(1_795_392_000)) == Coverage::Current
    }
}

#[track_caller]
fn assert_loads_whole(draft: &Draft) {
    let loaded = load(draft);
    assert!(loaded.revokes());
    assert!(loaded.covers(false, None) && loaded.covers(true, None));
}

#[track_caller]
fn assert_refused(draft: &Draft, part: &str) {
    let Err(message) = load(draft).set else {
        panic!("loaded, and not {part:?}")
    };
    assert!(message.contains(part), "{message}");
}

#[test]
fn version_1_and_lists_without_extensions_are_read() {
    assert_loads_whole(&Draft {
        version: Vec::new(),
        ..Draft::plain()
    });
    assert_loads_whole(&Draft {
        version: element(der::INTEGER, &[0]),
        ..Draft::plain()
    });
    assert_loads_whole(&Draft::plain());
    let version_3 = Draft {
        version: element(der::INTEGER, &[2]),
        ..Draft::plain()
    };
    assert_refused(&version_3, "neither version 1 nor 2");
    let critical_in_version_1 = Draft {
        version: Vec::new(),
        extensions: vec![extension(99, true, &[5, 0])],
        ..Draft::plain()
    };
    assert_refused(&critical_in_version_1, "(2.5.29.99)");
}

#[test]
fn what_an_entry_says_beside_its_serial_does_not_make_it_less_revoked() {
    let fractional = element(der::GENERALIZED_TIME, b"20260101000000.5Z");
    for odd in [
        extension(21, false, &[10, 1, 7]),
        extension(21, false, &[10, 1, 11]),
        extension(21, false, &[10, 2, 1, 0]),
        extension(21, false, &[2, 1, 1]),
        extension(21, true, &[10, 1, 1]),
        extension(21, false, b"junk"),
        extension(24, false, &fractional),
        extension(24, false, &[]),
        extension(23, false, &[6, 1, 42]),
        extension(99, false, &[5, 0]),
    ] {
        assert_loads_whole(&Draft::with_entry(odd));
    }
    for removing in [
        extension(21, false, &[10, 1, 8]),
        extension(21, false, &[2, 1, 8]),
    ] {
        assert_refused(&Draft::with_entry(removing), "removeFromCRL");
    }
    assert_refused(&Draft::with_entry(extension(29, true, &[0x30, 0])), "indirect");
    assert_refused(&Draft::with_entry(extension(29, false, &[0x30, 0])), "indirect");
    assert_refused(&Draft::with_entry(extension(99, true, &[5, 0])), "(2.5.29.99)");
    assert_refused(&Draft::with_entry(extension(23, true, &[5, 0])), "(2.5.29.23)");
}

#[test]
fn entries_that_cannot_be_read_are_refused() {
    let date = element(der::UTC_TIME, b"260601000000Z");
    let serial = element(der::INTEGER, &[5]);
    for (entry, part) in [
        (sequence(&[]), "the serial number of an entry"),
        (
            sequence(&[element(der::INTEGER, &[]), date.clone()]),
            "the serial number of an entry",
        ),
        (
            sequence(std::slice::from_ref(&serial)),
            "the revocationDate of an entry",
        ),
        (
            sequence(&[serial.clone(), serial.clone()]),
            "the revocationDate of an entry",
        ),
        (
            sequence(&[serial.clone(), date.clone(), date.clone()]),
            "the extensions of an entry",
        ),
        (serial, "an entry"),
    ] {
        let draft = Draft {
            entries: vec![entry],
            ..Draft::plain()
        };
        assert_refused(&draft, part);
    }
}

#[test]
fn the_number_of_a_list_may_have_any_length() {
    for number in [&[1; 21][..], &[1; 200], &[], &[0xff], &[0; 30]] {
        assert_loads_whole(&Draft {
            extensions: vec![crl_number(number)],
            ..Draft::plain()
        });
    }
    assert_loads_whole(&Draft::with(extension(20, true, b"junk")));
    assert_loads_whole(&Draft::with(extension(35, true, b"junk")));
    assert_loads_whole(&Draft::with(extension(46, false, b"freshest")));
    assert_refused(&Draft::with(extension(46, true, b"freshest")), "(2.5.29.46)");
    assert_refused(&Draft::with(extension(27, false, &[2, 1, 1])), "delta CRL");
}

#[test]
fn a_list_for_users_or_cas_without_a_point_covers_them_all() {
    let [users, cas] =
        [0x81, 0x82].map(|tag| load(&Draft::with(issuing_distribution_point(&[element(tag, &[0xff])]))));
    let named = sequence(&[sequence(&[point(&[uri("http://a/")])])]);
    for distribution_points in [None, Some(&named[..])] {
        assert!(users.covers(false, distribution_points) && !users.covers(true, distribution_points));
        assert!(cas.covers(true, distribution_points) && !cas.covers(false, distribution_points));
    }
    assert!(users.revokes() && cas.revokes(), "whatever its scope");
    // RFC 5280 §5.2.5 forbids it to CAs, and it says nothing.
    assert_loads_whole(&Draft::with(issuing_distribution_point(&[])));
    assert_loads_whole(&Draft::with(issuing_distribution_point(&[element(0x81, &[0])])));
    let twice = [element(0x81, &[0xff]), element(0x81, &[0])];
    assert!(!load(&Draft::with(issuing_distribution_point(&twice))).covers(true, None));
}

#[test]
fn a_partition_covers_those_alone_that_name_its_point() {
    let partition = |critical| {
        let value = sequence(&[point(&[uri("http://c.example/1.crl"), uri("ldap://c.example/1")])]);
        load(&Draft::with(extension(28, critical, &value)))
    };
    let points = |all: &[Vec<u8>]| sequence(all);
    let named = |names: &[Vec<u8>]| sequence(&[point(names)]);
    for loaded in [partition(true), partition(false)] {
        assert!(loaded.revokes());
        for covered in [
            points(&[named(&[uri("http://c.example/1.crl")])]),
            points(&[named(&[uri("http://x/"), uri("ldap://c.example/1")])]),
            points(&[
                named(&[uri("http://x/")]),
                named(&[uri("http://c.example/1.crl")]),
            ]),
        ] {
            assert!(loaded.covers(false, Some(&covered)), "{covered:02x?}");
        }
        let issuer_named = element(0xa2, &directory(12, b"Root"));
        let some_reasons = element(0x81, &[6, 0x40]);
        let here = point(&[uri("http://c.example/1.crl")]);
        for other in [
            points(&[]),
            points(&[named(&[uri("http://c.example/2.crl")])]),
            points(&[named(&[uri("HTTP://c.example/1.crl")])]),
            points(&[sequence(&[here.clone(), issuer_named.clone()])]),
            points(&[sequence(&[here, some_reasons])]),
            points(&[sequence(&[issuer_named])]),
            points(&[sequence(&[])]),
            b"junk".to_vec(),
        ] {
            assert!(!loaded.covers(false, Some(&other)), "{other:02x?}");
        }
        assert!(!loaded.covers(false, None), "a certificate that names no point");
        assert!(!loaded.covers(true, None));
    }
}

#[test]
fn the_point_of_a_partition_may_be_named_by_a_directory_name() {
    let value = sequence(&[point(&[directory(12, b"Partition 1")])]);
    let loaded = load(&Draft::with(extension(28, true, &value)));
    let points = |name: Vec<u8>| sequence(&[sequence(&[point(&[name])])]);
    assert!(loaded.covers(false, Some(&points(directory(12, b"Partition 1")))));
    assert!(loaded.covers(false, Some(&points(directory(19, b"PARTITION  1")))));
    assert!(!loaded.covers(false, Some(&points(directory(12, b"Partition 2")))));
    assert!(!loaded.covers(false, Some(&points(uri("Partition 1")))));
}

#[test]
fn a_point_may_be_named_relative_to_the_issuer_in_the_list_or_in_the_certificate() {
    let common_name =
        |text: &[u8]| sequence(&[element(der::OBJECT_IDENTIFIER, &[0x55, 4, 3]), element(12, text)]);
    let relative = |text: &[u8]| element(0xa0, &element(0xa1, &common_name(text)));
    let issuer = load(&Draft::plain()).ca.subject();
    let rdns = der::only(&issuer, der::SEQUENCE).unwrap();
    let full = |text: &[u8]| {
        let name = [rdns, &element(der::SET, &common_name(text))].concat();
        point(&[element(0xa4, &element(der::SEQUENCE, &name))])
    };
    let points = |name: Vec<u8>| sequence(&[sequence(&[name])]);
    for of_list in [relative(b"1"), full(b"1")] {
        let loaded = load(&Draft::with(issuing_distribution_point(&[of_list])));
        assert!(loaded.revokes());
        assert!(loaded.covers(false, Some(&points(relative(b"1")))));
        assert!(loaded.covers(false, Some(&points(full(b"1")))));
        for other in [relative(b"2"), full(b"2"), point(&[directory(12, b"1")])] {
            assert!(!loaded.covers(false, Some(&points(other))));
        }
        assert!(!loaded.covers(false, None));
    }
}

#[test]
fn a_point_that_names_the_issuer_of_its_list_is_the_same_if_that_is_the_ca_itself() {
    let here = point(&[uri("http://c.example/1.crl")]);
    let loaded = load(&Draft::with(issuing_distribution_point(std::slice::from_ref(
        &here,
    ))));
    let by = |names: &[Vec<u8>]| sequence(&[sequence(&[here.clone(), element(0xa2, &names.concat())])]);
    let own = element(0xa4, &loaded.ca.subject());
    let other = directory(12, b"Other");
    assert!(loaded.covers(false, Some(&by(std::slice::from_ref(&own)))));
    assert!(loaded.covers(false, Some(&by(&[other.clone(), own.clone()]))));
    assert!(!loaded.covers(false, Some(&by(&[other]))));
    assert!(!loaded.covers(false, Some(&by(&[]))));
    let only_issuer = sequence(&[sequence(&[element(0xa2, &own)])]);
    assert!(!loaded.covers(false, Some(&only_issuer)));
}

#[test]
fn two_scopes_or_two_algorithms_are_refused() {
    let idp = issuing_distribution_point(&[element(0x81, &[0xff])]);
    let twice = Draft {
        extensions: vec![idp.clone(), idp],
        ..Draft::plain()
    };
    assert_refused(&twice, "a second issuing distribution point");
    let ca = Ca::root("Root");
    let crl = Draft::plain().signed_by(&ca);
    let inner = ECDSA_WITH_SHA256.len();
    let at = crl
        .windows(inner)
        .position(|octets| octets == ECDSA_WITH_SHA256)
        .unwrap();
    let mut other = crl.clone();
    other[at + inner - 1] = 3;
    let store = store(&[&ca]);
    let error = RevocationSetBuilder::new(&store).add_file(&other).unwrap_err();
    assert!(
        error.to_string().contains("signature algorithms, which differ"),
        "{error}"
    );
}

#[test]
fn a_list_of_a_ca_of_the_store_in_another_spelling_is_that_cas() {
    let ca = Ca::root("Root");
    let store: Arc<TrustStore> = store(&[&ca]);
    let attribute = |last_arc, tag, text: &[u8]| {
        let pair = sequence(&[
            element(der::OBJECT_IDENTIFIER, &[0x55, 4, last_arc]),
            element(tag, text),
        ]);
        element(der::SET, &pair)
    };
    let bmp: Vec<u8> = "ROOT".encode_utf16().flat_map(u16::to_be_bytes).collect();
    for common_name in [
        attribute(3, 19, b"Root"),
        attribute(3, 20, b" root "),
        attribute(3, 30, &bmp),
    ] {
        let message = sequence(&[
            element(der::SEQUENCE, ECDSA_WITH_SHA256),
            sequence(&[attribute(10, 22, b"EXAMPLE"), common_name]),
            element(der::UTC_TIME, b"260601000000Z"),
            element(der::UTC_TIME, b"270101000000Z"),
        ]);
        let crl = ca.sign(message, ECDSA_WITH_SHA256);
        assert_eq!(
            RevocationSetBuilder::new(&store).add_file(&crl).unwrap().entries,
            0
        );
    }
}
