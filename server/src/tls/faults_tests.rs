//! Every error of the TLS library that can be made here, in words.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, ContentType, EncryptedClientHelloError, InconsistentKeys, OtherError};

use super::*;

/// Names that the standards spell with capitals within a word.
const SPELT_SO: [&str; 4] = [
    "ClientHello",
    "ServerHello",
    "HelloRetryRequest",
    "CertificateVerify",
];

macro_rules! all {
    ($of:ident: $($name:ident),+ $(,)?) => { vec![$($of::$name.into()),+] };
}

fn incompatibilities() -> Vec<Error> {
    all![PeerIncompatible:
        EcPointsExtensionRequired, ExtendedMasterSecretExtensionRequired,
        IncorrectCertificateTypeExtension, KeyShareExtensionRequired, NamedGroupsExtensionRequired,
        NoCertificateRequestSignatureSchemesInCommon, NoCipherSuitesInCommon, NoEcPointFormatsInCommon,
        NoKxGroupsInCommon, NoSignatureSchemesInCommon, NullCompressionRequired,
        ServerDoesNotSupportTls12Or13, ServerSentHelloRetryRequestWithUnknownExtension,
        ServerTlsVersionIsDisabledByOurConfig, SignatureAlgorithmsExtensionRequired,
        SupportedVersionsExtensionRequired, Tls12NotOffered, Tls12NotOfferedOrEnabled,
        Tls13RequiredForQuic, UncompressedEcPointsRequired, UnsolicitedCertificateTypeExtension
    ]
}

fn misbehaviors() -> Vec<Error> {
    all![PeerMisbehaved:
        AttemptedDowngradeToTls12WhenTls13IsSupported, BadCertChainExtensions, CipherSuiteDifferedOnRetry,
        DisallowedEncryptedExtension, DuplicateClientHelloExtensions, DuplicateServerNameTypes,
        EarlyDataAttemptedInSecondClientHello, EarlyDataExtensionWithoutResumption,
        EarlyDataOfferedWithVariedCipherSuite, HandshakeHashVariedAfterRetry,
        IllegalMiddleboxChangeCipherSpec, IllegalTlsInnerPlaintext, IncorrectBinder,
        InvalidCertCompression, InvalidMaxEarlyDataSize, InvalidKeyShare, KeyEpochWithPendingFragment,
        KeyUpdateReceivedInQuicConnection, MessageInterleavedWithHandshakeMessage,
        MissingBinderInPskExtension, MissingKeyShare, MissingPskExtensionInSecondClientHello,
        MissingPskModesExtension, OfferedDuplicateCertificateCompressions, OfferedDuplicateKeyShares,
        OfferedEarlyDataWithOldProtocolVersion, OfferedEmptyApplicationProtocol,
        OfferedIncorrectCompressions, PskExtensionMustBeLast, PskExtensionWithMismatchedIdsAndBinders,
        RefusedToFollowHelloRetryRequest, RejectedEarlyDataInterleavedWithHandshakeMessage,
        ResumptionAttemptedWithVariedEms, ResumptionOfferedWithVariedCipherSuite,
        ResumptionOfferedWithVariedEms, ResumptionOfferedWithIncompatibleCipherSuite, SelectedInvalidPsk,
        ServerEchoedCompatibilitySessionId, ServerNameDifferedOnRetry, ServerNameMustContainOneHostName,
        SignedKxWithWrongAlgorithm, SignedHandshakeWithUnadvertisedSigScheme, TooManyEmptyFragments,
        TooManyKeyUpdateRequests, TooManyRenegotiationRequests, TooManyWarningAlertsReceived,
        TooMuchEarlyDataReceived, UnexpectedCleartextExtension, UnsolicitedCertExtension,
        UnsolicitedEncryptedExtension, WrongGroupForKeyShare, UnsolicitedEchExtension
    ]
}

fn invalid_messages() -> Vec<Error> {
    let mut all: Vec<Error> = all![InvalidMessage:
        CertificatePayloadTooLarge, HandshakePayloadTooLarge, InvalidCcs, InvalidContentType,
        InvalidCertificateStatusType, InvalidCertRequest, InvalidDhParams, InvalidEmptyPayload,
        InvalidKeyUpdate, InvalidServerName, MessageTooLarge, MessageTooShort, MissingKeyExchange,
        NoSignatureSchemes, UnknownProtocolVersion, UnsupportedCompression, UnsupportedCurveType,
        EmptyTicketValue, IllegalEmptyValue, PreSharedKeyIsNotFinalExtension,
        UnknownHelloRetryRequestExtension, UnknownCertificateExtension
    ];
    all.extend([
        InvalidMessage::MissingData("ServerName").into(),
        InvalidMessage::TrailingData("CertificateExtensions").into(),
        InvalidMessage::UnexpectedMessage("ClientKeyExchange").into(),
        InvalidMessage::IllegalEmptyList("ProtocolNames").into(),
        InvalidMessage::DuplicateExtension(7).into(),
    ]);
    all
}

fn certificates() -> Vec<Error> {
    let time = UnixTime::since_unix_epoch(Duration::from_secs(1));
    let name = || ServerName::try_from("a.example").expect("a name");
    let faults = [
        CertificateError::BadEncoding,
        CertificateError::Expired,
        CertificateError::ExpiredContext {
            time,
            not_after: time,
        },
        CertificateError::NotValidYet,
        CertificateError::NotValidYetContext {
            time,
            not_before: time,
        },
        CertificateError::Revoked,
        CertificateError::UnhandledCriticalExtension,
        CertificateError::UnknownIssuer,
        CertificateError::UnknownRevocationStatus,
        CertificateError::ExpiredRevocationList,
        CertificateError::ExpiredRevocationListContext {
            time,
            next_update: time,
        },
        CertificateError::BadSignature,
        CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: vec![1],
            supported_algorithms: Vec::new(),
        },
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: vec![1],
            public_key_algorithm_id: vec![2],
        },
        CertificateError::NotValidForName,
        CertificateError::NotValidForNameContext {
            expected: name(),
            presented: Vec::new(),
        },
        CertificateError::InvalidPurpose,
        CertificateError::InvalidOcspResponse,
        CertificateError::ApplicationVerificationFailure,
        CertificateError::Other(OtherError(Arc::new(std::fmt::Error))),
    ];
    faults.into_iter().map(Error::InvalidCertificate).collect()
}

fn others() -> Vec<Error> {
    let mut all: Vec<Error> = (0..=255)
        .map(|number| Error::AlertReceived(AlertDescription::from(number)))
        .collect();
    all.extend((0..=255).map(|number| Error::InappropriateMessage {
        expect_types: vec![ContentType::Handshake],
        got_type: ContentType::from(number),
    }));
    all.extend((0..=255).map(|number| Error::InappropriateHandshakeMessage {
        expect_types: vec![HandshakeType::ClientHello],
        got_type: HandshakeType::from(number),
    }));
    all.extend([
        Error::InvalidEncryptedClientHello(EncryptedClientHelloError::InvalidConfigList),
        Error::NoCertificatesPresented,
        Error::UnsupportedNameType,
        Error::DecryptError,
        Error::EncryptError,
        Error::General("no server certificate chain resolved".to_owned()),
        Error::General(INCOMPATIBLE_KEY.to_owned()),
        Error::FailedToGetCurrentTime,
        Error::FailedToGetRandomBytes,
        Error::HandshakeNotComplete,
        Error::PeerSentOversizedRecord,
        Error::NoApplicationProtocol,
        Error::BadMaxFragmentSize,
        Error::InconsistentKeys(InconsistentKeys::Unknown),
        Error::Other(OtherError(Arc::new(std::fmt::Error))),
    ]);
    all
}

fn every_error() -> Vec<Error> {
    let all = [
        incompatibilities(),
        misbehaviors(),
        invalid_messages(),
        certificates(),
        others(),
    ];
    all.concat()
}

/// Words of the kind `NoKxGroupsInCommon`.
fn is_a_library_word(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    let has_hump = word
        .as_bytes()
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()));
    has_hump && !SPELT_SO.contains(&word) && word != "KiB"
}

#[test]
fn no_reason_has_a_word_of_the_library() {
    for error in every_error() {
        let sentence = sentence(&error);
        assert!(!sentence.is_empty());
        let words: Vec<&str> = sentence
            .split_whitespace()
            .filter(|word| is_a_library_word(word))
            .collect();
        assert!(words.is_empty(), "{error:?}: {sentence}: {words:?}");
        assert!(
            !sentence.contains(['{', '}', '_', '('])
                || sentence.contains("alert")
                || names_an_element(&sentence),
            "{sentence}"
        );
    }
    assert!(is_a_library_word("NoKxGroupsInCommon") && is_a_library_word("(BadDerTime)."));
}

/// Extensions and messages, as the RFCs spell them.
fn names_an_element(sentence: &str) -> bool {
    let elements = [
        "server_name",
        "pre_shared_key",
        "change_cipher_spec",
        "key_update",
        "extended_master_secret",
        "ALPN",
        "of type",
    ];
    elements.iter().any(|element| sentence.contains(element))
}

#[test]
fn every_error_but_an_alert_is_due_an_alert() {
    for error in every_error() {
        let is_alert = matches!(error, Error::AlertReceived(_));
        assert_eq!(alert(&error).is_none(), is_alert, "{error:?}");
    }
    assert_eq!(alert(&OUT_OF_PLACE), Some(UNEXPECTED_MESSAGE));
    assert_eq!(
        alert(&Error::General(INCOMPATIBLE_KEY.to_owned())),
        Some(HANDSHAKE_FAILURE)
    );
}

#[test]
fn alerts_are_called_by_number_and_name() {
    assert_eq!(alert_name(44), "44 (certificate_revoked)");
    assert_eq!(alert_name(255), "255");
    let told = sentence(&Error::AlertReceived(AlertDescription::UnknownCA));
    assert_eq!(told, "the client ended the handshake with alert 48 (unknown_ca)");
}
