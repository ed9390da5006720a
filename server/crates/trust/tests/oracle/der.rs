//! The little DER that extensions need which no library writes.

/// An element of less than 65,536 octets.
pub fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut element = vec![tag];
    match content.len() {
        length @ ..=0x7f => element.push(length as u8),
        length @ ..=0xff => element.extend([0x81, length as u8]),
        length => {
            element.push(0x82);
            element.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    element.extend_from_slice(content);
    element
}

pub fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tagged(0x30, &parts.concat())
}

/// The name O=`value`.
pub fn organization(value: &str) -> Vec<u8> {
    let pair = sequence(&[tagged(6, &[0x55, 4, 10]), tagged(12, value.as_bytes())]);
    sequence(&[tagged(0x31, &pair)])
}
