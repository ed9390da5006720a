//! Public keys that are good enough.
//!
//! Owns two lists: what a CA of a trust store may have (the service's table: RSA 2048, 3072 and 4096 bits,
//! P-256, P-384) and what a client may have (what webpki's algorithms can check a CertificateVerify with, RSA
//! from 2048 to 8192 bits). webpki judges neither an anchor's nor a leaf's key itself.

use std::fmt;

use rustls_pki_types::{AlgorithmIdentifier, alg_id};

use super::der::{self, Reader};

/// The kind of a public key, with what decides whether it is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    Rsa {
        bits: usize,
    },
    P256,
    P384,
    /// Some other key of webpki's list (P-521, Ed25519, ML-DSA).
    OtherSupported,
    Unsupported,
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
    pub(super) fn read(spki: &[u8]) -> Self {
        read_parts(spki).unwrap_or(Self::Unsupported)
    }

    pub(super) fn is_accepted_for_ca(self) -> bool {
        matches!(
            self,
            Self::Rsa {
                bits: 2048 | 3072 | 4096
            } | Self::P256
                | Self::P384
        )
    }

    pub(super) fn is_accepted_for_client(self) -> bool {
        match self {
            Self::Rsa { bits } => (2048..=8192).contains(&bits),
            Self::P256 | Self::P384 | Self::OtherSupported => true,
            Self::Unsupported => false,
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
            Self::P256 => f.write_str("ECDSA P-256"),
            Self::P384 => f.write_str("ECDSA P-384"),
            Self::OtherSupported | Self::Unsupported => f.write_str("of another type"),
        }
    }
}

fn read_parts(spki: &[u8]) -> Option<PublicKey> {
    let mut spki = Reader::new(der::only(spki, der::SEQUENCE)?);
    let algorithm = spki.expect(der::SEQUENCE)?.value;
    let key = spki.expect(der::BIT_STRING)?.value.strip_prefix(&[0])?;
    if !spki.is_empty() {
        return None;
    }
    let is = |id: AlgorithmIdentifier| id.as_ref() == algorithm;
    Some(match () {
        () if is(alg_id::RSA_ENCRYPTION) => PublicKey::Rsa { bits: rsa_bits(key)? },
        () if is(alg_id::ECDSA_P256) => PublicKey::P256,
        () if is(alg_id::ECDSA_P384) => PublicKey::P384,
        () if is_supported(algorithm) => PublicKey::OtherSupported,
        () => PublicKey::Unsupported,
    })
}

/// RFC 8017 §A.1.1: `SEQUENCE { modulus INTEGER, publicExponent INTEGER }`.
fn rsa_bits(key: &[u8]) -> Option<usize> {
    let mut integers = Reader::new(der::only(key, der::SEQUENCE)?);
    let modulus = der::magnitude(integers.expect(der::INTEGER)?.value);
    let unused_bits = modulus.first()?.leading_zeros();
    (modulus.len() * 8).checked_sub(usize::try_from(unused_bits).ok()?)
}

fn is_supported(algorithm: &[u8]) -> bool {
    webpki::ALL_VERIFICATION_ALGS
        .iter()
        .any(|supported| supported.public_key_alg_id().as_ref() == algorithm)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rcgen::{KeyPair, PublicKeyData};

    fn read(alg: &'static rcgen::SignatureAlgorithm) -> PublicKey {
        PublicKey::read(&KeyPair::generate_for(alg).unwrap().subject_public_key_info())
    }

    #[test]
    fn keys_of_the_services_table_are_told_apart() {
        assert_eq!(read(&rcgen::PKCS_ECDSA_P256_SHA256), PublicKey::P256);
        assert_eq!(read(&rcgen::PKCS_ECDSA_P384_SHA384), PublicKey::P384);
        assert_eq!(read(&rcgen::PKCS_ED25519), PublicKey::OtherSupported);
        assert_eq!(read(&rcgen::PKCS_RSA_SHA256), PublicKey::Rsa { bits: 2048 });
    }

    #[test]
    fn a_ca_key_must_be_in_the_table_and_a_client_key_checkable() {
        for bits in [2048, 3072, 4096] {
            assert!(PublicKey::Rsa { bits }.is_accepted_for_ca());
        }
        for bits in [512, 1024, 2047, 16_384] {
            assert!(!PublicKey::Rsa { bits }.is_accepted_for_ca());
            assert!(!PublicKey::Rsa { bits }.is_accepted_for_client());
        }
        assert!(!PublicKey::OtherSupported.is_accepted_for_ca());
        assert!(PublicKey::OtherSupported.is_accepted_for_client());
        assert!(!PublicKey::read(b"garbage").is_accepted_for_client());
    }
}
