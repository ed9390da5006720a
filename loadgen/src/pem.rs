//! PEM files, read so that nothing in them is passed over in silence.
//!
//! A PEM reader skips what it does not take for the beginning of a section: after a byte order mark, in the
//! middle of a line, behind a missing line end. Here every `-----BEGIN` has to become a section, or the file
//! is refused.

use std::fs;
use std::path::Path;

use rustls_pki_types::pem::{PemObject, SectionKind};

/// The sections of a file in their order; the fault is told without the file's name.
pub fn sections(file: &Path) -> Result<Vec<(SectionKind, Vec<u8>)>, String> {
    let bytes = fs::read(file).map_err(|error| format!("cannot be read as PEM ({error})"))?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Vec<(SectionKind, Vec<u8>)>, String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("is UTF-16 text; save it as ASCII or UTF-8".to_owned());
    }
    let text = without_marks(bytes);
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let sections = sections.map_err(|error| format!("cannot be read as PEM ({error})"))?;
    let begun = begun(&text);
    if begun.len() == sections.len() {
        return Ok(sections);
    }
    let lines = begun
        .iter()
        .filter(|(_, whole)| !whole)
        .map(|(line, _)| line.to_string());
    let lines: Vec<String> = lines.collect();
    let place = if lines.is_empty() {
        String::new()
    } else {
        format!("; see line {}", lines.join(", "))
    };
    Err(format!(
        "{} sections begin in it (-----BEGIN), and {} can be read{place}; each must begin and end with a line of its own, and be a \
         certificate, a request, a CRL or an unencrypted key",
        begun.len(),
        sections.len()
    ))
}

/// A byte order mark before a section, as editors put it at the head of a file and `cat` into its midst.
fn without_marks(bytes: &[u8]) -> Vec<u8> {
    const MARKED: &[u8] = b"\xef\xbb\xbf-----BEGIN";
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, behind)) = rest.split_first() {
        if rest.starts_with(MARKED) {
            rest = rest.get(3..).unwrap_or_default();
            continue;
        }
        text.push(*first);
        rest = behind;
    }
    text
}

/// The lines, counted from 1, in which something begins that must not be lost, and whether each has the form
/// of a beginning.
fn begun(text: &[u8]) -> Vec<(usize, bool)> {
    let mut found = Vec::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii_end();
        let whole = line.starts_with(BEGIN) && line.ends_with(b"-----");
        let label = line
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(b"-----"));
        if label.is_some_and(|label| HARMLESS.contains(&label)) {
            continue;
        }
        let begins = line
            .windows(BEGIN.len())
            .filter(|window| *window == BEGIN)
            .count();
        found.extend(std::iter::repeat_n((index + 1, whole), begins));
    }
    found
}

const BEGIN: &[u8] = b"-----BEGIN ";
/// Parameters that OpenSSL puts before a key, which has them, too.
const HARMLESS: [&[u8]; 3] = [b"EC PARAMETERS", b"DH PARAMETERS", b"DSA PARAMETERS"];

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    fn count(text: &[u8]) -> Result<usize, String> {
        parse(text).map(|sections| sections.len())
    }

    #[test]
    fn byte_order_marks_and_comments_lose_nothing() {
        let marked = format!("\u{feff}{ONE}");
        assert_eq!(count(marked.as_bytes()), Ok(1));
        assert_eq!(count(format!("{marked}{marked}").as_bytes()), Ok(2));
        assert_eq!(
            count(format!("subject=CN = a\n{ONE}# two\n{ONE}").as_bytes()),
            Ok(2)
        );
        assert_eq!(count(ONE.replace('\n', "\r\n").as_bytes()), Ok(1));
        assert_eq!(count(b""), Ok(0));
        let parameters = "-----BEGIN EC PARAMETERS-----\nAAAA\n-----END EC PARAMETERS-----\n";
        assert_eq!(count(format!("{parameters}{ONE}").as_bytes()), Ok(1));
    }

    #[test]
    fn a_section_that_would_be_passed_over_is_told_with_its_line() {
        let joined = format!("{}{ONE}", ONE.trim_end());
        let indented = format!("{ONE}  {ONE}");
        let unknown = format!("{ONE}{}", ONE.replace("CERTIFICATE", "TRUSTED CERTIFICATE"));
        let encrypted = ONE.replace("CERTIFICATE", "ENCRYPTED PRIVATE KEY");
        for (text, expected) in [
            (joined.as_str(), "see line 3"),
            (indented.as_str(), "see line 4"),
            (
                unknown.as_str(),
                "2 sections begin in it (-----BEGIN), and 1 can be read",
            ),
            (
                encrypted.as_str(),
                "1 sections begin in it (-----BEGIN), and 0 can be read",
            ),
        ] {
            let fault = count(text.as_bytes());
            assert!(
                fault.as_ref().is_err_and(|fault| fault.contains(expected)),
                "{text}: {fault:?}"
            );
        }
        assert!(count(b"\xff\xfe-\0").unwrap_err().contains("UTF-16"));
        assert!(count(b"-----BEGIN CERTIFICATE-----\nAAAA\n").is_err(), "cut off");
    }
}
