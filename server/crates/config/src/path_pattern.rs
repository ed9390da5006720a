//! Path patterns of behaviors: `*` for any run of characters, `?` for exactly one, case-sensitive.
//!
//! Paths are matched in their normal form ([`super::path_reading`]), so a pattern's escapes have that form
//! too.
//!
//! Pure. Matching allocates nothing and does not recurse; its time is at worst the pattern's length times the
//! path's.

use std::fmt;

use super::path_reading::normal_escapes;

/// A pattern over the path of a request, without its query.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPattern {
    /// Begins with `/` or `*`: with or without a leading slash, a pattern means the same.
    text: Box<str>,
}

impl PathPattern {
    pub fn parse(text: &str) -> Result<Self, InvalidPathPattern> {
        if text.is_empty() || text.len() > PATTERN_BYTES_MAX {
            return Err(InvalidPathPattern::Length);
        }
        if let Some(c) = text.chars().find(|c| !is_allowed(*c)) {
            return Err(InvalidPathPattern::Character(c));
        }
        let slash = if text.starts_with(['/', '*']) { "" } else { "/" };
        let text = format!("{slash}{text}");
        if NEVER_NORMAL.iter().any(|part| text.contains(part))
            || text.ends_with("/.")
            || text.ends_with("/..")
        {
            return Err(InvalidPathPattern::Segment);
        }
        Ok(Self {
            text: normal_escapes(&text).into(),
        })
    }

    /// True if every path matches.
    pub fn is_any(&self) -> bool {
        self.text.bytes().all(|b| b == b'*')
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn matches(&self, path: &str) -> bool {
        let (pattern, path) = (self.text.as_bytes(), path.as_bytes());
        let (mut at_pattern, mut at_path) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while let Some(&byte) = path.get(at_path) {
            match pattern.get(at_pattern) {
                Some(b'*') => {
                    retry = Some((at_pattern + 1, at_path));
                    at_pattern += 1;
                }
                Some(&wanted) if wanted == b'?' || wanted == byte => {
                    at_pattern += 1;
                    at_path += 1;
                }
                _ => {
                    let Some((after_star, taken)) = retry else {
                        return false;
                    };
                    retry = Some((after_star, taken + 1));
                    (at_pattern, at_path) = (after_star, taken + 1);
                }
            }
        }
        pattern.iter().skip(at_pattern).all(|b| *b == b'*')
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A text that is no path pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidPathPattern {
    Length,
    Character(char),
    /// An empty segment, or one of dots, which no path has in its normal form.
    Segment,
}

/// True for a character that a path can hold, and for the two wildcards. `?` cannot be in a path: it would
/// begin the query.
fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-.*$/~\"'@:+&?%!,;=()".contains(c)
}

/// Parts that no path has in its normal form.
const NEVER_NORMAL: [&str; 3] = ["//", "/./", "/../"];

/// The managed service's limit.
const PATTERN_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        PathPattern::parse(pattern).unwrap().matches(path)
    }

    #[test]
    fn a_pattern_matches_what_it_says() {
        let cases = [
            ("*", "/", true),
            ("*", "/a/b", true),
            ("*", "*", true),
            ("/images/*", "/images/", true),
            ("/images/*", "/images/a/b.png", true),
            ("/images/*", "/images", false),
            ("/images/*", "/Images/a", false),
            ("images/*.jpg", "/images/a/b.jpg", true),
            ("images/*.jpg", "/images/a.jpgx", false),
            ("*.jpg", "/a/b.jpg", true),
            ("/a?c", "/abc", true),
            ("/a?c", "/ac", false),
            ("/a?c", "/a/c", true),
            ("?", "/x", true),
            ("?", "/", false),
            ("/api", "/api", true),
            ("/api", "/api/", false),
            ("/*a*b", "/xaxb", true),
            ("/*a*b", "/xaxbx", false),
            ("/**", "/", true),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn only_stars_match_everything() {
        assert!(PathPattern::parse("*").unwrap().is_any());
        assert!(!PathPattern::parse("/*").unwrap().is_any());
    }

    #[test]
    fn an_overlong_empty_or_odd_pattern_is_refused() {
        assert_eq!(PathPattern::parse(""), Err(InvalidPathPattern::Length));
        assert_eq!(
            PathPattern::parse(&"a".repeat(256)),
            Err(InvalidPathPattern::Length)
        );
        assert_eq!(
            PathPattern::parse("/a b"),
            Err(InvalidPathPattern::Character(' '))
        );
        assert_eq!(PathPattern::parse("/ä"), Err(InvalidPathPattern::Character('ä')));
        for never in ["//a", "/a//b", "/./a", "/a/../b", "/a/..", "./a", "/a/."] {
            assert_eq!(
                PathPattern::parse(never),
                Err(InvalidPathPattern::Segment),
                "{never}"
            );
        }
    }

    #[test]
    fn escapes_of_a_pattern_have_the_form_of_those_in_paths() {
        for (pattern, expected) in [
            ("/%7euser/*", "/~user/*"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a%2fb", "/a%2Fb"),
        ] {
            assert_eq!(PathPattern::parse(pattern).unwrap().as_str(), expected);
        }
    }

    /// The definition, slow and obvious.
    fn defined(pattern: &[u8], path: &[u8]) -> bool {
        match (pattern.first(), path.first()) {
            (None, None) => true,
            (Some(b'*'), _) => {
                defined(&pattern[1..], path) || (!path.is_empty() && defined(pattern, &path[1..]))
            }
            (Some(p), Some(c)) if *p == b'?' || p == c => defined(&pattern[1..], &path[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn the_matcher_agrees_with_the_definition(pattern in "/[ab?*]{0,8}", path in "/[ab/]{0,10}") {
            prop_assert_eq!(matches(&pattern, &path), defined(pattern.as_bytes(), path.as_bytes()));
        }
    }
}
