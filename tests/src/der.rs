//! DER, as much of it as it takes to turn a certificate that rcgen made into one that it would never make.

/// An element: its identifier octet and the whole of its encoding.
pub struct Element<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    pub whole: &'a [u8],
}

/// The elements that lie side by side in `input`. Panics where it is not DER with definite lengths.
pub fn elements(mut input: &[u8]) -> Vec<Element<'_>> {
    let mut found = Vec::new();
    while !input.is_empty() {
        let (head, length) = header(input);
        let (whole, rest) = input.split_at(head + length);
        found.push(Element {
            tag: whole[0],
            content: &whole[head..],
            whole,
        });
        input = rest;
    }
    found
}

/// An element with this tag and content.
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=0x7f => out.push(short as u8),
        long => {
            let octets: Vec<u8> = long
                .to_be_bytes()
                .into_iter()
                .skip_while(|octet| *octet == 0)
                .collect();
            out.push(0x80 | octets.len() as u8);
            out.extend(octets);
        }
    }
    out.extend_from_slice(content);
    out
}

pub const SEQUENCE: u8 = 0x30;
pub const BIT_STRING: u8 = 0x03;

/// Octets of identifier and length, and the content's length.
fn header(input: &[u8]) -> (usize, usize) {
    match input[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        long => {
            let octets = usize::from(long & 0x7f);
            let length = input[2..2 + octets]
                .iter()
                .fold(0, |sum, octet| sum << 8 | usize::from(*octet));
            (2 + octets, length)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![7; length];
            let written = [element(SEQUENCE, &content), element(BIT_STRING, b"x")].concat();
            let read = elements(&written);
            assert_eq!(
                (read[0].tag, read[0].content),
                (SEQUENCE, &content[..]),
                "length {length}"
            );
            assert_eq!(
                (read[1].tag, read[1].content),
                (BIT_STRING, &b"x"[..]),
                "length {length}"
            );
        }
    }
}
