//! `bothways function test`: one call of a function from its file, outside of any server.
//!
//! Owns where the event comes from (JSON, or a certificate) and how the answer is told. The call itself is
//! the one that decides online, under the default limits. The JSON has the names of the managed service's
//! test results.

mod compute;
mod connection;
mod event_field;
mod json;
mod renamed;
mod unusable;
mod viewer;
mod viewer_event;
mod viewer_output;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bothways_config::Limits;
use bothways_functions::{Function, FunctionKind, FunctionSource};
use bothways_state::files;
use bothways_state::key_values::{LoadError, Store};
use serde::Serialize;

use self::connection::ConnectionTrial;
use self::json::Json;
use self::unusable::unusable;
use self::viewer::ViewerTrial;
use self::viewer_event::ViewerEvent;
use crate::app::AppError;
use crate::snapshot::{function_limits, store_limits};

/// Call to be tried.
pub(super) struct Trial {
    pub code: PathBuf,
    /// An import file.
    pub key_value_store: Option<PathBuf>,
    pub event: TrialEvent,
    /// The time that the function is told.
    pub at: SystemTime,
}

/// Event that the function is called with.
pub(super) enum TrialEvent {
    /// A JSON file: the object that the function gets. One with a `request` is for a viewer function.
    Json(PathBuf),
    /// The connection of a client that presents this chain (PEM, leaf first).
    Certificate { chain: PathBuf, client_ip: IpAddr },
}

/// Result of the call.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum TrialResult {
    Connection(ConnectionTrial),
    Viewer(ViewerTrial),
}

/// Makes the call.
///
/// # Errors
/// A file cannot be used: what it names, and where.
pub(super) fn function_test(trial: &Trial) -> Result<TrialResult, AppError> {
    let (file, text) = match &trial.event {
        TrialEvent::Certificate { chain, client_ip } => {
            let function = load(trial, FunctionKind::Connection)?;
            let tried = ConnectionTrial::of_certificate(&function, chain, *client_ip, trial.at)?;
            return Ok(TrialResult::Connection(tried));
        }
        TrialEvent::Json(file) => (file, read_event(file)?),
    };
    let json = Json::parse(&text).map_err(|error| unusable(file, &error))?;
    if !json.has("request") {
        let function = load(trial, FunctionKind::Connection)?;
        let tried = ConnectionTrial::of_event(&function, &text, trial.at);
        return Ok(TrialResult::Connection(tried));
    }
    let event = ViewerEvent::read(&json).map_err(|error| unusable(file, &error))?;
    let function = load(trial, FunctionKind::Viewer)?;
    Ok(TrialResult::Viewer(ViewerTrial::of(&function, event, trial.at)))
}

impl TrialResult {
    /// True if a client would get what it came for: it is allowed in, or there is something that can be sent.
    pub(super) fn is_good(&self) -> bool {
        match self {
            Self::Connection(tried) => tried.is_allowed(),
            Self::Viewer(tried) => tried.is_sendable(),
        }
    }

    /// The result as one JSON object.
    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
    }
}

impl fmt::Display for TrialResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(tried) => tried.fmt(f),
            Self::Viewer(tried) => tried.fmt(f),
        }
    }
}

fn load(trial: &Trial, kind: FunctionKind) -> Result<Arc<Function>, AppError> {
    let limits = Limits::default();
    let code =
        files::read_argument(&trial.code, CODE_BYTES_MAX).map_err(|error| unusable(&trial.code, &error))?;
    let key_value_store = match &trial.key_value_store {
        None => None,
        Some(file) => {
            let store = Store::load(&stem(file), file, &store_limits(&limits), trial.at);
            Some(Arc::new(store.map_err(|error| match error {
                LoadError::Unreadable(error) => unusable(file, &error),
                LoadError::Import(error) => unusable(file, &error),
            })?))
        }
    };
    let function = Function::compile(FunctionSource {
        name: &stem(&trial.code),
        kind,
        code: &code,
        key_value_store,
        limits: function_limits(&limits),
    });
    // `functions/deny-revoked.js:12:7: …` takes an editor there.
    let function = function.map_err(|error| AppError::Config(error.in_file(&trial.code)))?;
    function.warm();
    Ok(Arc::new(function))
}

/// A file is called what it is called without folder and extension.
fn stem(file: &Path) -> String {
    file.file_stem()
        .unwrap_or(file.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn read_event(file: &Path) -> Result<String, AppError> {
    files::read_argument_text(file, EVENT_BYTES_MAX).map_err(|error| unusable(file, &error))
}

/// The service's bound on a test object (reference §2.4).
const EVENT_BYTES_MAX: u64 = 40_960;
/// Far more than `limits.function_code_bytes` may allow; the compiler says by how much it is too long.
const CODE_BYTES_MAX: u64 = 16 * 1024 * 1024;
