//! A signed DER object (certificate or CRL) and the check of its signature by a CA.
//!
//! Owns the split `SEQUENCE { toBeSigned, algorithm, signature }` (RFC 5280 §4.1.1, §5.1.1) and the choice of
//! the algorithm. The cryptography is webpki's, and only an algorithm of `webpki::ALL_VERIFICATION_ALGS` is
//! ever used: no SHA-1, no RSA below 2048 bits. RSASSA-PSS alone is left to [`pss`], since webpki knows it
//! with one length of salt.

use rustls_pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::RawPublicKeyEntity;

use super::der::{self, Reader};
use super::names;
use super::pss;

/// The three parts of a signed object, as they lie in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    /// The signed data, tag and length included.
    pub(super) message: &'a [u8],
    /// Content of the outer AlgorithmIdentifier.
    pub(super) algorithm: &'a [u8],
    signature: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadSignature {
    /// An algorithm that is not in webpki's list (SHA-1, for instance).
    UnsupportedAlgorithm,
    /// Made by another key, or the object was altered.
    WrongKey,
}

impl<'a> Signed<'a> {
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut parts = Reader::new(der::only(der, der::SEQUENCE)?);
        let message = parts.expect(der::SEQUENCE)?.encoded;
        let algorithm = parts.expect(der::SEQUENCE)?.value;
        // The first octet counts unused bits; a signature has none.
        let signature = parts.expect(der::BIT_STRING)?.value.strip_prefix(&[0])?;
        parts.is_empty().then_some(Self {
            message,
            algorithm,
            signature,
        })
    }

    /// The algorithm, for people; of RSASSA-PSS also what is wrong with its parameters.
    pub(super) fn algorithm_text(&self) -> String {
        if let Some(Err(fault)) = pss::Parameters::of(self.algorithm) {
            return format!("RSASSA-PSS, {fault}");
        }
        match oid(self.algorithm).and_then(names::dotted) {
            Some(oid) if has_right_parameters(self.algorithm) => algorithm_name(&oid).to_owned(),
            Some(oid) => format!("{} and parameters that do not belong to it", algorithm_name(&oid)),
            None => "an algorithm that has no name".to_owned(),
        }
    }

    /// Checks the signature with a CA's public key (SubjectPublicKeyInfo, tag and length included). Names,
    /// dates and usages of that CA are the caller's.
    pub(super) fn verify(&self, public_key: &[u8]) -> Result<(), BadSignature> {
        if let Some(parameters) = pss::Parameters::of(self.algorithm) {
            let parameters = parameters.map_err(|_| BadSignature::UnsupportedAlgorithm)?;
            return pss::verify(public_key, parameters, self.message, self.signature)
                .map_err(|_| BadSignature::WrongKey);
        }
        let public_key = SubjectPublicKeyInfoDer::from(public_key);
        let key = RawPublicKeyEntity::try_from(&public_key).map_err(|_| BadSignature::WrongKey)?;
        let mut candidates = algorithms(self.algorithm).peekable();
        if candidates.peek().is_none() {
            return Err(BadSignature::UnsupportedAlgorithm);
        }
        // One identifier stands for several algorithms (ecdsa-with-SHA256 over P-256 or P-384); webpki
        // refuses the unfitting ones.
        candidates
            .any(|algorithm| {
                key.verify_signature(algorithm, self.message, self.signature)
                    .is_ok()
            })
            .then_some(())
            .ok_or(BadSignature::WrongKey)
    }
}

/// True if a CA certificate of a bundle may be signed so: RSA, RSASSA-PSS or ECDSA, each with SHA-256, -384
/// or -512.
pub(super) fn is_accepted_for_ca(algorithm: &[u8]) -> bool {
    if let Some(parameters) = pss::Parameters::of(algorithm) {
        return parameters.is_ok();
    }
    algorithms(algorithm).any(|supported| {
        let key = supported.public_key_alg_id();
        [
            rustls_pki_types::alg_id::RSA_ENCRYPTION,
            rustls_pki_types::alg_id::ECDSA_P256,
            rustls_pki_types::alg_id::ECDSA_P384,
        ]
        .contains(&key)
    })
}

/// Names the algorithms that people still meet; others by their OID.
pub(super) fn algorithm_name(oid: &str) -> &str {
    match oid {
        "1.2.840.113549.1.1.2" => "md2WithRSAEncryption",
        "1.2.840.113549.1.1.4" => "md5WithRSAEncryption",
        "1.2.840.113549.1.1.5" => "sha1WithRSAEncryption",
        "1.2.840.113549.1.1.14" => "sha224WithRSAEncryption",
        "1.2.840.113549.1.1.1" => "rsaEncryption, which is no signature algorithm",
        "1.2.840.113549.1.1.10" => "RSASSA-PSS",
        "1.2.840.113549.1.1.11" => "sha256WithRSAEncryption",
        "1.2.840.113549.1.1.12" => "sha384WithRSAEncryption",
        "1.2.840.113549.1.1.13" => "sha512WithRSAEncryption",
        "1.2.840.10045.4.1" => "ecdsa-with-SHA1",
        "1.2.840.10045.4.3.1" => "ecdsa-with-SHA224",
        "1.2.840.10045.4.3.2" => "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3" => "ecdsa-with-SHA384",
        "1.2.840.10045.4.3.4" => "ecdsa-with-SHA512",
        "2.16.840.1.101.3.4.3.2" => "dsa-with-SHA256",
        "1.2.840.10040.4.3" => "dsa-with-SHA1",
        "1.3.101.112" => "Ed25519",
        "1.3.101.113" => "Ed448",
        other => other,
    }
}

/// False: the algorithm is accepted, but not with these parameters.
fn has_right_parameters(identifier: &[u8]) -> bool {
    let mut all = webpki::ALL_VERIFICATION_ALGS.iter();
    let is_accepted = algorithms(identifier).next().is_some();
    is_accepted || !all.any(|supported| oid(supported.signature_alg_id().as_ref()) == oid(identifier))
}

fn oid(identifier: &[u8]) -> Option<&[u8]> {
    let oid = Reader::new(identifier).expect(der::OBJECT_IDENTIFIER);
    oid.map(|oid| oid.value)
}

fn algorithms(identifier: &[u8]) -> impl Iterator<Item = &'static dyn SignatureVerificationAlgorithm> {
    webpki::ALL_VERIFICATION_ALGS
        .iter()
        .copied()
        .filter(move |supported| supported.signature_alg_id().as_ref() == identifier)
}
