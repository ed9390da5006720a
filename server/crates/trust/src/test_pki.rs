//! Tools of this crate's tests beside the PKI: stores, policies, and certificates that no library makes.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

pub(crate) use bothways_test_pki::*;
use rcgen::{CertificateParams, KeyPair, KeyUsagePurpose, PublicKeyData, SigningKey};
use rustls_pki_types::CertificateDer;

use super::certificate::Certificate;
use super::der::{
    self,
    build::{element, sequence},
};
use super::key_id::KeyId;
use super::{Mode, OutOfDate, Policy, RevocationSet, RevocationSetBuilder, Rules, TrustStore};

pub(crate) fn store(cas: &[&Ca]) -> Arc<TrustStore> {
    Arc::new(TrustStore::from_pem("partners", bundle(cas).as_bytes()).unwrap())
}

/// The same of certificates without their keys.
pub(crate) fn store_of(anchors: &[&CertificateDer<'_>]) -> Arc<TrustStore> {
    let bundle: String = anchors.iter().map(|der| pem("CERTIFICATE", der)).collect();
    Arc::new(TrustStore::from_pem("partners", bundle.as_bytes()).unwrap())
}

/// The default rules.
pub(crate) fn policy(store: &Arc<TrustStore>, files: &[&[u8]]) -> Policy {
    ruled(store, files, |_| {})
}

/// The default rules but for a change.
pub(crate) fn ruled(store: &Arc<TrustStore>, files: &[&[u8]], change: impl FnOnce(&mut Rules)) -> Policy {
    let mut builder = RevocationSetBuilder::new(store);
    for file in files {
        builder.add_file(file).unwrap();
    }
    let mut rules = Rules::new(Mode::Required);
    change(&mut rules);
    Policy::new("E1", rules, Arc::clone(store), Arc::new(builder.build()))
}

pub(crate) fn policy_with(
    store: &Arc<TrustStore>,
    revocations: RevocationSet,
    allow_v1: bool,
    out_of_date: OutOfDate,
) -> Policy {
    let mut rules = Rules::new(Mode::Required);
    rules.allow_v1 = allow_v1;
    rules.out_of_date_crl = out_of_date;
    Policy::new("E1", rules, Arc::clone(store), Arc::new(revocations))
}

/// A certificate of which the test writes every field: what no library agrees to make.
pub(crate) struct Raw {
    /// DER before the serial: nothing, or `[0] EXPLICIT Version`.
    pub(crate) version: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    /// Content of the AlgorithmIdentifier, inside and outside.
    pub(crate) algorithm: Vec<u8>,
    pub(crate) algorithm_outside: Vec<u8>,
    pub(crate) validity: Vec<u8>,
    pub(crate) public_key: Vec<u8>,
    /// DER after the public key.
    pub(crate) rest: Vec<u8>,
}

impl Raw {
    /// A version 1 certificate as `openssl x509 -req` makes it, valid from 2025 to 2030.
    pub(crate) fn v1() -> Self {
        let time = |text: &str| element(der::UTC_TIME, text.as_bytes());
        Self {
            version: Vec::new(),
            serial: vec![1],
            algorithm: ECDSA_WITH_SHA256.to_vec(),
            algorithm_outside: ECDSA_WITH_SHA256.to_vec(),
            validity: [time("250101000000Z"), time("300101000000Z")].concat(),
            public_key: KeyPair::generate().unwrap().subject_public_key_info(),
            rest: Vec::new(),
        }
    }

    /// CN=v1, issued by `ca`.
    pub(crate) fn signed_by(&self, ca: &Ca) -> CertificateDer<'static> {
        let cn = sequence(&[element(der::OBJECT_IDENTIFIER, &[0x55, 4, 3]), element(12, b"v1")]);
        let message = sequence(&[
            self.version.clone(),
            element(der::INTEGER, &self.serial),
            element(der::SEQUENCE, &self.algorithm),
            ca.subject(),
            element(der::SEQUENCE, &self.validity),
            sequence(&[element(der::SET, &cn)]),
            self.public_key.clone(),
            self.rest.clone(),
        ]);
        ca.sign(message, &self.algorithm_outside).into()
    }
}

/// Questions that the tests of this crate ask a CA, beside the certificates that it issues.
pub(crate) trait Forge {
    /// Identifies the public key.
    fn key(&self) -> KeyId;
    /// The subject, tag and length included.
    fn subject(&self) -> Vec<u8>;
    /// `SEQUENCE { message, algorithm, signature }`, the signature over `message`.
    fn sign(&self, message: Vec<u8>, algorithm: &[u8]) -> Vec<u8>;
}

impl Forge for Ca {
    fn key(&self) -> KeyId {
        KeyId::of(Certificate::parse(&self.der).unwrap().public_key())
    }

    fn subject(&self) -> Vec<u8> {
        let certificate = Certificate::parse(&self.der).unwrap();
        element(der::SEQUENCE, certificate.subject())
    }

    fn sign(&self, message: Vec<u8>, algorithm: &[u8]) -> Vec<u8> {
        let signature = self.issuer.key().sign(&message).unwrap();
        let algorithm = element(der::SEQUENCE, algorithm);
        let signature = element(der::BIT_STRING, &[&[0][..], &signature].concat());
        sequence(&[message, algorithm, signature])
    }
}

pub(crate) const ECDSA_WITH_SHA256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
pub(crate) const ECDSA_WITH_SHA1: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];

/// An RSA key of `bits`, with a modulus that nobody can use.
pub(crate) struct FakeRsa(Vec<u8>);

impl FakeRsa {
    pub(crate) fn new(bits: usize) -> Self {
        let modulus = element(der::INTEGER, &[&[0][..], &vec![0xff; bits / 8]].concat());
        let exponent = element(der::INTEGER, &[1, 0, 1]);
        Self(sequence(&[modulus, exponent]))
    }
}

impl PublicKeyData for FakeRsa {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

/// A key usage list, for [`Draft::with`].
pub(crate) fn usages(usages: &[KeyUsagePurpose]) -> impl FnOnce(&mut CertificateParams) {
    let usages = usages.to_vec();
    move |params| params.key_usages = usages
}

/// `[3] EXPLICIT Extensions` with basicConstraints CA:TRUE.
pub(crate) fn basic_constraints_ca() -> Vec<u8> {
    let value = sequence(&[vec![1, 1, 0xff]]);
    let extension = sequence(&[
        element(der::OBJECT_IDENTIFIER, &[0x55, 0x1d, 19]),
        element(4, &value),
    ]);
    element(0xa3, &sequence(&[extension]))
}
