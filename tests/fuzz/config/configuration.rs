//! Any text is a configuration, or one line that names the file; reading it opens nothing.
#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(error) = bothways_config::parse(Path::new("edge.toml"), text) {
        let message = error.to_string();
        assert!(
            message.starts_with("edge.toml: ") && !message.contains('\n'),
            "{message}"
        );
    }
});
