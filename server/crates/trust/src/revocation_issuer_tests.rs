//! An issuer is a name and a key: whom the CRLs and lists of one CA count for.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use rcgen::{DistinguishedName, DnType, DnValue};
use rustls_pki_types::CertificateDer;

use super::*;
use crate::test_pki::{Ca, Draft, Forge, ca, leaf, now, ruled, store};
use crate::{ListRules, Policy, RejectedKind, RevocationError, RevocationSetBuilder, TrustStore, WithoutCrl};

const SERIAL: &[u8] = &[0x5a, 0x45];
const OTHER: &[u8] = &[0x99];

/// The verdict where every certificate needs a CRL: `Ok`, or what is wrong.
fn verdict(policy: &Policy, chain: &[CertificateDer<'_>]) -> Result<(), RejectedKind> {
    let verdict = policy.verify(&chain[0], &chain[1..], now());
    verdict.map(drop).map_err(|rejected| rejected.kind)
}

fn strict(store: &Arc<TrustStore>, files: &[&[u8]]) -> Policy {
    ruled(store, files, |rules| rules.ca_without_crl = WithoutCrl::Reject)
}

fn client(issuer: &Ca) -> [CertificateDer<'static>; 1] {
    [issuer.issue(leaf("client").serial(SERIAL))]
}

/// A CA of this name as a PrintableString.
fn printable(name: &str) -> Draft {
    ca(name).with(|params| {
        let mut names = DistinguishedName::new();
        let text = |text: &str| DnValue::PrintableString(text.try_into().unwrap());
        names.push(DnType::OrganizationName, text("EXAMPLE"));
        names.push(DnType::CommonName, text(name));
        params.distinguished_name = names;
    })
}

#[test]
fn the_crl_of_another_ca_of_that_name_answers_for_nobody_and_revokes_nobody() {
    let (ours, twin) = (Ca::root("Issuing"), Ca::root("Issuing"));
    let store = store(&[&ours, &twin]);
    let client = client(&ours);
    let policy = strict(&store, &[&twin.crl(&[OTHER])]);
    assert_eq!(verdict(&policy, &client), Err(RejectedKind::RevocationUnknown));
    let reason = policy.verify(&client[0], &[], now()).unwrap_err().reason;
    assert!(
        reason.ends_with("is loaded, only one that another key of a CA of that name has signed"),
        "{reason}"
    );
    let policy = strict(&store, &[&ours.crl(&[]), &twin.crl(&[SERIAL])]);
    assert_eq!(verdict(&policy, &client), Ok(()));
    let policy = strict(&store, &[&ours.crl(&[SERIAL]), &twin.crl(&[])]);
    assert_eq!(verdict(&policy, &client), Err(RejectedKind::Revoked));
    let late = ours.crl_with(&[], |crl| crl.next_update = rcgen::date_time_ymd(2026, 7, 1));
    let policy = strict(&store, &[&late, &twin.crl(&[])]);
    assert_eq!(
        verdict(&policy, &client),
        Err(RejectedKind::RevocationUnknown),
        "the twin's does not renew it"
    );
}

#[test]
fn one_key_under_two_names_is_two_issuers() {
    let one = Ca::root("One");
    let two = Ca::self_signed_with(ca("Two"), &one);
    let store = store(&[&one, &two]);
    let policy = strict(&store, &[&one.crl(&[SERIAL])]);
    assert_eq!(
        verdict(&policy, &client(&two)),
        Err(RejectedKind::RevocationUnknown)
    );
    assert_eq!(verdict(&policy, &client(&one)), Err(RejectedKind::Revoked));
}

#[test]
fn a_name_in_another_string_type_is_the_same_issuer() {
    let utf8 = Ca::root("Issuing");
    let other = Ca::self_signed_with(printable("Issuing"), &utf8);
    for in_bundle in [vec![&utf8], vec![&other], vec![&utf8, &other]] {
        let store = store(&in_bundle);
        for signed_as in [&utf8, &other] {
            for issued_as in [&utf8, &other] {
                let set = strict(&store, &[&signed_as.crl(&[SERIAL])]);
                let name = Certificate::of(issued_as);
                let found = set.revocations().lookup(&name.0, &utf8.key(), SERIAL);
                assert_eq!(found, Listed::Yes(Source::Crl));
                let found = set
                    .revocations()
                    .lookup(&name.0, &Ca::root("Issuing").key(), SERIAL);
                assert_eq!(found, Listed::No);
            }
        }
        let policy = strict(&store, &[&utf8.crl(&[SERIAL])]);
        let issuer = in_bundle[0];
        assert_eq!(verdict(&policy, &client(issuer)), Err(RejectedKind::Revoked));
        let policy = strict(&store, &[&other.crl(&[OTHER])]);
        assert_eq!(verdict(&policy, &client(issuer)), Ok(()));
    }
}

/// The subject of a CA, as raw content octets.
struct Certificate(Vec<u8>);

impl Certificate {
    fn of(ca: &Ca) -> Self {
        let subject = ca.subject();
        Self(crate::der::only(&subject, crate::der::SEQUENCE).unwrap().to_vec())
    }
}

/// A CA that was given a new key, and a certificate by the old key for the new one (RFC 4210 §4.4).
struct Renewed {
    old: Ca,
    new_with_old: Ca,
}

impl Renewed {
    fn new() -> Self {
        let old = Ca::root("Renewed");
        let new_with_old = old.intermediate(ca("Renewed"));
        Self { old, new_with_old }
    }
}

#[test]
fn a_crl_of_the_old_key_answers_for_the_new_one_in_the_same_path() {
    let Renewed { old, new_with_old } = Renewed::new();
    let store = store(&[&old]);
    let below = new_with_old.issue(leaf("client").serial(SERIAL));
    let chain = [below, new_with_old.der.clone()];
    let policy = strict(&store, &[&old.crl(&[OTHER])]);
    assert_eq!(verdict(&policy, &chain), Ok(()));
    let policy = strict(&store, &[&old.crl(&[SERIAL])]);
    assert_eq!(verdict(&policy, &chain), Err(RejectedKind::Revoked));
}

#[test]
fn a_crl_of_the_new_key_revokes_what_the_old_one_has_issued_and_does_not_answer_for_it() {
    let Renewed { old, new_with_old } = Renewed::new();
    let store = store(&[&old, &new_with_old]);
    let client = client(&old);
    let policy = strict(&store, &[&new_with_old.crl(&[SERIAL])]);
    assert_eq!(verdict(&policy, &client), Err(RejectedKind::Revoked));
    let policy = strict(&store, &[&new_with_old.crl(&[OTHER])]);
    assert_eq!(
        verdict(&policy, &client),
        Err(RejectedKind::RevocationUnknown),
        "a CA with a list for each key would not name it there"
    );
    let twin = Ca::root("Renewed");
    let store = self::store(&[&old, &twin]);
    let policy = strict(&store, &[&old.crl(&[]), &twin.crl(&[SERIAL])]);
    assert_eq!(verdict(&policy, &client), Ok(()), "nobody vouches for the twin");
}

#[test]
fn a_ca_of_the_bundle_is_revoked_by_the_key_that_signed_it() {
    let (root, twin) = (Ca::root("Root"), Ca::root("Root"));
    let inter = root.intermediate(ca("Inter").serial(SERIAL));
    let store = store(&[&root, &twin, &inter]);
    let chain = [inter.issue(leaf("client"))];
    let with = |files: &[&[u8]]| ruled(&store, files, |_| {});
    let by_twin = with(&[&twin.crl(&[SERIAL])]);
    assert_eq!(verdict(&by_twin, &chain), Ok(()));
    assert_eq!(by_twin.revocations().revoked_cas().count(), 0);
    let by_root = with(&[&root.crl(&[SERIAL])]);
    assert_eq!(verdict(&by_root, &chain), Err(RejectedKind::Revoked));
    let revoked: Vec<_> = by_root.revocations().revoked_cas().collect();
    assert_eq!(revoked, ["O=Example, CN=Inter"]);
}

fn with_list(store: &TrustStore, text: &str, issuer: Option<&str>) -> Result<RevocationSet, RevocationError> {
    let mut builder = RevocationSetBuilder::new(store);
    let rules = ListRules {
        issuer,
        may_be_empty: false,
        ..ListRules::default()
    };
    builder.add_file_as(text.as_bytes(), &rules)?;
    Ok(builder.build())
}

#[test]
fn a_list_that_names_no_issuer_and_hits_a_ca_of_the_bundle_is_refused_with_the_remedy() {
    let root = Ca::self_signed(ca("Root").serial(&[1]));
    let store = store(&[&root]);
    for list in [
        "# clients\n05\n01\n",
        "7\n\n1",
        "serial=05\nserial=01",
        "5\n00:01",
    ] {
        let error = with_list(&store, list, None).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("01 is the serial number of O=Example, CN=Root too"),
            "{message}"
        );
        assert!(message.starts_with("line "), "{message}");
        assert!(error.remedy().contains("issuer = "));
    }
    assert!(with_list(&store, "05\n0101\n", None).is_ok());
}

#[test]
fn a_bound_list_revokes_what_that_ca_has_issued_and_nothing_else() {
    let (one, two) = (Ca::self_signed(ca("One").serial(&[1])), Ca::root("Two"));
    let store = store(&[&one, &two]);
    let rules = crate::Rules::new(crate::Mode::Required);
    let policy = |list: &str, issuer| {
        let set = Arc::new(with_list(&store, list, Some(issuer)).unwrap());
        Policy::new("E1", rules.clone(), Arc::clone(&store), set)
    };
    let policy = policy("01\n5a45\n", "CN=One,O=Example");
    assert_eq!(verdict(&policy, &client(&one)), Err(RejectedKind::Revoked));
    assert_eq!(verdict(&policy, &client(&two)), Ok(()));
    let same_serial_as_the_ca = [one.issue(leaf("client").serial(&[1]))];
    assert_eq!(
        verdict(&policy, &same_serial_as_the_ca),
        Err(RejectedKind::Revoked)
    );
    let other = [one.issue(leaf("client").serial(&[2]))];
    assert_eq!(verdict(&policy, &other), Ok(()), "the CA itself is not meant");
    assert!(!policy.revocations().has_crls());
}

#[test]
fn a_list_is_bound_by_any_spelling_of_the_subject_or_by_the_digest_of_one_certificate() {
    let (old, new) = (Ca::root("Issuing"), Ca::root("Issuing"));
    let store = store(&[&old, &new]);
    let lookup = |issuer: &str, ca: &Ca| {
        let set = with_list(&store, "5a45\n", Some(issuer)).unwrap();
        set.lookup(&Certificate::of(ca).0, &ca.key(), SERIAL)
    };
    for subject in [
        "O=Example, CN=Issuing",
        "O = Example, CN = Issuing",
        "CN=Issuing,O=Example",
        " cn=issuing , o=example ",
        "subject=O = Example, CN = Issuing",
        "subject= O=Example, CN=Issuing",
    ] {
        assert!(
            lookup(subject, &old).is_listed() && lookup(subject, &new).is_listed(),
            "{subject}"
        );
    }
    let digest = crate::hex::colon_hex(&crate::sha256(&old.der));
    for digest in [
        digest.to_uppercase(),
        digest.replace(':', ""),
        format!("sha256 Fingerprint={}", digest.to_uppercase()),
        format!("SHA256 Fingerprint={}", digest.to_uppercase()),
    ] {
        assert!(lookup(&digest, &old).is_listed());
        assert!(!lookup(&digest, &new).is_listed(), "it has another key");
    }
    for unknown in [
        "",
        "CN=Issuing",
        "O=Example, CN=Other",
        "aa:bb",
        "subject=",
        "sha256 Fingerprint=",
        "CN=Issuing, O=Example, C=US",
    ] {
        let error = with_list(&store, "5a45\n", Some(unknown))
            .unwrap_err()
            .to_string();
        assert!(error.ends_with("there are O=Example, CN=Issuing"), "{error}");
    }
    let mut builder = RevocationSetBuilder::new(&store);
    let rules = ListRules {
        issuer: Some("O=Example, CN=Issuing"),
        may_be_empty: false,
        ..ListRules::default()
    };
    let error = builder.add_file_as(&old.crl(&[SERIAL]), &rules).unwrap_err();
    assert_eq!(error, RevocationError::IssuerOfCrl);
}
