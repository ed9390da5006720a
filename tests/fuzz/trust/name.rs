//! Any bytes are a name or none, and being the same name is an equivalence. The input is three names, each
//! behind its length in two octets.
#![no_main]

use bothways_trust::{CanonicalName, is_same_name};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (first, rest) = name(bytes);
    let (second, rest) = name(rest);
    let (third, _) = name(rest);
    let all = [first, second, third];
    for left in all {
        assert!(is_same_name(left, left));
        for right in all {
            assert_eq!(is_same_name(left, right), is_same_name(right, left));
            if let (Some(left_form), Some(right_form)) = (CanonicalName::of(left), CanonicalName::of(right)) {
                assert_eq!(is_same_name(left, right), left_form == right_form);
                let within_each_other = left_form.is_within(&right_form) && right_form.is_within(&left_form);
                assert_eq!(within_each_other, left_form == right_form);
            }
        }
    }
    assert!(!is_same_name(first, second) || !is_same_name(second, third) || is_same_name(first, third));
});

fn name(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.split_first_chunk::<2>() {
        Some((length, rest)) => rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len())),
        None => (&[], &[]),
    }
}
