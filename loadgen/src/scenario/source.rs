//! A scenario's text, and where in it a mistake is: every message has the form `FILE:LINE: KEY: fault;
//! remedy`.

use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::raw::Scenario;
use crate::plan::UsageError;

/// A scenario's file and its text.
pub struct Source {
    /// Path of the file, as it was given.
    pub file: PathBuf,
    text: String,
}

/// Mistake in the value at `key`.
#[derive(Debug)]
pub struct Problem {
    /// Place in the file.
    pub key: Key,
    /// The fault and its remedy.
    pub what: String,
}

/// `phases[1].rate`: tables by name, and places in their lists counted from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Name(String),
    Index(usize),
}

impl Source {
    /// Reads a file of at most a mebibyte.
    pub fn read(file: &Path) -> Result<Self, UsageError> {
        let unreadable = |what: String| UsageError(format!("{}: {what}", file.display()));
        let bytes =
            fs::metadata(file).map_err(|error| unreadable(format!("{error}; give a scenario's file")))?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(unreadable(format!(
                "it is larger than {FILE_BYTES_MAX} bytes, no scenario"
            )));
        }
        let text =
            fs::read_to_string(file).map_err(|error| unreadable(format!("{error}; it must be TOML")))?;
        Ok(Source::new(file, text))
    }

    /// A text that was read from `file`.
    pub fn new(file: &Path, text: String) -> Self {
        Source {
            file: file.to_owned(),
            text,
        }
    }

    /// Parses the text into names and types. The error names file, line, key and remedy.
    pub fn parse(&self) -> Result<Scenario, UsageError> {
        let table = DeTable::parse(&self.text).map_err(|error| {
            let line = error.span().map(|span| self.line_at(span.start));
            self.complain(line, &format!("this is not TOML: {}", error.message().trim()))
        })?;
        let deserializer = toml::de::Deserializer::from(table.clone());
        Scenario::deserialize(deserializer).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            let key = key_at(table.get_ref(), &span);
            let what = fault_of_shape(error.message());
            self.complain(Some(self.line_at(span.start)), &about(&key, &what))
        })
    }

    /// The problem as a message for the user, with file and line.
    pub fn locate(&self, problem: &Problem) -> UsageError {
        let table = DeTable::parse(&self.text).ok();
        let line = table.and_then(|table| self.line_of(table.get_ref(), &problem.key));
        self.complain(line, &about(&problem.key, &problem.what))
    }

    /// A path that the file names: relative ones are relative to its folder.
    pub fn path(&self, named: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(named)
    }

    fn complain(&self, line: Option<usize>, what: &str) -> UsageError {
        let file = self.file.display();
        UsageError(match line {
            Some(line) => format!("{file}:{line}: {what}"),
            None => format!("{file}: {what}"),
        })
    }

    /// The line of the value at `key`, or of the nearest table around it.
    fn line_of(&self, table: &DeTable<'_>, key: &Key) -> Option<usize> {
        let mut spot = None;
        let mut here: Option<&DeValue<'_>> = None;
        for segment in &key.0 {
            let next = match (segment, here) {
                (Segment::Name(name), None) => entry(table, name),
                (Segment::Name(name), Some(value)) => value.as_table().and_then(|table| entry(table, name)),
                (Segment::Index(index), Some(DeValue::Array(array))) => {
                    array.get(*index).map(|value| (value.span(), value.get_ref()))
                }
                (Segment::Index(_), _) => None,
            };
            let Some((span, value)) = next else { break };
            spot = Some(span.start);
            here = Some(value);
        }
        spot.map(|spot| self.line_at(spot))
    }

    /// Lines are counted from 1.
    fn line_at(&self, byte: usize) -> usize {
        1 + self.text.bytes().take(byte).filter(|b| *b == b'\n').count()
    }
}

impl Key {
    /// The key of a value at the top of the file.
    pub fn of(name: &str) -> Self {
        Key::default().child(name)
    }

    /// The key `name` in the table at this key.
    pub fn child(&self, name: &str) -> Self {
        self.with(Segment::Name(name.to_owned()))
    }

    /// The key of element number `index`, from 0, of the list at this key.
    pub fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    /// The problem that the value here has.
    pub fn problem(&self, what: impl Into<String>) -> Problem {
        Problem {
            key: self.clone(),
            what: what.into(),
        }
    }

    fn with(&self, segment: Segment) -> Self {
        let mut key = self.clone();
        key.0.push(segment);
        key
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Name(name) if place == 0 => f.write_str(name)?,
                Segment::Name(name) => write!(f, ".{name}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

fn about(key: &Key, what: &str) -> String {
    if key.0.is_empty() {
        what.to_owned()
    } else {
        format!("{key}: {what}")
    }
}

/// Explains the deserializer's message to the person who wrote the file.
fn fault_of_shape(message: &str) -> String {
    let names = |text: &str| text.replace('`', "");
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let known = rest.split_once(", expected ").map_or("", |(_, known)| known);
        let known = known.strip_prefix("one of ").unwrap_or(known);
        return format!("no such key; known here: {}", names(known));
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        return format!("{} is missing; add {} = …", names(rest), names(rest));
    }
    message
        .replace("expected i64", "expected a whole number")
        .trim()
        .to_owned()
}

/// The innermost key or value whose span contains `span`.
fn key_at(table: &DeTable<'_>, span: &Range<usize>) -> Key {
    let mut best = (usize::MAX, Key::default());
    visit(table, &Key::default(), &mut |candidate, key| {
        let contains = candidate.start <= span.start && span.end <= candidate.end;
        if contains && candidate.len() <= best.0 {
            best = (candidate.len(), key.clone());
        }
    });
    best.1
}

/// Every key and every value of the tree with its span, parents first. As deep as the parser lets values
/// nest.
fn visit(table: &DeTable<'_>, key: &Key, seen: &mut dyn FnMut(Range<usize>, &Key)) {
    for (name, value) in table {
        let key = key.child(name.get_ref());
        seen(name.span(), &key);
        visit_value(value, &key, seen);
    }
}

fn visit_value(value: &Spanned<DeValue<'_>>, key: &Key, seen: &mut dyn FnMut(Range<usize>, &Key)) {
    seen(value.span(), key);
    match value.get_ref() {
        DeValue::Table(table) => visit(table, key, seen),
        DeValue::Array(array) => {
            for (index, element) in array.iter().enumerate() {
                visit_value(element, &key.index(index), seen);
            }
        }
        _ => {}
    }
}

fn entry<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> Option<(Range<usize>, &'a DeValue<'i>)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    Some((key.span(), value.get_ref()))
}

const FILE_BYTES_MAX: u64 = 1 << 20;
