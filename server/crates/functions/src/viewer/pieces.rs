//! Query strings and cookies: a sequence of pieces, of which those that a function did not touch stay octet
//! for octet, and in their places.

use std::borrow::Cow;

use super::fields::{Change, Changes, Field, Given, Grouping, Item, Returned, changes, text};
use super::invalid::{Invalid, Why};

/// The pieces of one query string, of all `Cookie` headers, or of all `Set-Cookie` headers.
#[derive(Debug)]
pub struct Pieces<'a> {
    kind: Kind,
    pieces: Vec<Piece<'a>>,
    pub fields: Vec<Field<'a>>,
}

/// The way in which pieces are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Between two `&`. Names and values are percent-encoded, and nobody decodes them for the function.
    Query,
    /// Between two `;` (RFC 6265 §4.2).
    Cookie,
    /// A header line (RFC 6265 §4.1).
    SetCookie,
}

#[derive(Debug)]
struct Piece<'a> {
    raw: &'a [u8],
    /// The name as the piece has it.
    name: &'a [u8],
    /// Its place among the fields; none: an empty piece, which is not shown.
    field: Option<usize>,
}

impl<'a> Pieces<'a> {
    pub fn of_query(query: &'a str) -> Self {
        let pieces = query.split('&').map(str::as_bytes);
        Self::new(Kind::Query, pieces.filter(|_| !query.is_empty()))
    }

    /// Reads `Cookie` headers. HTTP/2 may have split one into many (RFC 9113 §8.2.3).
    pub fn of_cookies(headers: impl Iterator<Item = &'a [u8]>) -> Self {
        let pieces = headers.flat_map(|header| header.split(|byte| *byte == b';'));
        Self::new(Kind::Cookie, pieces.map(<[u8]>::trim_ascii))
    }

    pub fn of_set_cookies(headers: impl Iterator<Item = &'a [u8]>) -> Self {
        Self::new(Kind::SetCookie, headers.map(<[u8]>::trim_ascii))
    }

    fn new(kind: Kind, raw: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut grouping = Grouping::default();
        let pieces = raw
            .map(|raw| {
                let (pair, attributes) = match kind {
                    Kind::SetCookie => split_at(raw, b';'),
                    Kind::Query | Kind::Cookie => (raw, None),
                };
                let (name, value) = split_at(pair, b'=');
                let item = Item {
                    value: text(value.unwrap_or_default()),
                    attributes: attributes.map(<[u8]>::trim_ascii).map(text),
                };
                let field = (!raw.is_empty()).then(|| grouping.add(text(name), item));
                Piece { raw, name, field }
            })
            .collect();
        Self {
            kind,
            pieces,
            fields: grouping.fields,
        }
    }

    /// The pieces as the function wants them; `None`: as they were.
    pub fn rewrite(&self, returned: &[Returned]) -> Result<Option<Vec<Cow<'a, [u8]>>>, Invalid> {
        let Changes { shown, added } = {
            let changes = changes(self.kind.place(), &self.fields, returned)?;
            if changes.is_empty() {
                return Ok(None);
            }
            changes
        };
        let mut out = Vec::with_capacity(self.pieces.len() + added.len());
        let mut written = vec![false; shown.len()];
        for piece in &self.pieces {
            let change = piece
                .field
                .and_then(|at| Some((written.get_mut(at)?, shown.get(at)?)));
            match change {
                None | Some((_, Change::Keep)) => out.push(Cow::Borrowed(piece.raw)),
                Some((written, Change::Replace(values))) => {
                    if !std::mem::replace(written, true) {
                        self.write(&mut out, piece.name, values)?;
                    }
                }
            }
        }
        for (name, values) in added {
            self.write(&mut out, &self.kind.name(name)?, values)?;
        }
        Ok(Some(out))
    }

    fn write(&self, out: &mut Vec<Cow<'a, [u8]>>, name: &[u8], values: &[Given]) -> Result<(), Invalid> {
        for value in values {
            let mut piece = name.to_vec();
            piece.push(b'=');
            let told = String::from_utf8_lossy(name);
            self.kind
                .value(&mut piece, value)
                .map_err(|why| Invalid::named(self.kind.place(), &told, why))?;
            out.push(Cow::Owned(piece));
        }
        Ok(())
    }
}

impl Kind {
    fn place(self) -> &'static str {
        match self {
            Self::Query => "request.querystring",
            Self::Cookie => "request.cookies",
            Self::SetCookie => "response.cookies",
        }
    }

    /// A name that was not there before.
    fn name(self, name: &str) -> Result<Vec<u8>, Invalid> {
        let refuse = || Invalid::named(self.place(), name, Why::NotAName);
        match self {
            Self::Query => {
                let mut out = Vec::with_capacity(name.len());
                encode(&mut out, name, |byte| is_query_text(byte) && byte != b'=').ok_or_else(refuse)?;
                Ok(out)
            }
            // RFC 6265 §4.1.1 wants a token.
            Self::Cookie | Self::SetCookie => {
                let good = !name.is_empty() && name.bytes().all(is_token_text);
                good.then(|| name.as_bytes().to_vec()).ok_or_else(refuse)
            }
        }
    }

    fn value(self, out: &mut Vec<u8>, given: &Given) -> Result<(), Why> {
        match self {
            Self::Query => encode(out, &given.value, is_query_text).ok_or(Why::NotAValue),
            Self::Cookie => push_checked(out, &given.value, |byte| byte != b';'),
            Self::SetCookie => {
                push_checked(out, &given.value, |byte| byte != b';')?;
                match given.attributes.as_deref().map(str::trim) {
                    None | Some("") => Ok(()),
                    Some(attributes) => {
                        out.extend_from_slice(b"; ");
                        push_checked(out, attributes, |_| true)
                    }
                }
            }
        }
    }
}

/// The part before the first `separator`, and the part behind it.
fn split_at(bytes: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    let mut halves = bytes.splitn(2, |byte| *byte == separator);
    (halves.next().unwrap_or_default(), halves.next())
}

/// Writes `text` with everything but `is_plain` as `%XX`. `None`: it has control characters, which nobody
/// means.
pub(super) fn encode(out: &mut Vec<u8>, text: &str, is_plain: impl Fn(u8) -> bool) -> Option<()> {
    for byte in text.bytes() {
        if byte.is_ascii_control() {
            return None;
        }
        if is_plain(byte) {
            out.push(byte);
        } else {
            out.push(b'%');
            out.extend([byte >> 4, byte & 0x0f].map(|nibble| match nibble {
                0..10 => b'0' + nibble,
                _ => b'A' + nibble - 10,
            }));
        }
    }
    Some(())
}

fn push_checked(out: &mut Vec<u8>, text: &str, is_good: impl Fn(u8) -> bool) -> Result<(), Why> {
    if text.bytes().any(|byte| byte.is_ascii_control() || !is_good(byte)) {
        return Err(Why::NotAValue);
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// True for an octet that may stand in a query as it is; `%` among them, since functions see and write
/// encoded text.
fn is_query_text(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(
            byte,
            b'&' | b'#' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'
        )
}

/// RFC 9110 §5.6.2.
fn is_token_text(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
