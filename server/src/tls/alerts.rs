//! TLS alerts: their numbers, their names, and the record of one in the clear (RFC 8446 §6, RFC 5246 §7.2).

use super::record_header::ALERT;

pub(super) const UNEXPECTED_MESSAGE: u8 = 10;
pub(super) const RECORD_OVERFLOW: u8 = 22;
pub(super) const HANDSHAKE_FAILURE: u8 = 40;
pub(super) const ILLEGAL_PARAMETER: u8 = 47;
pub(super) const DECODE_ERROR: u8 = 50;
pub(super) const PROTOCOL_VERSION: u8 = 70;
pub(crate) const INTERNAL_ERROR: u8 = 80;
pub(super) const INAPPROPRIATE_FALLBACK: u8 = 86;
pub(super) const MISSING_EXTENSION: u8 = 109;
/// RFC 6066 §3.
pub(crate) const UNRECOGNIZED_NAME: u8 = 112;

/// The record of a fatal alert, in the clear (RFC 8446 §5.1, §6).
pub(crate) fn plain_alert(number: u8) -> [u8; 7] {
    [ALERT, 3, 3, 0, 2, FATAL, number]
}

/// Number and name of an alert (RFC 8446 §6.2; the older ones RFC 5246 §7.2.2).
pub(super) fn alert_name(number: u8) -> String {
    let name = match number {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => return number.to_string(),
    };
    format!("{number} ({name})")
}

pub(super) const FATAL: u8 = 2;
