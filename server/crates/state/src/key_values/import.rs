//! The import file: `{"data":[{"key":"…","value":"…"}]}`, UTF-8, as the managed service documents it.
//!
//! Owns its form in both directions. What is read may be laid out in any way; what is written has one entry
//! on each line, by key, so that two versions can be compared line by line. Members that the form does not
//! have are refused: whoever wrote one expects something of it. An empty value is a value. Pure; bounded by
//! [`StoreLimits`].

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::items::{Items, sorted};
use super::limits::{StoreLimits, shown};

/// Reads an import file.
///
/// # Errors
/// It is too large, of another form, or holds what no store may hold.
pub(super) fn parse(bytes: &[u8], limits: &StoreLimits) -> Result<Items, ImportError> {
    if bytes.len() > limits.store_bytes_max {
        return Err(ImportError::TooLarge {
            bytes_max: limits.store_bytes_max,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| ImportError::NoText {
        offset: error.valid_up_to(),
    })?;
    if text.starts_with('\u{feff}') {
        return Err(ImportError::ByteOrderMark);
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let items = FileSeed(limits).deserialize(&mut deserializer);
    items
        .and_then(|items| deserializer.end().map(|()| items))
        .map_err(|error| ImportError::Form(error.to_string()))
}

/// Writes `items` as the text of an import file.
pub(super) fn render(items: &Items) -> String {
    if items.is_empty() {
        return "{\"data\":[]}\n".to_owned();
    }
    let mut text = String::from("{\"data\":[\n");
    for (position, (key, value)) in sorted(items).into_iter().enumerate() {
        let comma = if position == 0 { "" } else { ",\n" };
        let _a_string_takes_all = write!(
            text,
            "{comma}{{\"key\":{},\"value\":{}}}",
            quoted(key),
            quoted(value)
        );
    }
    text.push_str("\n]}\n");
    text
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string can be written as JSON")
}

/// A file that is no import file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportError {
    TooLarge {
        bytes_max: usize,
    },
    NoText {
        offset: usize,
    },
    ByteOrderMark,
    /// With the entry, the line and the column.
    Form(String),
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes_max } => write!(
                f,
                "it has more than {bytes_max} bytes; take entries out, or raise limits.key_value_store_bytes"
            ),
            Self::NoText { offset } => write!(f, "it is not UTF-8 (byte {offset}); write it as UTF-8"),
            Self::ByteOrderMark => f.write_str("it begins with a byte order mark; write it without"),
            Self::Form(fault) => write!(f, "{fault}; an import file is {FORM}"),
        }
    }
}

impl std::error::Error for ImportError {}

const FORM: &str = r#"{"data":[{"key":"…","value":"…"}]}, each key once"#;

struct FileSeed<'l>(&'l StoreLimits);

impl<'de> DeserializeSeed<'de> for FileSeed<'_> {
    type Value = Items;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Items, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FileSeed<'_> {
    type Value = Items;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the member `data`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Items, A::Error> {
        let mut items = None;
        while let Some(member) = map.next_key::<Cow<'de, str>>()? {
            match &*member {
                "data" if items.is_none() => items = Some(map.next_value_seed(EntriesSeed(self.0))?),
                "data" => return Err(A::Error::duplicate_field("data")),
                other => return Err(A::Error::custom(format_args!("unknown member {}", shown(other)))),
            }
        }
        items.ok_or_else(|| A::Error::missing_field("data"))
    }
}

struct EntriesSeed<'l>(&'l StoreLimits);

impl<'de> DeserializeSeed<'de> for EntriesSeed<'_> {
    type Value = Items;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Items, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for EntriesSeed<'_> {
    type Value = Items;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items, A::Error> {
        let mut items = Items::new();
        for number in 1_usize.. {
            // The position at the end of the inner message is taken over.
            let at_entry =
                |fault: &dyn fmt::Display| A::Error::custom(format_args!("entry {number}: {fault}"));
            let Some(entry) = list.next_element::<Entry>().map_err(|error| at_entry(&error))? else {
                break;
            };
            self.0
                .check(&entry.key, &entry.value)
                .map_err(|error| at_entry(&error))?;
            if items.contains_key(&*entry.key) {
                let fault = format!("the key {} has been given before", shown(&entry.key));
                return Err(at_entry(&fault));
            }
            items.insert(entry.key, entry.value);
        }
        Ok(items)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    key: Box<str>,
    value: Box<str>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn small() -> StoreLimits {
        StoreLimits {
            store_bytes_max: 400,
            key_bytes_max: 8,
            value_bytes_max: 16,
        }
    }

    fn message(text: impl AsRef<[u8]>) -> String {
        parse(text.as_ref(), &small())
            .expect_err("no import file")
            .to_string()
    }

    #[test]
    fn a_file_in_any_layout_is_read() {
        let text = "\n{ \"data\" : [ {\"value\":\"\",\"key\":\"a\"},\n\
             {\"key\":\"\\u00e9\",\"value\":\"\\u0000\\\"\"} ] }\n";
        let items = parse(text.as_bytes(), &small()).unwrap();
        assert_eq!(sorted(&items), [("a", ""), ("é", "\0\"")]);
        assert!(parse(br#"{"data":[]}"#, &small()).unwrap().is_empty());
    }

    #[test]
    fn what_is_written_has_one_entry_on_each_line_by_key() {
        let items = parse(
            br#"{"data":[{"key":"b","value":"2\n"},{"key":"a","value":""}]}"#,
            &small(),
        )
        .unwrap();
        let text = "{\"data\":[\n{\"key\":\"a\",\"value\":\"\"},\n{\"key\":\"b\",\"value\":\"2\\n\"}\n]}\n";
        assert_eq!(render(&items), text);
        assert_eq!(render(&Items::new()), "{\"data\":[]}\n");
    }

    #[test]
    fn a_file_of_another_form_is_refused_with_entry_and_line() {
        let entry = |text: &str| format!("{{\"data\":[\n{{\"key\":\"a\",\"value\":\"\"}},\n{text}]}}");
        for (text, parts) in [
            (String::new(), &["EOF", "line 1", "{\"data\":["][..]),
            ("[]".to_owned(), &["an object with the member `data`"]),
            ("{}".to_owned(), &["missing field `data`"]),
            (r#"{"data":[],"data":[]}"#.to_owned(), &["duplicate field `data`"]),
            (
                r#"{"data":[],"dat\u0061":[]}"#.to_owned(),
                &["duplicate field `data`"],
            ),
            (
                r#"{"data":[],"version":1}"#.to_owned(),
                &["unknown member \"version\""],
            ),
            (
                r#"{"data":[]} x"#.to_owned(),
                &["trailing characters", "column 13"],
            ),
            (r#"{"data":{}}"#.to_owned(), &["a list of entries"]),
            (entry("7"), &["entry 2", "line 3"]),
            (
                entry(r#"{"key":"b"}"#),
                &["entry 2", "missing field `value`", "line 3"],
            ),
            (
                entry(r#"{"key":"b","value":7}"#),
                &["entry 2", "integer `7`", "string", "line 3"],
            ),
            (
                entry(r#"{"key":"b","value":null}"#),
                &["entry 2", "null", "line 3"],
            ),
            (
                entry(r#"{"key":"b","value":"","ttl":""}"#),
                &["entry 2", "unknown field `ttl`", "line 3"],
            ),
            (
                entry(r#"{"key":"b","key":"b","value":""}"#),
                &["entry 2", "duplicate field `key`"],
            ),
            (
                entry(r#"{"key":"\u0061","value":"2"}"#),
                &["entry 2", "the key \"a\" has been given before", "line 3"],
            ),
            (
                entry(r#"{"key":"","value":""}"#),
                &["entry 2", "the key is empty"],
            ),
            (
                entry(r#"{"key":"123456789","value":""}"#),
                &[
                    "entry 2",
                    "\"123456789\"",
                    "9 bytes",
                    "more than 8",
                    "limits.key_bytes",
                ],
            ),
            (
                entry(r#"{"key":"b","value":"12345678901234567"}"#),
                &[
                    "entry 2",
                    "\"b\"",
                    "17 bytes",
                    "more than 16",
                    "limits.value_bytes",
                ],
            ),
            (entry(r#"{"key":"\ud800","value":""}"#), &["entry 2", "line 3"]),
            (
                " ".repeat(401),
                &["more than 400 bytes", "limits.key_value_store_bytes"],
            ),
            ("\u{feff}{\"data\":[]}".to_owned(), &["byte order mark"]),
        ] {
            let message = message(&text);
            for part in parts {
                assert!(message.contains(part), "{text}: {message}\n  wanted: {part}");
            }
        }
        assert!(message(b"{\"data\":[{\"key\":\"\xff\"").contains("not UTF-8 (byte 17)"));
        assert!(message("[".repeat(300)).contains("line 1"));
    }

    #[test]
    fn a_long_key_is_shown_in_part() {
        let limits = StoreLimits::default();
        let text = format!(r#"{{"data":[{{"key":"{}","value":""}}]}}"#, "é".repeat(300));
        let message = parse(text.as_bytes(), &limits).unwrap_err().to_string();
        assert!(message.contains("600 bytes") && message.len() < 400, "{message}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(
            items in proptest::collection::hash_map("\\PC{1,9}|[\\x00-\\x7f]{1,9}", ".{0,9}", 0..9),
        ) {
            let items: Items = items.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
            let text = render(&items);
            prop_assert_eq!(text.lines().count(), if items.is_empty() { 1 } else { items.len() + 2 });
            prop_assert_eq!(parse(text.as_bytes(), &StoreLimits::default()), Ok(items));
        }
    }
}
