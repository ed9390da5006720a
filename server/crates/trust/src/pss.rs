//! RSASSA-PSS: its parameters in certificates, and the check of a signature made with any of them that are
//! safe.
//!
//! Owns the reading of the AlgorithmIdentifier (RFC 4055 §3.1: defaults, hash parameters NULL or absent as
//! §2.1 demands, trailerField written out or not) and of what a public key of type id-RSASSA-PSS restricts
//! (RFC 4055 §1.2 and §3.3). Accepted are SHA-256, SHA-384 and SHA-512, MGF1 with the same hash, every length
//! of salt that fits the key, keys from 2048 to 8192 bits. webpki knows three encodings only, with a salt as
//! long as the hash; OpenSSL makes the salt as long as it fits, unless told otherwise.
//!
//! The cryptography is aws-lc's.

use std::fmt;

use aws_lc_rs::signature::{
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPssSaltLength, VerificationAlgorithm,
};
use rustls_pki_types::alg_id;

use super::der::{self, Reader};
use super::names;

/// Parameters of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    /// Hash of the message and of MGF1.
    hash: Hash,
    salt_octets: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// The reason why a signature is not accepted, or not even looked at. `Display` completes "is signed with
/// RSASSA-PSS, …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PssFault {
    Malformed,
    /// Named by its dotted OID.
    Hash(String),
    Sha1,
    HashesDiffer,
    MaskGeneration,
    Trailer,
    SaltTooLong,
    KeyIsNotRsa,
    KeyForbids,
    /// Made by another key, or the object was altered.
    WrongKey,
}

impl Parameters {
    /// Reads the content of an AlgorithmIdentifier. `None`: it is of another algorithm.
    pub(super) fn of(algorithm: &[u8]) -> Option<Result<Self, PssFault>> {
        let mut fields = Reader::new(algorithm);
        let is_pss = fields.expect(der::OBJECT_IDENTIFIER)?.value == RSASSA_PSS;
        // RFC 4055 §3.1: in a signature they are present, if only as an empty SEQUENCE.
        is_pss.then(|| Self::read(fields.next().ok_or(PssFault::Malformed)?.encoded, &fields))
    }

    fn read(encoded: &[u8], rest: &Reader<'_>) -> Result<Self, PssFault> {
        let content = der::only(encoded, der::SEQUENCE).filter(|_| rest.is_empty());
        let raw = content.and_then(RawParameters::read).ok_or(PssFault::Malformed)?;
        raw.judge()
    }

    fn algorithm(self) -> RsaParameters {
        let algorithm = match self.hash {
            Hash::Sha256 => RSA_PSS_2048_8192_SHA256,
            Hash::Sha384 => RSA_PSS_2048_8192_SHA384,
            Hash::Sha512 => RSA_PSS_2048_8192_SHA512,
        };
        algorithm.with_pss_salt_length(RsaPssSaltLength::Custom(self.salt_octets))
    }
}

/// Checks a signature with the key of a SubjectPublicKeyInfo (tag and length included), of type rsaEncryption
/// or id-RSASSA-PSS.
pub(super) fn verify(
    spki: &[u8],
    parameters: Parameters,
    message: &[u8],
    signature: &[u8],
) -> Result<(), PssFault> {
    let key = RsaKey::read(spki).ok_or(PssFault::KeyIsNotRsa)?;
    key.check_restriction(parameters)?;
    let verified = parameters
        .algorithm()
        .verify_sig(key.public_key, message, signature);
    verified.map_err(|_| PssFault::WrongKey)
}

/// An RSA key, and what it may be used for.
struct RsaKey<'a> {
    /// RSAPublicKey (RFC 8017 §A.1.1).
    public_key: &'a [u8],
    /// Parameters of a key of type id-RSASSA-PSS, where it has any: they bind its signatures, the salt at
    /// least as long.
    restriction: Option<Result<Parameters, PssFault>>,
}

impl<'a> RsaKey<'a> {
    /// `None`: no RSA key.
    fn read(spki: &'a [u8]) -> Option<Self> {
        let mut fields = Reader::new(der::only(spki, der::SEQUENCE)?);
        let algorithm = fields.expect(der::SEQUENCE)?.value;
        let public_key = fields.expect(der::BIT_STRING)?.value.strip_prefix(&[0])?;
        if !fields.is_empty() {
            return None;
        }
        if algorithm == alg_id::RSA_ENCRYPTION.as_ref() {
            return Some(Self {
                public_key,
                restriction: None,
            });
        }
        let is_unrestricted = der::only(algorithm, der::OBJECT_IDENTIFIER) == Some(RSASSA_PSS);
        let restriction = match is_unrestricted {
            true => None,
            false => Some(Parameters::of(algorithm)?),
        };
        Some(Self {
            public_key,
            restriction,
        })
    }

    fn check_restriction(&self, parameters: Parameters) -> Result<(), PssFault> {
        let Some(restriction) = &self.restriction else {
            return Ok(());
        };
        let restriction = restriction.as_ref().map_err(Clone::clone)?;
        let is_allowed =
            restriction.hash == parameters.hash && restriction.salt_octets <= parameters.salt_octets;
        is_allowed.then_some(()).ok_or(PssFault::KeyForbids)
    }
}

/// `SEQUENCE { hashAlgorithm [0], maskGenAlgorithm [1], saltLength [2], trailerField [3] }`, each explicit,
/// each with a default: the OIDs, the integers.
struct RawParameters<'a> {
    hash: &'a [u8],
    mask_generation: &'a [u8],
    mask_hash: &'a [u8],
    /// `None`: more than any key has room for.
    salt_octets: Option<u16>,
    trailer: Option<u16>,
}

impl<'a> RawParameters<'a> {
    fn read(content: &'a [u8]) -> Option<Self> {
        let mut fields = Reader::new(content);
        let hash = match explicit(&mut fields, 0xa0)? {
            Some(algorithm) => hash_oid(algorithm)?,
            None => SHA1,
        };
        let (mask_generation, mask_hash) = match explicit(&mut fields, 0xa1)? {
            Some(algorithm) => read_mask_generation(algorithm)?,
            None => (MGF1, SHA1),
        };
        let salt_octets = match explicit(&mut fields, 0xa2)? {
            Some(integer) => unsigned(integer)?,
            None => Some(20),
        };
        let trailer = match explicit(&mut fields, 0xa3)? {
            Some(integer) => unsigned(integer)?,
            None => Some(1),
        };
        fields.is_empty().then_some(Self {
            hash,
            mask_generation,
            mask_hash,
            salt_octets,
            trailer,
        })
    }

    fn judge(&self) -> Result<Parameters, PssFault> {
        let hash = match self.hash {
            SHA256 => Hash::Sha256,
            SHA384 => Hash::Sha384,
            SHA512 => Hash::Sha512,
            SHA1 => return Err(PssFault::Sha1),
            other => return Err(PssFault::Hash(names::dotted(other).unwrap_or_default())),
        };
        match () {
            () if self.mask_generation != MGF1 => Err(PssFault::MaskGeneration),
            () if self.mask_hash != self.hash => Err(PssFault::HashesDiffer),
            () if self.trailer != Some(1) => Err(PssFault::Trailer),
            () => Ok(Parameters {
                hash,
                salt_octets: self.salt_octets.ok_or(PssFault::SaltTooLong)?,
            }),
        }
    }
}

/// The content of the next element if it has `tag`. `None`: malformed.
fn explicit<'a>(fields: &mut Reader<'a>, tag: u8) -> Option<Option<&'a [u8]>> {
    match fields.peek_tag() == Some(tag) {
        true => fields.next().map(|element| Some(element.value)),
        false => Some(None),
    }
}

/// RFC 4055 §2.1: NULL and absent parameters are the same.
fn hash_oid(algorithm: &[u8]) -> Option<&[u8]> {
    let mut fields = Reader::new(der::only(algorithm, der::SEQUENCE)?);
    let oid = fields.expect(der::OBJECT_IDENTIFIER)?.value;
    let has_parameters = !fields.is_empty();
    let is_null = !has_parameters || fields.expect(NULL)?.value.is_empty();
    (is_null && fields.is_empty()).then_some(oid)
}

/// RFC 4055 §2.2: the function, and the hash that it is built on. Of another function than MGF1 the
/// parameters mean something else.
fn read_mask_generation(algorithm: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = Reader::new(der::only(algorithm, der::SEQUENCE)?);
    let function = fields.expect(der::OBJECT_IDENTIFIER)?.value;
    if function != MGF1 {
        return Some((function, &[]));
    }
    let hash = hash_oid(fields.next()?.encoded)?;
    fields.is_empty().then_some((function, hash))
}

/// A non-negative INTEGER. `Some(None)`: above 65,535.
fn unsigned(encoded: &[u8]) -> Option<Option<u16>> {
    let content = der::only(encoded, der::INTEGER)?;
    if content.first()? & 0x80 != 0 {
        return None;
    }
    Some(match der::magnitude(content) {
        [] => Some(0),
        [low] => Some(u16::from(*low)),
        [high, low] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    })
}

impl fmt::Display for PssFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("whose parameters are malformed"),
            Self::Hash(oid) => write!(
                f,
                "whose hash {oid} is not accepted; SHA-256, SHA-384 and SHA-512 are"
            ),
            Self::Sha1 => f.write_str(
                "whose hash is SHA-1 (the default where the parameters name none); \
                 SHA-256, SHA-384 and SHA-512 are accepted",
            ),
            Self::HashesDiffer => f.write_str("whose MGF1 uses another hash than the message"),
            Self::MaskGeneration => f.write_str("whose mask generation function is not MGF1"),
            Self::Trailer => f.write_str("whose trailer field is not 1"),
            Self::SaltTooLong => f.write_str("whose salt is longer than any key"),
            Self::KeyIsNotRsa => f.write_str("but the key of its issuer is no RSA key"),
            Self::KeyForbids => f.write_str("with other parameters than the key of its issuer allows"),
            Self::WrongKey => f.write_str("by another key, or altered afterwards"),
        }
    }
}

/// id-RSASSA-PSS, 1.2.840.113549.1.1.10.
const RSASSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
/// id-mgf1, 1.2.840.113549.1.1.8.
const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
/// 1.3.14.3.2.26.
const SHA1: &[u8] = &[0x2b, 14, 3, 2, 26];
/// 2.16.840.1.101.3.4.2.
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3];
const NULL: u8 = 0x05;

#[cfg(test)]
#[path = "pss_tests.rs"]
mod tests;
