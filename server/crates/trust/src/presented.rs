//! Checks of the certificates that a client presents, apart from any path: sizes, the leaf's key and usage.
//!
//! Owns the bounds on what is looked at.

use rustls_pki_types::CertificateDer;
use x509_parser::extensions::KeyUsage;

use super::certificate::{Certificate, Version};
use super::key::PublicKey;
use super::store::CERTIFICATE_BYTES_MAX;
use super::verdict::{Refusal, RejectedKind};

/// Before anything is parsed or compared: ten certificates of 16 KiB are the most that is looked at.
pub(super) fn check_sizes(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Result<(), Refusal> {
    let presented = intermediates.len() + 1;
    if presented > PRESENTED_MAX {
        let reason =
            format!("{presented} certificates were presented; at most {PRESENTED_MAX} are looked at");
        return Err(Refusal::new(RejectedKind::MaxChainDepthExceeded, reason));
    }
    for der in std::iter::once(leaf).chain(intermediates) {
        let bytes = der.len();
        if bytes > CERTIFICATE_BYTES_MAX {
            let reason = format!(
                "a presented certificate has {bytes} bytes; at most {CERTIFICATE_BYTES_MAX} are allowed"
            );
            return Err(Refusal::new(RejectedKind::MaxSizeExceeded, reason));
        }
    }
    Ok(())
}

/// Told here, where it has words: TLS would only say that a signature failed.
pub(super) fn check_key(certificate: &Certificate<'_>) -> Result<PublicKey, Refusal> {
    let key = PublicKey::read(certificate.public_key());
    if key.is_accepted_for_client() {
        return Ok(key);
    }
    let reason = format!(
        "the key of the client certificate is {key}, which is not accepted; use RSA from 2048 bits or ECDSA \
         P-256 or P-384"
    );
    Err(Refusal::new(RejectedKind::TypeUnsupported, reason))
}

/// RFC 5280 §4.2.1.3: a key that signs CertificateVerify needs digitalSignature, where keyUsage is present.
pub(super) fn check_key_usage(certificate: &Certificate<'_>) -> Result<Option<KeyUsage>, Refusal> {
    match certificate.key_usage() {
        Ok(None) => Ok(None),
        Ok(Some(usage)) if usage.digital_signature() => Ok(Some(usage)),
        Ok(Some(usage)) => {
            let usage = told_usage(&usage);
            let reason = format!(
                "the key usage of the client certificate is {usage} only; Digital Signature is needed"
            );
            Err(Refusal::new(RejectedKind::IntentInvalid, reason))
        }
        Err(_) => Err(Refusal::new(
            RejectedKind::Invalid,
            "the keyUsage of the client certificate is malformed",
        )),
    }
}

pub(super) fn told_usage(usage: &KeyUsage) -> String {
    let told = usage.to_string();
    if told.is_empty() {
        "nothing".to_owned()
    } else {
        told
    }
}

pub(super) fn unreadable() -> Refusal {
    Refusal::new(
        RejectedKind::Invalid,
        "the client certificate is not a well-formed X.509 certificate",
    )
}

pub(super) fn version_1_switched_off() -> Refusal {
    Refusal::new(
        RejectedKind::TypeUnsupported,
        "the client certificate is X.509 version 1, and allow_v1_client_certificates is false for this \
         trust store; issue it as version 3 (with extensions)",
    )
}

pub(super) fn told_sizes(leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> String {
    let all = std::iter::once(leaf).chain(intermediates);
    let bytes: usize = all.map(|der| der.len()).sum();
    format!("{} certificates, {bytes} bytes", intermediates.len() + 1)
}

pub(super) fn told_version(certificate: &Certificate<'_>) -> String {
    format!(
        "the client certificate is X.509 {}",
        match certificate.version() {
            Version::V1 => "version 1",
            Version::V2 => "version 2",
            Version::V3 => "version 3",
            Version::Other => "of an unknown version",
        }
    )
}

/// More than any path of four needs, with room for cross-certificates.
pub(super) const PRESENTED_MAX: usize = 10;
