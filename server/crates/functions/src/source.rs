//! The source of a function, and the reasons why code is no function.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bothways_state::key_values::Store;

/// A kind of function, which decides its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FunctionKind {
    /// `connectionHandler(connection)`.
    Connection,
    /// `handler(event)`, for viewer requests and viewer responses.
    Viewer,
}

impl FunctionKind {
    pub(super) fn handler(self) -> &'static str {
        match self {
            Self::Connection => "connectionHandler",
            Self::Viewer => "handler",
        }
    }

    /// JavaScript that makes what the handler is called with.
    pub(super) fn prelude(self) -> &'static str {
        match self {
            Self::Connection => include_str!("prelude/connection.js"),
            Self::Viewer => include_str!("prelude/viewer.js"),
        }
    }
}

/// Limits of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionLimits {
    /// CPU time of one call.
    pub time: Duration,
    /// Bytes that one call may allocate beyond what the engine itself takes.
    pub memory_bytes: usize,
    pub code_bytes: usize,
}

/// The parts that a function is made from.
pub struct FunctionSource<'a> {
    pub name: &'a str,
    pub kind: FunctionKind,
    pub code: &'a [u8],
    pub key_value_store: Option<Arc<Store>>,
    pub limits: FunctionLimits,
}

/// Code that is no function; line and column count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    pub line: Option<u32>,
    pub column: Option<u32>,
    pub message: String,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, "{line}:{column}: {}", self.message),
            (Some(line), None) => write!(f, "{line}: {}", self.message),
            _ => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for CompileError {}

impl CompileError {
    /// `functions/gate.js:12:7: …`, which takes an editor there, or `functions/gate.js: …`.
    pub fn in_file(&self, file: &Path) -> String {
        let space = if self.line.is_some() { "" } else { " " };
        format!("{}:{space}{self}", file.display())
    }
}
