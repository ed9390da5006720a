//! Any first bytes of a connection, however they are split, end in a ClientHello or an error.
//! The first byte of the input says into how large pieces the rest is cut.
#![no_main]

use bothways::tls::hello::HelloReader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&size, bytes)) = bytes.split_first() else {
        return;
    };
    let mut reader = HelloReader::default();
    for mut piece in bytes.chunks(usize::from(size).max(1)) {
        match reader.read(&mut piece) {
            Ok(None) => {}
            Ok(Some(_)) | Err(_) => return,
        }
    }
});
