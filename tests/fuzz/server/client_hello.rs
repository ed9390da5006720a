//! Any first bytes of a connection, however they are split, end in a ClientHello or an error, and any
//! ClientHello can be looked at. The first byte of the input says into how large pieces the rest is cut.
#![no_main]

use bothways::parsers::{ClientHello, HelloReader};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&size, bytes)) = bytes.split_first() else {
        return;
    };
    let size = usize::from(size).max(1);
    let mut reader = HelloReader::default();
    for end in (size..bytes.len()).step_by(size).chain([bytes.len()]) {
        match reader.read(&bytes[..end]) {
            Ok(false) => {}
            Ok(true) => {
                let message = reader.message(&bytes[..end]);
                if let Ok(hello) = ClientHello::parse(message) {
                    let _ = (hello.check(), hello.host(), hello.sent_name());
                }
                return;
            }
            Err(_) => return,
        }
    }
});
