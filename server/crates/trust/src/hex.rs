//! Octets as hexadecimal text, plain or with colons.

/// The service's way to write a serial number.
pub(super) fn colon_hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 3);
    for octet in octets {
        if !text.is_empty() {
            text.push(':');
        }
        push_hex(&mut text, *octet);
    }
    text
}

/// `b143ed`.
pub(super) fn hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 2);
    for octet in octets {
        push_hex(&mut text, *octet);
    }
    text
}

fn push_hex(text: &mut String, octet: u8) {
    for nibble in [octet >> 4, octet & 0x0f] {
        text.extend(char::from_digit(u32::from(nibble), 16));
    }
}
