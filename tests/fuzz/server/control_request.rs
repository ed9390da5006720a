//! Any line is a request to the control socket or an error, and a request is written in a form that is read
//! as the same.
#![no_main]

use bothways::parsers::Request;

libfuzzer_sys::fuzz_target!(|line: &[u8]| {
    if let Ok(request) = serde_json::from_slice::<Request>(line) {
        let text = serde_json::to_vec(&request).expect("a request can be written");
        assert!(!text.contains(&b'\n'));
        let again: Request = serde_json::from_slice(&text).expect("what is written can be read");
        assert_eq!(again, request);
    }
});
