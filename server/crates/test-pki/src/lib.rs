//! A small PKI made at run time, for unit tests: CAs, certificates and CRLs, as DER and PEM.
//!
//! Names none of the server's crates, so that the unit tests of each of them can use it.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, RevocationReason, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, UnixTime};

/// A CA with its key.
pub struct Ca {
    pub der: CertificateDer<'static>,
    pub issuer: Issuer<'static, KeyPair>,
}

/// A certificate to be, with the usual settings until changed.
#[derive(Clone)]
pub struct Draft(pub CertificateParams);

/// A leaf: O=Example, CN=`name`, valid from 2025 to 2030, without key usages.
pub fn leaf(name: &str) -> Draft {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Example");
    params.distinguished_name.push(DnType::CommonName, name);
    Draft(params).valid((2025, 1, 1), (2030, 1, 1))
}

/// The same as a CA.
pub fn ca(name: &str) -> Draft {
    let mut draft = leaf(name);
    draft.0.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    draft
}

/// 2026-11-23T00:00:00Z.
pub fn now() -> UnixTime {
    at(1_795_392_000)
}

pub fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

impl Draft {
    pub fn valid(mut self, from: (i32, u8, u8), to: (i32, u8, u8)) -> Self {
        self.0.not_before = date_time_ymd(from.0, from.1, from.2);
        self.0.not_after = date_time_ymd(to.0, to.1, to.2);
        self
    }

    pub fn serial(mut self, serial: &[u8]) -> Self {
        self.0.serial_number = Some(SerialNumber::from_slice(serial));
        self
    }

    pub fn with(mut self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        change(&mut self.0);
        self
    }
}

impl Ca {
    pub fn root(name: &str) -> Self {
        Self::self_signed(ca(name))
    }

    pub fn self_signed(draft: Draft) -> Self {
        let key = KeyPair::generate().unwrap();
        let der = draft.0.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(draft.0, key);
        Self { der, issuer }
    }

    /// With the key of another CA.
    pub fn self_signed_with(draft: Draft, key: &Self) -> Self {
        let key = KeyPair::try_from(key.issuer.key().serialize_der()).unwrap();
        let der = draft.0.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(draft.0, key);
        Self { der, issuer }
    }

    pub fn intermediate(&self, draft: Draft) -> Self {
        let key = KeyPair::generate().unwrap();
        let der = draft.0.signed_by(&key, &self.issuer).unwrap().der().clone();
        let issuer = Issuer::new(draft.0, key);
        Self { der, issuer }
    }

    pub fn issue(&self, draft: Draft) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        draft.0.signed_by(&key, &self.issuer).unwrap().der().clone()
    }

    /// A CRL that is due in 2027, DER.
    pub fn crl(&self, serials: &[&[u8]]) -> Vec<u8> {
        self.crl_with(serials, |_| {})
    }

    pub fn crl_with(
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

pub fn pem(label: &str, der: &[u8]) -> String {
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

pub fn bundle(cas: &[&Ca]) -> String {
    cas.iter().map(|ca| pem("CERTIFICATE", &ca.der)).collect()
}
