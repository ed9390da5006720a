//! Signatures that OpenSSL made, with every kind of parameters that it makes, and parameters that only DER
//! can spell.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::certificate::Certificate;
use crate::der::build::{element, sequence};
use crate::pem;
use crate::signature::Signed;

/// Self-signed certificates by OpenSSL 3.0, `openssl req -x509 -sigopt rsa_padding_mode:pss`; each says in
/// its name how it is signed.
const CERTIFICATES: &[u8] = include_bytes!("testdata/pss.pem");

struct Sample {
    der: Vec<u8>,
}

fn samples() -> Vec<(String, Sample)> {
    let mut samples = Vec::new();
    pem::for_each_block(CERTIFICATES, |block| {
        let name = Certificate::parse(&block.der).unwrap().display_subject();
        samples.push((name.replace("CN=", ""), Sample { der: block.der }));
        Ok::<_, pem::PemError>(())
    })
    .unwrap();
    samples
}

fn sample(name: &str) -> Sample {
    samples().into_iter().find(|(found, _)| found == name).unwrap().1
}

impl Sample {
    fn spki(&self) -> &[u8] {
        Certificate::parse(&self.der).unwrap().public_key()
    }

    fn message(&self) -> &[u8] {
        Signed::parse(&self.der).unwrap().message
    }

    fn parameters(&self) -> Result<Parameters, PssFault> {
        Parameters::of(Signed::parse(&self.der).unwrap().algorithm).unwrap()
    }

    fn signature(&self) -> &[u8] {
        let mut parts = Reader::new(der::only(&self.der, der::SEQUENCE).unwrap());
        parts.next().unwrap();
        parts.next().unwrap();
        &parts.expect(der::BIT_STRING).unwrap().value[1..]
    }

    fn verify(&self) -> Result<(), PssFault> {
        verify(self.spki(), self.parameters()?, self.message(), self.signature())
    }
}

#[test]
fn signatures_by_openssl_hold_whatever_the_length_of_their_salt() {
    for name in [
        "salt-32",
        "salt-max",
        "salt-0",
        "salt-20-sha384",
        "salt-64-sha512",
        "salt-190-sha512",
        "key-unrestricted",
        "key-restricted",
        "key-restricted-longer",
    ] {
        assert_eq!(sample(name).verify(), Ok(()), "{name}");
    }
}

#[test]
fn weak_and_mixed_hashes_are_refused_by_name() {
    for (name, fault) in [
        ("sha1", PssFault::Sha1),
        ("sha224", PssFault::Hash("2.16.840.1.101.3.4.2.4".to_owned())),
        ("mgf-differs", PssFault::HashesDiffer),
    ] {
        assert_eq!(sample(name).verify(), Err(fault), "{name}");
    }
}

#[test]
fn a_signature_holds_for_its_message_its_key_and_its_parameters_only() {
    let (sample, other) = (sample("salt-max"), sample("key-unrestricted"));
    let (spki, parameters, signature) = (sample.spki(), sample.parameters().unwrap(), sample.signature());
    assert_eq!(
        verify(spki, parameters, b"another", signature),
        Err(PssFault::WrongKey)
    );
    assert_eq!(
        verify(other.spki(), parameters, sample.message(), signature),
        Err(PssFault::WrongKey)
    );
    for salt_octets in [0, 32, 221, 223, u16::MAX] {
        let parameters = Parameters {
            salt_octets,
            ..parameters
        };
        let verdict = verify(spki, parameters, sample.message(), signature);
        assert_eq!(verdict, Err(PssFault::WrongKey), "{salt_octets}");
    }
    for position in [0, 128, 255] {
        let mut altered = signature.to_vec();
        altered[position] ^= 1;
        let verdict = verify(spki, parameters, sample.message(), &altered);
        assert_eq!(verdict, Err(PssFault::WrongKey));
    }
    let verdict = verify(spki, parameters, sample.message(), &signature[1..]);
    assert_eq!(verdict, Err(PssFault::WrongKey));
}

#[test]
fn a_restricted_key_binds_the_hash_and_the_shortest_salt() {
    let sample = sample("key-restricted");
    let stricter = sample.parameters().unwrap();
    for parameters in [
        Parameters {
            salt_octets: 31,
            ..stricter
        },
        Parameters {
            hash: Hash::Sha512,
            ..stricter
        },
    ] {
        let verdict = verify(sample.spki(), parameters, sample.message(), sample.signature());
        assert_eq!(verdict, Err(PssFault::KeyForbids));
    }
}

#[test]
fn a_key_of_another_type_is_named() {
    use rcgen::{KeyPair, PublicKeyData};
    let sample = sample("salt-32");
    let ec = KeyPair::generate().unwrap().subject_public_key_info();
    for spki in [&ec[..], b"junk"] {
        let verdict = verify(
            spki,
            sample.parameters().unwrap(),
            sample.message(),
            sample.signature(),
        );
        assert_eq!(verdict, Err(PssFault::KeyIsNotRsa));
    }
}

fn oid(oid: &[u8]) -> Vec<u8> {
    element(der::OBJECT_IDENTIFIER, oid)
}

fn hash(id: &[u8], with_null: bool) -> Vec<u8> {
    let null = if with_null { element(NULL, &[]) } else { Vec::new() };
    sequence(&[oid(id), null])
}

fn mgf1(hash: Vec<u8>) -> Vec<u8> {
    sequence(&[oid(MGF1), hash])
}

fn number(octets: &[u8]) -> Vec<u8> {
    element(der::INTEGER, octets)
}

fn read(fields: &[(u8, Vec<u8>)]) -> Result<Parameters, PssFault> {
    let fields: Vec<_> = fields.iter().map(|(tag, value)| element(*tag, value)).collect();
    Parameters::of(&[oid(RSASSA_PSS), sequence(&fields)].concat()).unwrap()
}

#[test]
fn parameters_are_read_in_every_spelling_of_rfc_4055() {
    let sha256 = Parameters {
        hash: Hash::Sha256,
        salt_octets: 20,
    };
    for (null_in_hash, null_in_mask) in [(true, true), (true, false), (false, true), (false, false)] {
        let both = [
            (0xa0, hash(SHA256, null_in_hash)),
            (0xa1, mgf1(hash(SHA256, null_in_mask))),
        ];
        assert_eq!(read(&both), Ok(sha256));
        let trailer = (0xa3, number(&[1]));
        assert_eq!(read(&[both.to_vec(), vec![trailer]].concat()), Ok(sha256));
    }
    for (octets, salt_octets) in [(&[0][..], 0), (&[32], 32), (&[0, 222], 222), (&[0x01, 0xde], 478)] {
        let fields = [
            (0xa0, hash(SHA512, true)),
            (0xa1, mgf1(hash(SHA512, true))),
            (0xa2, number(octets)),
        ];
        assert_eq!(
            read(&fields),
            Ok(Parameters {
                hash: Hash::Sha512,
                salt_octets
            })
        );
    }
}

#[test]
fn defaults_are_sha_1_and_are_refused_as_such() {
    let mask = (0xa1, mgf1(hash(SHA256, true)));
    for fields in [&[][..], std::slice::from_ref(&mask), &[(0xa0, hash(SHA1, true))]] {
        assert_eq!(read(fields), Err(PssFault::Sha1));
    }
    // MGF1 has SHA-1 by default too.
    assert_eq!(read(&[(0xa0, hash(SHA256, true))]), Err(PssFault::HashesDiffer));
}

#[test]
fn other_parameters_are_refused_for_what_they_are() {
    let sha256 = [(0xa0, hash(SHA256, true)), (0xa1, mgf1(hash(SHA256, true)))];
    let with = |tag, value: Vec<u8>| read(&[sha256.to_vec(), vec![(tag, value)]].concat());
    assert_eq!(with(0xa2, number(&[1, 0, 0])), Err(PssFault::SaltTooLong));
    assert_eq!(with(0xa3, number(&[2])), Err(PssFault::Trailer));
    let other_mask = (0xa1, sequence(&[oid(&[0x2a, 3])]));
    assert_eq!(
        read(&[(0xa0, hash(SHA256, true)), other_mask]),
        Err(PssFault::MaskGeneration)
    );
    for (tag, value) in [
        (0xa2, number(&[0xff])),
        (0xa2, number(&[])),
        (0xa3, Vec::new()),
        (0xa4, number(&[1])),
        (0xa1, mgf1(hash(SHA256, true))),
    ] {
        assert_eq!(
            with(tag, value.clone()),
            Err(PssFault::Malformed),
            "{tag:02x} {value:02x?}"
        );
    }
    let junk_in_hash = sequence(&[oid(SHA256), number(&[1])]);
    assert_eq!(read(&[(0xa0, junk_in_hash)]), Err(PssFault::Malformed));
}

#[test]
fn an_identifier_without_parameters_is_malformed_and_another_algorithm_none_of_this() {
    assert_eq!(Parameters::of(&oid(RSASSA_PSS)), Some(Err(PssFault::Malformed)));
    let twice = [oid(RSASSA_PSS), sequence(&[]), sequence(&[])].concat();
    assert_eq!(Parameters::of(&twice), Some(Err(PssFault::Malformed)));
    assert_eq!(Parameters::of(alg_id::RSA_PKCS1_SHA256.as_ref()), None);
    assert_eq!(Parameters::of(b""), None);
}

/// The three encodings that webpki knows mean what they say.
#[test]
fn webpkis_identifiers_are_read() {
    for (id, hash, salt_octets) in [
        (alg_id::RSA_PSS_SHA256, Hash::Sha256, 32),
        (alg_id::RSA_PSS_SHA384, Hash::Sha384, 48),
        (alg_id::RSA_PSS_SHA512, Hash::Sha512, 64),
    ] {
        let expected = Parameters { hash, salt_octets };
        assert_eq!(Parameters::of(id.as_ref()), Some(Ok(expected)));
    }
}

proptest! {
    #[test]
    fn no_parameters_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        position in 0_usize..64,
        octet in any::<u8>(),
    ) {
        let _ = Parameters::of(&[oid(RSASSA_PSS), sequence(&[bytes])].concat());
        let mut altered = alg_id::RSA_PSS_SHA256.as_ref().to_vec();
        let position = position % altered.len();
        altered[position] = octet;
        let _ = Parameters::of(&altered);
    }
}
