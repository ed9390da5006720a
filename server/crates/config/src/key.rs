//! Paths of keys in a configuration file: `distributions[0].viewer_mtls.trust_store`.
//!
//! Owns the notation. Knows nothing of TOML, files or lines.

use std::borrow::Cow;
use std::fmt;

/// The path from the root of a configuration file to one key or element.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyPath(Vec<Segment>);

impl KeyPath {
    /// The whole file.
    pub fn root() -> Self {
        Self::default()
    }

    /// The key `name` of the table that this path leads to.
    #[must_use]
    pub fn child(&self, name: impl Into<Cow<'static, str>>) -> Self {
        self.with(Segment::Key(name.into()))
    }

    /// The element `index`, counted from zero, of the array that this path leads to.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.0
    }

    fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(name) => {
                    let dot = if position == 0 { "" } else { "." };
                    match is_bare(name) {
                        true => write!(f, "{dot}{name}")?,
                        false => write!(f, "{dot}{name:?}")?,
                    }
                }
            }
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Segment {
    Key(Cow<'static, str>),
    Index(usize),
}

/// True if TOML lets the key stand without quotes.
fn is_bare(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_a_reader_would_write_it() {
        let path = KeyPath::root()
            .child("distributions")
            .index(0)
            .child("viewer_mtls")
            .child("trust_store");
        assert_eq!(path.to_string(), "distributions[0].viewer_mtls.trust_store");
    }

    #[test]
    fn a_key_that_toml_would_quote_is_quoted() {
        let path = KeyPath::root().child("a").child("x.y\n");
        assert_eq!(path.to_string(), r#"a."x.y\n""#);
    }

    #[test]
    fn the_whole_file_has_no_name() {
        assert_eq!(KeyPath::root().to_string(), "");
    }
}
