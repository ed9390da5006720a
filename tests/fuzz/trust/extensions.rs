//! Any bytes are name constraints, names, policies and parameters of RSASSA-PSS, or none. The input is some
//! parts, each behind its length in two octets. A name that an excluded subtree contains stays excluded
//! whatever else is permitted.
#![no_main]

use bothways_trust::probes::{judge_names, judge_policies, judge_pss};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let parts = parts(bytes);
    let part = |position: usize| parts.get(position).copied();
    let (first, second) = (part(0).unwrap_or_default(), part(1).unwrap_or_default());
    let with_names = judge_names(first, second, part(2));
    let without_names = judge_names(first, second, None);
    if let (Some(Ok(())), Some(Err(reason))) = (&with_names, &without_names) {
        // A dNSName takes the place of host names in the common name; nothing else lifts a constraint.
        assert!(reason.contains("common name"), "{reason}");
    }
    let _ = judge_pss(first, second, b"message", part(2).unwrap_or_default());
    let path: Vec<_> = (0..parts.len())
        .map(|of| [part(of), part(of + 1), part(of + 2), part(of + 3)])
        .collect();
    if let Some(false) = judge_policies(&path) {
        let explicit = path.iter().any(|[_, _, constraints, _]| constraints.is_some());
        assert!(explicit, "nobody required a policy");
    }
});

fn parts(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (part, after) = rest.split_at(length);
        parts.push(part);
        bytes = after;
    }
    parts
}
