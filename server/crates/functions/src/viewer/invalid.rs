//! Values returned by a function that cannot be sent.

use std::fmt;

/// A fault, and its place in the returned object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// `request.headers`, `response.body`, …
    pub place: &'static str,
    /// The header, argument or cookie.
    pub name: Option<String>,
    pub why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is not of this type.
    Not(&'static str),
    Missing,
    ReadOnly,
    Forbidden,
    /// Two names that differ by case only.
    Twice,
    /// `Cookie` and `Set-Cookie` among the headers.
    IsCookie,
    NotAName,
    /// A control character, or what would end the value.
    NotAValue,
    /// No `/` at its beginning.
    NotAbsolute,
    /// `?` or `#` in a path, or what no path can have.
    NotAPath,
    NotAStatus,
    NotBase64,
    /// Larger than this number of octets.
    TooLarge(usize),
}

impl Invalid {
    pub(super) fn at(place: &'static str, why: Why) -> Self {
        Self {
            place,
            name: None,
            why,
        }
    }

    pub(super) fn named(place: &'static str, name: &str, why: Why) -> Self {
        Self {
            place,
            name: Some(name.chars().take(NAME_CHARACTERS_SHOWN).collect()),
            why,
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            // Foreign text, so that quotes and escapes are wanted.
            Some(name) => write!(f, "{}[{name:?}] {}", self.place, self.why),
            None => write!(f, "{} {}", self.place, self.why),
        }
    }
}

impl std::error::Error for Invalid {}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Not(wanted) => write!(f, "is not {wanted}"),
            Self::Missing => f.write_str("is missing"),
            Self::ReadOnly => f.write_str("is read-only"),
            Self::Forbidden => f.write_str("may not be set by a function"),
            Self::Twice => f.write_str("is there twice, in different case"),
            Self::IsCookie => f.write_str("belongs under cookies"),
            Self::NotAName => f.write_str("is no name that can be sent"),
            Self::NotAValue => f.write_str("has a value that cannot be sent"),
            Self::NotAbsolute => f.write_str("does not begin with /"),
            Self::NotAPath => f.write_str("has what a path cannot have"),
            Self::NotAStatus => f.write_str("is not an integer from 200 to 599"),
            Self::NotBase64 => f.write_str("is not base64"),
            Self::TooLarge(max) => write!(f, "is larger than {max} octets"),
        }
    }
}

/// Enough to find it by.
const NAME_CHARACTERS_SHOWN: usize = 64;
