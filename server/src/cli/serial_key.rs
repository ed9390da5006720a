//! A word about keys of key-value stores that may be serial numbers, in a spelling that functions never see.
//!
//! A store compares keys octet for octet, and what openssl prints of a certificate, or a browser shows, is
//! not what `leaf.serialNumber` is: lower case, in pairs, with the 00 that keeps a number positive. A key in
//! another spelling denies nobody, and nothing else would ever say so. Only a hint: what a key means is the
//! function's to decide.

use serde::Deserialize;

/// Hint about a key that was written. `None`: the key is spelt as functions see serial numbers, or is no
/// serial number.
pub(super) fn hint(key: &str) -> Option<String> {
    let pairs = seen_by_functions(key)?;
    let (colons, plain) = (pairs.join(":"), pairs.concat());
    (key != colons && key != plain).then(|| {
        format!(
            "note: if the key {key:?} is a serial number, no function will find it: functions see {colons}, \
             which without colons is {plain}\n"
        )
    })
}

/// The same for an import file, about the first such key.
pub(super) fn hint_of_import(file: &[u8]) -> Option<String> {
    let import: Import = serde_json::from_slice(file).ok()?;
    let mut hints = import.data.iter().filter_map(|item| hint(&item.key));
    let first = hints.next()?;
    match hints.count() {
        0 => Some(first),
        more => Some(format!("{first}note: the same holds for {more} more keys\n")),
    }
}

#[derive(Deserialize)]
struct Import {
    data: Vec<ImportItem>,
}

#[derive(Deserialize)]
struct ImportItem {
    key: String,
}

/// The pairs of hexadecimal digits of what looks like a serial number: three to twenty octets, and not just a
/// decimal number; or what openssl prints.
fn seen_by_functions(key: &str) -> Option<Vec<String>> {
    let written = key.strip_prefix("serial=").unwrap_or(key).trim();
    let digits: String = written.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    let mut groups = written.split([':', ' ']);
    let is_in_pairs = digits.len() == written.len() || groups.all(|group| group.len() == 2);
    let is_plain_number = digits.len() == key.len() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if is_plain_number || !is_in_pairs || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let digits = digits.to_ascii_lowercase();
    let significant = digits.trim_start_matches('0');
    let padding = significant.len() % 2;
    let mut pairs = vec![String::from("0"); padding];
    for digit in significant.chars() {
        match pairs.last_mut() {
            Some(pair) if pair.len() == 1 => pair.push(digit),
            _ => pairs.push(digit.to_string()),
        }
    }
    let is_number = (OCTETS_MIN..=OCTETS_MAX).contains(&pairs.len()) || written.len() < key.len();
    let is_negative = pairs.first().is_some_and(|first| first.as_str() >= "80");
    if is_negative {
        pairs.insert(0, "00".to_owned());
    }
    is_number.then_some(pairs)
}

/// Shorter ones may be words.
const OCTETS_MIN: usize = 3;
/// RFC 5280 §4.1.2.2. Longer ones are digests.
const OCTETS_MAX: usize = 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_serial_number_in_another_spelling_is_told_with_the_right_one() {
        for key in [
            "9E2AAF5C",
            "9e2aaf5c",
            "9E:2A:AF:5C",
            "9e:2a:af:5c",
            "serial=9E2AAF5C",
            "9e 2a af 5c",
            "009E2AAF5C",
            "0x9e2aaf5c".trim_start_matches("0x"),
        ] {
            let hint = hint(key).unwrap();
            assert!(hint.contains("functions see 00:9e:2a:af:5c,"), "{hint}");
            assert!(hint.contains("without colons is 009e2aaf5c"), "{hint}");
        }
        assert!(hint("serial=5A45").unwrap().contains("functions see 5a:45"));
        assert!(hint("5A45F").unwrap().contains("05:a4:5f"));
        assert!(hint("00005a450f").unwrap().contains("5a:45:0f"));
    }

    #[test]
    fn other_keys_are_nobodys_business() {
        for key in [
            "009e2aaf5c",
            "00:9e:2a:af:5c",
            "0a0b1c",
            "5a:45:0f",
            "",
            "a",
            "cafe",
            "alice",
            "20261128",
            "10.0.0.1",
            "2001:db8::1",
            &"AB".repeat(32),
            "deny:alice",
        ] {
            assert_eq!(hint(key), None, "{key}");
        }
    }

    #[test]
    fn an_import_is_told_of_once() {
        let file = br#"{"data":[{"key":"0a0b1c","value":""},{"key":"9E2AAF5C","value":""},
                                {"key":"9E2AAF5D","value":""}]}"#;
        let hint = hint_of_import(file).unwrap();
        assert!(
            hint.contains("\"9E2AAF5C\"") && hint.contains("1 more keys"),
            "{hint}"
        );
        assert_eq!(hint_of_import(b"{}"), None);
        assert_eq!(hint_of_import(br#"{"data":[{"key":"0a0b1c","value":""}]}"#), None);
    }
}
