//! Any bytes are a serial list, a revocation list of the store's CA, or an error; never a panic, whatever their size.
#![no_main]

use bothways::trust::{RevocationSetBuilder, TrustStore};
use std::path::Path;
use std::sync::LazyLock;

/// The CA that signed `seeds/crl/signed.crl`, so that mutations of a good list reach the code behind the signature check too.
static STORE: LazyLock<TrustStore> = LazyLock::new(|| {
    TrustStore::from_pem(include_bytes!("../seeds/ca.pem")).expect("the seed CA is a trust store")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut builder = RevocationSetBuilder::new(&STORE);
    let _ = builder.add_file(Path::new("fuzz.crl"), bytes);
    let _ = builder.build();
});
