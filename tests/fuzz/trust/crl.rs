//! Any bytes are a serial list, a revocation list of the store's CA, or an error. The seeds hold a list that
//! the CA signed, so that its mutations reach what lies behind the signature check too; a set that was built
//! answers every look-up.
#![no_main]

use bothways_trust::{KeyId, RevocationSetBuilder, TrustStore};
use std::sync::LazyLock;

static STORE: LazyLock<TrustStore> = LazyLock::new(|| {
    TrustStore::from_pem("fuzz", include_bytes!("../seeds/ca.pem")).expect("the seed CA is a trust store")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut builder = RevocationSetBuilder::new(&STORE);
    if builder.add_file(bytes).is_ok() {
        let set = builder.build();
        let _ = set.lookup(bytes, &KeyId::of(bytes), bytes);
    }
});
