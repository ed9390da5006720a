//! The rules of TLS about encrypted records that the TLS library does not keep, or keeps without the alert
//! that is due.
//!
//! The rules are checked where a record is decrypted: an error there makes the library send an alert,
//! encrypted as it has to be. So each cipher suite of the library is taken with its decrypter wrapped.
//! Encryption is the library's, untouched. Both sides of a connection use these suites.
//!
//! - A record's content type is known, and not missing (RFC 8446 §5.4: unexpected_message).
//! - An alert or a handshake record is not empty (§5.4).
//! - No other record stands between the pieces of a handshake message (§5.1).
//! - A record is no longer than it may be (§5.2: record_overflow).
//! - A handshake message is no longer than the library reads.

use std::sync::LazyLock;

use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::crypto::{CipherSuiteCommon, aws_lc_rs};
use rustls::{
    ConnectionTrafficSecrets, ContentType, Error, InvalidMessage, PeerMisbehaved, ProtocolVersion,
    SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite,
};

use super::record_header::{
    HEADER_BYTES, MARK_OF_TOO_LONG, PLAIN_BYTES_MAX, TLS12_BYTES_MAX, TLS13_BYTES_MAX,
};
use crate::runtime::Duplex;

/// Every suite that can be spoken, its records held to the rules.
pub(crate) static CIPHER_SUITES: LazyLock<Vec<SupportedCipherSuite>> = LazyLock::new(|| {
    aws_lc_rs::ALL_CIPHER_SUITES
        .iter()
        .map(|suite| checked(*suite))
        .collect()
});

/// The error that makes the library send unexpected_message: this one, of those that a decrypter may return.
pub(super) const OUT_OF_PLACE: Error =
    Error::PeerMisbehaved(PeerMisbehaved::IllegalMiddleboxChangeCipherSpec);

/// Wraps a suite, for as long as the process lives. Called once for each.
fn checked(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    match suite {
        SupportedCipherSuite::Tls13(suite) => {
            SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                common: common(&suite.common),
                hkdf_provider: suite.hkdf_provider,
                aead_alg: Box::leak(Box::new(Checked(suite.aead_alg))),
                quic: suite.quic,
            })))
        }
        SupportedCipherSuite::Tls12(suite) => {
            SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                common: common(&suite.common),
                prf_provider: suite.prf_provider,
                kx: suite.kx,
                sign: suite.sign,
                aead_alg: Box::leak(Box::new(Checked(suite.aead_alg))),
            })))
        }
    }
}

fn common(suite: &CipherSuiteCommon) -> CipherSuiteCommon {
    CipherSuiteCommon {
        suite: suite.suite,
        hash_provider: suite.hash_provider,
        confidentiality_limit: suite.confidentiality_limit,
    }
}

/// An AEAD whose decrypters keep the rules.
struct Checked<A: ?Sized + 'static>(&'static A);

impl Tls13AeadAlgorithm for Checked<dyn Tls13AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        self.0.encrypter(key, iv)
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Decrypter {
            inner: self.0.decrypter(key, iv),
            is_tls13: true,
            message: Message::default(),
        })
    }

    fn key_len(&self) -> usize {
        self.0.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv)
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }
}

impl Tls12AeadAlgorithm for Checked<dyn Tls12AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        self.0.encrypter(key, iv, extra)
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(Decrypter {
            inner: self.0.decrypter(key, iv),
            is_tls13: false,
            message: Message::default(),
        })
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        self.0.key_block_shape()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv, explicit)
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }
}

/// Decrypter of one connection and one key.
struct Decrypter {
    inner: Box<dyn MessageDecrypter>,
    is_tls13: bool,
    message: Message,
}

impl MessageDecrypter for Decrypter {
    fn decrypt<'a>(
        &mut self,
        record: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        // Under TLS 1.3 every record looks like application data, once there is a key.
        let is_known = match self.is_tls13 {
            true => record.typ == ContentType::ApplicationData,
            false => record.typ != ContentType::Heartbeat,
        };
        if record.payload.is_empty()
            && record.version == ProtocolVersion::from(0x0300 | u16::from(MARK_OF_TOO_LONG))
        {
            return Err(Error::PeerSentOversizedRecord);
        }
        // No cipher makes an empty record.
        if !is_known || record.payload.is_empty() {
            return Err(OUT_OF_PLACE);
        }
        let bytes_max = if self.is_tls13 {
            TLS13_BYTES_MAX
        } else {
            TLS12_BYTES_MAX
        };
        if record.payload.len() > bytes_max {
            return Err(Error::PeerSentOversizedRecord);
        }
        let plain = match self.inner.decrypt(record, seq) {
            Err(Error::PeerMisbehaved(PeerMisbehaved::IllegalTlsInnerPlaintext)) => return Err(OUT_OF_PLACE),
            decrypted => decrypted?,
        };
        self.message.follow(plain.typ, plain.payload)?;
        Ok(plain)
    }
}

/// A handshake message on its way, in however many records.
#[derive(Default)]
struct Message {
    header: [u8; 4],
    /// Octets of the header that have come. Where `body_left` is 0, it is the header of the next message.
    header_bytes: usize,
    /// Octets of the body that are still to come.
    body_left: usize,
}

impl Message {
    fn follow(&mut self, kind: ContentType, payload: &[u8]) -> Result<(), Error> {
        match kind {
            ContentType::Handshake if payload.is_empty() => Err(OUT_OF_PLACE),
            ContentType::Handshake => self.read(payload),
            ContentType::Alert if payload.is_empty() => Err(OUT_OF_PLACE),
            ContentType::ApplicationData | ContentType::Alert | ContentType::ChangeCipherSpec
                if self.is_between() =>
            {
                Ok(())
            }
            _ => Err(OUT_OF_PLACE),
        }
    }

    /// True if no message is under way: each message that has begun has ended.
    fn is_between(&self) -> bool {
        self.header_bytes == 0 && self.body_left == 0
    }

    fn read(&mut self, mut payload: &[u8]) -> Result<(), Error> {
        while let Some((first, rest)) = payload.split_first() {
            if self.body_left > 0 {
                let taken = self.body_left.min(payload.len());
                self.body_left -= taken;
                payload = payload.get(taken..).unwrap_or_default();
                continue;
            }
            if let Some(octet) = self.header.get_mut(self.header_bytes) {
                *octet = *first;
            }
            self.header_bytes += 1;
            payload = rest;
            if self.header_bytes == self.header.len() {
                let [_, a, b, c] = self.header;
                self.body_left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.header_bytes = 0;
            }
            if self.body_left > MESSAGE_BYTES_MAX {
                return Err(InvalidMessage::HandshakePayloadTooLarge.into());
            }
        }
        Ok(())
    }
}

/// The library's own bound, which it keeps without an alert.
const MESSAGE_BYTES_MAX: usize = 0xffff;

/// A small record, as some clients cut their messages.
const SMALL_RECORD_BYTES: usize = 1_024;

// The library takes a message whole: it has to fit into what may be unread, also in small records with all
// the padding that they may have. So does each record.
const _: () = assert!(
    MESSAGE_BYTES_MAX
        + MESSAGE_BYTES_MAX.div_ceil(SMALL_RECORD_BYTES) * (HEADER_BYTES + TLS13_BYTES_MAX - PLAIN_BYTES_MAX)
        <= Duplex::UNREAD_BYTES_MAX
);
const _: () = assert!(HEADER_BYTES + TLS12_BYTES_MAX <= Duplex::UNREAD_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: u8 = 11;

    fn message(body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).expect("a short body").to_be_bytes();
        [&[CERTIFICATE, 0], &length[..], body].concat()
    }

    #[test]
    fn messages_may_be_cut_and_joined_in_any_way() {
        let two = [message(&[7; 300]), message(&[]), message(&[1])].concat();
        for size in [1, 3, 4, 5, 304, 1_000] {
            let mut follower = Message::default();
            for piece in two.chunks(size) {
                assert_eq!(follower.follow(ContentType::Handshake, piece), Ok(()), "{size}");
            }
            assert!(follower.is_between(), "{size}");
            assert_eq!(follower.follow(ContentType::ApplicationData, &[]), Ok(()));
        }
    }

    #[test]
    fn nothing_may_stand_between_the_pieces_of_a_message() {
        for begun in 1..8 {
            for other in [
                ContentType::ApplicationData,
                ContentType::Alert,
                ContentType::ChangeCipherSpec,
            ] {
                let mut follower = Message::default();
                let piece = &message(&[7; 4])[..begun];
                assert_eq!(follower.follow(ContentType::Handshake, piece), Ok(()));
                assert_eq!(
                    follower.follow(other, &[1, 0]),
                    Err(OUT_OF_PLACE),
                    "{begun} {other:?}"
                );
            }
        }
    }

    #[test]
    fn empty_unknown_and_oversized_ones_are_refused() {
        let mut follower = Message::default();
        for kind in [ContentType::Handshake, ContentType::Alert] {
            assert_eq!(follower.follow(kind, &[]), Err(OUT_OF_PLACE), "{kind:?}");
        }
        for kind in [
            ContentType::Heartbeat,
            ContentType::from(99),
            ContentType::from(0),
        ] {
            assert_eq!(follower.follow(kind, &[1]), Err(OUT_OF_PLACE), "{kind:?}");
        }
        let oversized = follower.follow(ContentType::Handshake, &[CERTIFICATE, 1, 0, 0]);
        assert_eq!(oversized, Err(InvalidMessage::HandshakePayloadTooLarge.into()));
    }

    #[test]
    fn every_suite_of_the_library_is_among_them() {
        assert_eq!(CIPHER_SUITES.as_slice(), aws_lc_rs::ALL_CIPHER_SUITES);
    }
}
