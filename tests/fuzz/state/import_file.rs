//! Any bytes are an import file or an error. What is one is written in a form that is read as the same, and
//! keeps to the limits.
#![no_main]

use bothways_state::key_values::{KeyValues, StoreLimits};
use std::time::SystemTime;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let limits = StoreLimits {
        store_bytes_max: 4_096,
        key_bytes_max: 32,
        value_bytes_max: 64,
    };
    let read = |bytes: &[u8], limits| {
        KeyValues::from_import(bytes, limits, SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH)
    };
    if let Ok(items) = read(bytes, &limits) {
        for (key, value) in items.sorted() {
            assert!((1..=32).contains(&key.len()) && value.len() <= 64);
            assert_eq!(items.get(key), Some(value));
        }
        let again = read(items.import_file().as_bytes(), &StoreLimits::default());
        assert_eq!(again.expect("what is written can be read").etag(), items.etag());
    }
});
