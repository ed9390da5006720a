//! Serial-list files: one hexadecimal serial number a line.
//!
//! Owns the syntax: upper or lower case; two-digit groups joined by `:` or no colons at all; `#` begins a comment; blank lines and
//! CRLF line ends are fine. A line that is anything else is an error with its number: a typing mistake must not leave a certificate
//! unrevoked in silence.

/// A line that is no serial number. Lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) line: usize,
}

/// The serials of `text` as content octets (leading zeros as written).
pub(super) fn parse(text: &[u8]) -> impl Iterator<Item = Result<Vec<u8>, BadLine>> {
    let lines = super::pem::without_byte_order_mark(text).split(|&byte| byte == b'\n');
    (1..).zip(lines).filter_map(|(line, content)| {
        let serial = without_comment(content).trim_ascii();
        let octets = || octets(serial).ok_or(BadLine { line });
        (!serial.is_empty()).then(octets)
    })
}

fn without_comment(line: &[u8]) -> &[u8] {
    line.split(|&byte| byte == b'#').next().unwrap_or_default()
}

fn octets(serial: &[u8]) -> Option<Vec<u8>> {
    if serial.contains(&b':') {
        return serial
            .split(|&byte| byte == b':')
            .map(|group| match *group {
                [high, low] => octet(high, low),
                _ => None,
            })
            .collect();
    }
    let (odd, pairs) = serial.split_at_checked(serial.len() % 2)?;
    let first = odd.iter().map(|&low| octet(b'0', low));
    let rest = pairs.chunks_exact(2).map(|pair| match *pair {
        [high, low] => octet(high, low),
        _ => None,
    });
    first.chain(rest).collect()
}

fn octet(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> Result<Vec<Vec<u8>>, BadLine> {
        parse(text.as_bytes()).collect()
    }

    #[test]
    fn every_documented_form_is_read() {
        let text = "\u{feff}# revoked\r\n4a:3F:5c\r\n\n  009EAB  # lost laptop\nabc\n0\n#";
        let serials = all(text);
        assert_eq!(
            serials,
            Ok(vec![
                vec![0x4a, 0x3f, 0x5c],
                vec![0x00, 0x9e, 0xab],
                vec![0x0a, 0xbc],
                vec![0x00],
            ])
        );
        assert_eq!(all(""), Ok(vec![]));
    }

    #[test]
    fn anything_else_is_an_error_with_its_line() {
        for bad in ["xyz", "4a:3", "4a:", ":4a", "4a::3f", "-1", "4a 3f", "0x4a", "é"] {
            let text = format!("01\n\n{bad}\n02");
            assert_eq!(all(&text), Err(BadLine { line: 3 }), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn colons_and_case_make_no_difference(serial in proptest::collection::vec(any::<u8>(), 1..30)) {
            let colons = crate::trust::facts::colon_hex(&serial);
            let plain = colons.replace(':', "").to_uppercase();
            prop_assert_eq!(all(&colons), Ok(vec![serial.clone()]));
            prop_assert_eq!(all(&plain), Ok(vec![serial]));
        }

        #[test]
        fn no_input_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            parse(&text).for_each(drop);
        }
    }
}
