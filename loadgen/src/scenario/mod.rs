//! Scenarios: a TOML file that says what to load and how becomes a [`Plan`].
//!
//! The file has `[target]`, `[[identities]]`, `[[mix]]` and `[[phases]]`; `loadgen/scenarios/` has examples
//! with every key. Options given beside it win over its `[target]`. Every mistake names file, line, key and
//! remedy; nothing is opened here but the file itself.

mod check;
mod phases;
mod raw;
mod source;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::options::Options;
use crate::plan::{Plan, UsageError};
use source::Source;

/// Reads the scenario `file`. `allowed` are the cores that this process may use.
pub fn load(file: &Path, options: &Options, allowed: &[usize]) -> Result<Plan, UsageError> {
    build(&Source::read(file)?, options, allowed)
}

fn build(source: &Source, options: &Options, allowed: &[usize]) -> Result<Plan, UsageError> {
    let raw = source.parse()?;
    check::plan(source, &raw, options, allowed).map_err(|problem| source.locate(&problem))
}
