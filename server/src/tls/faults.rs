//! The TLS library's errors about a client in plain words, and the alert that is due where the library sends
//! none.
//!
//! Owns two matches over the library's errors: one to a sentence, one to an alert. No name of the library's
//! types gets into a record, whose reader knows TLS but not its library.

use std::borrow::Cow;

use rustls::{CertificateError, Error, HandshakeType, InvalidMessage, PeerIncompatible, PeerMisbehaved};

use super::alerts::{
    DECODE_ERROR, HANDSHAKE_FAILURE, ILLEGAL_PARAMETER, INTERNAL_ERROR, RECORD_OVERFLOW, UNEXPECTED_MESSAGE,
    alert_name,
};
use super::record_header;
use super::records::OUT_OF_PLACE;

/// A sentence for the record about the handshake of a client that this error has ended.
pub fn sentence(error: &Error) -> Cow<'static, str> {
    match error {
        error if *error == OUT_OF_PLACE => OUT_OF_PLACE_SENTENCE.into(),
        Error::InappropriateMessage { got_type, .. } => format!(
            "{} came at a point where none may",
            record_header::name(u8::from(*got_type))
        )
        .into(),
        Error::InappropriateHandshakeMessage { got_type, .. } => {
            let name = message_name(*got_type);
            format!("a handshake message of type {name} came where another was due").into()
        }
        Error::AlertReceived(alert) => {
            let name = alert_name(u8::from(*alert));
            format!("the client ended the handshake with alert {name}").into()
        }
        Error::General(text) if text == INCOMPATIBLE_KEY => NO_SIGNATURE_ALGORITHM.into(),
        // Sentences of ours, or of the library about itself.
        Error::General(text) => format!("a fault of the server: {text}").into(),
        Error::InvalidMessage(message) => invalid_message(message).into(),
        Error::InvalidCertificate(fault) => certificate(fault).into(),
        Error::PeerIncompatible(missing) => incompatible(missing).into(),
        Error::PeerMisbehaved(fault) => misbehaved(fault).into(),
        other => other_sentence(other).into(),
    }
}

/// Number of the alert that is due to the peer where the TLS library has sent none. `None`: no alert is due.
pub(super) fn alert(error: &Error) -> Option<u8> {
    match error {
        Error::AlertReceived(_) => None,
        Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge) => Some(ILLEGAL_PARAMETER),
        Error::InvalidMessage(_) => Some(DECODE_ERROR),
        Error::PeerSentOversizedRecord => Some(RECORD_OVERFLOW),
        Error::PeerIncompatible(_) => Some(HANDSHAKE_FAILURE),
        Error::General(text) if text == INCOMPATIBLE_KEY => Some(HANDSHAKE_FAILURE),
        Error::PeerMisbehaved(PeerMisbehaved::ServerNameDifferedOnRetry) => Some(ILLEGAL_PARAMETER),
        Error::PeerMisbehaved(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. } => Some(UNEXPECTED_MESSAGE),
        _ => Some(INTERNAL_ERROR),
    }
}

fn message_name(kind: HandshakeType) -> String {
    let name = match kind {
        HandshakeType::HelloRequest => "hello_request",
        HandshakeType::ClientHello => "client_hello",
        HandshakeType::ServerHello => "server_hello",
        HandshakeType::NewSessionTicket => "new_session_ticket",
        HandshakeType::EndOfEarlyData => "end_of_early_data",
        HandshakeType::Certificate => "certificate",
        HandshakeType::CertificateVerify => "certificate_verify",
        HandshakeType::ClientKeyExchange => "client_key_exchange",
        HandshakeType::Finished => "finished",
        HandshakeType::KeyUpdate => "key_update",
        other => return u8::from(other).to_string(),
    };
    name.to_owned()
}

fn invalid_message(fault: &InvalidMessage) -> &'static str {
    match fault {
        InvalidMessage::CertificatePayloadTooLarge => CERTIFICATES_TOO_LARGE,
        InvalidMessage::HandshakePayloadTooLarge => "a handshake message exceeds 64 KiB",
        InvalidMessage::MessageTooLarge => "a record is longer than TLS allows",
        InvalidMessage::InvalidEmptyPayload => "a record is empty",
        InvalidMessage::InvalidContentType => "a record is of an unknown type",
        InvalidMessage::UnknownProtocolVersion => "a record is of a protocol version that no TLS has",
        InvalidMessage::InvalidServerName => "the extension server_name is malformed",
        InvalidMessage::NoSignatureSchemes => "the client offers an empty list of signature algorithms",
        InvalidMessage::DuplicateExtension(_) => "a message has an extension twice",
        InvalidMessage::PreSharedKeyIsNotFinalExtension => {
            "pre_shared_key is not the last extension of the ClientHello"
        }
        InvalidMessage::UnsupportedCompression => "the client asks for compression",
        InvalidMessage::InvalidCcs => "a change_cipher_spec record is malformed",
        InvalidMessage::InvalidKeyUpdate => "a key_update is malformed",
        InvalidMessage::MissingKeyExchange => "the client offers no key exchange group",
        InvalidMessage::UnknownCertificateExtension => {
            "the certificate message has an extension that is not known"
        }
        _ => "a message is malformed",
    }
}

/// A sentence about a fault in the proof of the key. Certificates that the verifier refuses are told in its
/// own words.
fn certificate(fault: &CertificateError) -> &'static str {
    match fault {
        CertificateError::BadSignature => NO_PROOF,
        #[allow(deprecated)]
        CertificateError::UnsupportedSignatureAlgorithm
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the client proved that it holds the certificate's key by a signature algorithm that does not \
             fit the key, or is not accepted"
        }
        CertificateError::BadEncoding => "the client's certificate is malformed",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the client's certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the client's certificate is not valid yet"
        }
        CertificateError::Revoked => "the client's certificate is revoked",
        CertificateError::UnknownIssuer => "the client's certificate is not trusted",
        _ => "the client's certificate is not accepted",
    }
}

fn incompatible(missing: &PeerIncompatible) -> &'static str {
    match missing {
        PeerIncompatible::NoCipherSuitesInCommon => {
            "no cipher suite in common, among those that fit the server's certificate"
        }
        PeerIncompatible::NoKxGroupsInCommon | PeerIncompatible::NamedGroupsExtensionRequired => {
            "no key exchange group in common"
        }
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => NO_SIGNATURE_ALGORITHM,
        PeerIncompatible::SignatureAlgorithmsExtensionRequired => {
            "the client names no signature algorithms, as clients from before TLS 1.2 do"
        }
        PeerIncompatible::KeyShareExtensionRequired => "the client offers TLS 1.3 without a key share",
        PeerIncompatible::NullCompressionRequired => "the client does not offer to go without compression",
        PeerIncompatible::UncompressedEcPointsRequired
        | PeerIncompatible::EcPointsExtensionRequired
        | PeerIncompatible::NoEcPointFormatsInCommon => {
            "the client does not offer uncompressed points of elliptic curves"
        }
        PeerIncompatible::ExtendedMasterSecretExtensionRequired => {
            "the client does not offer extended_master_secret"
        }
        PeerIncompatible::IncorrectCertificateTypeExtension
        | PeerIncompatible::UnsolicitedCertificateTypeExtension => {
            "the client wants raw public keys, not certificates"
        }
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired => {
            "the client offers no version of TLS that the security policy of the distribution allows"
        }
        _ => "client and server have something in TLS not in common",
    }
}

fn misbehaved(fault: &PeerMisbehaved) -> &'static str {
    match fault {
        PeerMisbehaved::MessageInterleavedWithHandshakeMessage
        | PeerMisbehaved::RejectedEarlyDataInterleavedWithHandshakeMessage
        | PeerMisbehaved::IllegalTlsInnerPlaintext => OUT_OF_PLACE_SENTENCE,
        PeerMisbehaved::KeyEpochWithPendingFragment => {
            "octets follow a handshake message after which keys change"
        }
        PeerMisbehaved::TooManyEmptyFragments => "too many empty records",
        PeerMisbehaved::TooManyKeyUpdateRequests => "too many key updates",
        PeerMisbehaved::TooManyRenegotiationRequests => "too many attempts to renegotiate",
        PeerMisbehaved::TooManyWarningAlertsReceived => "too many warnings",
        PeerMisbehaved::TooMuchEarlyDataReceived => {
            "the client sent early data, which is not taken, beyond any limit"
        }
        PeerMisbehaved::IncorrectBinder => {
            "the client does not hold the session of the ticket that it offers"
        }
        PeerMisbehaved::ServerNameMustContainOneHostName | PeerMisbehaved::DuplicateServerNameTypes => {
            "the extension server_name has not one host name"
        }
        PeerMisbehaved::ServerNameDifferedOnRetry => {
            "the client's second ClientHello names another host than its first"
        }
        PeerMisbehaved::CipherSuiteDifferedOnRetry
        | PeerMisbehaved::HandshakeHashVariedAfterRetry
        | PeerMisbehaved::MissingPskExtensionInSecondClientHello
        | PeerMisbehaved::EarlyDataAttemptedInSecondClientHello
        | PeerMisbehaved::RefusedToFollowHelloRetryRequest => {
            "the client's second ClientHello is not what HelloRetryRequest asked for"
        }
        PeerMisbehaved::InvalidKeyShare | PeerMisbehaved::WrongGroupForKeyShare => {
            "the client's key share is invalid"
        }
        PeerMisbehaved::OfferedDuplicateKeyShares | PeerMisbehaved::DuplicateClientHelloExtensions => {
            "the ClientHello offers something twice that may stand there once"
        }
        PeerMisbehaved::OfferedIncorrectCompressions => "the ClientHello of TLS 1.3 offers compression",
        PeerMisbehaved::MissingBinderInPskExtension
        | PeerMisbehaved::MissingPskModesExtension
        | PeerMisbehaved::PskExtensionMustBeLast
        | PeerMisbehaved::PskExtensionWithMismatchedIdsAndBinders => {
            "the extension pre_shared_key is not in order"
        }
        PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme
        | PeerMisbehaved::SignedKxWithWrongAlgorithm => {
            "the client signed the handshake by an algorithm that was not offered"
        }
        PeerMisbehaved::ResumptionAttemptedWithVariedEms | PeerMisbehaved::ResumptionOfferedWithVariedEms => {
            "the client resumes a session and differs in extended_master_secret"
        }
        _ => "the client broke a rule of TLS",
    }
}

fn other_sentence(error: &Error) -> &'static str {
    match error {
        Error::NoCertificatesPresented => NO_CERTIFICATE,
        Error::NoApplicationProtocol => "no protocol in common (ALPN)",
        Error::DecryptError => {
            "a record could not be decrypted: it was changed on the way, or encrypted with another key"
        }
        Error::PeerSentOversizedRecord => "a record is longer than TLS allows",
        Error::InvalidEncryptedClientHello(_) => "the encrypted ClientHello is malformed",
        Error::FailedToGetRandomBytes => "the operating system gave no random numbers",
        Error::FailedToGetCurrentTime => "the operating system did not tell the time",
        Error::EncryptError => "nothing can be encrypted any more",
        Error::HandshakeNotComplete => "the handshake was not over",
        _ => "the TLS library failed",
    }
}

/// Sentence about a client without a certificate, in either version.
pub const NO_CERTIFICATE: &str = "the client presented no certificate, and the distribution requires one";
pub const NO_PROOF: &str = "the client did not prove that it holds the certificate's key";
pub const CERTIFICATES_TOO_LARGE: &str = "the client's certificate message exceeds 64 KiB";
const NO_SIGNATURE_ALGORITHM: &str =
    "no signature algorithm in common, among those that fit the server's key";
const OUT_OF_PLACE_SENTENCE: &str = "a record came that may not come there: of an unknown type or none, \
    empty, or between the pieces of a handshake message";
/// Words of the library under TLS 1.2, which has no kind of error for this.
const INCOMPATIBLE_KEY: &str = "incompatible signing key";

#[cfg(test)]
#[path = "faults_tests.rs"]
mod tests;
