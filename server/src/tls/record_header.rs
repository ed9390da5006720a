//! Header of a TLS record: content types and lengths (RFC 8446 §5.1), and what becomes of a header that
//! breaks a rule.

pub(super) const HEADER_BYTES: usize = 5;

pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;
/// Content type of RFC 6520, which has come to an end: nobody may send one.
pub(super) const HEARTBEAT: u8 = 24;

/// Plaintext of one record.
pub(crate) const PLAIN_BYTES_MAX: usize = 16 * 1024;
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

/// Turns the record at the front, if its header breaks a rule, into one that whoever decrypts it refuses
/// ([`super::records`]). `true`: the record was too long.
///
/// rustls itself would answer decode_error, or wait for octets that never come. The octets behind the header
/// do not matter, since the connection ends there. `unread` begins with a record's header always, also where
/// pieces of a handshake message are kept.
pub(super) fn make_refusable(unread: &mut [u8], bytes_max: usize) -> bool {
    let Some((header, _)) = unread.split_first_chunk_mut::<HEADER_BYTES>() else {
        // rustls refuses an unknown type at once, with another alert. A heartbeat makes it wait for the rest
        // of the header, which is refused then.
        if let Some(unknown @ (..CHANGE_CIPHER_SPEC | HEARTBEAT..)) = unread.first_mut() {
            *unknown = HEARTBEAT;
        }
        return false;
    };
    let [content_type, _, _, high, low] = *header;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let is_known = (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&content_type);
    let is_too_long = length > bytes_max;
    if is_too_long {
        *header = TOO_LONG;
    } else if !is_known || (length == 0 && content_type != APPLICATION_DATA) {
        *header = EMPTY;
    }
    is_too_long
}

/// Headers of empty records, which are refused; the second stands for a record that was too long.
const EMPTY: [u8; HEADER_BYTES] = [APPLICATION_DATA, 3, 3, 0, 0];
const TOO_LONG: [u8; HEADER_BYTES] = [APPLICATION_DATA, 3, MARK_OF_TOO_LONG, 0, 0];
/// A minor version that no TLS has: an empty record that bears it stands for one that was too long.
pub(super) const MARK_OF_TOO_LONG: u8 = 0xff;

#[cfg(test)]
mod tests {
    use super::*;

    fn made_refusable(octets: &[u8]) -> Vec<u8> {
        let mut octets = octets.to_vec();
        make_refusable(&mut octets, TLS13_BYTES_MAX);
        octets
    }

    #[test]
    fn headers_that_break_no_rule_are_left_alone() {
        let kept: [&[u8]; 7] = [
            &[],
            &[22],
            &[23, 3, 3, 0x41],
            &[23, 3, 3, 0x41, 0],
            &[20, 3, 3, 0, 1, 1],
            &[21, 3, 3, 0, 2, 1, 0],
            &[23, 3, 3, 0, 0],
        ];
        for octets in kept {
            assert_eq!(made_refusable(octets), octets);
        }
    }

    #[test]
    fn headers_that_break_one_become_those_that_are_refused() {
        assert_eq!(made_refusable(&[99]), [HEARTBEAT]);
        assert_eq!(made_refusable(&[0, 3, 3, 0]), [HEARTBEAT, 3, 3, 0]);
        for empty in [
            [HEARTBEAT, 3, 3, 0, 9],
            [99, 0, 0, 0, 0],
            [21, 3, 3, 0, 0],
            [22, 3, 3, 0, 0],
        ] {
            assert_eq!(made_refusable(&empty), EMPTY, "{empty:?}");
        }
        for kind in [20, 21, 22, 23, 99] {
            assert_eq!(made_refusable(&[kind, 3, 3, 0x41, 1]), TOO_LONG, "{kind}");
        }
    }
}
