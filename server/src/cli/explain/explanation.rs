//! The answer of `bothways explain`, as text and as JSON.

use std::fmt;

use bothways_trust::{CertificateFacts, Step};
use rustls::AlertDescription;
use rustls_pki_types::CertificateDer;
use serde::Serialize;

/// Answer of `bothways explain`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    pub(super) distribution_id: String,
    /// `None`: mode passthrough.
    pub(super) trust_store: Option<String>,
    pub(super) presented: Vec<Presented>,
    pub(super) steps: Vec<ToldStep>,
    pub(super) admitted: bool,
    /// Status of the connection record.
    pub(super) connection_status: &'static str,
    /// Reason of a refusal, or a remark about admitting the client.
    pub(super) reason: Option<String>,
    pub(super) alert: Option<Alert>,
    /// `None`: the distribution has none, or it was not asked, the client being refused before.
    pub(super) connection_function: Option<Told>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Presented {
    /// `None`: it cannot be read.
    #[serde(flatten)]
    facts: Option<Facts>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    subject: String,
    issuer: String,
    serial_number: String,
    validity: String,
    sha256: String,
}

#[derive(Debug, Serialize)]
pub(super) struct ToldStep {
    pub(super) check: &'static str,
    pub(super) passed: bool,
    pub(super) detail: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Alert {
    number: u8,
    name: String,
}

/// Call of the connection function, for the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    pub(super) name: String,
    pub(super) allowed: bool,
    pub(super) connection_log_custom_data: Option<Box<str>>,
    pub(super) execution_logs: Vec<String>,
}

impl Explanation {
    pub fn is_admitted(&self) -> bool {
        self.admitted
    }

    /// The answer as one JSON object.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.trust_store {
            Some(store) => writeln!(f, "distribution {}, trust store {store}", self.distribution_id)?,
            None => writeln!(f, "distribution {}, mode passthrough", self.distribution_id)?,
        }
        for (number, presented) in (1..).zip(&self.presented) {
            match &presented.facts {
                Some(facts) => write!(f, "\ncertificate {number}\n{facts}")?,
                None => writeln!(f, "\ncertificate {number}\n  cannot be read")?,
            }
        }
        writeln!(f, "\nchecks")?;
        for step in &self.steps {
            let outcome = if step.passed { "ok    " } else { "FAILED" };
            writeln!(f, "  {outcome} {}: {}", step.check, step.detail)?;
        }
        for line in self.connection_function.iter().flat_map(Told::lines) {
            writeln!(f, "         {line}")?;
        }
        let decision = if self.admitted { "admitted" } else { "refused" };
        writeln!(f, "\n{decision}: {}", self.connection_status)?;
        if let Some(reason) = &self.reason {
            writeln!(f, "  reason: {reason}")?;
        }
        match &self.alert {
            Some(alert) => writeln!(f, "  alert:  {} ({})", alert.name, alert.number),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  subject  {}", self.subject)?;
        writeln!(f, "  issuer   {}", self.issuer)?;
        writeln!(f, "  serial   {}", self.serial_number)?;
        writeln!(f, "  validity {}", self.validity)?;
        writeln!(f, "  SHA-256  {}", self.sha256)
    }
}

impl Presented {
    pub(super) fn of(der: &CertificateDer<'_>) -> Self {
        let facts = CertificateFacts::parse(der).map(|facts| Facts {
            subject: facts.subject,
            issuer: facts.issuer,
            serial_number: facts.serial_number,
            validity: facts.validity,
            sha256: facts.sha256,
        });
        Self { facts }
    }
}

impl ToldStep {
    pub(super) fn of(step: Step) -> Self {
        Self {
            check: step.check.name(),
            passed: step.passed,
            detail: step.detail,
        }
    }
}

impl Alert {
    pub(super) fn of(alert: AlertDescription) -> Self {
        Self {
            number: alert.into(),
            name: name_of(alert),
        }
    }
}

/// The name of RFC 8446 §6, of those that `Consequence` gives.
fn name_of(alert: AlertDescription) -> String {
    let name = match alert {
        AlertDescription::BadCertificate => "bad_certificate",
        AlertDescription::UnsupportedCertificate => "unsupported_certificate",
        AlertDescription::CertificateRevoked => "certificate_revoked",
        AlertDescription::CertificateExpired => "certificate_expired",
        AlertDescription::CertificateUnknown => "certificate_unknown",
        AlertDescription::UnknownCA => "unknown_ca",
        AlertDescription::AccessDenied => "access_denied",
        other => return format!("{other:?}"),
    };
    name.to_owned()
}

impl Told {
    /// Lines of the text: whatever the function has said.
    fn lines(&self) -> impl Iterator<Item = String> {
        let custom_data = self.connection_log_custom_data.iter();
        let custom_data = custom_data.map(|text| format!("custom data {text}"));
        custom_data.chain(
            self.execution_logs
                .iter()
                .map(|line| format!("console     {line}")),
        )
    }
}
