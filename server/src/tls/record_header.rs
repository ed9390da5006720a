//! Header of a TLS record: content types and lengths (RFC 8446 §5.1).

pub(super) const HEADER_BYTES: usize = 5;

pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;
/// Of RFC 6520, which has come to an end: nobody may send one.
pub(super) const HEARTBEAT: u8 = 24;

/// Plaintext of one record.
pub(super) const PLAIN_BYTES_MAX: usize = 16 * 1024;
/// Payload of an encrypted record under TLS 1.3 (RFC 8446 §5.2).
pub(super) const TLS13_BYTES_MAX: usize = PLAIN_BYTES_MAX + 256;
/// Payload of an encrypted record under TLS 1.2 (RFC 5246 §6.2.3).
pub(super) const TLS12_BYTES_MAX: usize = PLAIN_BYTES_MAX + 2048;

/// A record of this content type, in words.
pub(super) fn name(content_type: u8) -> &'static str {
    match content_type {
        CHANGE_CIPHER_SPEC => "a change_cipher_spec record",
        ALERT => "an alert",
        HANDSHAKE => "a handshake record",
        APPLICATION_DATA => "application data",
        HEARTBEAT => "a heartbeat",
        _ => "a record of an unknown type",
    }
}
