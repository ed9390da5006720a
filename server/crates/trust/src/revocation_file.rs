//! Content of a revocation file: a CRL in DER, CRLs in PEM, or a serial list.
//!
//! Owns the rule that nothing is never one of them. A file without an entry is what a full disk, a
//! failed download or a slip of the shell leaves behind, and every format here would take it for "nobody
//! is revoked"; so it is an error, as is a file that was cut, has something behind its end, or is
//! plainly something else.

use std::fmt;

use super::{der, pem};

/// The format of a revocation file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Der,
    Pem,
    SerialList,
}

/// A file that is no revocation file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// No octets at all.
    Empty,
    /// White space and comments only.
    NoEntries,
    /// DER that ends early; `None`: within the length itself.
    Cut {
        octets: usize,
        of: Option<usize>,
    },
    /// DER with something behind it.
    Surplus {
        octets: usize,
    },
    /// UTF-16, or what a crash leaves of a file.
    Nul,
    /// HTML or XML: a page that says why there is no list.
    WebPage,
    Json,
    /// Serial numbers, in a file that is named as one of CRLs.
    NotTheCrl,
}

impl Format {
    pub(super) fn of(bytes: &[u8]) -> Result<Self, FileFault> {
        if bytes.is_empty() {
            return Err(FileFault::Empty);
        }
        if looks_like_der(bytes) {
            return check_length(bytes).map(|()| Self::Der);
        }
        if bytes.contains(&0) || bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(FileFault::Nul);
        }
        match pem::without_byte_order_mark(bytes).trim_ascii_start().first() {
            None => Err(FileFault::NoEntries),
            Some(b'<') => Err(FileFault::WebPage),
            Some(b'{' | b'[') => Err(FileFault::Json),
            Some(_) if pem::has_block(bytes) => Ok(Self::Pem),
            Some(_) => Ok(Self::SerialList),
        }
    }
}

/// A SEQUENCE in the long form of length, which every CRL needs. 0x30 is also the digit `0` of a serial list;
/// but a file that is this one octet and no line is what is left of a CRL.
fn looks_like_der(bytes: &[u8]) -> bool {
    match bytes {
        [der::SEQUENCE] => true,
        [der::SEQUENCE, length, ..] => length & 0x80 != 0,
        _ => false,
    }
}

fn check_length(bytes: &[u8]) -> Result<(), FileFault> {
    let octets = bytes.len();
    match der::total_length(bytes) {
        Some(of) if of > octets => Err(FileFault::Cut { octets, of: Some(of) }),
        Some(of) if of < octets => Err(FileFault::Surplus { octets: octets - of }),
        Some(_) => Ok(()),
        None if octets < DER_HEADER_OCTETS_MAX => Err(FileFault::Cut { octets, of: None }),
        // Not DER after all: the parser's to tell.
        None => Ok(()),
    }
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the file is empty, and a file without an octet is no list"),
            Self::NoEntries => f.write_str("the file has no entry, only white space or comments"),
            Self::Cut { octets, of: Some(of) } => {
                write!(f, "the CRL ends after {octets} of {of} octets: it was cut")
            }
            Self::Cut { octets, of: None } => write!(f, "the CRL ends after {octets} octets: it was cut"),
            Self::Surplus { octets } => write!(f, "{octets} octets lie behind the end of the CRL"),
            Self::Nul => f.write_str(
                "the file holds NUL octets: it is UTF-16, or its content was lost; serial lists are ASCII \
                 or UTF-8",
            ),
            Self::WebPage => f.write_str("the file is a web page (HTML or XML), not a list"),
            Self::Json => f.write_str("the file is JSON, not a list"),
            Self::NotTheCrl => f.write_str("the file is named as a CRL, and holds none"),
        }
    }
}

/// Tag, count of length octets, four of them.
const DER_HEADER_OCTETS_MAX: usize = 6;

#[cfg(test)]
#[path = "revocation_file_tests.rs"]
mod tests;
