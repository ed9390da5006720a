//! Cost of revocation: `cargo bench -p bothways-trust --bench revocation -- 1000000 10000000`.
//!
//! Measures for each size: the time to load a CRL (DER, signed) and to check its signature, the time of a
//! serial list, the memory of an entry, and a lookup of serials that are listed and of others, in
//! random order, one after the other. Serials have 16 random octets, as CAs make them. CPU time; medians of
//! several rounds, and the fastest and slowest beside them. What bounds a lookup is far memory:
//! MIMALLOC_ALLOW_LARGE_OS_PAGES=1 shows how much of it is the walk through small pages.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Duration;

use bothways_trust::{KeyId, Listed, RevocationSet, RevocationSetBuilder, TrustStore};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, PublicKeyData, SigningKey};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let sizes: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|size| size.parse().ok())
        .collect();
    let sizes = if sizes.is_empty() { vec![10_000] } else { sizes };
    let ca = Ca::new();
    println!("entries  CRL bytes  load ms  list ms  bytes/entry  hit ns (min..max)  miss ns (min..max)");
    for size in sizes {
        measure(&ca, size);
    }
}

fn measure(ca: &Ca, size: u64) {
    let crl = ca.crl(size);
    let (from_crl, load) = timed(|| ca.load(&crl));
    let crl_bytes = crl.len();
    drop(crl);
    let list: String = (0..size).map(|index| hex(serial(index))).collect();
    let (from_list, list_time) = timed(|| ca.load(list.as_bytes()));
    drop(list);
    assert_eq!((from_crl.len(), from_list.len()), (size as usize, size as usize));
    let hits = lookups(&from_crl, ca, |turn| mix(turn ^ 0x5eed) % size, Listed::is_listed);
    let misses = lookups(&from_crl, ca, |turn| size + turn, |found| !found.is_listed());
    println!(
        "{size}  {crl_bytes}  {}  {}  {:.2}  {hits}  {misses}",
        load.as_millis(),
        list_time.as_millis(),
        from_crl.bytes() as f64 / size as f64,
    );
}

/// Nanoseconds a lookup, each round over serials made beforehand; and each answer is checked.
fn lookups(
    set: &RevocationSet,
    ca: &Ca,
    choose: impl Fn(u64) -> u64,
    expected: impl Fn(Listed) -> bool,
) -> String {
    let key = KeyId::of(&ca.key.subject_public_key_info());
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            let serials: Vec<_> = (0..LOOKUPS)
                .map(|turn| serial(choose(round * LOOKUPS + turn)))
                .collect();
            let start = cpu_time();
            for serial in &serials {
                assert!(expected(set.lookup(black_box(&ca.name), &key, black_box(serial))));
            }
            (cpu_time() - start).as_nanos() as f64 / LOOKUPS as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let at = |position: usize| rounds.get(position).copied().unwrap_or_default();
    format!(
        "{:.0} ({:.0}..{:.0})",
        at(rounds.len() / 2),
        at(0),
        at(rounds.len() - 1)
    )
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = cpu_time();
    let result = work();
    (result, cpu_time() - start)
}

/// CPU time of this thread, so that other work of the machine counts less.
fn cpu_time() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds = told.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap())
}

/// The serial of `index`, always positive and 16 octets long.
fn serial(index: u64) -> [u8; 16] {
    let random = u128::from(mix(index)) << 64 | u128::from(mix(!index));
    (random >> 2 | 1 << 126).to_be_bytes()
}

/// SplitMix64.
fn mix(index: u64) -> u64 {
    let mut z = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn hex(serial: [u8; 16]) -> String {
    format!("{:032x}\n", u128::from_be_bytes(serial))
}

struct Ca {
    key: KeyPair,
    store: TrustStore,
    /// Content octets of the Name.
    name: Vec<u8>,
}

impl Ca {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "Bench");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let cn = [&[0x06, 3, 0x55, 4, 3, 0x0c, 5][..], b"Bench"].concat();
        let name = element(0x31, &element(0x30, &cn));
        let store = TrustStore::from_pem("bench", pem.as_bytes()).unwrap();
        Self { key, store, name }
    }

    fn load(&self, file: &[u8]) -> RevocationSet {
        let mut builder = RevocationSetBuilder::new(&self.store);
        builder.add_file(file).unwrap();
        builder.build()
    }

    /// A CRL of the serials 0 to `size`, due in 2049. By hand: rcgen would need gigabytes.
    fn crl(&self, size: u64) -> Vec<u8> {
        let date = element(0x17, b"260101000000Z");
        let mut entries = Vec::new();
        for index in 0..size {
            let entry = [element(0x02, &serial(index)), date.clone()].concat();
            entries.extend(element(0x30, &entry));
        }
        let number = [element(0x06, &[0x55, 0x1d, 20]), element(0x04, &[2, 1, 1])].concat();
        let message = [
            element(0x02, &[1]),
            element(0x30, ECDSA_WITH_SHA256),
            element(0x30, &self.name),
            date,
            element(0x17, b"490101000000Z"),
            element(0x30, &entries),
            element(0xa0, &element(0x30, &element(0x30, &number))),
        ];
        let message = element(0x30, &message.concat());
        let signature = [&[0][..], &self.key.sign(&message).unwrap()].concat();
        let parts = [
            message,
            element(0x30, ECDSA_WITH_SHA256),
            element(0x03, &signature),
        ];
        element(0x30, &parts.concat())
    }
}

/// X.690 §8.1.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    match content.len() {
        0..=0x7f => out.push(content.len() as u8),
        _ => {
            let zeros = length.iter().take_while(|octet| **octet == 0).count();
            let octets = length.get(zeros..).unwrap_or_default();
            out.push(0x80 | octets.len() as u8);
            out.extend_from_slice(octets);
        }
    }
    out.extend_from_slice(content);
    out
}

const ECDSA_WITH_SHA256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const LOOKUPS: u64 = 1_000_000;
const ROUNDS: u64 = 7;
