//! Cost of a connection function: `cargo bench -p bothways-functions --bench functions`.
//!
//! The launch article's revocation function over a store of 5 MB, for a client that is listed and for one
//! that is not; the same with a handler that does nothing, to tell the price of the object from that of the
//! code; a function that writes to built-in objects and so gets an engine of its own for each call. And what
//! an engine takes: bytes, and time to make. CPU time; the median of several rounds, the fastest and slowest
//! beside it.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bothways_functions::{
    ConnectionEvent, Decision, Function, FunctionKind, FunctionLimits, FunctionSource, TlsFacts,
    call_connection, retire,
};
use bothways_state::key_values::{KeyValues, Store};
use bothways_trust::CertificateFacts;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, SerialNumber};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REVOCATION: &str = "import cf from 'cloudfront';
async function connectionHandler(connection) {
    const kvsHandle = cf.kvs();
    const clientCertSerialNumber = connection.clientCertificate.certificates.leaf.serialNumber;
    const serialNumber = clientCertSerialNumber.replaceAll(\":\", \"\");
    if (await kvsHandle.exists(serialNumber)) {
        console.log(`Connection ${connection.connectionId} denied`);
        connection.logCustomData(`REVOKED:${serialNumber}`);
        return connection.deny();
    }
    connection.allow();
}";
const EMPTY: &str = "function connectionHandler(connection) { connection.allow(); }";
const OPEN: &str = "function connectionHandler(connection) { globalThis.x = 1; connection.allow(); }";
const BOMB: &str = "function connectionHandler(connection) { const a = []; for (;;) a.push([a, \
    'x'.repeat(100) + a.length]); }";
const MODULES: &str = "const crypto = require('crypto');
function connectionHandler(connection) {
    connection.logCustomData(crypto.createHash('sha256').update(connection.connectionId).digest('hex'));
    connection.allow();
}";

fn main() {
    let clients = Clients::new();
    let store = Arc::new(five_megabytes(&clients.listed.serial_number));
    println!("what  us per call (min..max)");
    let revocation = function("revocation", REVOCATION, &store);
    report("article, listed", &revocation, &clients.listed, &[], 20_000);
    report("article, not listed", &revocation, &clients.unlisted, &[], 20_000);
    let intermediates = [Arc::new(Clients::certificate(&[7; 8]))];
    report(
        "article, one intermediate",
        &revocation,
        &clients.unlisted,
        &intermediates,
        20_000,
    );
    let empty = function("empty", EMPTY, &store);
    report("allow() alone", &empty, &clients.listed, &[], 20_000);
    let modules = function("modules", MODULES, &store);
    report(
        "sha256 of the connection id",
        &modules,
        &clients.listed,
        &[],
        20_000,
    );
    report(
        "an engine for each call",
        &function("open", OPEN, &store),
        &clients.listed,
        &[],
        500,
    );
    let bomb = function("bomb", BOMB, &store);
    println!(
        "bytes lost by an engine that ran out of memory: {}",
        lost(&bomb, &clients.listed)
    );
    println!(
        "reading the clock (part of every call, twice)  {}",
        measure(100_000, || {
            std::hint::black_box(thread_time());
        })
    );
    println!("bytes of an engine: {}", revocation.engine_bytes().unwrap());
    println!(
        "bytes of an engine with modules: {}",
        modules.engine_bytes().unwrap()
    );
    println!("us to make an engine: {}", measure(200, || make(&revocation)));
    println!(
        "us to make an engine with modules: {}",
        measure(200, || make(&modules))
    );
}

/// Growth of the process for each of a thousand calls that are stopped and whose engines are dropped.
fn lost(bomb: &Arc<Function>, leaf: &CertificateFacts) -> i64 {
    let bombs = |count: i64| {
        for _ in 0..count {
            let outcome = call_connection(bomb, &event(leaf, &[]));
            assert!(matches!(outcome.decision, Decision::Error(_)), "{outcome:?}");
        }
        resident_bytes()
    };
    let before = bombs(200);
    (bombs(1_000) - before) / 1_000
}

fn resident_bytes() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<i64>().unwrap() * 4_096
}

fn make(function: &Function) {
    retire(|_| false);
    function.warm();
}

fn report(
    what: &str,
    function: &Arc<Function>,
    leaf: &CertificateFacts,
    intermediates: &[Arc<CertificateFacts>],
    calls: u32,
) {
    let event = event(leaf, intermediates);
    let call = || {
        let outcome = call_connection(function, &event);
        assert!(!matches!(outcome.decision, Decision::Error(_)), "{outcome:?}");
    };
    println!("{what}  {}", measure(calls, call));
}

fn event<'a>(leaf: &'a CertificateFacts, intermediates: &'a [Arc<CertificateFacts>]) -> ConnectionEvent<'a> {
    ConnectionEvent {
        connection_id: "NpvTe1925xfj24a67sPQr7ae42BIq03FGhJJKfrQYWZcWZFp96SIIg==",
        client_ip: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 42)),
        endpoint: "api.example.com",
        distribution_id: "E1NXS4MQZH501R",
        leaf: Some(leaf),
        intermediates,
        tls: TlsFacts {
            protocol: Some("TLSv1.3"),
            cipher: Some("TLS_AES_128_GCM_SHA256"),
            sni: Some("api.example.com"),
            resumed: false,
        },
    }
}

fn measure(calls: u32, mut call: impl FnMut()) -> String {
    call();
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = thread_time();
            (0..calls).for_each(|_| call());
            (thread_time() - start).as_secs_f64() * 1e6 / f64::from(calls)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let median = rounds.get(rounds.len() / 2).unwrap();
    let (min, max) = (rounds.first().unwrap(), rounds.last().unwrap());
    format!("{median:.2} ({min:.2}..{max:.2})")
}

fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn function(name: &str, code: &str, store: &Arc<Store>) -> Arc<Function> {
    let source = FunctionSource {
        name,
        kind: FunctionKind::Connection,
        code: code.as_bytes(),
        key_value_store: Some(Arc::clone(store)),
        limits: FunctionLimits {
            time: Duration::from_millis(5),
            memory_bytes: 2 * 1024 * 1024,
            code_bytes: 10_240,
        },
    };
    Arc::new(Function::compile(source).unwrap())
}

/// A store of as many serials as an import file of 5 MB holds.
fn five_megabytes(listed: &str) -> Store {
    let item_bytes = "{\"key\":\"\",\"value\":\"\"},".len() + 32;
    let items = (0..5 * 1024 * 1024 / item_bytes as u128).map(|index| {
        let key = format!(
            "{:032x}",
            index.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        );
        (key.into_boxed_str(), Box::from(""))
    });
    let listed = (listed.replace(':', "").into_boxed_str(), Box::from(""));
    Store::new(
        "revocations",
        KeyValues::new(items.chain([listed]), UNIX_EPOCH, UNIX_EPOCH),
    )
}

struct Clients {
    listed: CertificateFacts,
    unlisted: CertificateFacts,
}

impl Clients {
    fn new() -> Self {
        Self {
            listed: Self::certificate(&[0x31; 16]),
            unlisted: Self::certificate(&[0x32; 16]),
        }
    }

    fn certificate(serial: &[u8]) -> CertificateFacts {
        let mut params = CertificateParams::new(vec!["client.example.com".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from_slice(serial));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        CertificateFacts::parse(params.self_signed(&key).unwrap().der()).unwrap()
    }
}

const ROUNDS: usize = 9;
