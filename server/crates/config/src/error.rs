//! Errors of a configuration: one line that names the file, the key, the fault and the remedy.
//!
//! Owns the form of the message, for this module and for whoever loads the files that a configuration names.

use std::fmt;
use std::path::{Path, PathBuf};

use super::key::KeyPath;

/// A configuration that cannot be used, and what to do about it.
///
/// `config/edge.toml: distributions[0].viewer_mtls.trust_store: no trust store is named "partnrs"; did you
/// mean "partners"? (line 41)`. Always one line: control characters, wherever they came from, are shown
/// escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub(super) file: PathBuf,
    pub(super) problem: Problem,
    pub(super) line: Option<usize>,
}

impl ConfigError {
    /// The error that says that the configuration file itself could not be read.
    pub fn unreadable(file: &Path, fault: &dyn fmt::Display) -> Self {
        let fault = format!("cannot read the configuration: {fault}");
        Self {
            file: file.to_owned(),
            problem: Problem::new(&KeyPath::root(), fault, "name a readable TOML file with --config"),
            line: None,
        }
    }

    /// The key at fault; the root when it is the file as a whole.
    pub fn key(&self) -> &KeyPath {
        &self.problem.key
    }

    /// The line of the configuration file, counted from 1, where one is known.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(f, &self.file.to_string_lossy())?;
        let key = self.problem.key.to_string();
        if !key.is_empty() {
            f.write_str(": ")?;
            write_escaped(f, &key)?;
        }
        f.write_str(": ")?;
        write_escaped(f, &self.problem.fault)?;
        f.write_str("; ")?;
        write_escaped(f, &self.problem.remedy)?;
        match self.line {
            Some(line) => write!(f, " (line {line})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}

/// A fault before it is known in which file and on which line it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) key: KeyPath,
    pub(super) fault: String,
    pub(super) remedy: String,
}

impl Problem {
    pub(super) fn new(key: &KeyPath, fault: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            key: key.clone(),
            fault: fault.into(),
            remedy: remedy.into(),
        }
    }
}

/// Terminals and log readers act on control characters, so none from a file or a file name reaches them.
fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        match c.is_control() {
            true => write!(f, "{}", c.escape_debug())?,
            false => write!(f, "{c}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(key: &KeyPath, line: Option<usize>) -> String {
        let problem = Problem::new(key, "a\nb", "do c");
        ConfigError {
            file: PathBuf::from("edge.toml"),
            problem,
            line,
        }
        .to_string()
    }

    #[test]
    fn an_error_names_file_key_fault_remedy_and_line_on_one_line() {
        let key = KeyPath::root().child("listeners").index(1);
        assert_eq!(
            error(&key, Some(7)),
            r"edge.toml: listeners[1]: a\nb; do c (line 7)"
        );
    }

    #[test]
    fn an_error_about_the_whole_file_names_no_key() {
        assert_eq!(error(&KeyPath::root(), None), r"edge.toml: a\nb; do c");
    }
}
