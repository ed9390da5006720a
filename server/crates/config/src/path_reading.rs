//! The ways in which an origin may read the path of a request.
//!
//! A behavior is chosen by the path's normal form (RFC 3986 §6.2.2, and runs of slashes as one), but the
//! origin gets the path as it came and may read it otherwise: decode it not at all or twice, take `%2F` or
//! `\` for a slash, drop what stands behind `;`, believe overlong UTF-8. Where two of these readings would be
//! served by different behaviors, a client would choose whose rules it passes by; the caller refuses such a
//! request.
//!
//! Pure. Time and memory are linear in the path, times the number of readings, which is bounded; most paths
//! have one, which the caller finds out by [`is_plain`] without any of this.

/// A path whose readings cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It has an encoded NUL, at which some origins end it.
    Nul,
    /// It is encoded more often than anybody does who means well.
    EncodedTooOften,
}

impl Unreadable {
    /// The fault, in words for the operator.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nul => "it has an encoded NUL",
            Self::EncodedTooOften => "it is percent-encoded more than three times over",
        }
    }
}

/// True if everybody reads `path` as it stands. Nothing in such a path is encoded. Such a path has no dot
/// segments, no empty segments, and none of the octets that some origins take for more than a letter.
pub fn is_plain(path: &str) -> bool {
    let mut before = b'a';
    for byte in path.bytes() {
        let is_odd = match byte {
            b'%' | b'\\' | b';' | 0..=b' ' | 0x7f.. => true,
            b'/' | b'.' => before == b'/',
            _ => false,
        };
        if is_odd || (byte == b'/' && before == b'.') {
            return false;
        }
        before = byte;
    }
    before != b'.'
}

/// The normal form: letters, digits, `-`, `.`, `_` and `~` decoded, other escapes in upper case, dot segments
/// gone, runs of slashes as one. A path of it stays as it is.
pub fn normal(path: &str) -> String {
    let mut octets = parse(path);
    decode_unreserved(&mut octets);
    render(&fold(&octets, Folding::MergeThenDots))
}

/// A pattern's text with its escapes as [`normal`] has them.
pub fn normal_escapes(text: &str) -> String {
    let mut octets = parse(text);
    decode_unreserved(&mut octets);
    render(&octets)
}

/// Calls `visit` with each reading of `path`, the normal form first, until it returns false. A reading may
/// come more than once.
///
/// # Errors
/// There are readings that cannot be told.
pub fn each_reading(path: &str, mut visit: impl FnMut(&str) -> bool) -> Result<(), Unreadable> {
    if !visit(&normal(path)) {
        return Ok(());
    }
    let raw = parse(path);
    let mut unreserved = raw.clone();
    decode_unreserved(&mut unreserved);
    if !visit_foldings(&raw, &mut visit) || (unreserved != raw && !visit_foldings(&unreserved, &mut visit)) {
        return Ok(());
    }
    // Decoded once, twice, three times; each time as strict decoders do it and as lenient ones do.
    let mut octets = raw;
    for _ in 0..DECODINGS_MAX {
        let changed = decode(&mut octets);
        let lenient = decode_leniently(&octets);
        if !changed && lenient.is_none() {
            return Ok(());
        }
        for octets in std::iter::once(&octets).chain(&lenient) {
            if octets.contains(&NUL) {
                return Err(Unreadable::Nul);
            }
            if !visit_foldings(octets, &mut visit) {
                return Ok(());
            }
        }
        if let Some(lenient) = lenient {
            octets = lenient;
        }
    }
    match decode(&mut octets) {
        true => Err(Unreadable::EncodedTooOften),
        false => Ok(()),
    }
}

/// An octet of a path; above 255: it is written as an escape, and so has no meaning but itself.
type Octet = u16;

const ESCAPED: Octet = 0x100;
const NUL: Octet = 0;
const SLASH: Octet = b'/' as Octet;
const BACKSLASH: Octet = b'\\' as Octet;
const SEMICOLON: Octet = b';' as Octet;
const PERCENT: Octet = b'%' as Octet;
const DOT: Octet = b'.' as Octet;
const BLANK: Octet = b' ' as Octet;
/// More is nobody's who means well.
const DECODINGS_MAX: usize = 3;

fn parse(path: &str) -> Vec<Octet> {
    let mut octets = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, behind @ ..] = rest {
        match (first, behind) {
            (b'%', [high, low, behind @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                octets.push(ESCAPED | value(*high) << 4 | value(*low));
                rest = behind;
            }
            (byte, behind) => {
                octets.push(Octet::from(*byte));
                rest = behind;
            }
        }
    }
    octets
}

/// A hexadecimal digit's.
fn value(digit: u8) -> Octet {
    Octet::from(match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    })
}

/// RFC 3986 §6.2.2.2.
fn decode_unreserved(octets: &mut [Octet]) {
    for octet in octets {
        let plain = *octet & !ESCAPED;
        let is_unreserved = u8::try_from(plain)
            .is_ok_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'));
        if is_unreserved {
            *octet = plain;
        }
    }
}

/// Does one round of decoding. True if there was anything to decode.
fn decode(octets: &mut Vec<Octet>) -> bool {
    // What an earlier round has left is text by now: `%` and two digits make an escape of their own.
    let text = std::mem::take(octets);
    let mut rest = text.as_slice();
    let mut changed = false;
    while let [first, behind @ ..] = rest {
        rest = behind;
        let escape = behind.split_at_checked(2).filter(|_| *first == PERCENT);
        let escape = escape.and_then(|(digits, behind)| Some((value_of(digits)?, behind)));
        octets.push(match escape {
            Some((value, behind)) => {
                rest = behind;
                value
            }
            None => first & !ESCAPED,
        });
        changed |= escape.is_some() || first & ESCAPED != 0;
    }
    changed
}

/// Value that hexadecimal digits stand for.
fn value_of(digits: &[Octet]) -> Option<Octet> {
    digits.iter().try_fold(0, |sum: Octet, octet| {
        let digit = u8::try_from(*octet).ok().filter(u8::is_ascii_hexdigit)?;
        Some(sum << 4 | value(digit))
    })
}

/// Reads decoded octets as lenient decoders do: overlong UTF-8 and `%uXXXX` are the ASCII that they stand
/// for. `None`: lenient decoders find nothing more to decode.
fn decode_leniently(octets: &[Octet]) -> Option<Vec<Octet>> {
    let mut lenient = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let [first, behind @ ..] = rest {
        let (octet, behind) = match behind {
            [a, behind @ ..] if (0xc0..=0xc1).contains(first) && is_continuation(*a) => {
                ((first & 1) << 6 | a & 0x3f, behind)
            }
            [a, b, behind @ ..] if *first == 0xe0 && (0x80..=0x81).contains(a) && is_continuation(*b) => {
                ((a & 1) << 6 | b & 0x3f, behind)
            }
            [0x80, a, b, behind @ ..]
                if *first == 0xf0 && (0x80..=0x81).contains(a) && is_continuation(*b) =>
            {
                ((a & 1) << 6 | b & 0x3f, behind)
            }
            [u, digits @ ..] if *first == PERCENT && (u | 0x20) == Octet::from(b'u') => {
                let long = digits.split_at_checked(4);
                let long = long.and_then(|(digits, behind)| Some((value_of(digits)?, behind)));
                long.filter(|(value, _)| *value < 0x80)
                    .unwrap_or((*first, behind))
            }
            behind => (*first, behind),
        };
        lenient.push(octet);
        rest = behind;
    }
    (lenient.len() != octets.len()).then_some(lenient)
}

fn is_continuation(octet: Octet) -> bool {
    (0x80..0xc0).contains(&octet)
}

/// Ways to treat the segments of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Folding {
    /// RFC 3986 §5.2.4 to the letter, which counts empty segments.
    Dots,
    DotsThenMerge,
    MergeThenDots,
    /// `;` and what stands behind it in a segment goes first.
    Parameters,
    /// `\` is a slash, and dots and blanks at a segment's end are not there.
    Windows,
    ParametersAndWindows,
}

/// Every folding that could make a difference, and the path as it stands.
fn visit_foldings(octets: &[Octet], visit: &mut impl FnMut(&str) -> bool) -> bool {
    let has_segments = has_odd_segments(octets);
    let has_parameters = octets.contains(&SEMICOLON);
    let has_windows = octets.contains(&BACKSLASH) || has_trailing(octets);
    let foldings = [
        (has_segments, Folding::Dots),
        (has_segments, Folding::DotsThenMerge),
        (has_segments, Folding::MergeThenDots),
        (has_parameters, Folding::Parameters),
        (has_windows, Folding::Windows),
        (has_parameters && has_windows, Folding::ParametersAndWindows),
    ];
    visit(&render(octets))
        && foldings
            .iter()
            .filter(|(matters, _)| *matters)
            .all(|(_, folding)| visit(&render(&fold(octets, *folding))))
}

/// True if a segment is empty, or begins with a dot.
fn has_odd_segments(octets: &[Octet]) -> bool {
    octets.windows(2).any(|pair| matches!(pair, [SLASH, SLASH | DOT]))
}

/// True if a segment ends in a dot or a blank.
fn has_trailing(octets: &[Octet]) -> bool {
    let ends = |octet: &Octet| matches!(*octet, DOT | BLANK);
    octets
        .windows(2)
        .any(|pair| matches!(pair, [a, SLASH | BACKSLASH | SEMICOLON] if ends(a)))
        || octets.last().is_some_and(ends)
}

fn fold(octets: &[Octet], folding: Folding) -> Vec<Octet> {
    let slashed = |octets: &[Octet]| -> Vec<Octet> {
        let slash = |octet: &Octet| if *octet == BACKSLASH { SLASH } else { *octet };
        octets.iter().map(slash).collect()
    };
    match folding {
        Folding::Dots => joined(without_dots(segments(octets))),
        Folding::DotsThenMerge => joined(merged(without_dots(segments(octets)))),
        Folding::MergeThenDots => joined(without_dots(merged(segments(octets)))),
        Folding::Parameters => {
            let cut = segments(octets).into_iter().map(without_parameters);
            joined(without_dots(merged(cut.collect())))
        }
        Folding::Windows => {
            let octets = slashed(octets);
            let cut = segments(&octets).into_iter().map(without_trailing);
            joined(without_dots(merged(cut.collect())))
        }
        Folding::ParametersAndWindows => {
            let octets = slashed(octets);
            let cut = segments(&octets).into_iter().map(without_parameters);
            joined(without_dots(merged(cut.map(without_trailing).collect())))
        }
    }
}

/// Segments behind each slash. The path's own first slash is taken for granted.
fn segments(octets: &[Octet]) -> Vec<&[Octet]> {
    let behind_first = octets.strip_prefix(&[SLASH]).unwrap_or(octets);
    behind_first.split(|octet| *octet == SLASH).collect()
}

fn joined(segments: Vec<&[Octet]>) -> Vec<Octet> {
    let mut octets = Vec::new();
    for segment in segments {
        octets.push(SLASH);
        octets.extend_from_slice(segment);
    }
    octets
}

/// Without empty segments, but for one at the end: `/a/` is not `/a`.
fn merged(segments: Vec<&[Octet]>) -> Vec<&[Octet]> {
    let last = segments.len().saturating_sub(1);
    let all = segments.into_iter().enumerate();
    all.filter(|(at, segment)| !segment.is_empty() || *at == last)
        .map(|(_, segment)| segment)
        .collect()
}

fn without_dots(segments: Vec<&[Octet]>) -> Vec<&[Octet]> {
    let mut kept: Vec<&[Octet]> = Vec::with_capacity(segments.len());
    let last = segments.len().saturating_sub(1);
    for (at, segment) in segments.into_iter().enumerate() {
        match segment {
            [DOT] => {}
            [DOT, DOT] => drop(kept.pop()),
            segment => {
                kept.push(segment);
                continue;
            }
        }
        if at == last {
            kept.push(&[]);
        }
    }
    kept
}

fn without_parameters(segment: &[Octet]) -> &[Octet] {
    segment
        .split(|octet| *octet == SEMICOLON)
        .next()
        .unwrap_or(segment)
}

fn without_trailing(segment: &[Octet]) -> &[Octet] {
    match segment {
        [DOT] | [DOT, DOT] => segment,
        _ => {
            let mut kept = segment;
            while let [front @ .., DOT | BLANK] = kept {
                kept = front;
            }
            kept
        }
    }
}

/// Writes octets as patterns do: anything but visible ASCII is an escape in upper case, and so is `%` itself.
fn render(octets: &[Octet]) -> String {
    let mut text = String::with_capacity(octets.len() + octets.len() / 4);
    for octet in octets {
        match u8::try_from(*octet) {
            Ok(byte) if byte.is_ascii_graphic() && byte != b'%' => text.push(char::from(byte)),
            _ => {
                text.push('%');
                for nibble in [octet >> 4 & 0xf, octet & 0xf] {
                    let digit = char::from_digit(nibble.into(), 16).unwrap_or('0');
                    text.push(digit.to_ascii_uppercase());
                }
            }
        }
    }
    text
}

#[cfg(test)]
#[path = "path_reading_tests.rs"]
mod tests;
