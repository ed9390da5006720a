//! Public keys that a server should know how to refuse: of types that nobody offers any more or yet, of
//! absurd sizes, of curves that the certificate brings along. Each is a whole SubjectPublicKeyInfo (RFC 5280
//! §4.1.2.7); nobody has the private key.

use crate::der::{BIT_STRING, SEQUENCE, element};

/// id-ecPublicKey with ECParameters in full (RFC 3279 §2.3.5) instead of a curve's name: here those of P-256.
pub fn explicit_p256() -> Vec<u8> {
    let minus_3 = [&P256_P[..31], &[P256_P[31] - 3]].concat();
    let generator = [&[4], &P256_G_X[..], &P256_G_Y].concat();
    explicit_curve(&P256_P, &minus_3, &P256_B, &generator, &P256_N)
}

/// A curve that kept OpenSSL's square root busy for ever (CVE-2022-0778): a field of 697 = 17·41 elements,
/// which is none, and a compressed generator with x = 0, for which y² = 696.
pub fn endless_curve() -> Vec<u8> {
    explicit_curve(&[2, 0xb9], &[0, 0], &[2, 0xb8], &[2, 0, 0], &[2, 0xb9])
}

/// RSA with a modulus of this many bits, all of them set.
pub fn rsa(bits: usize) -> Vec<u8> {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] >>= modulus.len() * 8 - bits;
    let key = [unsigned(&modulus), unsigned(&[1, 0, 1])].concat();
    public_key(&[RSA, &[5, 0]], &element(SEQUENCE, &key))
}

/// FIPS 186-4, 2048 and 256 bits (RFC 3279 §2.3.2).
pub fn dsa() -> Vec<u8> {
    let (p, q, g) = ([0xff; 256], [0xff; 32], [0x7f; 256]);
    let parameters = element(SEQUENCE, &[unsigned(&p), unsigned(&q), unsigned(&g)].concat());
    public_key(&[DSA, &parameters], &unsigned(&[0x5a; 256]))
}

/// GOST R 34.10-2012 with 256 bits (RFC 9215 §4).
pub fn gost() -> Vec<u8> {
    let curve = element(OBJECT_IDENTIFIER, &[0x2a, 0x85, 3, 7, 1, 2, 1, 1, 1]);
    let parameters = element(SEQUENCE, &curve);
    public_key(
        &[&[0x2a, 0x85, 3, 7, 1, 1, 1, 1], &parameters],
        &element(OCTET_STRING, &[0x5a; 64]),
    )
}

/// A type that is known by its OID alone, with so many octets of key: X25519 and Ed448 (RFC 8410 §3),
/// ML-DSA-65 (RFC 9881 §4), one that is nobody's.
pub fn by_name(oid: &[u8], octets: usize) -> Vec<u8> {
    public_key(&[oid, &[]], &vec![0x5a; octets])
}

/// P-256 by its name, with a point that is not on it.
pub fn off_the_curve() -> Vec<u8> {
    let p256 = element(OBJECT_IDENTIFIER, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
    public_key(&[EC, &p256], &[&[4], &[0x5a; 64][..]].concat())
}

/// RSA, and a BIT STRING without even the octet that counts its unused bits.
pub fn nothing() -> Vec<u8> {
    let algorithm = element(SEQUENCE, &[element(OBJECT_IDENTIFIER, RSA), vec![5, 0]].concat());
    element(SEQUENCE, &[algorithm, element(BIT_STRING, &[])].concat())
}

fn explicit_curve(p: &[u8], a: &[u8], b: &[u8], generator: &[u8], order: &[u8]) -> Vec<u8> {
    let field = [element(OBJECT_IDENTIFIER, PRIME_FIELD), unsigned(p)].concat();
    let curve = [element(OCTET_STRING, a), element(OCTET_STRING, b)].concat();
    let parameters = [
        unsigned(&[1]),
        element(SEQUENCE, &field),
        element(SEQUENCE, &curve),
        element(OCTET_STRING, generator),
        unsigned(order),
        unsigned(&[1]),
    ];
    public_key(&[EC, &element(SEQUENCE, &parameters.concat())], generator)
}

/// `[oid, parameters]` and the octets of the key.
fn public_key([oid, parameters]: &[&[u8]; 2], key: &[u8]) -> Vec<u8> {
    let algorithm = [&element(OBJECT_IDENTIFIER, oid), *parameters].concat();
    let key = element(BIT_STRING, &[&[0], key].concat());
    element(SEQUENCE, &[element(SEQUENCE, &algorithm), key].concat())
}

/// INTEGER, with the octet that keeps it positive.
fn unsigned(magnitude: &[u8]) -> Vec<u8> {
    let sign = magnitude.first().filter(|octet| **octet >= 0x80).map(|_| &0);
    let content: Vec<u8> = sign.into_iter().chain(magnitude).copied().collect();
    element(INTEGER, &content)
}

pub const X25519: &[u8] = &[0x2b, 0x65, 0x6e];
pub const ED448: &[u8] = &[0x2b, 0x65, 0x71];
pub const ML_DSA_65: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 0x12];
pub const NOBODYS: &[u8] = &[0x2a, 3, 4];

const INTEGER: u8 = 2;
const OCTET_STRING: u8 = 4;
const OBJECT_IDENTIFIER: u8 = 6;
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const PRIME_FIELD: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 1, 1];

/// SEC 2 §2.4.2.
const P256_P: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
];
const P256_B: [u8; 32] = [
    0x5a, 0xc6, 0x35, 0xd8, 0xaa, 0x3a, 0x93, 0xe7, 0xb3, 0xeb, 0xbd, 0x55, 0x76, 0x98, 0x86, 0xbc, 0x65,
    0x1d, 0x06, 0xb0, 0xcc, 0x53, 0xb0, 0xf6, 0x3b, 0xce, 0x3c, 0x3e, 0x27, 0xd2, 0x60, 0x4b,
];
const P256_G_X: [u8; 32] = [
    0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77,
    0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
];
const P256_G_Y: [u8; 32] = [
    0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b,
    0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];
const P256_N: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
