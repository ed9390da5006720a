//! The functions of a snapshot: read, compiled, and where the live version of each stands.
//!
//! Each function of the configuration is loaded, used or not. A function keeps its place and its version
//! while its code, its store and its limits are those of the snapshot before. Its tickets and its engines
//! then survive a reload that is about something else. The digest of the code is compared with the live
//! version's, since a function may have been published after it was loaded.
//!
//! Publishing swaps one function's version within a snapshot that is in force. The caller sees to it that no
//! snapshot is being built meanwhile: that one would have read the code before, and would be put in force
//! after.

use std::fmt;
use std::sync::Arc;

use bothways_config::{Config, ConfigError, FunctionConfig, KeyPath, Place, Reference};
use bothways_functions::{
    CompileError, Function, FunctionKind, FunctionLimits, FunctionSource, LiveFunction,
};
use bothways_state::files::ReadError;
use bothways_state::key_values::Store;

use super::key_value_stores;
use super::limits::function_limits;
use super::parts::Digest;
use super::references;

/// All of them, in the order of the configuration.
#[derive(Debug, Default)]
pub struct Functions {
    connection: Vec<Loaded>,
    viewer: Vec<Loaded>,
}

/// Reason why a function is not published: a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unpublished {
    NoSuchFunction(String),
    /// The file cannot be read, or its code is no function.
    Unusable(String),
}

impl fmt::Display for Unpublished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchFunction(sentence) | Self::Unusable(sentence) => f.write_str(sentence),
        }
    }
}

/// Result of an order to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// The new version counts from the next call on.
    Published,
    /// The file has the code that is live already.
    Unchanged,
}

/// Version of a function that is compiled and not yet live.
#[derive(Debug)]
pub struct NewVersion {
    live: Arc<LiveFunction>,
    function: Function,
}

impl NewVersion {
    /// Makes it the live version.
    pub fn publish(self) {
        self.live.publish(self.function);
    }
}

struct Loaded {
    recipe: Recipe,
    live: Arc<LiveFunction>,
}

/// Inputs that a function is made from.
struct Recipe {
    name: Arc<str>,
    kind: FunctionKind,
    code: Reference,
    store: Option<Arc<Store>>,
    limits: FunctionLimits,
}

impl Functions {
    /// True if requests may meet a function.
    pub fn has_viewer_functions(&self) -> bool {
        !self.viewer.is_empty()
    }

    /// Loads all that `config` names. `stores` in its order; `before`: the functions in force.
    ///
    /// # Errors
    /// A file that cannot be read, or code that is no function, with line and column.
    pub(super) fn load(
        config: &Config,
        stores: &[Arc<Store>],
        before: Option<&Self>,
    ) -> Result<Self, ConfigError> {
        let load = |kind, functions: &[FunctionConfig]| {
            let functions = functions.iter();
            functions
                .map(|function| load(config, kind, function, stores, before))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            connection: load(FunctionKind::Connection, &config.functions.connection)?,
            viewer: load(FunctionKind::Viewer, &config.functions.viewer)?,
        })
    }

    /// The connection function at an index of the configuration, if `key` names one.
    ///
    /// # Errors
    /// There is none at that index.
    pub(super) fn connection(
        &self,
        config: &Config,
        key: &KeyPath,
        index: Option<usize>,
    ) -> Result<Option<Arc<LiveFunction>>, ConfigError> {
        live(config, key, &self.connection, index)
    }

    /// The viewer function at an index of the configuration, if `key` names one.
    ///
    /// # Errors
    /// There is none at that index.
    pub(super) fn viewer(
        &self,
        config: &Config,
        key: &KeyPath,
        index: Option<usize>,
    ) -> Result<Option<Arc<LiveFunction>>, ConfigError> {
        live(config, key, &self.viewer, index)
    }

    /// The live versions.
    pub fn live(&self) -> impl Iterator<Item = Arc<Function>> {
        self.all().map(|loaded| loaded.live.current())
    }

    /// Reads the code of a function again and compiles it. `None`: the code is live already. Reads a
    /// file, so no core calls it.
    ///
    /// # Errors
    /// There is no such function, or its file cannot be read or is no function.
    pub fn read_again(&self, name: &str) -> Result<Option<NewVersion>, Unpublished> {
        let Some(loaded) = self.all().find(|loaded| &*loaded.recipe.name == name) else {
            let names: Vec<_> = self.all().map(|loaded| &*loaded.recipe.name).collect();
            let fault = format!("no function is named {name:?}; there are {names:?}");
            return Err(Unpublished::NoSuchFunction(fault));
        };
        let code = loaded.recipe.read().map_err(Unpublished::Unusable)?;
        if loaded.live.current().digest() == Digest::of_bytes(&code).octets() {
            return Ok(None);
        }
        let function = loaded.recipe.compile(&code).map_err(Unpublished::Unusable)?;
        let live = loaded.live.clone();
        Ok(Some(NewVersion { live, function }))
    }

    fn all(&self) -> impl Iterator<Item = &Loaded> {
        self.connection.iter().chain(&self.viewer)
    }
}

/// Loads the connection function of one distribution, and nothing else; `None`: it has none.
///
/// # Errors
/// Its file or its key-value store cannot be used.
pub fn connection_function(
    config: &Config,
    distribution: &bothways_config::Distribution,
) -> Result<Option<Arc<Function>>, ConfigError> {
    let functions = &config.functions.connection;
    let Some(function) = distribution
        .connection_function
        .and_then(|index| functions.get(index))
    else {
        return Ok(None);
    };
    let stores = key_value_stores::load(config, &[])?.stores;
    let loaded = load(config, FunctionKind::Connection, function, &stores, None)?;
    Ok(Some(loaded.live.current()))
}

/// A function that is configured and not there must not become none.
fn live(
    config: &Config,
    key: &KeyPath,
    functions: &[Loaded],
    index: Option<usize>,
) -> Result<Option<Arc<LiveFunction>>, ConfigError> {
    let found = |index| {
        let loaded: Option<&Loaded> = functions.get(index);
        let remedy = "name one of the configuration";
        let gone = || config.source.error(key, "the function is gone", remedy);
        loaded.map(|loaded| loaded.live.clone()).ok_or_else(gone)
    };
    index.map(found).transpose()
}

fn load(
    config: &Config,
    kind: FunctionKind,
    function: &FunctionConfig,
    stores: &[Arc<Store>],
    before: Option<&Functions>,
) -> Result<Loaded, ConfigError> {
    let refuse = |fault: String| {
        let remedy = "correct its code, or take it out of the configuration";
        config.source.error(&function.code.key, fault, remedy)
    };
    let recipe = Recipe {
        name: function.name.as_str().into(),
        kind,
        code: function.code.clone(),
        store: store(config, function, stores)?,
        limits: function_limits(&config.limits),
    };
    let code = recipe.read().map_err(refuse)?;
    let digest = Digest::of_bytes(&code);
    let same = |known: &&Loaded| {
        recipe.makes_the_same(&known.recipe) && known.live.current().digest() == digest.octets()
    };
    let live = match before.and_then(|before| before.all().find(same)) {
        Some(known) => known.live.clone(),
        None => Arc::new(LiveFunction::new(recipe.compile(&code).map_err(refuse)?)),
    };
    Ok(Loaded { recipe, live })
}

fn store(
    config: &Config,
    function: &FunctionConfig,
    stores: &[Arc<Store>],
) -> Result<Option<Arc<Store>>, ConfigError> {
    let Some(index) = function.key_value_store else {
        return Ok(None);
    };
    stores.get(index).cloned().map(Some).ok_or_else(|| {
        let key = function.key.child("key_value_store");
        let remedy = "name one of [[key_value_stores]]";
        config.source.error(&key, "the key-value store is gone", remedy)
    })
}

impl Recipe {
    /// True if the same code makes the same function.
    fn makes_the_same(&self, other: &Self) -> bool {
        let same_store = match (&self.store, &other.store) {
            (Some(store), Some(other)) => Arc::ptr_eq(store, other),
            (None, None) => true,
            _ => false,
        };
        same_store && (&self.name, self.kind, &self.limits) == (&other.name, other.kind, &other.limits)
    }

    fn read(&self) -> Result<Vec<u8>, String> {
        let (code, most) = (&self.code, self.limits.code_bytes);
        references::bytes(code, u64::try_from(most).unwrap_or(u64::MAX)).map_err(|error| match error {
            ReadError::TooLarge { .. } => {
                format!("{code} is longer than the {most} bytes that limits.function_code_bytes allows")
            }
            error => format!("cannot read {code}: {error}"),
        })
    }

    /// The error begins with file, line and column, as far as they are known.
    fn compile(&self, code: &[u8]) -> Result<Function, String> {
        let source = FunctionSource {
            name: &self.name,
            kind: self.kind,
            code,
            key_value_store: self.store.clone(),
            limits: self.limits.clone(),
        };
        Function::compile(source).map_err(|error| self.located(&error))
    }

    fn located(&self, error: &CompileError) -> String {
        let Place::File(path) = &self.code.place;
        error.in_file(path)
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("name", &self.recipe.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "functions_tests.rs"]
mod tests;
