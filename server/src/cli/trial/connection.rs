//! Trial calls of connection functions.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bothways_functions::{
    ConnectionEvent, ConnectionOutcome, Decision, Denial, Function, TlsFacts, call_connection_at,
    try_connection,
};
use bothways_trust::CertificateFacts;
use rustls_pki_types::CertificateDer;
use serde::Serialize;

use super::compute::Compute;
use super::unusable::unusable;
use crate::app::AppError;
use crate::cli::chain::read_chain;
use crate::logs::ConnectionIds;

/// Decision of a connection function.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConnectionTrial {
    connection_function_output: Output,
    connection_function_execution_logs: Vec<String>,
    connection_function_error_message: String,
    compute_utilization: Compute,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    decision: &'static str,
    detail: &'static str,
    connection_log_custom_data: Option<Box<str>>,
}

impl ConnectionTrial {
    /// Calls it with the object that `json` holds.
    pub fn of_event(function: &Arc<Function>, json: &str, at: SystemTime) -> Self {
        Self::of(function, try_connection(function, json, at))
    }

    /// Calls it for the first connection of a client that presents `chain`.
    ///
    /// # Errors
    /// The file holds no certificates.
    pub fn of_certificate(
        function: &Arc<Function>,
        chain: &Path,
        client_ip: IpAddr,
        at: SystemTime,
    ) -> Result<Self, AppError> {
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
        Ok(Self::of(function, call_connection_at(function, &event, at)))
    }

    fn of(function: &Function, outcome: ConnectionOutcome) -> Self {
        let (decision, detail, error) = match outcome.decision {
            Decision::Allow => ("allow", "", String::new()),
            Decision::Deny(Denial::Called) => ("deny", "it called deny()", String::new()),
            Decision::Deny(Denial::NeitherCalled) => {
                ("deny", "it called neither allow() nor deny()", String::new())
            }
            Decision::Error(sentence) => ("deny", "ConnectionFunctionError", sentence),
        };
        Self {
            connection_function_output: Output {
                decision,
                detail,
                connection_log_custom_data: outcome.custom_data,
            },
            connection_function_execution_logs: outcome.console,
            connection_function_error_message: error,
            compute_utilization: Compute::of(function, outcome.elapsed),
        }
    }

    pub fn is_allowed(&self) -> bool {
        self.connection_function_output.decision == "allow"
    }
}

impl fmt::Display for ConnectionTrial {
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
        writeln!(f, "compute      {}", self.compute_utilization)
    }
}

fn facts_of(der: &CertificateDer<'_>) -> Option<Arc<CertificateFacts>> {
    CertificateFacts::parse(der).map(Arc::new)
}
