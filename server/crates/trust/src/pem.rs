//! PEM files (RFC 7468) as operators write them: blocks, blank lines and `#` comments, nothing else.
//!
//! Owns the textual layer only. Stricter than most readers on purpose: text outside the blocks that is no
//! comment is an error with its line number, so that a damaged BEGIN line cannot make a certificate or a CRL
//! disappear. CRLF line ends are accepted.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A `-----BEGIN label-----` block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) label: String,
    pub(super) der: Vec<u8>,
}

/// A fault of a PEM file. Lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PemError {
    /// Text between the blocks that is no comment.
    StrayText { line: usize },
    /// A block that does not end, or ends with another label.
    Unterminated { begin_line: usize },
    /// A line that is no base64.
    Base64 { line: usize },
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StrayText { line } => {
                write!(f, "line {line} is neither part of a PEM block nor a comment (#)")
            }
            Self::Unterminated { begin_line } => write!(
                f,
                "the block that begins on line {begin_line} has no matching END line"
            ),
            Self::Base64 { line } => write!(f, "line {line} is not base64"),
        }
    }
}

impl std::error::Error for PemError {}

/// Calls `take` with each block, so that only one is held decoded at a time.
pub(super) fn for_each_block<E: From<PemError>>(
    text: &[u8],
    mut take: impl FnMut(Block) -> Result<(), E>,
) -> Result<(), E> {
    let mut open: Option<OpenBlock> = None;
    for (number, line) in (1..).zip(without_byte_order_mark(text).split(|&byte| byte == b'\n')) {
        let line = line.trim_ascii();
        open = match open {
            None => begin(line, number)?,
            Some(block) if line == block.end_line.as_bytes() => {
                take(block.finish()?)?;
                None
            }
            Some(mut block) => {
                block.push(line, number)?;
                Some(block)
            }
        };
    }
    match open {
        Some(block) => Err(PemError::Unterminated {
            begin_line: block.begin_line,
        }
        .into()),
        None => Ok(()),
    }
}

/// True if this is PEM at all, for files that may hold other things.
pub(super) fn has_block(text: &[u8]) -> bool {
    without_byte_order_mark(text)
        .split(|&byte| byte == b'\n')
        .any(|line| line.trim_ascii_start().starts_with(BEGIN))
}

/// Some editors put one at the start of a file.
pub(super) fn without_byte_order_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

struct OpenBlock {
    label: String,
    end_line: String,
    begin_line: usize,
    base64: Base64,
}

impl OpenBlock {
    fn push(&mut self, line: &[u8], number: usize) -> Result<(), PemError> {
        if line.starts_with(DASHES) {
            let begin_line = self.begin_line;
            return Err(PemError::Unterminated { begin_line });
        }
        self.base64.push(line, number)
    }

    fn finish(self) -> Result<Block, PemError> {
        Ok(Block {
            label: self.label,
            der: self.base64.finish()?,
        })
    }
}

/// Decodes line by line: a CRL may be hundreds of megabytes, and its text is not copied.
#[derive(Default)]
struct Base64 {
    decoded: Vec<u8>,
    /// Characters of an unfinished group of four.
    carry: Vec<u8>,
    padded: bool,
    line: usize,
}

impl Base64 {
    fn push(&mut self, line: &[u8], number: usize) -> Result<(), PemError> {
        self.line = number;
        if self.carry.is_empty() && line.len().is_multiple_of(4) {
            return self.decode(line);
        }
        self.carry.extend_from_slice(line);
        let rest = self.carry.split_off(self.carry.len() / 4 * 4);
        let whole = std::mem::replace(&mut self.carry, rest);
        self.decode(&whole)
    }

    fn decode(&mut self, groups: &[u8]) -> Result<(), PemError> {
        let line = self.line;
        if self.padded && !groups.is_empty() {
            return Err(PemError::Base64 { line });
        }
        self.padded = groups.ends_with(b"=");
        STANDARD
            .decode_vec(groups, &mut self.decoded)
            .map_err(|_| PemError::Base64 { line })
    }

    fn finish(self) -> Result<Vec<u8>, PemError> {
        if self.carry.is_empty() {
            Ok(self.decoded)
        } else {
            Err(PemError::Base64 { line: self.line })
        }
    }
}

fn begin(line: &[u8], number: usize) -> Result<Option<OpenBlock>, PemError> {
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let label = line
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.strip_suffix(DASHES))
        .and_then(|label| std::str::from_utf8(label).ok())
        .ok_or(PemError::StrayText { line: number })?;
    Ok(Some(OpenBlock {
        label: label.to_owned(),
        end_line: format!("-----END {label}-----"),
        begin_line: number,
        base64: Base64::default(),
    }))
}

const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn blocks(text: &str) -> Result<Vec<Block>, PemError> {
        let mut blocks = Vec::new();
        for_each_block(text.as_bytes(), |block| {
            blocks.push(block);
            Ok::<(), PemError>(())
        })?;
        Ok(blocks)
    }

    #[test]
    fn blocks_are_read_between_comments_and_blank_lines() {
        let text = "\u{feff}# root\r\n-----BEGIN A-----\r\nAQID\r\n-----END A-----\r\n\r\n# \
            next\n-----BEGIN B-----\nAQ\nID\nBA==\n-----END B-----";
        let blocks = blocks(text).unwrap();
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0].label, "A");
        assert_eq!(blocks[0].der, [1, 2, 3]);
        assert_eq!(blocks[1].der, [1, 2, 3, 4]);
    }

    #[test]
    fn damage_is_reported_with_its_line() {
        let cases = [
            (
                "-----BEGIN A----\nAQID\n-----END A-----",
                PemError::StrayText { line: 1 },
            ),
            ("# a\nsubject=CN", PemError::StrayText { line: 2 }),
            (
                "-----BEGIN A-----\nAQID\n-----END B-----",
                PemError::Unterminated { begin_line: 1 },
            ),
            (
                "-----BEGIN A-----\nAQID\n",
                PemError::Unterminated { begin_line: 1 },
            ),
            (
                "-----BEGIN A-----\nAQI!\n-----END A-----",
                PemError::Base64 { line: 2 },
            ),
            (
                "-----BEGIN A-----\nAQI=\nAQID\n-----END A-----",
                PemError::Base64 { line: 3 },
            ),
            (
                "-----BEGIN A-----\nAQIDA\n-----END A-----",
                PemError::Base64 { line: 2 },
            ),
        ];
        for (text, error) in cases {
            assert_eq!(blocks(text), Err(error), "{text}");
        }
    }
}
