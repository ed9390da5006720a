//! The name of a store's contents.

use std::fmt;
use std::str::FromStr;

/// SHA-256 of the contents in the form in which the server writes them. The same contents have the same one,
/// in any file, before and after a restart; of a file that the server has written, `sha256sum` tells it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ETag([u8; 32]);

impl ETag {
    pub(super) fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no ETag: it lacks the 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidETag;

impl fmt::Display for InvalidETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an ETag has 64 hexadecimal digits; `describe` shows the current one")
    }
}

impl std::error::Error for InvalidETag {}

impl FromStr for ETag {
    type Err = InvalidETag;

    fn from_str(text: &str) -> Result<Self, InvalidETag> {
        let digits: Vec<u8> = text
            .chars()
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or(InvalidETag)?;
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect();
        match digits.len() {
            64 => bytes.try_into().map(Self).map_err(|_| InvalidETag),
            _ => Err(InvalidETag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_read_as_it_is_written_and_nothing_else_is_one() {
        let etag = ETag::new(std::array::from_fn(|index| index as u8 * 7));
        let text = etag.to_string();
        assert_eq!(text.parse(), Ok(etag));
        assert_eq!(text.to_uppercase().parse(), Ok(etag));
        for bad in [
            "",
            "00",
            &text[1..],
            &format!("{text}0"),
            &format!("{}g", &text[1..]),
            &"é".repeat(32),
        ] {
            assert_eq!(bad.parse::<ETag>(), Err(InvalidETag), "{bad}");
        }
    }
}
