//! Revocation files that are loaded, and the certificates that are then revoked.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use proptest::prelude::*;
use rcgen::{
    CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint, KeyUsagePurpose,
    RevocationReason, date_time_ymd,
};

use super::*;
use crate::der::{
    self,
    build::{element, sequence},
};
use crate::test_pki::{Ca, ECDSA_WITH_SHA1, ECDSA_WITH_SHA256, Forge, at, ca, pem, store, usages};
use crate::{RevocationError, RevocationSetBuilder, TrustStore};

fn load(store: &Arc<TrustStore>, files: &[&[u8]]) -> Result<RevocationSet, RevocationError> {
    let mut builder = RevocationSetBuilder::new(store);
    for file in files {
        builder.add_file(file)?;
    }
    Ok(builder.build())
}

fn refusal(store: &Arc<TrustStore>, file: &[u8]) -> String {
    load(store, &[file]).unwrap_err().to_string()
}

fn name(ca: &Ca) -> Vec<u8> {
    der::only(&ca.subject(), der::SEQUENCE).unwrap().to_vec()
}

fn lookup(set: &RevocationSet, issuer: &Ca, serial: &[u8]) -> Listed {
    set.lookup(&name(issuer), &issuer.key(), serial)
}

/// Coverage of a certificate that `issuer` has signed, the last of its path.
fn coverage(set: &RevocationSet, issuer: &Ca, certificate: &Covered<'_>, now: u64) -> Coverage {
    let place = |key: &KeyId| (*key == issuer.key()).then_some(0);
    set.coverage(&name(issuer), place, certificate, at(now))
}

fn due(set: &RevocationSet) -> Vec<u64> {
    set.crls().iter().map(|crl| crl.next_update.as_secs()).collect()
}

fn day(year: i32, month: u8) -> Seconds {
    date_time_ymd(year, month, 1).unix_timestamp()
}

fn unsigned(seconds: Seconds) -> u64 {
    seconds.try_into().unwrap()
}

/// A CRL written by hand: `after_this_update` is everything from nextUpdate on.
fn hand_made(ca: &Ca, algorithm: &[u8], after_this_update: &[Vec<u8>]) -> Vec<u8> {
    let message = sequence(&[
        element(der::INTEGER, &[1]),
        element(der::SEQUENCE, algorithm),
        ca.subject(),
        element(der::UTC_TIME, b"260601000000Z"),
        after_this_update.concat(),
    ]);
    ca.sign(message, algorithm)
}

const USER: Covered<'static> = Covered {
    is_ca: false,
    distribution_points: None,
};

/// DER of cRLDistributionPoints with one point, of one URI.
fn distribution_points(uri: &str) -> Vec<u8> {
    sequence(&[sequence(&[element(
        0xa0,
        &element(0xa0, &element(0x86, uri.as_bytes())),
    )])])
}

fn naming(distribution_points: &[u8]) -> Covered<'_> {
    Covered {
        is_ca: false,
        distribution_points: Some(distribution_points),
    }
}

/// The CRL of one of several distribution points.
fn partition(
    ca: &Ca,
    uri: &str,
    serials: &[&[u8]],
    change: impl FnOnce(&mut CertificateRevocationListParams),
) -> Vec<u8> {
    ca.crl_with(serials, |crl| {
        let uris = vec![uri.to_owned()];
        crl.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint { uris },
            scope: None,
        });
        change(crl);
    })
}

fn next_update() -> Vec<u8> {
    element(der::UTC_TIME, b"270101000000Z")
}

/// `[0] EXPLICIT Extensions` with crlNumber and one more.
fn extensions(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let crl_number = sequence(&[
        element(der::OBJECT_IDENTIFIER, &[0x55, 0x1d, 20]),
        element(4, &[2, 1, 1]),
    ]);
    let critical = if critical { vec![1, 1, 0xff] } else { Vec::new() };
    let other = sequence(&[element(der::OBJECT_IDENTIFIER, oid), critical, element(4, value)]);
    element(0xa0, &sequence(&[crl_number, other]))
}

fn harmless() -> Vec<u8> {
    extensions(&[0x55, 0x1d, 35], false, &[0x30, 0])
}

#[test]
fn an_empty_set_revokes_nothing() {
    let set = RevocationSet::empty();
    assert!(set.is_empty());
    assert_eq!(set.lookup(b"issuer", &KeyId::of(b"key"), &[1]), Listed::No);
    assert_eq!(set.crls(), []);
}

#[test]
fn a_listed_serial_is_revoked_whoever_issued_it() {
    let store = store(&[&Ca::root("Root")]);
    let set = load(&store, &[b"4a:3f\n00:9E:01 # lost"]).unwrap();
    assert_eq!(set.len(), 2);
    let of = |issuer: &[u8], serial: &[u8]| set.lookup(issuer, &KeyId::of(issuer), serial);
    assert_eq!(of(b"any", &[0x4a, 0x3f]), Listed::Yes(Source::SerialList));
    assert_eq!(of(b"other", &[0, 0x9e, 1]), Listed::Yes(Source::SerialList));
    assert_eq!(of(b"other", &[0x9e]), Listed::No);
}

#[test]
fn a_serial_list_may_begin_with_the_digit_zero() {
    let store = store(&[&Ca::root("Root")]);
    for text in [&b"00:9e"[..], b"01\n", b"0\r\n", b"0 ", b"00"] {
        assert_eq!(load(&store, &[text]).unwrap().len(), 1);
    }
}

#[test]
fn a_wrong_line_is_refused_with_its_number() {
    let store = store(&[&Ca::root("Root")]);
    assert!(refusal(&store, b"01\nhello").starts_with("line 2 is not a serial number"));
}

#[test]
fn a_crl_revokes_for_its_issuer_only() {
    let (a, b) = (Ca::root("A"), Ca::root("B"));
    let store = store(&[&a, &b]);
    let set = load(&store, &[&a.crl(&[&[0x4a, 0x3f], &[0x9e]])]).unwrap();
    assert_eq!(set.len(), 2);
    assert_eq!(lookup(&set, &a, &[0x4a, 0x3f]), Listed::Yes(Source::Crl));
    assert_eq!(lookup(&set, &a, &[0, 0x9e]), Listed::Yes(Source::Crl));
    assert_eq!(lookup(&set, &b, &[0x9e]), Listed::No);
    assert_eq!(due(&set), [1_798_761_600]);
    assert_eq!(set.crls()[0].issuer, "O=Example, CN=A");
}

#[test]
fn several_crls_in_one_pem_file_add_up() {
    let (a, b) = (Ca::root("A"), Ca::root("B"));
    let store = store(&[&a, &b]);
    let file = pem("X509 CRL", &a.crl(&[&[1]])) + "# and\n" + &pem("X509 CRL", &b.crl(&[&[2], &[3]]));
    let mut builder = RevocationSetBuilder::new(&store);
    assert_eq!(builder.add_file(file.as_bytes()).unwrap().entries, 3);
    assert_eq!(builder.build().len(), 3);
}

#[test]
fn a_crl_of_openssl_is_read() {
    let bundle = include_bytes!("testdata/article_bundle.pem");
    let store = TrustStore::from_pem("article", bundle).unwrap();
    let mut builder = RevocationSetBuilder::new(&store);
    let crl = include_bytes!("testdata/article_intermediate.crl.pem");
    assert_eq!(builder.add_file(crl).unwrap().entries, 1);
}

#[test]
fn a_crl_without_entries_still_has_a_due_date() {
    let root = Ca::root("Root");
    let set = load(
        &store(&[&root]),
        &[&hand_made(&root, ECDSA_WITH_SHA256, &[next_update(), harmless()])],
    )
    .unwrap();
    assert!(set.is_empty());
    assert_eq!(due(&set), [1_798_761_600]);
}

#[test]
fn the_newest_next_update_counts_when_an_old_crl_lies_beside_it() {
    let root = Ca::root("Root");
    let old = root.crl_with(&[&[1]], |crl| crl.next_update = date_time_ymd(2026, 7, 1));
    let set = load(&store(&[&root]), &[&root.crl(&[&[2]]), &old]).unwrap();
    let coverage = |seconds| coverage(&set, &root, &USER, seconds);
    assert_eq!(coverage(1_798_761_600), Coverage::Current);
    let next_update = 1_798_761_600;
    assert_eq!(coverage(1_798_761_601), Coverage::OutOfDate { next_update });
    assert_eq!(lookup(&set, &root, &[1]), Listed::Yes(Source::Crl));
    assert_eq!(lookup(&set, &root, &[2]), Listed::Yes(Source::Crl));
}

#[test]
fn a_crl_of_the_future_answers_for_nobody_before_its_time() {
    let root = Ca::root("Root");
    let store = store(&[&root]);
    let next = root.crl_with(&[&[1]], |crl| {
        crl.this_update = date_time_ymd(2026, 12, 1);
        crl.next_update = date_time_ymd(2027, 2, 1);
    });
    let coverage = |set: &RevocationSet, seconds| coverage(set, &root, &USER, unsigned(seconds));
    let alone = load(&store, &[&next]).unwrap();
    let this_update = day(2026, 12);
    assert_eq!(
        coverage(&alone, this_update - 1),
        Coverage::NotYetValid { this_update }
    );
    assert_eq!(coverage(&alone, this_update), Coverage::Current);
    assert_eq!(
        lookup(&alone, &root, &[1]),
        Listed::Yes(Source::Crl),
        "what it lists is revoked all the same"
    );

    let both = load(&store, &[&next, &root.crl(&[])]).unwrap();
    assert_eq!(
        coverage(&both, this_update - 1),
        Coverage::Current,
        "the list of today counts, though tomorrow's lies beside it"
    );
    assert_eq!(coverage(&both, day(2027, 2)), Coverage::Current);
    let old = root.crl_with(&[], |crl| crl.next_update = date_time_ymd(2026, 7, 1));
    let gap = load(&store, &[&next, &old]).unwrap();
    let next_update = day(2026, 7);
    assert_eq!(
        coverage(&gap, this_update - 1),
        Coverage::OutOfDate { next_update }
    );
    assert_eq!(coverage(&gap, this_update), Coverage::Current);
}

#[test]
fn a_file_says_when_its_crls_begin() {
    let root = Ca::root("Root");
    let store = store(&[&root]);
    let next = root.crl_with(&[&[1]], |crl| crl.this_update = date_time_ymd(2026, 12, 1));
    let begins = |file: &[u8]| {
        let file = RevocationSetBuilder::new(&store).add_file(file).unwrap();
        let begins = |seconds| file.begins_after(at(unsigned(seconds)));
        (begins(day(2026, 12) - 1), begins(day(2026, 12)))
    };
    let date = Some("2026-12-01T00:00:00Z".to_owned());
    assert_eq!(begins(&next), (date.clone(), None));
    let several = pem("X509 CRL", &next) + &pem("X509 CRL", &root.crl(&[]));
    assert_eq!(begins(several.as_bytes()), (date, None));
    assert_eq!(begins(&root.crl(&[])), (None, None));
    assert_eq!(begins(b"01"), (None, None));
}

#[test]
fn crls_of_different_scope_do_not_renew_each_other() {
    let root = Ca::root("Root");
    let scoped = partition(&root, "http://crl.example.com/1", &[&[1]], |crl| {
        crl.next_update = date_time_ymd(2026, 7, 1);
    });
    let set = load(&store(&[&root]), &[&root.crl(&[&[2]]), &scoped]).unwrap();
    let here = distribution_points("http://crl.example.com/1");
    let coverage = |certificate| coverage(&set, &root, &certificate, 1_790_000_000);
    assert!(matches!(coverage(naming(&here)), Coverage::OutOfDate { .. }));
    assert_eq!(coverage(USER), Coverage::Current);
}

#[test]
fn a_crl_of_an_unknown_ca_is_refused_by_name() {
    let message = refusal(&store(&[&Ca::root("Root")]), &Ca::root("Stranger").crl(&[&[1]]));
    assert!(
        message.starts_with("the CRL was issued by O=Example, CN=Stranger, which is not in the trust store"),
        "{message}"
    );
}

#[test]
fn a_crl_signed_by_another_key_is_refused() {
    let message = refusal(&store(&[&Ca::root("Root")]), &Ca::root("Root").crl(&[&[1]]));
    assert!(
        message.contains("a signature that O=Example, CN=Root of the trust store did not make"),
        "{message}"
    );
}

#[test]
fn a_crl_is_accepted_from_either_of_two_cas_of_one_name() {
    let (old, new) = (Ca::root("Root"), Ca::root("Root"));
    let store = store(&[&old, &new]);
    assert_eq!(
        load(&store, &[&new.crl(&[&[1]]), &old.crl(&[&[2]])])
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_ca_without_crl_sign_may_not_revoke() {
    let root = Ca::self_signed(ca("Root").with(usages(&[KeyUsagePurpose::KeyCertSign])));
    // rcgen refuses to sign it, so by hand.
    let crl = hand_made(&root, ECDSA_WITH_SHA256, &[next_update(), harmless()]);
    assert!(refusal(&store(&[&root]), &crl).contains("lacks cRLSign"));
}

#[test]
fn crls_that_cannot_be_relied_on_are_refused() {
    let root = Ca::root("Root");
    let store = store(&[&root]);
    let refused = |parts: &[Vec<u8>]| refusal(&store, &hand_made(&root, ECDSA_WITH_SHA256, parts));
    assert!(refused(&[harmless()]).contains("no nextUpdate"));
    assert!(refused(&[]).contains("no nextUpdate"));
    let delta = extensions(&[0x55, 0x1d, 27], true, &[2, 1, 1]);
    assert!(refused(&[next_update(), delta]).contains("delta CRL"));
    let indirect = extensions(&[0x55, 0x1d, 28], true, &[0x30, 3, 0x84, 1, 0xff]);
    assert!(refused(&[next_update(), indirect]).contains("indirect"));
    let neither = extensions(&[0x55, 0x1d, 28], true, &[0x30, 4, 0xa0, 2, 0xa2, 0]);
    assert!(refused(&[next_update(), neither]).contains("the issuing distribution point"));
    let reasons = extensions(&[0x55, 0x1d, 28], true, &[0x30, 4, 0x83, 2, 6, 0x40]);
    assert!(refused(&[next_update(), reasons]).contains("onlySomeReasons"));
    let attributes = extensions(&[0x55, 0x1d, 28], true, &[0x30, 3, 0x85, 1, 0xff]);
    assert!(refused(&[next_update(), attributes]).contains("onlyContainsAttributeCerts"));
    let nobody = extensions(&[0x55, 0x1d, 28], true, &[0x30, 6, 0x81, 1, 0xff, 0x82, 1, 0xff]);
    assert!(refused(&[next_update(), nobody]).contains("so for none"));
    let unreadable = extensions(&[0x55, 0x1d, 28], true, &[0x30, 3, 0x9f, 1, 0]);
    assert!(refused(&[next_update(), unreadable]).contains("at fault: the issuing distribution point"));
    let sha1 = hand_made(&root, ECDSA_WITH_SHA1, &[next_update(), harmless()]);
    assert!(refusal(&store, &sha1).contains("SHA-1"));
}

#[test]
fn a_critical_extension_that_nobody_knows_is_named_with_the_remedy() {
    let root = Ca::root("Root");
    let store = store(&[&root]);
    let refused = |parts: &[Vec<u8>]| refusal(&store, &hand_made(&root, ECDSA_WITH_SHA256, parts));
    let entries = |extension: &[u8]| {
        let date = element(der::UTC_TIME, b"260601000000Z");
        let plain = sequence(&[element(der::INTEGER, &[6]), date.clone()]);
        let entry = sequence(&[element(der::INTEGER, &[7]), date, sequence(&[extension.to_vec()])]);
        sequence(&[plain, entry])
    };
    let extension = |oid: &[u8], critical: &[u8]| {
        let oid = element(der::OBJECT_IDENTIFIER, oid);
        sequence(&[oid, critical.to_vec(), element(der::OCTET_STRING, &[5, 0])])
    };
    let critical = &[1, 1, 0xff];
    let private = &[0x2b, 6, 1, 4, 1, 0x83, 0xb2, 3, 1];
    let of_list = refused(&[next_update(), extensions(&[0x55, 0x1d, 99], true, &[5, 0])]);
    for part in [
        "a critical extension that is not supported (2.5.29.99)",
        "have the CA issue it without",
    ] {
        assert!(of_list.contains(part), "{of_list}");
    }
    let of_entry = refused(&[next_update(), entries(&extension(private, critical)), harmless()]);
    assert!(of_entry.contains("(1.3.6.1.4.1.55555.1)"), "{of_entry}");
    let uncritical = [next_update(), entries(&extension(private, &[])), harmless()];
    let crl = hand_made(&root, ECDSA_WITH_SHA256, &uncritical);
    assert_eq!(load(&store, &[&crl]).unwrap().len(), 2);
}

#[test]
fn remove_from_crl_belongs_to_delta_crls() {
    let root = Ca::root("Root");
    let crl = root.crl_with(&[&[1]], |crl| {
        crl.revoked_certs[0].reason_code = Some(RevocationReason::RemoveFromCrl);
    });
    assert!(refusal(&store(&[&root]), &crl).contains("removeFromCRL"));
}

#[test]
fn an_altered_crl_is_refused() {
    let root = Ca::root("Root");
    let store = store(&[&root]);
    let crl = root.crl(&[&[0x4a, 0x3f]]);
    for position in 0..crl.len() {
        let mut altered = crl.clone();
        altered[position] ^= 1;
        let mut builder = RevocationSetBuilder::new(&store);
        assert!(builder.add_file(&altered).is_err(), "octet {position}");
    }
}

#[test]
fn other_pem_blocks_are_refused() {
    let root = Ca::root("Root");
    let store = store(&[&root]);
    assert!(refusal(&store, pem("CERTIFICATE", &root.der).as_bytes()).contains("\"CERTIFICATE\""));
}

proptest! {
    #[test]
    fn no_file_panics(start in proptest::sample::select(vec![&b""[..], b"\x30\x82", b"-----BEGIN X509 \
        CRL-----\n"]),
                      rest in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bundle = include_bytes!("testdata/article_bundle.pem");
        let store = TrustStore::from_pem("article", bundle).unwrap();
        let _any = RevocationSetBuilder::new(&store).add_file(&[start, &rest].concat());
    }
}
