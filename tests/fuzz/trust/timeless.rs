//! Certificates that were never valid at once, where expiry is ignored: nobody is admitted who is refused
//! when the same certificates are all valid.
//!
//! The input is a chain, leaf first, each certificate behind one octet that says whose keys it gets and its
//! length in two octets. A certificate's validity, key and signature are ours, so that what the fuzzer makes
//! of the rest lies behind a good signature.
#![no_main]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use bothways_trust::{Mode, Policy, RevocationSet, Rules, TrustStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// The keys of the CAs; the first is that of the trust store. No verdict depends on what they are, so a find
/// can be replayed.
static KEYS: LazyLock<Vec<EcdsaKeyPair>> = LazyLock::new(|| {
    let key = || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("there is randomness");
    std::iter::repeat_with(key).take(4).collect()
});

static STRICT: LazyLock<Policy> = LazyLock::new(|| policy(false));
static IGNORING: LazyLock<Policy> = LazyLock::new(|| policy(true));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some(plans) = plans(bytes) else {
        return;
    };
    let never_at_once = (2001..).step_by(2).zip(&plans);
    let never_at_once: Vec<_> = never_at_once.map(|(year, plan)| plan.build(year)).collect();
    let [leaf, intermediates @ ..] = &never_at_once[..] else {
        return;
    };
    let Ok(client) = IGNORING.verify(leaf, intermediates, now()) else {
        return;
    };
    assert!(client.caveat().is_some(), "something had expired");
    assert!(
        leads_to_the_store(&plans),
        "each link was signed with its issuer's key"
    );
    assert!(IGNORING.readmit(&client, now()).is_ok());
    assert!(
        IGNORING.reassess(&client, now()).is_ok(),
        "the path alone is enough"
    );
    assert!(STRICT.verify(leaf, intermediates, now()).is_err());
    let at_once: Vec<_> = plans.iter().map(|plan| plan.build(THIS_YEAR)).collect();
    let verdict = STRICT.verify(&at_once[0], &at_once[1..], now());
    assert!(verdict.is_ok(), "all valid at once: {verdict:?}");
});

/// A certificate before it has dates and a signature.
struct Plan<'a> {
    signed_with: usize,
    /// Key of the certificate; none for a leaf that keeps the key of the input.
    key: Option<usize>,
    fields: Vec<Element<'a>>,
    algorithm: Element<'a>,
}

impl<'a> Plan<'a> {
    fn read(keys: u8, certificate: &'a [u8]) -> Option<Self> {
        let [tbs, algorithm, _signature] = elements(content(certificate)?)?[..] else {
            return None;
        };
        let fields = elements(content(tbs.whole)?)?;
        Some(Self {
            signed_with: usize::from(keys & 3),
            key: (keys & 16 == 0).then_some(usize::from(keys >> 2 & 3)),
            fields,
            algorithm,
        })
    }

    /// Valid in this year.
    fn build(&self, year: u32) -> CertificateDer<'static> {
        let explicit_version = self.fields.first().is_some_and(|field| field.tag == VERSION);
        let validity = usize::from(explicit_version) + BEFORE_VALIDITY;
        let mut tbs = Vec::new();
        for (position, field) in self.fields.iter().enumerate() {
            match self.key {
                _ if position == validity => tbs.extend(year_of_validity(year)),
                Some(key) if position == validity + 2 => tbs.extend(public_key(&KEYS[key])),
                _ => tbs.extend(field.whole),
            }
        }
        let tbs = element(SEQUENCE, &tbs);
        let signature = KEYS[self.signed_with].sign(&SystemRandom::new(), &tbs);
        let signature = [&[0], signature.expect("P-256 signs anything").as_ref()].concat();
        let parts = [&tbs, self.algorithm.whole, &element(BIT_STRING, &signature)];
        element(SEQUENCE, &parts.concat()).into()
    }
}

/// `None`: too many certificates to have a year each, or one so large that the length of a signature could
/// decide.
fn plans(mut bytes: &[u8]) -> Option<Vec<Plan<'_>>> {
    let mut plans = Vec::new();
    while let Some(([keys, high, low], rest)) = bytes.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (certificate, rest) = rest.split_at_checked(length.min(rest.len()))?;
        plans.push(Plan::read(*keys, certificate).filter(|_| length < 16_000)?);
        bytes = rest;
    }
    (plans.len() <= 8).then_some(plans)
}

/// True if one can go from the leaf to the store by keys alone: each certificate is signed with the key of
/// another, the last with the store's.
fn leads_to_the_store(plans: &[Plan<'_>]) -> bool {
    let mut reached: Vec<usize> = plans.first().map(|leaf| leaf.signed_with).into_iter().collect();
    for _ in plans {
        let issuers = plans.iter().skip(1);
        let known = issuers.filter(|ca| ca.key.is_some_and(|key| reached.contains(&key)));
        let further: Vec<_> = known.map(|ca| ca.signed_with).collect();
        reached.extend(further);
    }
    reached.contains(&0)
}

/// Policy whose trust store is the seed CA, with a key that we have.
fn policy(ignore_expiry: bool) -> Policy {
    let seed = CertificateDer::from_pem_slice(include_bytes!("../seeds/ca.pem")).expect("the seed CA is PEM");
    let root = Plan::read(0, &seed).expect("the seed CA is DER").build(THIS_YEAR);
    let store = TrustStore::from_pem("fuzz", pem(&root).as_bytes()).expect("it is still a CA");
    let rules = Rules {
        ignore_expiry,
        chain_depth_max: 5,
        ..Rules::new(Mode::Required)
    };
    Policy::new("E0FUZZ", rules, Arc::new(store), Arc::new(RevocationSet::empty()))
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::prelude::BASE64_STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

fn year_of_validity(year: u32) -> Vec<u8> {
    let time = |rest| element(UTC_TIME, format!("{:02}{rest}", year % 100).as_bytes());
    element(SEQUENCE, &[time("0101000000Z"), time("1231235959Z")].concat())
}

/// SubjectPublicKeyInfo of a P-256 key (RFC 5480 §2).
fn public_key(key: &EcdsaKeyPair) -> Vec<u8> {
    const ALGORITHM: &[u8] =
        b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
    let point = element(BIT_STRING, &[&[0], key.public_key().as_ref()].concat());
    element(SEQUENCE, &[ALGORITHM, &point].concat())
}

/// A DER element.
#[derive(Clone, Copy)]
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

/// The content of the one element that `input` is.
fn content(input: &[u8]) -> Option<&[u8]> {
    match elements(input)?[..] {
        [Element { content, .. }] => Some(content),
        _ => None,
    }
}

fn elements(mut input: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut found = Vec::new();
    while let Some(([tag, first], mut rest)) = input.split_first_chunk::<2>() {
        let mut length = usize::from(*first);
        if *first > 0x7f {
            let (octets, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let all = octets.iter();
            length = all.fold(0_usize, |sum, octet| sum.wrapping_shl(8) | usize::from(*octet));
            rest = after;
        }
        let (content, rest) = rest.split_at_checked(length)?;
        let whole = &input[..input.len() - rest.len()];
        found.push(Element {
            tag: *tag,
            content,
            whole,
        });
        input = rest;
    }
    input.is_empty().then_some(found)
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a certificate has at most 16,000 octets");
    let head = match length {
        ..=0x7f => vec![tag, length as u8],
        ..=0xff => vec![tag, 0x81, length as u8],
        _ => [&[tag, 0x82][..], &length.to_be_bytes()].concat(),
    };
    [&head, content].concat()
}

/// A fixed moment, in the year in which all that is valid at once is valid.
fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000))
}

const THIS_YEAR: u32 = 2027;
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 3;
const UTC_TIME: u8 = 0x17;
/// `[0] EXPLICIT Version`.
const VERSION: u8 = 0xa0;
/// serialNumber, signature and issuer. Subject and key come after it.
const BEFORE_VALIDITY: usize = 3;
