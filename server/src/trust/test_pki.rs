//! A small PKI made at run time, for the tests of this module.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, PublicKeyData, RevocationReason, RevokedCertParams, SerialNumber, SigningKey,
    date_time_ymd,
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::certificate::Certificate;
use super::der::{
    self,
    build::{element, sequence},
};
use super::key_id::KeyId;
use super::{Mode, OutOfDate, Policy, RevocationSet, RevocationSetBuilder, Rules, TrustStore};

/// A CA with its key.
pub(crate) struct Ca {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

/// A certificate to be, with the usual settings until changed.
#[derive(Clone)]
pub(crate) struct Draft(pub(crate) CertificateParams);

/// A leaf: O=Example, CN=`name`, valid from 2025 to 2030, without key usages.
pub(crate) fn leaf(name: &str) -> Draft {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Example");
    params.distinguished_name.push(DnType::CommonName, name);
    Draft(params).valid((2025, 1, 1), (2030, 1, 1))
}

/// The same as a CA.
pub(crate) fn ca(name: &str) -> Draft {
    let mut draft = leaf(name);
    draft.0.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    draft
}

/// 2026-11-23T00:00:00Z.
pub(crate) fn now() -> UnixTime {
    at(1_795_392_000)
}

pub(crate) fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

impl Draft {
    pub(crate) fn valid(mut self, from: (i32, u8, u8), to: (i32, u8, u8)) -> Self {
        self.0.not_before = date_time_ymd(from.0, from.1, from.2);
        self.0.not_after = date_time_ymd(to.0, to.1, to.2);
        self
    }

    pub(crate) fn serial(mut self, serial: &[u8]) -> Self {
        self.0.serial_number = Some(SerialNumber::from_slice(serial));
        self
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        change(&mut self.0);
        self
    }
}

impl Ca {
    pub(crate) fn root(name: &str) -> Self {
        Self::self_signed(ca(name))
    }

    pub(crate) fn self_signed(draft: Draft) -> Self {
        let key = KeyPair::generate().unwrap();
        let der = draft.0.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(draft.0, key);
        Self { der, issuer }
    }

    /// With the key of another CA.
    pub(crate) fn self_signed_with(draft: Draft, key: &Self) -> Self {
        let key = KeyPair::try_from(key.issuer.key().serialize_der()).unwrap();
        let der = draft.0.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(draft.0, key);
        Self { der, issuer }
    }

    pub(crate) fn key(&self) -> KeyId {
        KeyId::of(Certificate::parse(&self.der).unwrap().public_key())
    }

    pub(crate) fn intermediate(&self, draft: Draft) -> Self {
        let key = KeyPair::generate().unwrap();
        let der = draft.0.signed_by(&key, &self.issuer).unwrap().der().clone();
        let issuer = Issuer::new(draft.0, key);
        Self { der, issuer }
    }

    pub(crate) fn issue(&self, draft: Draft) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        draft.0.signed_by(&key, &self.issuer).unwrap().der().clone()
    }

    /// A CRL that is due in 2027, DER.
    pub(crate) fn crl(&self, serials: &[&[u8]]) -> Vec<u8> {
        self.crl_with(serials, |_| {})
    }

    pub(crate) fn crl_with(
        &self,
        serials: &[&[u8]],
        change: impl FnOnce(&mut CertificateRevocationListParams),
    ) -> Vec<u8> {
        let revoked = |serial: &&[u8]| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: date_time_ymd(2026, 6, 1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let mut params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 6, 1),
            next_update: date_time_ymd(2027, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        change(&mut params);
        params.signed_by(&self.issuer).unwrap().der().to_vec()
    }
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|l| std::str::from_utf8(l).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

pub(crate) fn bundle(cas: &[&Ca]) -> String {
    cas.iter().map(|ca| pem("CERTIFICATE", &ca.der)).collect()
}

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

impl Ca {
    /// The subject, tag and length included.
    pub(crate) fn subject(&self) -> Vec<u8> {
        let certificate = Certificate::parse(&self.der).unwrap();
        element(der::SEQUENCE, certificate.subject())
    }

    /// `SEQUENCE { message, algorithm, signature }`, the signature over `message`.
    pub(crate) fn sign(&self, message: Vec<u8>, algorithm: &[u8]) -> Vec<u8> {
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
