//! SHA-256, the one digest by which certificates, keys and code are told apart.

use aws_lc_rs::digest::{SHA256, digest};

/// The SHA-256 of `data`.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut octets = [0; 32];
    octets.copy_from_slice(digest(&SHA256, data).as_ref());
    octets
}
