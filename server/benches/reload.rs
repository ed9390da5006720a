//! Costs of building a snapshot: `cargo bench -p bothways --bench reload -- 1000000`.
//!
//! Measures, for each number of revoked serials in one trust store and in ten: a start, which parses
//! everything; a reload that changes nothing; and a reload after one of the lists has changed, which parses
//! that one. Beside them the costs of two rules for unchanged files: hashing their bytes, as a reload
//! does, and asking for their dates. Wall time in milliseconds, fastest and slowest of several rounds.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use bothways::loading::{AddressTable, Built, Directory, SessionVault, Snapshot, build, load_config};
use bothways_state::files;
use bothways_test_pki::{Ca, bundle};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let sizes: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|size| size.parse().ok())
        .collect();
    let sizes = if sizes.is_empty() { vec![10_000] } else { sizes };
    println!("serials  stores  start  unchanged  one list changed  hashing  dates  (ms, min..max)");
    for size in sizes {
        for stores in [1, STORES] {
            measure(size, stores);
        }
    }
}

/// `size` serial numbers, dealt out to the lists of so many trust stores.
fn measure(size: u64, stores: u64) {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path(), size, stores);
    let start = timed(|| bench.build(None));
    let before = bench.build(None).snapshot;
    let unchanged = timed(|| bench.build(Some(&before)));
    bench.write_list(0, u64::MAX);
    let changed = timed(|| bench.build(Some(&before)));
    let hashing = timed(|| {
        bench.each_list(|path| {
            let mut hash = Context::new(&SHA256);
            files::read_pieces(path, u64::MAX, &mut |piece| hash.update(piece)).unwrap();
            black_box(hash.finish());
        })
    });
    let dates = timed(|| {
        bench.each_list(|path| {
            black_box(fs::metadata(path).unwrap());
        })
    });
    println!("{size}  {stores}  {start}  {unchanged}  {changed}  {hashing}  {dates}");
}

struct Bench<'f> {
    folder: &'f Path,
    size: u64,
    stores: u64,
    vault: Arc<SessionVault>,
    directory: Directory,
    addresses: AddressTable,
}

impl<'f> Bench<'f> {
    fn new(folder: &'f Path, size: u64, stores: u64) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["edge.example".to_owned()]).unwrap();
        fs::write(folder.join("server.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
        fs::write(folder.join("ca.pem"), bundle(&[&Ca::root("Root")])).unwrap();
        fs::write(folder.join("edge.toml"), configuration(stores)).unwrap();
        let bench = Self {
            folder,
            size,
            stores,
            vault: Arc::new(SessionVault::new(0, Duration::from_secs(60))),
            directory: Directory::default(),
            addresses: AddressTable::default(),
        };
        for store in 0..stores {
            bench.write_list(store, 0);
        }
        bench
    }

    /// Serials have 16 octets. `first`: the number that is the first of them.
    fn write_list(&self, store: u64, first: u64) {
        let numbers = std::iter::once(first).chain(1..self.size / self.stores);
        let list: String = numbers
            .map(|number| format!("{:032x}\n", serial(store, number)))
            .collect();
        fs::write(self.folder.join(format!("{store}.txt")), list).unwrap();
    }

    fn each_list(&self, look: impl Fn(&Path)) {
        for store in 0..self.stores {
            look(&self.folder.join(format!("{store}.txt")));
        }
    }

    fn build(&self, before: Option<&Snapshot>) -> Built {
        let config = load_config(&self.folder.join("edge.toml")).unwrap();
        build(&config, 1, &self.vault, &self.directory, &self.addresses, before).unwrap()
    }
}

fn configuration(stores: u64) -> String {
    let store = |number| {
        let files = format!("ca_bundle = \"ca.pem\"\nrevocations = [\"{number}.txt\"]\n");
        format!("[[trust_stores]]\nname = \"s{number}\"\n{files}")
    };
    let stores: String = (0..stores).map(store).collect();
    format!("[[listeners]]\naddress = \"127.0.0.1:0\"\n{stores}{DISTRIBUTION}")
}

/// Fastest and slowest round, without the time that it takes to drop what a round has made.
fn timed<T>(mut round: impl FnMut() -> T) -> String {
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let made = round();
            let taken = start.elapsed();
            drop(made);
            taken.as_secs_f64() * 1e3
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let at = |position: usize| rounds.get(position).copied().unwrap_or_default();
    format!("{:.1}..{:.1}", at(0), at(rounds.len() - 1))
}

/// Always positive and 16 octets long.
fn serial(store: u64, number: u64) -> u128 {
    let random = u128::from(mix(number ^ (store << 32))) << 64 | u128::from(mix(!number));
    random >> 2 | 1 << 126
}

/// SplitMix64.
fn mix(index: u64) -> u64 {
    let mut z = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const DISTRIBUTION: &str = r#"
[[distributions]]
id = "E1"
default = true
certificate = "server.pem"
private_key = "server.key"
viewer_mtls = { mode = "required", trust_store = "s0" }
[[distributions.origins]]
id = "page"
fixed_response = { body = "ok" }
[[distributions.behaviors]]
path_pattern = "*"
origin = "page"
"#;
const STORES: u64 = 10;
const ROUNDS: u64 = 7;
