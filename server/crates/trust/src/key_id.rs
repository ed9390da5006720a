//! A CA's key, for telling CAs of one name apart.
//!
//! Owns the identity of an issuer beside its name: RFC 5280 §6.3.3 f checks a list with the key of the CA
//! that issued the certificate, and a CA that was renewed, or set up again, keeps its name and not its key.

use super::digest::sha256;

/// SHA-256 of a SubjectPublicKeyInfo, tag and length included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// `public_key`: the SubjectPublicKeyInfo. It can be encoded in one way only, for the keys that a
    /// CA may have.
    pub fn of(public_key: &[u8]) -> Self {
        Self(sha256(public_key))
    }
}
