//! Any text is either a configuration or an error that names the file; parsing opens nothing.
#![no_main]

use bothways::config;
use std::path::Path;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(error) = config::parse(text, Path::new("edge.toml")) {
        assert!(error.to_string().contains("edge.toml"), "{error}");
    }
});
