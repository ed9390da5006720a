//! `[[connection_functions]]` and `[[functions]]`: the customer's code, by name. The files are not opened
//! here.
//!
//! Names are unique across both tables: logs and `bothways function publish` go by them.

use std::fmt;
use std::sync::Arc;

use super::error::Problem;
use super::key::KeyPath;
use super::raw::RawFunction;
use super::reference::Reference;
use super::source::Source;
use super::suggest::instead_of;
use super::trust_stores::identifier;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionConfig {
    pub key: KeyPath,
    pub name: FunctionName,
    pub code: Reference,
    /// Index into the key-value stores of the configuration.
    pub key_value_store: Option<usize>,
}

/// The name of a function: 1 to 64 letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FunctionName(Arc<str>);

impl FunctionName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that is called by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Functions {
    /// Run once for each connection.
    pub connection: Vec<FunctionConfig>,
    /// Run for viewer requests and viewer responses.
    pub viewer: Vec<FunctionConfig>,
}

impl Functions {
    pub(super) fn check(
        source: &Source,
        connection: &[RawFunction],
        viewer: &[RawFunction],
        stores: &[&str],
    ) -> Result<Self, Problem> {
        let mut functions = Self::default();
        for (index, raw) in connection.iter().enumerate() {
            let key = KeyPath::root().child("connection_functions").index(index);
            let function = functions.add(source, &key, raw, stores)?;
            functions.connection.push(function);
        }
        for (index, raw) in viewer.iter().enumerate() {
            let key = KeyPath::root().child("functions").index(index);
            let function = functions.add(source, &key, raw, stores)?;
            functions.viewer.push(function);
        }
        Ok(functions)
    }

    fn add(
        &self,
        source: &Source,
        key: &KeyPath,
        raw: &RawFunction,
        stores: &[&str],
    ) -> Result<FunctionConfig, Problem> {
        let function = function(source, key, raw, stores)?;
        let mut earlier = self.connection.iter().chain(&self.viewer);
        match earlier.find(|first| first.name == function.name) {
            None => Ok(function),
            Some(first) => {
                let fault = format!("{:?} is the name of {} too", raw.name, first.key);
                Err(Problem::new(
                    &key.child("name"),
                    fault,
                    "give each function its own",
                ))
            }
        }
    }

    /// The index of the connection function with this name.
    pub(super) fn connection_function(&self, key: &KeyPath, name: &str) -> Result<usize, Problem> {
        let elsewhere = "that is a viewer function; a connection function stands in [[connection_functions]]";
        find(
            key,
            name,
            "connection function",
            &self.connection,
            &self.viewer,
            elsewhere,
        )
    }

    /// The index of the viewer function with this name.
    pub(super) fn viewer_function(&self, key: &KeyPath, name: &str) -> Result<usize, Problem> {
        let elsewhere = "that is a connection function; a viewer function stands in [[functions]]";
        find(
            key,
            name,
            "viewer function",
            &self.viewer,
            &self.connection,
            elsewhere,
        )
    }
}

/// `elsewhere` is said when `others` has the name.
fn find(
    key: &KeyPath,
    name: &str,
    what: &str,
    functions: &[FunctionConfig],
    others: &[FunctionConfig],
    elsewhere: &str,
) -> Result<usize, Problem> {
    let named = |function: &FunctionConfig| function.name.as_str() == name;
    functions.iter().position(named).ok_or_else(|| {
        let remedy = match others.iter().any(named) {
            true => elsewhere.to_owned(),
            false => {
                let known = functions.iter().map(|known| known.name.as_str());
                instead_of(name, known, &format!("{what}s"))
            }
        };
        Problem::new(key, format!("no {what} is named {name:?}"), remedy)
    })
}

fn function(
    source: &Source,
    key: &KeyPath,
    raw: &RawFunction,
    stores: &[&str],
) -> Result<FunctionConfig, Problem> {
    Ok(FunctionConfig {
        key: key.clone(),
        name: FunctionName(identifier(&key.child("name"), &raw.name)?),
        code: source.reference(&key.child("code"), &raw.code)?,
        key_value_store: match &raw.key_value_store {
            None => None,
            Some(name) => Some(store(&key.child("key_value_store"), name, stores)?),
        },
    })
}

fn store(key: &KeyPath, name: &str, stores: &[&str]) -> Result<usize, Problem> {
    let found = stores.iter().position(|known| *known == name);
    found.ok_or_else(|| {
        let fault = format!("no key-value store is named {name:?}");
        Problem::new(
            key,
            fault,
            instead_of(name, stores.iter().copied(), "key-value stores"),
        )
    })
}
