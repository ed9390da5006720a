//! Files that were meant well and are of another format: recognised, so that the error can name the command
//! that converts them.
//!
//! Owns the signs by which a format is known, which are looked at only when a file is about to be
//! refused. Nothing is converted here: what is read is what the configuration names, in the one format
//! that it must have.

use std::fmt;

use super::certificate::Certificate;
use super::der::{self, Reader};

/// A format that holds certificates or keys, and is not PEM as it is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignFormat {
    Utf16,
    DerCertificate,
    DerKey,
    EncryptedDerKey,
    Pkcs7,
    Pkcs12,
    JavaKeyStore,
    WebPage,
}

impl ForeignFormat {
    /// `None`: none that is known.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(JAVA_KEY_STORE) {
            return Some(Self::JavaKeyStore);
        }
        if let Some(content) = der::only(bytes, der::SEQUENCE) {
            return Self::of_der(bytes, content);
        }
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || is_wide(bytes) {
            return Some(Self::Utf16);
        }
        (bytes.trim_ascii_start().first() == Some(&b'<')).then_some(Self::WebPage)
    }

    fn of_der(whole: &[u8], content: &[u8]) -> Option<Self> {
        if Certificate::parse(whole).is_some() {
            return Some(Self::DerCertificate);
        }
        let mut fields = Reader::new(content);
        let first = fields.next()?;
        match (first.tag, first.value) {
            (der::OBJECT_IDENTIFIER, SIGNED_DATA) => Some(Self::Pkcs7),
            (der::INTEGER, [3]) => Some(Self::Pkcs12),
            (der::INTEGER, [0 | 1]) => Some(Self::DerKey),
            (der::SEQUENCE, _) if fields.peek_tag() == Some(der::OCTET_STRING) => Some(Self::EncryptedDerKey),
            _ => None,
        }
    }

    /// The command that makes PEM certificates of `file`.
    pub fn certificates_command(self, file: &str) -> String {
        match self {
            Self::Utf16 => format!("iconv -f UTF-16 -t UTF-8 {file}"),
            Self::DerCertificate => format!("openssl x509 -inform der -in {file}"),
            Self::Pkcs7 => format!("openssl pkcs7 -inform der -print_certs -in {file} | {BLOCKS_ALONE}"),
            Self::Pkcs12 => format!("openssl pkcs12 -nokeys -in {file} | {BLOCKS_ALONE}"),
            Self::JavaKeyStore => format!("keytool -list -rfc -keystore {file} | {BLOCKS_ALONE}"),
            Self::DerKey | Self::EncryptedDerKey | Self::WebPage => {
                "none: the file holds no certificate".to_owned()
            }
        }
    }

    /// The command that makes an unencrypted PEM key of `file`.
    pub fn key_command(self, file: &str) -> String {
        match self {
            Self::Utf16 => format!("iconv -f UTF-16 -t UTF-8 {file}"),
            Self::DerKey | Self::EncryptedDerKey => format!("openssl pkey -inform der -in {file}"),
            Self::Pkcs12 => format!("openssl pkcs12 -nocerts -nodes -in {file} | openssl pkey"),
            Self::JavaKeyStore => {
                format!(
                    "keytool -importkeystore -srckeystore {file} -deststoretype pkcs12 -destkeystore \
                     {file}.p12"
                )
            }
            Self::DerCertificate | Self::Pkcs7 | Self::WebPage => "none: the file holds no key".to_owned(),
        }
    }
}

impl fmt::Display for ForeignFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf16 => "is UTF-16",
            Self::DerCertificate => "is a certificate in DER",
            Self::DerKey => "is a private key in DER",
            Self::EncryptedDerKey => "is an encrypted private key in DER",
            Self::Pkcs7 => "is PKCS #7 (.p7b) in DER",
            Self::Pkcs12 => "is PKCS #12 (.p12, .pfx)",
            Self::JavaKeyStore => "is a Java key store (JKS)",
            Self::WebPage => "is a web page (HTML or XML)",
        })
    }
}

/// Text of two octets a character without a byte order mark.
fn is_wide(bytes: &[u8]) -> bool {
    matches!(bytes, [0, b'-', 0, b'-', ..] | [b'-', 0, b'-', 0, ..])
}

/// Command for the blocks alone: this reader does not take text between the blocks for a comment.
pub(super) const BLOCKS_ALONE: &str = "sed -n '/-BEGIN/,/-END/p'";
/// 1.2.840.113549.1.7.2
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
const JAVA_KEY_STORE: &[u8] = &[0xfe, 0xed, 0xfe, 0xed];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::der::build::{element, sequence};
    use crate::test_pki::{Ca, bundle, leaf};

    #[test]
    fn formats_are_known_by_their_signs() {
        let root = Ca::root("Root");
        let text = bundle(&[&root]);
        let wide: Vec<u8> = text.bytes().flat_map(|octet| [octet, 0]).collect();
        let pkcs7 = sequence(&[element(der::OBJECT_IDENTIFIER, SIGNED_DATA), element(0xa0, &[])]);
        let pkcs12 = sequence(&[vec![2, 1, 3], sequence(&[])]);
        let encrypted = sequence(&[sequence(&[]), vec![4, 1, 0]]);
        for (bytes, format) in [
            (root.der.to_vec(), Some(ForeignFormat::DerCertificate)),
            (root.issuer.key().serialize_der(), Some(ForeignFormat::DerKey)),
            (encrypted, Some(ForeignFormat::EncryptedDerKey)),
            (pkcs7, Some(ForeignFormat::Pkcs7)),
            (pkcs12, Some(ForeignFormat::Pkcs12)),
            (wide.clone(), Some(ForeignFormat::Utf16)),
            ([&[0xff, 0xfe][..], &wide].concat(), Some(ForeignFormat::Utf16)),
            (b"\n<!DOCTYPE html>".to_vec(), Some(ForeignFormat::WebPage)),
            (
                b"\xfe\xed\xfe\xed\0\0\0\x02".to_vec(),
                Some(ForeignFormat::JavaKeyStore),
            ),
            (text.into_bytes(), None),
            (b"# nothing".to_vec(), None),
            (Vec::new(), None),
        ] {
            assert_eq!(ForeignFormat::of(&bytes), format);
        }
        let cut = root.issue(leaf("client"));
        assert_eq!(ForeignFormat::of(cut.get(..100).unwrap()), None);
    }
}
