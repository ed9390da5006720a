//! Bundles that are loaded, and the words about those that are not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use rcgen::{CustomExtension, KeyPair, KeyUsagePurpose, PublicKeyData};

use super::*;
use crate::test_pki::{self, Ca, ECDSA_WITH_SHA1, FakeRsa, Raw, bundle, ca, leaf, pem, usages};

fn load(text: &str) -> Result<TrustStore, StoreError> {
    TrustStore::from_pem("partners", text.as_bytes())
}

fn message(text: &str) -> String {
    load(text).unwrap_err().to_string()
}

fn one(der: &[u8]) -> String {
    pem("CERTIFICATE", der)
}

#[test]
fn roots_and_intermediates_load_side_by_side_with_comments() {
    let root = Ca::root("Root");
    let intermediate = root.intermediate(ca("Inter"));
    let text = format!(
        "# partners\n{}\n# next\n{}",
        one(&root.der),
        one(&intermediate.der)
    );
    let store = load(&text).unwrap();
    assert_eq!((store.name(), store.len()), ("partners", 2));
}

#[test]
fn the_launch_articles_bundle_loads() {
    let store = TrustStore::from_pem("article", include_bytes!("testdata/article_bundle.pem"));
    assert_eq!(store.unwrap().len(), 2);
}

#[test]
fn the_digest_names_the_set_of_certificates() {
    let (a, b) = (Ca::root("A"), Ca::root("B"));
    let digest = |cas: &[&Ca]| *load(&bundle(cas)).unwrap().digest();
    assert_eq!(digest(&[&a, &b]), digest(&[&b, &a]));
    assert_eq!(digest(&[&a, &b]), digest(&[&a, &b, &a]));
    assert_ne!(digest(&[&a, &b]), digest(&[&a]));
}

#[test]
fn a_certificate_given_twice_counts_once() {
    let root = Ca::root("Root");
    assert_eq!(load(&bundle(&[&root, &root])).unwrap().len(), 1);
}

#[test]
fn an_expired_anchor_loads() {
    let old = Ca::self_signed(ca("Old").valid((2010, 1, 1), (2011, 1, 1)));
    assert_eq!(load(&bundle(&[&old])).unwrap().len(), 1);
}

#[test]
fn a_bundle_without_certificates_is_refused() {
    for text in ["", "\n\n", "# nothing\n"] {
        assert_eq!(load(text).unwrap_err(), StoreError::Empty);
    }
}

#[test]
fn a_bundle_over_the_limits_is_refused() {
    let root = Ca::root("Root");
    let many: Vec<_> = (0..26)
        .map(|number| Ca::root(&format!("Root {number}")))
        .collect();
    let many: Vec<_> = many.iter().collect();
    assert_eq!(load(&bundle(&many)).unwrap_err(), StoreError::TooManyCertificates);
    assert_eq!(load(&bundle(&many[1..])).unwrap().len(), 25);
    assert_eq!(
        load(&one(&root.der).repeat(30)).unwrap().len(),
        1,
        "copies count once"
    );
    let large = format!("#{}\n{}", " ".repeat(BUNDLE_BYTES_MAX), one(&root.der));
    assert!(message(&large).contains("at most 65536"));
    let padding = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![4; CERTIFICATE_BYTES_MAX]);
    let fat = Ca::self_signed(ca("Fat").with(|params| params.custom_extensions.push(padding)));
    assert!(message(&bundle(&[&fat])).contains("at most 16384"));
}

#[test]
fn damaged_pem_is_refused_with_its_line() {
    let text = one(&Ca::root("Root").der).replace("-----BEGIN CERT", "----BEGIN CERT");
    assert_eq!(
        message(&text),
        "line 1 is neither part of a PEM block nor a comment (#)"
    );
}

#[test]
fn a_private_key_in_the_bundle_is_refused() {
    let text = pem("PRIVATE KEY", b"secret");
    assert!(message(&text).contains("\"PRIVATE KEY\""));
}

#[test]
fn the_message_names_the_certificate_by_position_and_subject() {
    let root = Ca::root("Root");
    let text = bundle(&[&root]) + &one(&root.issue(leaf("client")));
    assert_eq!(
        message(&text),
        "certificate 2 (O=Example, CN=client) is not a CA certificate (basicConstraints CA:TRUE is missing); \
         client certificates do not belong in the bundle"
    );
    assert_eq!(
        message(&one(b"garbage")),
        "certificate 1 (unreadable) is not a well-formed X.509 certificate"
    );
}

#[test]
fn a_ca_that_may_not_sign_certificates_is_refused() {
    let ca = Ca::self_signed(ca("Root").with(usages(&[KeyUsagePurpose::CrlSign])));
    assert!(message(&bundle(&[&ca])).contains("lacks keyCertSign"));
}

#[test]
fn an_unreadable_key_usage_is_refused() {
    let garbage = CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![0xff]);
    let ca = Ca::self_signed(ca("Root").with(|params| params.custom_extensions.push(garbage)));
    assert!(load(&bundle(&[&ca])).is_err());
}

#[test]
fn version_1_is_refused() {
    let text = one(&Raw::v1().signed_by(&Ca::root("Root")));
    assert!(message(&text).contains("is not X.509 version 3"));
}

#[test]
fn keys_outside_the_services_table_are_refused() {
    let root = Ca::root("Root");
    let with_key = |key: &dyn Fn() -> CertificateDer<'static>| message(&one(&key()));
    let signed = |key: &FakeRsa| ca("Sub").0.signed_by(key, &root.issuer).unwrap().der().clone();
    let rsa_1024 = with_key(&|| signed(&FakeRsa::new(1024)));
    assert!(
        rsa_1024.contains("a key that is RSA 1024; accepted are"),
        "{rsa_1024}"
    );
    assert!(load(&one(&signed(&FakeRsa::new(3072)))).is_ok());
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let der = ca("Sub")
        .0
        .signed_by(&ed25519, &root.issuer)
        .unwrap()
        .der()
        .clone();
    assert!(message(&one(&der)).contains("ECDSA P-256 or P-384"));
}

#[test]
fn signatures_outside_the_services_table_are_refused() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let p256 = KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::new(ca("Root").0, key);
    let der = ca("Sub").0.signed_by(&p256, &issuer).unwrap().der().clone();
    assert!(message(&one(&der)).contains("is signed with Ed25519"));

    let basic_constraints = test_pki::basic_constraints_ca();
    let sha1 = Raw {
        version: vec![0xa0, 3, 2, 1, 2],
        algorithm: ECDSA_WITH_SHA1.to_vec(),
        algorithm_outside: ECDSA_WITH_SHA1.to_vec(),
        public_key: p256.subject_public_key_info(),
        rest: basic_constraints,
        ..Raw::v1()
    };
    let text = one(&sha1.signed_by(&Ca::root("Root")));
    assert!(
        message(&text).contains("is signed with ecdsa-with-SHA1"),
        "{}",
        message(&text)
    );
}

#[test]
fn a_ca_with_constraints_that_nobody_evaluates_loads_and_is_told() {
    use crate::der::build::{element, sequence};
    // registeredID and dNSName, both permitted.
    let subtrees = [
        sequence(&[element(0x88, &[0x2a, 3])]),
        sequence(&[element(0x82, b"a.test")]),
    ]
    .concat();
    let value = sequence(&[element(0xa0, &subtrees)]);
    let constrained = Ca::self_signed(ca("Root").with(|params| {
        let extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], value);
        params.custom_extensions.push(extension);
    }));
    let store = load(&bundle(&[&constrained, &Ca::root("Free")])).unwrap();
    let told: Vec<_> = store.constraints_not_evaluated().collect();
    assert_eq!(told, [("O=Example, CN=Root", "registeredID".to_owned())]);
}

#[test]
fn an_anchor_that_is_never_valid_loads() {
    let backwards = Ca::self_signed(ca("Old").valid((2026, 1, 1), (2025, 1, 1)));
    assert_eq!(load(&bundle(&[&backwards])).unwrap().len(), 1);
}

#[test]
fn a_certificate_that_must_not_be_relied_on_is_refused_in_plain_words() {
    let with_unique_id = Raw {
        version: vec![0xa0, 3, 2, 1, 2],
        rest: [vec![0x81, 2, 0, 1], test_pki::basic_constraints_ca()].concat(),
        ..Raw::v1()
    };
    let text = one(&with_unique_id.signed_by(&Ca::root("Root")));
    assert!(
        message(&text).contains("has an issuerUniqueID or a subjectUniqueID"),
        "{}",
        message(&text)
    );
}

#[test]
fn a_bundle_of_another_format_is_told_with_the_command_that_converts_it() {
    let root = Ca::root("Root");
    let told = |bytes: &[u8]| {
        let error = TrustStore::from_pem("partners", bytes).unwrap_err();
        (error.to_string(), error.remedy("ca.crt"))
    };
    let (fault, remedy) = told(&root.der);
    assert_eq!(fault, "the bundle is a certificate in DER, not PEM");
    assert!(
        remedy.ends_with("openssl x509 -inform der -in ca.crt"),
        "{remedy}"
    );
    let wide: Vec<u8> = bundle(&[&root]).bytes().flat_map(|octet| [octet, 0]).collect();
    let (fault, remedy) = told(&[&[0xff, 0xfe][..], &wide].concat());
    assert_eq!(fault, "the bundle is UTF-16, not PEM");
    assert!(remedy.ends_with("iconv -f UTF-16 -t UTF-8 ca.crt"), "{remedy}");
    for (label, command) in [
        ("TRUSTED CERTIFICATE", "openssl x509 -in ca.crt"),
        ("PKCS7", "openssl pkcs7 -print_certs -in ca.crt"),
        ("X509 CRL", "`revocations`"),
        ("EC PRIVATE KEY", "take the key out of the bundle"),
        ("DH PARAMETERS", "keep the CERTIFICATE blocks alone"),
    ] {
        let (fault, remedy) = told(pem(label, &root.der).as_bytes());
        assert!(
            fault.contains(label) && remedy.contains(command),
            "{fault}: {remedy}"
        );
    }
    let (_, remedy) = told(format!("subject=CN = Root\n{}", bundle(&[&root])).as_bytes());
    assert!(remedy.ends_with("sed -n '/-BEGIN/,/-END/p' ca.crt"), "{remedy}");
}
