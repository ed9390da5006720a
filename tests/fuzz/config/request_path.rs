//! Any path of a request: its normal form stays as it is, its readings are paths, and a plain one has no
//! other.
#![no_main]

use bothways_config::IdentityHeaders;
use bothways_config::path_reading::{each_reading, is_plain, normal};

libfuzzer_sys::fuzz_target!(|rest: &str| {
    let _ = IdentityHeaders::default().is_claim(rest);
    let path = format!("/{rest}");
    let once = normal(&path);
    assert_eq!(normal(&once), once);
    let mut first = None;
    let told = each_reading(&path, |reading| {
        assert!(reading.starts_with('/') && reading.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!is_plain(&path) || reading == path, "{reading}");
        first.get_or_insert_with(|| reading.to_owned());
        true
    });
    assert_eq!(first, Some(once));
    assert!(told.is_ok() || !is_plain(&path));
});
