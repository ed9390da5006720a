//! A small PKI made at run time, for the tests of this module.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{Mode, OutOfDate, Policy, RevocationSet, RevocationSetBuilder, TrustStore};

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

/// Required, version 1 allowed, out-of-date CRLs rejected.
pub(crate) fn policy(store: &Arc<TrustStore>, files: &[&[u8]]) -> Policy {
    let mut builder = RevocationSetBuilder::new(store);
    for file in files {
        builder.add_file(file).unwrap();
    }
    policy_with(store, builder.build(), true, OutOfDate::Reject)
}

pub(crate) fn policy_with(
    store: &Arc<TrustStore>,
    revocations: RevocationSet,
    allow_v1: bool,
    out_of_date: OutOfDate,
) -> Policy {
    let revocations = Arc::new(revocations);
    Policy::new(
        "E1",
        Mode::Required,
        Arc::clone(store),
        revocations,
        allow_v1,
        out_of_date,
    )
}

/// A key usage list, for [`Draft::with`].
pub(crate) fn usages(usages: &[KeyUsagePurpose]) -> impl FnOnce(&mut CertificateParams) {
    let usages = usages.to_vec();
    move |params| params.key_usages = usages
}
