//! Bytes as text and back, and digests: what `Buffer`, `crypto`, `atob` and `btoa` are made of. Pure.

use aws_lc_rs::digest as sha;
use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE_NO_PAD};
use md5::{Digest, Md5};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Hex,
    Base64,
    Base64Url,
    Latin1,
}

impl Encoding {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "utf8" => Self::Utf8,
            "hex" => Self::Hex,
            "base64" => Self::Base64,
            "base64url" => Self::Base64Url,
            "latin1" => Self::Latin1,
            _ => return None,
        })
    }
}

pub(super) fn encode(octets: &[u8], encoding: Encoding) -> String {
    match encoding {
        Encoding::Utf8 => String::from_utf8_lossy(octets).into_owned(),
        Encoding::Hex => hex(octets),
        Encoding::Base64 => STANDARD.encode(octets),
        Encoding::Base64Url => URL_SAFE_NO_PAD.encode(octets),
        Encoding::Latin1 => octets.iter().copied().map(char::from).collect(),
    }
}

/// Decodes as `Buffer.from` does: text of another form ends it, and is no error.
pub(super) fn decode(text: &str, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Utf8 => text.as_bytes().to_vec(),
        Encoding::Hex => from_hex(text),
        Encoding::Base64 | Encoding::Base64Url => from_base64(text),
        // The low octet of each UTF-16 unit.
        Encoding::Latin1 => text.encode_utf16().map(|unit| unit.to_le_bytes()[0]).collect(),
    }
}

/// `atob`: white space is skipped, padding may be missing, all else is refused.
pub(super) fn forgiving_base64(text: &str) -> Option<Vec<u8>> {
    let kept: String = text
        .chars()
        .filter(|character| !character.is_ascii_whitespace())
        .collect();
    EITHER_PADDING.decode(kept).ok()
}

fn hex(octets: &[u8]) -> String {
    let nibbles = octets.iter().flat_map(|octet| [octet >> 4, octet & 0x0f]);
    nibbles
        .filter_map(|nibble| char::from_digit(u32::from(nibble), 16))
        .collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len() / 2);
    let mut digits = text.chars().map_while(|digit| digit.to_digit(16));
    while let (Some(high), Some(low)) = (digits.next(), digits.next()) {
        octets.extend(u8::try_from(high << 4 | low));
    }
    octets
}

/// Both alphabets, up to the first `=`; other characters are skipped.
fn from_base64(text: &str) -> Vec<u8> {
    let mut kept: String = text
        .chars()
        .take_while(|character| *character != '=')
        .filter_map(|character| match character {
            '-' => Some('+'),
            '_' => Some('/'),
            '+' | '/' => Some(character),
            _ => character.is_ascii_alphanumeric().then_some(character),
        })
        .collect();
    // A single character left over has six bits: no octet.
    if kept.len() % 4 == 1 {
        kept.pop();
    }
    EITHER_PADDING.decode(kept).unwrap_or_default()
}

const EITHER_PADDING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The three that the service documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md5,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "md5" => Self::Md5,
            "sha1" => Self::Sha1,
            "sha256" => Self::Sha256,
            _ => return None,
        })
    }

    /// Hashes `parts`, one after the other. `go_on` is asked between long pieces; `None`: it said no.
    pub(super) fn hash(self, parts: &[&[u8]], go_on: &mut dyn FnMut() -> bool) -> Option<Vec<u8>> {
        match self {
            Self::Md5 => {
                let mut hash = Md5::new();
                in_pieces(parts, go_on, |piece| hash.update(piece))?;
                Some(hash.finalize().to_vec())
            }
            Self::Sha1 => sha_in_pieces(&sha::SHA1_FOR_LEGACY_USE_ONLY, parts, go_on),
            Self::Sha256 => sha_in_pieces(&sha::SHA256, parts, go_on),
        }
    }

    /// RFC 2104; all three work on blocks of 64 octets.
    pub(super) fn hmac(self, key: &[u8], data: &[u8], go_on: &mut dyn FnMut() -> bool) -> Option<Vec<u8>> {
        let key = match key.len() {
            0..=BLOCK_BYTES => key.to_vec(),
            _ => self.hash(&[key], go_on)?,
        };
        let mut block = [0; BLOCK_BYTES];
        for (octet, of_key) in block.iter_mut().zip(&key) {
            *octet = *of_key;
        }
        let inner = self.hash(&[&block.map(|octet| octet ^ 0x36), data], go_on)?;
        self.hash(&[&block.map(|octet| octet ^ 0x5c), &inner], go_on)
    }
}

fn sha_in_pieces(
    algorithm: &'static sha::Algorithm,
    parts: &[&[u8]],
    go_on: &mut dyn FnMut() -> bool,
) -> Option<Vec<u8>> {
    let mut hash = sha::Context::new(algorithm);
    in_pieces(parts, go_on, |piece| hash.update(piece))?;
    Some(hash.finish().as_ref().to_vec())
}

fn in_pieces(parts: &[&[u8]], go_on: &mut dyn FnMut() -> bool, mut take: impl FnMut(&[u8])) -> Option<()> {
    for piece in parts.iter().flat_map(|part| part.chunks(PIECE_BYTES)) {
        take(piece);
        if piece.len() == PIECE_BYTES && !go_on() {
            return None;
        }
    }
    Some(())
}

/// About 0.1 ms of the slowest of the three.
const PIECE_BYTES: usize = 64 * 1024;

const BLOCK_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(algorithm: Algorithm, data: &[u8]) -> String {
        hex(&algorithm.hash(&[data], &mut || true).expect("nobody stops it"))
    }

    fn hmac(algorithm: Algorithm, key: &[u8], data: &[u8]) -> String {
        hex(&algorithm.hmac(key, data, &mut || true).expect("nobody stops it"))
    }

    #[test]
    fn digests_are_those_of_their_standards() {
        assert_eq!(hash(Algorithm::Md5, b"abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(
            hash(Algorithm::Sha1, b"abc"),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        assert_eq!(
            hash(Algorithm::Sha256, b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    /// RFC 2202 §2 and §3, RFC 4231 §4.3 and §4.7.
    #[test]
    fn hmacs_are_those_of_their_standards() {
        let data = b"what do ya want for nothing?";
        assert_eq!(
            hmac(Algorithm::Md5, b"Jefe", data),
            "750c783e6ab0b503eaa86e310a5db738"
        );
        assert_eq!(
            hmac(Algorithm::Sha1, b"Jefe", data),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        );
        assert_eq!(
            hmac(Algorithm::Sha256, b"Jefe", data),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let long_key = hmac(
            Algorithm::Sha256,
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
        );
        assert_eq!(
            long_key,
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn text_is_decoded_as_far_as_it_goes() {
        assert_eq!(decode("0aFfzz00", Encoding::Hex), [0x0a, 0xff]);
        assert_eq!(decode("abc", Encoding::Hex), [0xab]);
        assert_eq!(decode("_w6b-w==", Encoding::Base64), [0xff, 0x0e, 0x9b, 0xfb]);
        assert_eq!(decode("YWI", Encoding::Base64Url), b"ab");
        assert_eq!(decode("YWJjZ", Encoding::Base64), b"abc");
        assert_eq!(decode("aé€", Encoding::Latin1), [0x61, 0xe9, 0xac]);
    }

    #[test]
    fn atob_refuses_what_is_no_base64() {
        assert_eq!(forgiving_base64(" YW\nI= ").as_deref(), Some(&b"ab"[..]));
        assert_eq!(forgiving_base64("YWI").as_deref(), Some(&b"ab"[..]));
        assert_eq!(forgiving_base64("YW-I"), None);
        assert_eq!(forgiving_base64("Y"), None);
    }

    #[test]
    fn a_long_digest_is_made_piece_by_piece_and_can_be_stopped() {
        let long = vec![b'a'; 1_000_000];
        let mut asked = 0;
        let mut count = || {
            asked += 1;
            true
        };
        let digest = Algorithm::Sha256.hash(&[&long], &mut count).expect("it went on");
        // FIPS 180-4, the example of a million letters.
        assert_eq!(
            hex(&digest),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        );
        assert_eq!(asked, 15);
        for algorithm in [Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256] {
            assert_eq!(algorithm.hash(&[&long], &mut || false), None);
            assert_eq!(algorithm.hmac(b"key", &long, &mut || false), None);
            assert_eq!(algorithm.hmac(&long, b"data", &mut || false), None);
        }
    }
}
