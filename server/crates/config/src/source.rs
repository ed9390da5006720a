//! The configuration file itself: its text, and what stands where in it.
//!
//! Owns the translation between key paths and lines, and the translation of the TOML parser's errors into
//! ours. Opens no file: the caller has read this one. The text is kept, so that a fault found later (in a
//! certificate that the configuration names, say) still finds its line.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Problem};
use super::key::{KeyPath, Segment};
use super::reference::{FileRef, Reference};
use super::suggest;

/// A configuration file as it was read.
#[derive(Clone, Debug)]
pub struct Source {
    file: PathBuf,
    text: String,
}

impl Source {
    pub(super) fn new(file: &Path, text: &str) -> Self {
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
        }
    }

    /// The path of the configuration file, as it was given.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The error that says that the value of `key` is at fault: `file: key: fault; remedy (line n)`.
    pub fn error(&self, key: &KeyPath, fault: impl Into<String>, remedy: impl Into<String>) -> ConfigError {
        self.locate(Problem::new(key, fault, remedy))
    }

    /// The file that `key` names with `text`, not opened.
    pub(super) fn file_ref(&self, key: &KeyPath, text: &str) -> Result<FileRef, Problem> {
        if text.is_empty() || text.contains('\0') {
            let fault = format!("{text:?} is no file name");
            return Err(Problem::new(
                key,
                fault,
                "give a path, relative to the folder of this file or absolute",
            ));
        }
        let folder = self.file.parent().unwrap_or(Path::new(""));
        Ok(FileRef {
            path: folder.join(text),
            key: key.clone(),
        })
    }

    /// The bytes that `key` names with `text`, not read.
    pub(super) fn reference(&self, key: &KeyPath, text: &str) -> Result<Reference, Problem> {
        self.file_ref(key, text).map(Reference::from)
    }

    pub(super) fn locate(&self, problem: Problem) -> ConfigError {
        let table = DeTable::parse(&self.text).ok();
        let line = table.and_then(|table| self.line_of(table.get_ref(), &problem.key));
        ConfigError {
            file: self.file.clone(),
            problem,
            line,
        }
    }

    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let table = DeTable::parse(&self.text).map_err(|error| self.syntax_error(&error))?;
        let deserializer = toml::de::Deserializer::from(table.clone());
        T::deserialize(deserializer).map_err(|error| self.shape_error(&error, table.get_ref()))
    }

    /// The error for a text that is no TOML.
    fn syntax_error(&self, error: &toml::de::Error) -> ConfigError {
        let fault = format!("this is not TOML: {}", error.message());
        let problem = Problem::new(&KeyPath::root(), fault, "correct the syntax");
        let line = error.span().map(|span| self.line_at(span.start));
        ConfigError {
            file: self.file.clone(),
            problem,
            line,
        }
    }

    /// TOML, but with an unknown key, without a needed one, or with a value of the wrong type.
    fn shape_error(&self, error: &toml::de::Error, table: &DeTable<'_>) -> ConfigError {
        let span = error.span().unwrap_or(0..0);
        let key = path_at(table, &span);
        let line = error.span().map(|span| self.line_at(span.start));
        ConfigError {
            file: self.file.clone(),
            problem: shape_problem(&key, error.message()),
            line,
        }
    }

    /// The line of the value at `key`, or of the nearest table around it.
    fn line_of(&self, table: &DeTable<'_>, key: &KeyPath) -> Option<usize> {
        let mut spot = None;
        let mut here: Option<&DeValue<'_>> = None;
        for segment in key.segments() {
            let next = match (segment, here) {
                (Segment::Key(name), None) => entry(table, name),
                (Segment::Key(name), Some(value)) => value.as_table().and_then(|table| entry(table, name)),
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

/// Says in our words what the deserializer found.
fn shape_problem(key: &KeyPath, message: &str) -> Problem {
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let mut names = in_backticks(rest);
        let given = names.next().unwrap_or_default();
        return Problem::new(
            key,
            "unknown key",
            suggest::instead_of(given, names, "keys known here"),
        );
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        let name = in_backticks(rest).next().unwrap_or_default().to_owned();
        let remedy = format!("add {name} = …");
        return Problem::new(&key.child(name), "missing", remedy);
    }
    let fault = message.replace("expected i64", "expected a whole number");
    Problem::new(key, fault, "correct the value")
}

/// The texts between backticks.
fn in_backticks(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The innermost key or value whose span contains `span`.
fn path_at(table: &DeTable<'_>, span: &Range<usize>) -> KeyPath {
    let mut best = (usize::MAX, KeyPath::root());
    visit(table, &KeyPath::root(), &mut |candidate, path| {
        let contains = candidate.start <= span.start && span.end <= candidate.end;
        if contains && candidate.len() <= best.0 {
            best = (candidate.len(), path.clone());
        }
    });
    best.1
}

/// Every key and every value of the tree with its span, parents first. As deep as the parser lets values
/// nest.
fn visit(table: &DeTable<'_>, path: &KeyPath, seen: &mut dyn FnMut(Range<usize>, &KeyPath)) {
    for (key, value) in table {
        let path = path.child(key.get_ref().to_string());
        seen(key.span(), &path);
        visit_value(value, &path, seen);
    }
}

fn visit_value(value: &Spanned<DeValue<'_>>, path: &KeyPath, seen: &mut dyn FnMut(Range<usize>, &KeyPath)) {
    seen(value.span(), path);
    match value.get_ref() {
        DeValue::Table(table) => visit(table, path, seen),
        DeValue::Array(array) => {
            for (index, element) in array.iter().enumerate() {
                visit_value(element, &path.index(index), seen);
            }
        }
        _ => {}
    }
}

fn entry<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> Option<(Range<usize>, &'a DeValue<'i>)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    Some((key.span(), value.get_ref()))
}
