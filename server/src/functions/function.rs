//! A function that was checked and compiled, and the place where its live version stands.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::kvs::Store;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FunctionKind {
    /// `connectionHandler(connection)`.
    Connection,
    /// `handler(event)`, for viewer requests and viewer responses.
    Viewer,
}

/// What a call may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionLimits {
    /// CPU time of one call.
    pub time: Duration,
    /// What one call may allocate beyond what the engine itself takes.
    pub memory_bytes: usize,
    pub code_bytes: usize,
}

/// What a function is made from.
pub struct FunctionSource<'a> {
    pub name: &'a str,
    pub kind: FunctionKind,
    pub code: &'a [u8],
    pub key_value_store: Option<Arc<Store>>,
    pub limits: FunctionLimits,
}

/// Why code is no function; line and column count from 1.
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

/// One version of a function, checked. Cores make their engines from it.
pub struct Function {
    name: Arc<str>,
    kind: FunctionKind,
    /// Unlike that of any other version in this process.
    version: u64,
    /// SHA-256 of the code: the same code is the same to tickets, before and after a restart.
    digest: [u8; 32],
}

impl Function {
    /// Checks and compiles.
    ///
    /// # Errors
    /// Too long, not UTF-8, a syntax error, no handler, or its top level throws.
    pub fn compile(_source: FunctionSource<'_>) -> Result<Self, CompileError> {
        Err(CompileError {
            line: None,
            column: None,
            message: "functions cannot run yet".to_owned(),
        })
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub fn kind(&self) -> FunctionKind {
        self.kind
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

/// The live version of a function: what `bothways function publish` swaps without touching a connection.
pub struct LiveFunction {
    current: ArcSwap<Function>,
}

impl LiveFunction {
    pub fn new(function: Function) -> Self {
        Self {
            current: ArcSwap::from_pointee(function),
        }
    }

    pub fn current(&self) -> Arc<Function> {
        self.current.load_full()
    }

    pub fn publish(&self, function: Function) {
        self.current.store(Arc::new(function));
    }
}
