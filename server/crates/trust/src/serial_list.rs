//! Serial-list files: one hexadecimal serial number a line.
//!
//! Owns the syntax: upper or lower case; two-digit groups joined by `:` or no colons at all; `serial=` before
//! it, as `openssl x509 -noout -serial` prints it; `#` begins a comment; blank lines and CRLF line ends are
//! fine. A line that is anything else is an error with its number: a typing mistake must not leave a
//! certificate unrevoked in silence.

/// A line that is no serial number. Lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) line: usize,
}

/// Spelling of the serials of a list, for the hint that they may be decimal numbers. Some CAs print decimal
/// numbers (step-ca, cfssl). Read as hexadecimal they are serial numbers of nobody.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spelling {
    /// Digits of the serials that are long enough to tell.
    digits: usize,
    is_hexadecimal: bool,
}

impl Spelling {
    /// True if no serial has a letter, and twenty digits or more have been seen. Twenty random hexadecimal
    /// digits have no letter once in 12,000 times.
    pub(super) fn looks_decimal(self) -> bool {
        !self.is_hexadecimal && self.digits >= 20
    }

    fn note(&mut self, written: &[u8]) {
        self.is_hexadecimal |= !written.iter().all(u8::is_ascii_digit);
        if written.len() >= 6 {
            self.digits += written.len();
        }
    }
}

/// Line and serial of each entry of `text`, as content octets (leading zeros as written).
pub(super) fn parse(
    text: &[u8],
    spelling: &mut Spelling,
) -> impl Iterator<Item = Result<(usize, Vec<u8>), BadLine>> {
    let lines = super::pem::without_byte_order_mark(text).split(|&byte| byte == b'\n');
    (1..).zip(lines).filter_map(|(line, content)| {
        let entry = without_comment(content).trim_ascii();
        spelling.note(entry);
        let serial = entry.strip_prefix(OPENSSL_PREFIX).unwrap_or(entry);
        let octets = || match octets(serial) {
            Some(octets) if !serial.is_empty() => Ok((line, octets)),
            _ => Err(BadLine { line }),
        };
        (!entry.is_empty()).then(octets)
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

/// `openssl x509 -noout -serial`.
const OPENSSL_PREFIX: &[u8] = b"serial=";

fn octet(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> Result<Vec<Vec<u8>>, BadLine> {
        let mut spelling = Spelling::default();
        let entries = parse(text.as_bytes(), &mut spelling);
        entries.map(|entry| entry.map(|(_, serial)| serial)).collect()
    }

    #[test]
    fn every_documented_form_is_read() {
        let text = "\u{feff}# revoked\r\n4a:3F:5c\r\n\n  009EAB  # lost laptop\nabc\n0\nserial=5A45\r\n#";
        let serials = all(text);
        assert_eq!(
            serials,
            Ok(vec![
                vec![0x4a, 0x3f, 0x5c],
                vec![0x00, 0x9e, 0xab],
                vec![0x0a, 0xbc],
                vec![0x00],
                vec![0x5a, 0x45],
            ])
        );
        assert_eq!(all(""), Ok(vec![]));
    }

    #[test]
    fn anything_else_is_an_error_with_its_line() {
        for bad in [
            "xyz",
            "4a:3",
            "4a:",
            ":4a",
            "4a::3f",
            "-1",
            "4a 3f",
            "0x4a",
            "é",
            "serial=",
            "serial=-4A",
            "serial= 4A",
            "issuer=4A",
            "-----BEGIN X50",
        ] {
            let text = format!("01\n\n{bad}\n02");
            assert_eq!(all(&text), Err(BadLine { line: 3 }), "{bad}");
        }
    }

    #[test]
    fn a_list_that_looks_decimal_is_told_from_one_that_cannot_be() {
        let looks_decimal = |text: &str| {
            let mut spelling = Spelling::default();
            parse(text.as_bytes(), &mut spelling).for_each(drop);
            spelling.looks_decimal()
        };
        // What step-ca prints, and what cfssl does.
        for decimal in [
            "334128476293123479203487123098472316548\n",
            "# cfssl\n640873452398472309847\n23847239847239847\n",
            "20230412\r\n20230413\r\n20230414",
        ] {
            assert!(looks_decimal(decimal), "{decimal}");
        }
        for other in [
            "",
            "01\n02\n03\n04\n05\n06\n07\n08\n09\n10\n11\n12\n13\n14\n15\n",
            "334128476293123479203487123098472316548\n0a\n",
            "33:41:28:47:62:93:12:34:79:20:34\n",
            "serial=33412847629312347920\n",
        ] {
            assert!(!looks_decimal(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn colons_and_case_make_no_difference(serial in proptest::collection::vec(any::<u8>(), 1..30)) {
            let colons = crate::hex::colon_hex(&serial);
            let plain = colons.replace(':', "").to_uppercase();
            prop_assert_eq!(all(&colons), Ok(vec![serial.clone()]));
            prop_assert_eq!(all(&plain), Ok(vec![serial]));
        }

        #[test]
        fn no_input_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            parse(&text, &mut Spelling::default()).for_each(drop);
        }
    }
}
