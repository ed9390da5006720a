//! `bothways function test`: one call of a function from its file, outside of any server.
//!
//! Owns where the event comes from (JSON, or a certificate) and how the answer is told. The call itself is the one that decides online,
//! under the default limits. The JSON has the names of the managed service's test results.

use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use serde::Serialize;

use super::AppError;
use super::explain::read_chain;
use crate::functions::{
    ConnectionEvent, ConnectionOutcome, Decision, Denial, Function, FunctionKind, FunctionLimits,
    FunctionSource, TlsFacts, call_connection_at, try_connection,
};
use crate::kvs::{LoadError, Store, StoreLimits};
use crate::limits::Limits;
use crate::logs::ConnectionIds;
use crate::trust::CertificateFacts;

/// What is to be tried.
pub struct Trial {
    pub code: PathBuf,
    /// An import file.
    pub key_value_store: Option<PathBuf>,
    pub event: TrialEvent,
    /// The time that the function is told.
    pub at: SystemTime,
}

/// What the function is called with.
pub enum TrialEvent {
    /// A JSON file: the object that the function gets.
    Json(PathBuf),
    /// The connection of a client that presents this chain (PEM, leaf first).
    Certificate { chain: PathBuf, client_ip: IpAddr },
}

/// What came of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TrialResult {
    connection_function_output: Output,
    connection_function_execution_logs: Vec<String>,
    connection_function_error_message: String,
    /// Percent of the time limit, of 0 to 100.
    compute_utilization: String,
    #[serde(skip)]
    elapsed: Duration,
    #[serde(skip)]
    time_limit: Duration,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    decision: &'static str,
    detail: &'static str,
    connection_log_custom_data: Option<Box<str>>,
}

/// Makes the call.
///
/// # Errors
/// A file cannot be used: what it names, and where.
pub fn function_test(trial: &Trial) -> Result<TrialResult, AppError> {
    let function = load(trial)?;
    function.warm();
    let outcome = match &trial.event {
        TrialEvent::Json(file) => try_connection(&function, &read_event(file)?, trial.at),
        TrialEvent::Certificate { chain, client_ip } => call(&function, chain, *client_ip, trial.at)?,
    };
    Ok(TrialResult::of(outcome, function.limits().time))
}

fn load(trial: &Trial) -> Result<Arc<Function>, AppError> {
    let limits = Limits::default();
    let code = fs::read(&trial.code).map_err(|error| unusable(&trial.code, &error))?;
    let key_value_store = match &trial.key_value_store {
        None => None,
        Some(file) => {
            let store = Store::load(&stem(file), file, &StoreLimits::of(&limits), trial.at);
            Some(Arc::new(store.map_err(|error| match error {
                LoadError::Unreadable(error) => unusable(file, &error),
                LoadError::Import(error) => unusable(file, &error),
            })?))
        }
    };
    let function = Function::compile(FunctionSource {
        name: &stem(&trial.code),
        kind: FunctionKind::Connection,
        code: &code,
        key_value_store,
        limits: FunctionLimits::of(&limits),
    });
    // `functions/deny-revoked.js:12:7: …` takes an editor there.
    let function = function.map_err(|error| AppError::Config(format!("{}:{error}", trial.code.display())));
    function.map(Arc::new)
}

/// A file is called what it is called without folder and extension.
fn stem(file: &Path) -> String {
    file.file_stem()
        .unwrap_or(file.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn read_event(file: &Path) -> Result<String, AppError> {
    let event = fs::read_to_string(file).map_err(|error| unusable(file, &error))?;
    if event.len() > EVENT_BYTES_MAX {
        let fault = format!(
            "has {} bytes; an event has {EVENT_BYTES_MAX} at most",
            event.len()
        );
        return Err(unusable(file, &fault));
    }
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&event) {
        Ok(_) => Ok(event),
        Err(error) => Err(unusable(file, &format!("is no JSON object: {error}"))),
    }
}

fn call(
    function: &Arc<Function>,
    chain: &Path,
    client_ip: IpAddr,
    at: SystemTime,
) -> Result<ConnectionOutcome, AppError> {
    let presented = read_chain(chain).map_err(|fault| unusable(chain, &fault))?;
    let facts: Option<Vec<Arc<CertificateFacts>>> = presented.iter().map(facts_of).collect();
    let facts = facts.ok_or_else(|| unusable(chain, &"holds what is no certificate"))?;
    let [leaf, intermediates @ ..] = facts.as_slice() else {
        return Err(unusable(chain, &"holds no CERTIFICATE block"));
    };
    let event = ConnectionEvent {
        connection_id: &ConnectionIds::new().next().to_string(),
        client_ip,
        endpoint: "test.example.com",
        distribution_id: "TEST",
        leaf: Some(leaf),
        intermediates,
        tls: TlsFacts {
            protocol: Some("TLSv1.3"),
            cipher: Some("TLS_AES_128_GCM_SHA256"),
            sni: Some("test.example.com"),
            resumed: false,
        },
    };
    Ok(call_connection_at(function, &event, at))
}

fn facts_of(der: &CertificateDer<'_>) -> Option<Arc<CertificateFacts>> {
    CertificateFacts::parse(der).map(Arc::new)
}

fn unusable(file: &Path, fault: &dyn fmt::Display) -> AppError {
    AppError::Config(format!("{}: {fault}", file.display()))
}

impl TrialResult {
    fn of(outcome: ConnectionOutcome, time_limit: Duration) -> Self {
        let (decision, detail, error) = match outcome.decision {
            Decision::Allow => ("allow", "", String::new()),
            Decision::Deny(Denial::Called) => ("deny", "it called deny()", String::new()),
            Decision::Deny(Denial::NeitherCalled) => {
                ("deny", "it called neither allow() nor deny()", String::new())
            }
            Decision::Error(sentence) => ("deny", "ConnectionFunctionError", sentence),
        };
        let percent = outcome.elapsed.as_secs_f64() / time_limit.as_secs_f64() * 100.0;
        Self {
            connection_function_output: Output {
                decision,
                detail,
                connection_log_custom_data: outcome.custom_data,
            },
            connection_function_execution_logs: outcome.console,
            connection_function_error_message: error,
            compute_utilization: format!("{:.0}", percent.clamp(0.0, 100.0).ceil()),
            elapsed: outcome.elapsed,
            time_limit,
        }
    }

    pub fn is_allowed(&self) -> bool {
        self.connection_function_output.decision == "allow"
    }

    /// One JSON object.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
    }
}

impl fmt::Display for TrialResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let output = &self.connection_function_output;
        match output.detail {
            "" => writeln!(f, "decision     {}", output.decision)?,
            detail => writeln!(f, "decision     {} ({detail})", output.decision)?,
        }
        if let Some(text) = &output.connection_log_custom_data {
            writeln!(f, "custom data  {text}")?;
        }
        for line in &self.connection_function_execution_logs {
            writeln!(f, "console      {line}")?;
        }
        if !self.connection_function_error_message.is_empty() {
            writeln!(f, "error        {}", self.connection_function_error_message)?;
        }
        writeln!(
            f,
            "compute      {} % of {} ms ({:.3} ms)",
            self.compute_utilization,
            self.time_limit.as_millis(),
            self.elapsed.as_secs_f64() * 1e3,
        )
    }
}

/// The service's bound on a test object (reference §2.4).
const EVENT_BYTES_MAX: usize = 40_960;
